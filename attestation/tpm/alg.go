package tpm

import (
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// Scheme is a signature scheme (TCG Algorithm Registry, table 3).
type Scheme uint16

// The schemes that an attestation key may have.
const (
	RSASSA Scheme = 0x0014 // PKCS #1 v1.5
	RSAPSS Scheme = 0x0016 // salt of any length
	ECDSA  Scheme = 0x0018
)

// String returns "rsassa", "rsapss" or "ecdsa".
func (s Scheme) String() string {
	switch s {
	case RSASSA:
		return "rsassa"
	case RSAPSS:
		return "rsapss"
	case ECDSA:
		return "ecdsa"
	}
	return fmt.Sprintf("scheme-%#04x", uint16(s))
}

// Identifiers of the Algorithm Registry that the structures here contain.
const (
	algRSA  = 0x0001
	algECC  = 0x0023
	algNull = 0x0010
)

// signingHash reports whether signatures may use hash algorithm a. SHA-1 may
// name a PCR bank, but signs nothing here: chosen-prefix collisions are cheap.
func signingHash(a eventlog.Alg) bool {
	return a == eventlog.SHA256 || a == eventlog.SHA384 || a == eventlog.SHA512
}

func digestOf(a eventlog.Alg, parts ...[]byte) []byte {
	h := a.Hash().New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
