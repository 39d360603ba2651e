package command

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
)

// Coins writes an amount in nano as coins, without zeros that say nothing.
func Coins(nano uint64) string { return decimal(nano, coinDecimals) }

// ParseCoins reads an amount of coins with up to nine decimals, as nano: less
// than 2^63, of which there are not so many. Errors are bad input.
func ParseCoins(s string) (uint64, error) { return parseDecimal(s, coinDecimals) }

// Price writes a price in nano per million tokens, as the registry holds it, as coins
// per 1000 tokens, exactly.
func Price(nanoPerMillion uint64) string { return decimal(nanoPerMillion, priceDecimals) }

// Prices writes the two prices of a node, in nano per million tokens, in words.
func Prices(prompt, completion uint64) string {
	return fmt.Sprintf("%s / %s coins per 1000 prompt / completion tokens", Price(prompt), Price(completion))
}

// ParsePrice reads a price in coins per 1000 tokens with up to twelve decimals, as
// nano per million tokens: less than 2^63. Errors are bad input.
func ParsePrice(s string) (uint64, error) { return parseDecimal(s, priceDecimals) }

// Decimals of what a whole number counts: nano of a coin, and nano per million tokens
// of a coin per 1000.
const (
	coinDecimals  = 9
	priceDecimals = coinDecimals + 3
)

func decimal(n uint64, decimals int) string {
	unit := power(decimals)
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%d.%0*d", n/unit, decimals, n%unit), "0"), ".")
}

func parseDecimal(s string, decimals int) (uint64, error) {
	if len(s) > 32 || strings.Trim(s, "0123456789.") != "" { // exponents would cost any time
		return 0, attestation.BadInput("%.40q is not a number of coins such as 12.5", s)
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, attestation.BadInput("%q is not a number of coins such as 12.5", s)
	}
	r.Mul(r, new(big.Rat).SetInt(new(big.Int).SetUint64(power(decimals))))
	if !r.IsInt() {
		return 0, attestation.BadInput("%q: want coins with at most %s decimals", s, map[int]string{coinDecimals: "nine", priceDecimals: "twelve"}[decimals])
	}
	if !r.Num().IsInt64() {
		return 0, attestation.BadInput("%q: want at most %s coins", s, decimal(1<<63-1, decimals))
	}
	return r.Num().Uint64(), nil
}

// power returns 10 to the power of n.
func power(n int) uint64 {
	p := uint64(1)
	for range n {
		p *= 10
	}
	return p
}
