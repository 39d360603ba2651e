package tpm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"math/big"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// Signature is a signature of a TPM (TPMT_SIGNATURE, TPM2 part 2, 11.3.4).
type Signature struct {
	Scheme Scheme
	Hash   eventlog.Alg

	rsa  []byte // RSASSA, RSAPSS
	r, s []byte // ECDSA, big-endian
}

// ParseSignature reads a TPMT_SIGNATURE of one of the known schemes, with
// SHA-256, SHA-384 or SHA-512, and nothing after it. Errors are bad input.
func ParseSignature(b []byte) (*Signature, error) {
	if len(b) > MaxSignature {
		return nil, inputAt(StepEvidence, "signature of %d bytes, at most %d", len(b), MaxSignature)
	}
	r := newReader(b)
	s := &Signature{Scheme: Scheme(r.U16()), Hash: eventlog.Alg(r.U16())}
	switch s.Scheme {
	case RSASSA, RSAPSS:
		s.rsa = clone(r.sized())
	case ECDSA:
		s.r, s.s = clone(r.sized()), clone(r.sized())
	default:
		return nil, inputAt(StepEvidence, "signature with %v; rsassa, rsapss and ecdsa are known", s.Scheme)
	}
	if !r.Done() {
		return nil, inputAt(StepEvidence, "signature of the wrong length")
	}
	if !signingHash(s.Hash) {
		return nil, inputAt(StepEvidence, "signature with hash %v; sha256, sha384 and sha512 are known", s.Hash)
	}
	return s, nil
}

// verify checks that key made s over message. The scheme was compared before.
func (s *Signature) verify(key crypto.PublicKey, message []byte) error {
	h := s.Hash.Hash()
	digest := digestOf(s.Hash, message)
	ok := false
	switch k := key.(type) {
	case *rsa.PublicKey:
		if s.Scheme == RSAPSS {
			ok = rsa.VerifyPSS(k, h, digest, s.rsa, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: h}) == nil
		} else {
			ok = rsa.VerifyPKCS1v15(k, h, digest, s.rsa) == nil
		}
	case *ecdsa.PublicKey:
		size := (k.Curve.Params().BitSize + 7) / 8
		ok = len(s.r) <= size && len(s.s) <= size &&
			ecdsa.Verify(k, digest, new(big.Int).SetBytes(s.r), new(big.Int).SetBytes(s.s))
	}
	if !ok {
		return fmt.Errorf("the attestation key did not sign this quote")
	}
	return nil
}
