package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

// coin is the native coin in nano.
const coin = 1_000_000_000

// devNetwork is a dev chain with a registry that lists one simulated platform
// and the program of one enclave. Its files lie in a directory.
type devNetwork struct {
	chain    *devnet.Chain
	platform *sim.Intel
	registry attestation.Address
	operator ed25519.PrivateKey
	dir      string
}

// startDevNetwork makes all of it. The measurement that the registry lists is
// computed here, from the program's file: never from what an enclave says.
func startDevNetwork(ctx context.Context, dir, program string) (n *devNetwork, err error) {
	n = &devNetwork{dir: dir}
	if n.platform, err = sim.NewIntel(nil, sim.IntelOptions{Now: time.Now()}); err != nil {
		return nil, err
	}
	if n.chain, err = devnet.Start(devnet.Options{}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			n.chain.Close()
		}
	}()
	if err := n.writePlatform(); err != nil {
		return nil, err
	}
	if err := n.write("ton-global.json", n.chain.GlobalConfig(), 0o644); err != nil {
		return nil, err
	}
	if err := n.deployRegistry(ctx, program); err != nil {
		return nil, fmt.Errorf("deploying the registry: %w", err)
	}
	policy := attestation.PolicyTOML(attestation.PolicyOptions{
		SimulatedRoots: [][32]byte{n.platform.RootFingerprint()}, Registry: n.registry,
	})
	if err := n.write("policy.toml", []byte(policy), 0o644); err != nil {
		return nil, err
	}
	return n, n.write("registry.txt", []byte(n.registry.String()+"\n"), 0o644)
}

func (n *devNetwork) write(name string, data []byte, mode os.FileMode) error {
	return atomicfile.Write(filepath.Join(n.dir, name), data, mode)
}

// writePlatform stores the simulated vendor and its endorsements.
func (n *devNetwork) writePlatform() error {
	for _, d := range []string{"sim-platform", "endorsements"} {
		if err := os.Mkdir(filepath.Join(n.dir, d), 0o755); err != nil {
			return err
		}
	}
	files, err := n.platform.Files()
	if err != nil {
		return err
	}
	for _, f := range files {
		mode := os.FileMode(0o644)
		if f.Secret {
			mode = 0o600
		}
		if err := n.write(filepath.Join("sim-platform", f.Name), f.Data, mode); err != nil {
			return err
		}
	}
	data, err := n.platform.Endorsements(sim.Collateral{At: time.Now()})
	if err != nil {
		return err
	}
	return n.write(filepath.Join("endorsements", "collateral.json"), data, 0o644)
}

// deployRegistry deploys the Root contract and funds the operator.
func (n *devNetwork) deployRegistry(ctx context.Context, program string) error {
	gov, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	quorum, err := contracts.NewQuorum(1, gov)
	if err != nil {
		return err
	}
	params := contracts.DefaultParams()
	params.AnchorInterval = 1
	params.MinStake, params.ReceiptLoss, params.ForkLoss = 0, 0, 0
	state := contracts.NewRoot(quorum, params)
	state.Nonce = uint64(time.Now().UnixNano())
	measurement, err := simdevice.Measurement(program)
	if err != nil {
		return err
	}
	state.Measurements[measurement] = contracts.Measurement{Flags: contracts.MeasurementAccepted, Since: uint32(time.Now().Unix())}
	state.Models[tinylm.Digest()] = contracts.Model{Licence: "Apache-2.0", URL: "embedded"}
	quote, err := n.platform.Quote(sim.TD{}) // any quote of this platform shows its TCB
	if err != nil {
		return err
	}
	info, err := contracts.ReadQuote(quote)
	if err != nil {
		return err
	}
	key := n.platform.CAPublicKey()
	state.AddCAKey(contracts.CAPlatform, contracts.PublicKey{X: [32]byte(key[:32]), Y: [32]byte(key[32:])})
	state.Floors[n.platform.FMSPC()] = contracts.FloorOf(info.TCB)
	addr, init, err := contracts.RootAddress(state)
	if err != nil {
		return err
	}
	n.registry = addr
	cfg, err := chain.ParseGlobalConfig(n.chain.GlobalConfig())
	if err != nil {
		return err
	}
	client, err := chain.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	faucet, err := chain.NewWriter(ctx, client, n.chain.FaucetWallet(), nil)
	if err != nil {
		return err
	}
	var si tlb.StateInit
	if err := tlb.LoadFromCell(&si, init.MustBeginParse()); err != nil {
		return err
	}
	if _, n.operator, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return err
	}
	id, err := client.ChainID(ctx)
	if err != nil {
		return err
	}
	wallet, err := chain.NewWallet(n.operator, id)
	if err != nil {
		return err
	}
	_, err = faucet.Send(ctx, "registry and operator",
		chain.Message{To: addr, Amount: nanoCoins(10 * coin), StateInit: &si},
		chain.Message{To: wallet.Address(), Amount: nanoCoins(100 * coin), NoBounce: true})
	if err != nil {
		return err
	}
	return awaitContract(ctx, client, addr)
}

// awaitContract waits until the chain shows code at an address.
func awaitContract(ctx context.Context, client *chain.Client, addr attestation.Address) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		acc, err := client.Account(ctx, addr)
		if err == nil && acc.Active() {
			return nil
		}
		select {
		case <-ctx.Done():
			return attestation.Unknown("contract %v does not appear on the chain: %w", addr, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
