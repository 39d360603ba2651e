package certificate

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

const (
	requestID     = "cocoon/certificate-request/v1"
	requestDomain = "cocoon/certificate-request/v1\n"
)

// Request is how an operator asks verifiers for a certificate. His wallet's
// signature is part of it: a verifier signs one boot of an epoch at a time, so a
// stranger must not be able to have it sign another.
type Request struct {
	Bundle    []byte // encoded
	Expiry    uint32 // of the certificate, unix seconds
	Wallet    [32]byte
	Signature [64]byte // of the wallet's key
}

type wireRequest struct {
	ID        string `cbor:"0,keyasint"`
	Bundle    []byte `cbor:"1,keyasint"`
	Expiry    uint32 `cbor:"2,keyasint"`
	Wallet    []byte `cbor:"3,keyasint"` // 32 bytes
	Signature []byte `cbor:"4,keyasint"` // 64 bytes
}

// RequestDigest returns the 32 bytes that the operator's wallet key signs:
//
//	SHA-256("cocoon/certificate-request/v1\n" || claims digest[32] || expiry uint32)
func RequestDigest(claims [32]byte, expiry uint32) [32]byte {
	b := append([]byte(requestDomain), claims[:]...)
	return sha256.Sum256(binary.BigEndian.AppendUint32(b, expiry))
}

// NewRequest asks for a certificate of a bundle until a time.
func NewRequest(bundle *attestation.Bundle, expiry uint32, wallet ed25519.PrivateKey) (*Request, error) {
	if len(wallet) != ed25519.PrivateKeySize {
		return nil, attestation.BadInput("request: no wallet key")
	}
	data, err := bundle.Encode()
	if err != nil {
		return nil, err
	}
	d := RequestDigest(bundle.Digest(), expiry)
	return &Request{
		Bundle: data, Expiry: expiry, Wallet: [32]byte(wallet.Public().(ed25519.PublicKey)), Signature: [64]byte(ed25519.Sign(wallet, d[:])),
	}, nil
}

// ParseRequest reads a request, strictly. It proves nothing.
func ParseRequest(data []byte) (*Request, error) {
	if len(data) > MaxRequestSize {
		return nil, attestation.BadInput("request: %d bytes, the limit is %d", len(data), MaxRequestSize)
	}
	var w wireRequest
	if err := decode("request", data, &w); err != nil {
		return nil, err
	}
	if w.ID != requestID {
		return nil, attestation.BadInput("request: identifier %.40q, want %q", w.ID, requestID)
	}
	if len(w.Wallet) != 32 || len(w.Signature) != 64 {
		return nil, attestation.BadInput("request: key of %d and signature of %d bytes", len(w.Wallet), len(w.Signature))
	}
	return &Request{Bundle: w.Bundle, Expiry: w.Expiry, Wallet: [32]byte(w.Wallet), Signature: [64]byte(w.Signature)}, nil
}

// Encode returns the file of the request.
func (r *Request) Encode() ([]byte, error) {
	return encoder.Marshal(wireRequest{requestID, r.Bundle, r.Expiry, r.Wallet[:], r.Signature[:]})
}

// check wants the request to be about these claims, and of the wallet at
// operator on a chain.
func (r *Request) check(claims [32]byte, operator attestation.Address, chainID int32) error {
	wallet, err := chain.WalletAddress(r.Wallet[:], chainID)
	if err != nil {
		return err
	}
	if wallet != operator {
		return attestation.Refused("the request is of wallet %v, the node's operator is %v", wallet, operator)
	}
	if d := RequestDigest(claims, r.Expiry); !ed25519.Verify(r.Wallet[:], d[:], r.Signature[:]) {
		return attestation.False("the operator did not sign this request for these claims and this expiry")
	}
	return nil
}
