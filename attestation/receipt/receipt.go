package receipt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
)

// Sizes in bytes.
const (
	// MaxTrailer is the limit of a trailer field value.
	MaxTrailer = 16384
	// MaxReceipt is the limit of an encoded receipt: what fits the trailer.
	MaxReceipt = MaxTrailer / 4 * 3
)

// TrailerName is the Binary HTTP trailer field that carries a receipt.
const TrailerName = "cocoon-receipt"

// Receipt is a receipt as its parts. One that [Parse] returned has the right
// shape and nothing more; see [Receipt.Verify].
type Receipt struct {
	Head      Head
	Body      Body
	Signature [ed25519.SignatureSize]byte // Ed25519 by the epoch's receipt key over the head
}

const receiptType = "cocoon/receipt/v1"

type wireReceipt struct {
	Type      string                      `cbor:"0,keyasint"`
	Head      [HeadSize]byte              `cbor:"1,keyasint"`
	Body      []byte                      `cbor:"2,keyasint"`
	Signature [ed25519.SignatureSize]byte `cbor:"3,keyasint"`
}

// Sign makes a receipt. It sets the body digest of the head itself.
func Sign(key ed25519.PrivateKey, head Head, body *Body) (*Receipt, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, attestation.BadInput("receipt key: %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	enc, err := EncodeBody(body)
	if err != nil {
		return nil, err
	}
	head.BodyDigest = sha256.Sum256(enc)
	if err := head.check(); err != nil {
		return nil, err
	}
	r := &Receipt{Head: head, Body: *body}
	copy(r.Signature[:], ed25519.Sign(key, head.AppendTo(nil)))
	return r, nil
}

// Encode returns the deterministic CBOR of the receipt, at most [MaxReceipt] bytes.
func (r *Receipt) Encode() ([]byte, error) {
	body, err := EncodeBody(&r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Head.check(); err != nil {
		return nil, err
	}
	w := wireReceipt{Type: receiptType, Body: body, Signature: r.Signature}
	r.Head.AppendTo(w.Head[:0])
	return encode(w)
}

// Parse decodes what [Receipt.Encode] writes and nothing else. It checks shape
// only.
func Parse(p []byte) (*Receipt, error) {
	var w wireReceipt
	if err := decode("receipt", p, MaxReceipt, &w); err != nil {
		return nil, err
	}
	if w.Type != receiptType {
		return nil, attestation.BadInput("receipt: type %q, want %q", w.Type, receiptType)
	}
	head, err := ParseHead(w.Head[:])
	if err != nil {
		return nil, err
	}
	body, err := ParseBody(w.Body)
	if err != nil {
		return nil, err
	}
	return &Receipt{Head: head, Body: *body, Signature: w.Signature}, nil
}

// Verify checks that the head binds the body and that receiptKey signed the
// head. The key is the receipt key of the head's node and epoch, taken from
// verified claims or from the chain, never from whoever gave the receipt. A
// failure is false evidence.
func (r *Receipt) Verify(receiptKey [32]byte) error {
	body, err := EncodeBody(&r.Body)
	if err != nil {
		return err
	}
	if got := sha256.Sum256(body); got != r.Head.BodyDigest {
		return attestation.False("receipt %d: the body has digest %x, the signed head says %x", r.Head.Index, got, r.Head.BodyDigest)
	}
	return VerifyHead(&r.Head, r.Signature, receiptKey)
}

// VerifyHead checks the signature of a head whose body is not at hand.
func VerifyHead(h *Head, sig [ed25519.SignatureSize]byte, receiptKey [32]byte) error {
	if !ed25519.Verify(receiptKey[:], h.AppendTo(nil), sig[:]) {
		return attestation.False("receipt %d: not signed by the receipt key of epoch %d", h.Index, h.Epoch)
	}
	return nil
}

// EncodeTrailer returns the value of the trailer field: base64url without
// padding.
func (r *Receipt) EncodeTrailer() (string, error) {
	p, err := r.Encode()
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(p), nil
}

// ParseTrailer is [Parse] for a trailer field value. An empty value is an
// error: an answer without a receipt is a truncated answer.
func ParseTrailer(s string) (*Receipt, error) {
	if s == "" {
		return nil, attestation.BadInput("the receipt is missing")
	}
	if len(s) > MaxTrailer {
		return nil, attestation.BadInput("receipt trailer: %d characters, limit %d", len(s), MaxTrailer)
	}
	// The decoder skips line breaks, so refuse them first.
	if strings.ContainsAny(s, "\r\n") {
		return nil, attestation.BadInput("receipt trailer: line break in it")
	}
	p, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, attestation.BadInput("receipt trailer: not base64url without padding: %v", err)
	}
	return Parse(p)
}
