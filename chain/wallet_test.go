package chain

import (
	"crypto/ed25519"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

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

// TestPrunedMessage: what has pruned cells is no message, and is refused before it is
// signed; a Merkle proof around them is no pruned cell any more.
func TestPrunedMessage(t *testing.T) {
	whole := cell.BeginCell().EndCell()
	for range 3 {
		whole = cell.BeginCell().MustStoreSlice(make([]byte, 100), 800).MustStoreRef(whole).EndCell()
	}
	proof, err := cell.NewMerkleProofBuilder(whole).CreateProof()
	if err != nil {
		t.Fatal(err)
	}
	pruned := proof.MustPeekRef(0)
	if pruned.Level() == 0 {
		t.Fatal("nothing is pruned")
	}
	to := attestation.Address{Hash: [32]byte{1}}
	for name, c := range map[string]struct {
		body *cell.Cell
		good bool
	}{
		"whole":   {whole, true},
		"proof":   {cell.BeginCell().MustStoreRef(proof).EndCell(), true},
		"pruned":  {cell.BeginCell().MustStoreRef(pruned).EndCell(), false},
		"itself":  {pruned, false},
		"special": {proof, false},
	} {
		_, err := Message{To: to, Amount: big.NewInt(1), Body: c.body}.cell()
		if good := err == nil; good != c.good || !good && !strings.Contains(err.Error(), "pruned") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
