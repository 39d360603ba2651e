package command

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
)

// Coins writes an amount in nano as coins, without zeros that say nothing.
func Coins(nano uint64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%09d", nano/1e9, nano%1e9), "0"), ".")
}

// ParseCoins reads an amount of coins with up to nine decimals, as nano: less
// than 2^63, of which there are not so many. Errors are bad input.
func ParseCoins(s string) (uint64, error) {
	if len(s) > 32 || strings.Trim(s, "0123456789.") != "" { // exponents would cost any time
		return 0, attestation.BadInput("%.40q is not a number of coins such as 12.5", s)
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, attestation.BadInput("%q is not a number of coins such as 12.5", s)
	}
	r.Mul(r, big.NewRat(1e9, 1))
	if !r.IsInt() {
		return 0, attestation.BadInput("%q: want coins with at most nine decimals", s)
	}
	if !r.Num().IsInt64() {
		return 0, attestation.BadInput("%q: want fewer than 2^63 nano coins", s)
	}
	return r.Num().Uint64(), nil
}
