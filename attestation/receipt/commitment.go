package receipt

import (
	"crypto/sha256"
	"crypto/subtle"
	"hash"

	"github.com/cocoon-go/cocoon/attestation"
)

// Commitment computes the salted commitment of one request or response while
// its bytes pass by. It never fails to write. The zero value is not usable;
// see [NewCommitment]. Not safe for concurrent use.
type Commitment struct{ h hash.Hash }

// NewCommitment starts a commitment:
//
//	SHA-256("cocoon/commit/v1\n" || salt[32] || content bytes)
//
// The salt keeps short contents from being guessed; it is known to the client
// and the enclave only, and one salt serves one content.
func NewCommitment(salt [32]byte) *Commitment {
	h := sha256.New()
	h.Write([]byte("cocoon/commit/v1\n"))
	h.Write(salt[:])
	return &Commitment{h}
}

// Write adds content. It implements io.Writer.
func (c *Commitment) Write(p []byte) (int, error) { return c.h.Write(p) }

// Sum returns the commitment to everything written so far. More may be written
// after it.
func (c *Commitment) Sum() [32]byte {
	var out [32]byte
	c.h.Sum(out[:0])
	return out
}

// Commit returns the commitment to a whole content.
func Commit(salt [32]byte, content []byte) [32]byte {
	c := NewCommitment(salt)
	c.Write(content)
	return c.Sum()
}

// VerifyRequest checks that salt and content open the request commitment. A
// mismatch is a false statement by whoever gave the content.
func (b *Body) VerifyRequest(salt [32]byte, content []byte) error {
	return open("request", b.RequestCommitment, salt, content)
}

// VerifyResponse checks that salt and content open the response commitment.
func (b *Body) VerifyResponse(salt [32]byte, content []byte) error {
	return open("response", b.ResponseCommitment, salt, content)
}

func open(what string, want, salt [32]byte, content []byte) error {
	if got := Commit(salt, content); subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return attestation.False("the %s is not the one in the receipt: its commitment is %x, the receipt says %x", what, got, want)
	}
	return nil
}
