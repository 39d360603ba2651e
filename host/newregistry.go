package host

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/command"
)

// MinRegistryValue is the least that a new registry starts with, in nano: its
// storage for some years.
const MinRegistryValue = 1_000_000_000

// Deploy puts a new registry on the chain, with an amount of nano for its storage
// that the wallet pays, and returns its proved record. One that is there already
// costs nothing. Payments are remembered in a directory, so the same call after a
// crash pays nothing twice; one process at a time uses it.
func (n *NewRegistry) Deploy(ctx context.Context, c *chain.Client, wallet ed25519.PrivateKey, amount uint64, dir string) (root *registry.Root, err error) {
	if id, err := c.ChainID(ctx); err != nil {
		return nil, err
	} else if id != n.ChainID {
		return nil, attestation.ChainDisagrees("the registry is for chain %d, this is %d: change chain_id, or take the config of the other network", n.ChainID, id)
	}
	if amount < MinRegistryValue {
		return nil, attestation.BadInput("%s coins for a registry's storage, want %s at least", command.Coins(amount), command.Coins(MinRegistryValue))
	}
	acc, err := c.Account(ctx, n.Address)
	if err != nil {
		return nil, err
	}
	if !acc.Active() {
		if err := n.pay(ctx, c, wallet, amount, dir); err != nil {
			return nil, err
		}
	}
	return n.await(ctx, c)
}

func (n *NewRegistry) pay(ctx context.Context, c *chain.Client, wallet ed25519.PrivateKey, amount uint64, dir string) (err error) {
	_, init, err := contracts.RootAddress(n.State)
	if err != nil {
		return err
	}
	var si tlb.StateInit
	if err := tlb.LoadFromCell(&si, init.MustBeginParse()); err != nil {
		return err
	}
	j, err := chain.OpenDirJournal(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	w, err := chain.NewWriter(ctx, c, wallet, j)
	if err != nil {
		return err
	}
	_, _, err = w.Deploy(ctx, fmt.Sprintf("registry-%x", n.Address.Hash), &si, new(big.Int).SetUint64(amount), nil)
	return err
}

// await waits until the chain proves the registry.
func (n *NewRegistry) await(ctx context.Context, c *chain.Client) (*registry.Root, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if _, err := c.WaitAccount(ctx, n.Address, (*chain.Account).Active); err != nil {
		return nil, fmt.Errorf("the registry does not appear on the chain; the same command again pays nothing twice: %w", err)
	}
	return registry.Reader{Reader: c}.Root(ctx, n.Address)
}
