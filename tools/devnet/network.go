package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
)

// Files of a network beside those of package network.
const (
	operatorFile = "operator.seed" // key of a wallet with 100 coins
	governorFile = "governor.seed" // key that decides alone over the registry
)

// networkFlags ask for a whole development network.
type networkFlags struct {
	dir, enclave string
	stakes       bool
	verifiers    int
}

// start starts the chain, with a registry and a simulated platform when they are
// asked for.
func (f *networkFlags) start(ctx context.Context, o devnet.Options) (*devnet.Chain, error) {
	if f.dir == "" {
		if f.enclave != "" || f.stakes || f.verifiers != 0 {
			return nil, errors.New("--enclave, --stakes and --verifiers are for --network")
		}
		return devnet.Start(o)
	}
	if f.enclave == "" {
		return nil, errors.New("--network needs --enclave: the program whose measurement the registry lists")
	}
	if o.BlockInterval < 0 {
		return nil, errors.New("--network needs blocks to make its contracts: leave out --manual")
	}
	if o.Dir != "" {
		return nil, errors.New("--network makes a new chain each time, so it can't be kept in --dir")
	}
	if f.verifiers < 0 || f.verifiers > contracts.MaxQuorum {
		return nil, fmt.Errorf("--verifiers %d: want 0 to %d", f.verifiers, contracts.MaxQuorum)
	}
	measurements, err := f.measurements()
	if err != nil {
		return nil, fmt.Errorf("--enclave: %w", err)
	}
	if entries, err := os.ReadDir(f.dir); len(entries) > 0 {
		return nil, fmt.Errorf("--network: %s is not empty, and nothing is overwritten", f.dir)
	} else if errors.Is(err, os.ErrNotExist) {
		err = os.Mkdir(f.dir, 0o755)
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	n, err := network.Start(ctx, network.Options{
		Dir: f.dir, Chain: o, Measurements: measurements, Params: f.params, Verifiers: f.verifiers,
		Models: map[[32]byte]contracts.Model{tinylm.Digest(): {Licence: "Apache-2.0", URL: "embedded"}},
	})
	if err != nil {
		return nil, err
	}
	for name, key := range map[string]ed25519.PrivateKey{operatorFile: n.Operator, governorFile: n.Governor} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(hex.EncodeToString(key.Seed())+"\n"), 0o600); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n.Chain, nil
}

// measurements are those of the enclave on each machine of the network.
func (f *networkFlags) measurements() ([][32]byte, error) {
	m, err := simdevice.Measurement(f.enclave)
	if err != nil || f.verifiers == 0 {
		return [][32]byte{m}, err
	}
	snp, err := simdevice.SNPMeasurement(f.enclave)
	return [][32]byte{m, snp}, err
}

// params are those of a new registry, with stakes that the operator's wallet can
// afford.
func (f *networkFlags) params(p *contracts.Params) {
	p.AnchorInterval = 1
	p.MinStake, p.ReceiptLoss, p.ForkLoss = 0, 0, 0
	if f.stakes {
		p.MinStake, p.ReceiptLoss, p.ForkLoss = 10e9, 1e9, 10e9
	}
}
