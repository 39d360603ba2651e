package host

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// testOperator is an operator on a dev chain whose registry lists measurement 1.
func testOperator(t *testing.T) (*Operator, *network.Network) {
	t.Helper()
	n, err := network.Start(t.Context(), network.Options{
		Dir: t.TempDir(), Measurements: [][32]byte{{1}}, Chain: devnet.Options{BlockInterval: 20 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	cfg, err := chain.ParseGlobalConfig(n.Chain.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	o, err := OpenOperator(t.Context(), c, n.Operator, n.Registry, 0, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return o, n
}

func one() json.RawMessage { return json.RawMessage(`"01` + strings.Repeat("00", 31) + `"`) }

func TestGovernance(t *testing.T) {
	o, n := testOperator(t)
	ctx := t.Context()
	p, err := Propose(ctx, registry.Reader{Reader: o.Client}, n.Registry, "remove-measurement", one(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var refused *attestation.RefusedError
	if err := o.Submit(ctx, p); !errors.As(err, &refused) {
		t.Errorf("without approvals: %v", err)
	}
	root, err := o.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, _ := ed25519.GenerateKey(nil)
	if err := p.Sign(root.State.Governance, stranger); err == nil || len(p.Approvals) != 0 {
		t.Errorf("a stranger approved: %v", err)
	}
	if err := p.Sign(root.State.Governance, n.Governor); err != nil {
		t.Fatal(err)
	}
	// What travels is a file; one word changed in it is another decision.
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := ParseProposal([]byte(strings.Replace(string(data), "remove-measurement", "remove-model", 1)))
	if err != nil {
		t.Fatal(err)
	}
	var false_ *attestation.FalseError
	if err := o.Submit(ctx, changed); !errors.As(err, &false_) {
		t.Errorf("a changed proposal: %v", err)
	}
	if p, err = ParseProposal(data); err != nil {
		t.Fatal(err)
	}
	if err := o.Submit(ctx, p); err != nil {
		t.Fatal(err)
	}
	if root, err = o.Root(ctx); err != nil || len(root.Measurements) != 0 {
		t.Errorf("the registry lists %x, %v", root.Measurements, err)
	}
	if err := o.Submit(ctx, p); err != nil || o.Repeated().IsZero() {
		t.Errorf("the same command before its outcome was told: %v, %v", err, o.Repeated())
	}
	if err := o.Told(); err != nil {
		t.Fatal(err)
	}
	var disagrees *attestation.ChainError
	if err := o.Submit(ctx, p); !errors.As(err, &disagrees) {
		t.Errorf("the same again: %v", err)
	}
	waiting(t, o, n)
}

// waiting proposes something that loosens.
func waiting(t *testing.T, o *Operator, n *network.Network) {
	ctx := t.Context()
	p, err := Propose(ctx, registry.Reader{Reader: o.Client}, n.Registry, "add-measurement", one(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	root, err := o.Root(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Sign(root.State.Governance, n.Governor); err != nil {
		t.Fatal(err)
	}
	if err := o.Submit(ctx, p); err != nil {
		t.Fatal(err)
	}
	if root, err = o.Root(ctx); err != nil || len(root.Measurements) != 0 || len(root.State.Proposals) != 1 {
		t.Errorf("%d measurements, %d proposals, %v", len(root.Measurements), len(root.State.Proposals), err)
	}
	var refusal *RefusalError
	if err := o.Execute(ctx, p.Number); !errors.As(err, &refusal) || refusal.Code != contracts.CodeTooEarly {
		t.Errorf("executed at once: %v", err)
	}
}

func TestParseProposal(t *testing.T) {
	good := `{"registry":"0:` + strings.Repeat("11", 32) + `","chain_id":-3,"number":1,"expires":"2026-11-26T00:00:00Z","action":"pause"}`
	if _, err := ParseProposal([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ old, new string }{
		{good, ""}, {good, "{}"}, {good, good + "{}"}, {good, good + "}"}, {good, good + "]"},
		{`"pause"`, `"pause","action":"resume"`}, {`"pause"`, `"pause","Action":"resume"`}, {`"pause"`, `"pause","value":` + strings.Repeat("[", 20) + strings.Repeat("]", 20)},
		{`"pause"`, `"set-governance","value":{"threshold":1,"threshold":2,"keys":["` + strings.Repeat("11", 32) + `"]}`}, {good, strings.Repeat(" ", maxProposal+1)},
		{`"pause"`, `"dance"`}, {`"pause"`, `"pause","value":1`}, {`"pause"`, `"cancel"`}, {`"pause"`, `"cancel","value":-1`},
		{`"pause"`, `"remove-model","value":"00"`}, {`"pause"`, `"raise-floor","value":"00"`}, {`"pause"`, `"remove-floor","value":"0011"`},
		{`"pause"`, `"set-params","value":{}`}, {`"pause"`, `"set-governance","value":{"threshold":1,"keys":[]}`},
		{`"pause"`, `"pause","approvals":{"0":"zz"}`}, {`"number":1`, `"number":1,"extra":2`}, {"2026-11-26", "1926-11-26"},
	} {
		var bad *attestation.InputError
		if p, err := ParseProposal([]byte(strings.Replace(good, x.old, x.new, 1))); p != nil || !errors.As(err, &bad) {
			t.Errorf("%.80s: %v", x.new, err)
		}
	}
	for _, name := range Actions() {
		if !slices.Contains([]string{"pause", "resume", "remove-verifiers"}, name) {
			if _, err := actions[name](nil); err == nil {
				t.Errorf("%s without a value", name)
			}
		}
	}
}

// A registry may have the same address on two chains: what was meant for one is
// not signed on the other.
func TestProposalChain(t *testing.T) {
	p := &Proposal{ChainID: -239}
	var chain *attestation.ChainError
	if err := p.CheckChain(-3); !errors.As(err, &chain) {
		t.Errorf("%v", err)
	}
	if err := p.CheckChain(-239); err != nil {
		t.Error(err)
	}
}

func FuzzParseProposal(f *testing.F) {
	f.Add([]byte(`{"registry":"0:` + strings.Repeat("11", 32) + `","chain_id":-3,"number":1,"expires":"2026-11-26T00:00:00Z","action":"remove-model","value":` + string(one()) + `,"approvals":{"0":"` + strings.Repeat("00", 64) + `"}}`))
	f.Add([]byte(`{"action":"set-params","value":{"min_stake":"1"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProposal(data)
		if err != nil {
			return
		}
		d, err := p.Decision()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Digest(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStake(t *testing.T) {
	o, n := testOperator(t)
	ctx := t.Context()
	if err := o.Deploy(ctx, contracts.Profile{Endpoint: "https://a.example"}); err != nil {
		t.Fatal(err)
	}
	if err := o.Deploy(ctx, contracts.Profile{Endpoint: "https://b.example"}); err != nil {
		t.Fatal(err)
	}
	if err := o.Stake(ctx, 5e9); err != nil {
		t.Fatal(err)
	}
	r, err := o.Record(ctx)
	if err != nil || r.Stake != 5e9 || r.Endpoint != "https://b.example" || r.Root != n.Registry {
		t.Errorf("%+v, %v", r, err)
	}
	var refusal *RefusalError
	if err := o.Withdraw(ctx, 0); !errors.As(err, &refusal) || refusal.Code != contracts.CodeNoCredit {
		t.Errorf("withdrawal of nothing: %v", err)
	}
	if err := o.Withdraw(ctx, 1e8); err != nil {
		t.Errorf("withdrawal of surplus: %v", err)
	}
	var bad *attestation.InputError
	if err := o.Unstake(ctx, 0); !errors.As(err, &bad) {
		t.Errorf("unbonding of nothing: %v", err)
	}
}
