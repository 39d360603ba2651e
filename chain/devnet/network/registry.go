package network

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"math/big"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// coin is the native coin in nano.
const coin = 1_000_000_000

// What the faucet pays for the registry's storage and to the operator.
const (
	registryValue = 10 * coin
	operatorValue = 100 * coin
)

// appearTimeout is how long the registry may take to appear on the chain.
const appearTimeout = 30 * time.Second

// deployRegistry deploys the Root contract and funds the operator.
func (n *Network) deployRegistry(ctx context.Context, o *Options) error {
	state, err := n.registryState(o)
	if err != nil {
		return err
	}
	addr, init, err := contracts.RootAddress(state)
	if err != nil {
		return err
	}
	n.Registry = addr
	var si tlb.StateInit
	if err := tlb.LoadFromCell(&si, init.MustBeginParse()); err != nil {
		return err
	}
	if _, n.Operator, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return err
	}
	wallet, err := chain.NewWallet(n.Operator, n.Chain.GlobalID())
	if err != nil {
		return err
	}
	client, err := n.dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	faucet, err := chain.NewWriter(ctx, client, n.Chain.FaucetWallet(), nil)
	if err != nil {
		return err
	}
	if _, err := faucet.Send(ctx, "registry and operator",
		chain.Message{To: addr, Amount: big.NewInt(registryValue), StateInit: &si},
		chain.Message{To: wallet.Address(), Amount: big.NewInt(operatorValue), NoBounce: true}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, appearTimeout)
	defer cancel()
	_, err = client.WaitAccount(ctx, addr, (*chain.Account).Active)
	return err
}

func (n *Network) dial(ctx context.Context) (*chain.Client, error) {
	cfg, err := chain.ParseGlobalConfig(n.Chain.GlobalConfig())
	if err != nil {
		return nil, err
	}
	return chain.Dial(ctx, cfg)
}

// registryState is the state that the registry starts with.
func (n *Network) registryState(o *Options) (*contracts.RootState, error) {
	gov, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	n.Governor = key
	quorum, err := contracts.NewQuorum(1, gov)
	if err != nil {
		return nil, err
	}
	params := contracts.DefaultParams()
	params.AnchorInterval = 1
	params.MinStake, params.ReceiptLoss, params.ForkLoss = 0, 0, 0
	if o.Params != nil {
		o.Params(&params)
	}
	state := contracts.NewRoot(quorum, params)
	state.Platform = contracts.PlatformCodeID()
	state.Nonce = uint64(time.Now().UnixNano())
	for _, m := range o.Measurements {
		state.Measurements[m] = contracts.Measurement{Flags: contracts.MeasurementAccepted, Since: uint32(time.Now().Unix())}
	}
	for d, m := range o.Models {
		state.Models[d] = m
	}
	if err := n.listPlatform(state); err != nil {
		return nil, err
	}
	if err := n.listVerifiers(state); err != nil {
		return nil, err
	}
	if o.State != nil {
		o.State(state)
	}
	return state, nil
}

// listPlatform has a new registry take quotes of the simulated platform: its CA
// key, and its TCB as floor.
func (n *Network) listPlatform(s *contracts.RootState) error {
	quote, err := n.Platform.Quote(sim.TD{}) // any quote of this platform shows its TCB
	if err != nil {
		return err
	}
	info, err := contracts.ReadQuote(quote)
	if err != nil {
		return err
	}
	ca := n.Platform.CAPublicKey()
	s.AddCAKey(contracts.CAPlatform, contracts.PublicKey{X: [32]byte(ca[:32]), Y: [32]byte(ca[32:])})
	s.Floors[n.Platform.FMSPC()] = contracts.FloorOf(info.TCB)
	return nil
}
