package registry

import (
	"context"
	"crypto/ed25519"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Verifier is the proved record of what stands behind one verifier's key under a
// registry (docs/spec/contracts-verifier.md). Whether the registry counts it, the
// registry's own record says.
type Verifier struct {
	Address attestation.Address
	State   *contracts.VerifierState
	At      chain.Block
}

// Verifier returns the proved record of a verifier under the registry at root.
// [ErrNoContract]: nobody has staked for it yet.
func (r Reader) Verifier(ctx context.Context, root attestation.Address, key ed25519.PublicKey) (*Verifier, error) {
	addr, _, err := contracts.VerifierAddress(root, key)
	if err != nil {
		return nil, err
	}
	acc, err := r.Account(ctx, addr)
	if err != nil {
		return nil, err
	}
	return VerifierOf(acc)
}

// VerifierOf reads the record of a verifier out of a proved account. That the
// account runs the verifier's code, and that its address follows from the
// registry and the key in its data, is checked.
func VerifierOf(acc *chain.Account) (*Verifier, error) {
	if err := runs(acc, contracts.VerifierCode(), "verifier"); err != nil {
		return nil, err
	}
	s, err := contracts.ParseVerifier(acc.Data)
	if err != nil {
		return nil, attestation.ChainDisagrees("verifier %v: its state can't be read: %w", acc.Address, err)
	}
	if want, _, err := contracts.VerifierAddress(s.Key.Root, s.Key.Key[:]); err != nil || want != acc.Address {
		return nil, attestation.ChainDisagrees("account %v says that it is verifier %x, which is at %v", acc.Address, s.Key.Key, want)
	}
	return &Verifier{Address: acc.Address, State: s, At: acc.Block}, nil
}
