package host

import (
	"errors"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// TestJudged: what the registry would refuse is said before anything is paid,
// with what to do about it.
func TestJudged(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		edit func(*contracts.RootState)
		code int
		want string
	}{
		"stake":       {func(s *contracts.RootState) { s.Params.MinStake = 5e9 }, contracts.CodeStake, "has a stake of 0 coins, registry"},
		"paused":      {func(s *contracts.RootState) { s.Paused = true }, contracts.CodePaused, "takes no registrations now"},
		"measurement": {func(s *contracts.RootState) { clear(s.Measurements) }, contracts.CodeMeasurement, "does not list measurement"},
		"CA key":      {func(s *contracts.RootState) { clear(s.CAKeys) }, contracts.CodeCAKey, "does not list the key"},
		"no floor":    {func(s *contracts.RootState) { clear(s.Floors) }, contracts.CodeFloor, "or knows none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newOnePlatform(t, func(o *network.Options) { o.State = tc.edit })
			op := p.operator(0)
			b := p.bundle(op)
			before := p.wallet(op)
			err := op.Register(t.Context(), always(b))
			var r *RefusalError
			if !errors.As(err, &r) || r.Code != tc.code || !r.Foreseen || attestation.ExitCode(err) != 4 || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("registered: %v", err)
			}
			if after := p.wallet(op); after != before {
				t.Errorf("it cost %d", before-after)
			}
			quote, err := p.net.Platform.Quote(sim.TD{})
			if err != nil {
				t.Fatal(err)
			}
			info, err := contracts.ReadQuote(quote)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := op.reader.Platform(t.Context(), p.net.Registry, info.PlatformID); !errors.Is(err, registry.ErrNoContract) {
				t.Errorf("the machine's platform: %v", err)
			}
		})
	}
}

// wallet is what the operator's wallet holds.
func (p *onePlatform) wallet(o *Operator) uint64 {
	p.Helper()
	a, err := p.client.Account(p.Context(), o.Wallet())
	if err != nil {
		p.Fatal(err)
	}
	return a.Balance.Uint64()
}
