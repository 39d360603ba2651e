package command

import (
	"fmt"
	"strings"
)

// Coins writes an amount in nano as coins, without zeros that say nothing.
func Coins(nano uint64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%09d", nano/1e9, nano%1e9), "0"), ".")
}
