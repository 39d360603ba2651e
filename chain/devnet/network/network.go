// Package network is a whole development network in one call: a dev chain, a
// registry contract that lists given measurements and models, and one simulated
// platform whose quotes the contract accepts. Its files lie in a directory, as
// the commands of this module take them.
package network

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// Options says what the registry lists.
type Options struct {
	Dir          string // an existing directory for the files. Required
	Measurements [][32]byte
	Models       map[[32]byte]contracts.Model
	// Params changes the registry's parameters; default: contracts.DefaultParams
	// without stakes, and an anchor a second.
	Params func(*contracts.Params)
	// State changes anything else of the registry's first state. May be nil.
	State func(*contracts.RootState)
	// Collateral says what the endorsements contain; default: a platform that is
	// up to date.
	Collateral *sim.Collateral
	// GPUs says which simulated GPUs the platform has; default: none.
	GPUs sim.NVIDIAMachineConfig
	// Verifiers is the number of verifiers that the registry lists, all of whom must
	// sign; they count once there is a stake for each. With them comes a simulated
	// AMD machine. Default: none.
	Verifiers int
	Chain     devnet.Options
}

// Network is a running development network.
type Network struct {
	Chain    *devnet.Chain
	Platform *sim.Intel
	GPUs     *sim.NVIDIAMachine // nil: none
	AMD      *sim.AMDMachine    // nil: none
	Registry attestation.Address
	Operator ed25519.PrivateKey // of a funded wallet
	Governor ed25519.PrivateKey // decides alone over the registry
	// Verifiers are the keys of the registry's verifiers.
	Verifiers []ed25519.PrivateKey
	dir       string
}

// Names of the files in the directory.
const (
	TONFile         = "ton-global.json"
	RegistryFile    = "registry.txt"
	PolicyFile      = "policy.toml"
	PlatformDir     = "sim-platform"
	EndorsementsDir = "endorsements"
	// EngineFile is what an enclave needs to be told to use the GPUs: a file for
	// `cocoon-node up --engine`. It is there only when there are any.
	EngineFile = "engine.toml"
)

// Start makes all of it. Close it when done.
func Start(ctx context.Context, o Options) (*Network, error) {
	n := &Network{dir: o.Dir}
	var err error
	if n.Platform, err = sim.NewIntel(nil, sim.IntelOptions{Now: time.Now()}); err != nil {
		return nil, err
	}
	if n.Chain, err = devnet.Start(o.Chain); err != nil {
		return nil, err
	}
	if err := n.fill(ctx, &o); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// fill makes everything but the chain.
func (n *Network) fill(ctx context.Context, o *Options) error {
	if err := n.writePlatform(o.Collateral); err != nil {
		return err
	}
	if err := n.makeGPUs(o.GPUs); err != nil {
		return err
	}
	if err := n.makeVerifiers(o.Verifiers); err != nil {
		return err
	}
	if err := n.write(TONFile, n.Chain.GlobalConfig(), 0o644); err != nil {
		return err
	}
	if err := n.deployRegistry(ctx, o); err != nil {
		return fmt.Errorf("deploying the registry: %w", err)
	}
	policy := attestation.PolicyTOML(attestation.PolicyOptions{
		SimulatedRoots: n.SimulatedRoots(), Registry: n.Registry,
	})
	if err := n.write(PolicyFile, []byte(policy), 0o644); err != nil {
		return err
	}
	if err := n.writeVerifierPolicy(o); err != nil {
		return err
	}
	return n.write(RegistryFile, []byte(n.Registry.String()+"\n"), 0o644)
}

// Close ends the chain. The files stay.
func (n *Network) Close() error { return n.Chain.Close() }

func (n *Network) write(name string, data []byte, mode os.FileMode) error {
	return writeFile(filepath.Join(n.dir, name), data, mode)
}

// writePlatform stores the simulated vendor and its endorsements.
func (n *Network) writePlatform(c *sim.Collateral) error {
	for _, d := range []string{PlatformDir, EndorsementsDir} {
		if err := os.Mkdir(filepath.Join(n.dir, d), 0o755); err != nil {
			return err
		}
	}
	files, err := n.Platform.Files()
	if err != nil {
		return err
	}
	for _, f := range files {
		mode := os.FileMode(0o644)
		if f.Secret {
			mode = 0o600
		}
		if err := n.write(filepath.Join(PlatformDir, f.Name), f.Data, mode); err != nil {
			return err
		}
	}
	if c == nil {
		c = &sim.Collateral{At: time.Now()}
	}
	data, err := n.Platform.Endorsements(*c)
	if err != nil {
		return err
	}
	return n.write(filepath.Join(EndorsementsDir, "collateral.json"), data, 0o644)
}

// writeFile writes a file whole or not at all. (This package can't import what
// other packages share for that.)
func writeFile(path string, data []byte, mode os.FileMode) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
