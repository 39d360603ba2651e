package command

import (
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
)

// ParseAddress reads an address as people have it: raw (0: and 64 hexadecimal
// digits), or in the form that wallets and explorers show (EQ…, UQ…). What that form
// says beside the address is for wallets, and of no matter here.
func ParseAddress(s string) (attestation.Address, error) {
	if strings.Contains(s, ":") {
		return attestation.ParseAddress(s)
	}
	a, _, err := attestation.ParseFriendlyAddress(s)
	return a, err
}

// Friendly writes an address as wallets take it, for an account that need not be there
// yet. One for other networks than mainnet says so.
func Friendly(a attestation.Address, mainnet bool) string { return a.Friendly(false, !mainnet) }
