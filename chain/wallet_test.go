package chain

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestWalletAddress(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	pub := key.Public().(ed25519.PublicKey)
	for _, id := range []int32{-239, -3} {
		w, err := NewWallet(key, id)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := WalletAddress(pub, id); err != nil || a != w.Address() {
			t.Errorf("chain %d: %v, %v, want %v", id, a, err, w.Address())
		}
	}
	var bad *attestation.InputError
	if _, err := WalletAddress(pub[1:], -3); !errors.As(err, &bad) {
		t.Errorf("a key of 31 bytes: %v", err)
	}
}
