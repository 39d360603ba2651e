package host

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Proposal is a decision of the registry's governance on its way through the
// hands of those who approve it: a JSON file. What is signed is computed from
// the words in it, so that everybody signs what he reads.
type Proposal struct {
	Registry attestation.Address `json:"registry"`
	ChainID  int32               `json:"chain_id"`
	Number   uint32              `json:"number"` // the registry's next
	Expires  time.Time           `json:"expires"`
	Action   string              `json:"action"` // one of [Actions]
	Value    json.RawMessage     `json:"value,omitempty"`
	// Approvals are signatures in hexadecimal, by the number of the key.
	Approvals map[uint8]string `json:"approvals,omitempty"`
}

// maxProposal bounds the file of a proposal, in bytes.
const maxProposal = 64 << 10

// ParseProposal reads the file of a proposal, strictly.
func ParseProposal(data []byte) (*Proposal, error) {
	if len(data) > maxProposal {
		return nil, attestation.BadInput("proposal: %d bytes, at most %d", len(data), maxProposal)
	}
	p := new(Proposal)
	if err := strictJSON(data, p); err != nil {
		return nil, attestation.BadInput("proposal: %w", err)
	}
	if _, err := p.Decision(); err != nil {
		return nil, err
	}
	if _, err := p.approvals(); err != nil {
		return nil, err
	}
	return p, nil
}

func strictJSON(data []byte, v any) error {
	if err := once(json.NewDecoder(bytes.NewReader(data)), 0); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("something follows the JSON value")
	}
	return nil
}

// once reads one JSON value and refuses a name that is there twice, in whatever
// case: of two, a person and a program may each believe another.
func once(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth > 16 {
		return fmt.Errorf("nested more than 16 times")
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			k := strings.ToLower(fmt.Sprint(name))
			if seen[k] {
				return fmt.Errorf("%.40q is there twice", k)
			}
			seen[k] = true
		}
		if err := once(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// Decision is what the approvals are over.
func (p *Proposal) Decision() (*contracts.Decision, error) {
	make, ok := actions[p.Action]
	if !ok {
		return nil, attestation.BadInput("unknown action %q; known are %s", p.Action, strings.Join(Actions(), ", "))
	}
	a, err := make(p.Value)
	if err != nil {
		return nil, attestation.BadInput("action %s: %w", p.Action, err)
	}
	if p.Registry.IsZero() || p.Expires.IsZero() || p.Expires.Unix() < 0 || p.Expires.Unix() > 1<<32-1 {
		return nil, attestation.BadInput("proposal: registry or time of expiry is missing")
	}
	return &contracts.Decision{ChainID: p.ChainID, Root: p.Registry, Number: p.Number, Expiry: uint32(p.Expires.Unix()), Action: a}, nil
}

func (p *Proposal) approvals() (contracts.Approvals, error) {
	out := contracts.Approvals{}
	for i, s := range p.Approvals {
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != ed25519.SignatureSize {
			return nil, attestation.BadInput("proposal: approval of key %d is no signature in hexadecimal", i)
		}
		out[i] = [64]byte(b)
	}
	return out, nil
}

// Sign adds the approval of a key of the quorum, which must come from the chain.
func (p *Proposal) Sign(q contracts.Quorum, key ed25519.PrivateKey) error {
	d, err := p.Decision()
	if err != nil {
		return err
	}
	digest, err := d.Digest()
	if err != nil {
		return err
	}
	a := contracts.Approvals{}
	if err := a.Sign(q, key, digest); err != nil {
		return err
	}
	if p.Approvals == nil {
		p.Approvals = map[uint8]string{}
	}
	for i, s := range a {
		p.Approvals[i] = hex.EncodeToString(s[:])
	}
	return nil
}

// CheckChain compares the chain that a proposal is for with the one that is
// read. A registry can have the same address on several chains.
func (p *Proposal) CheckChain(id int32) error {
	if p.ChainID != id {
		return attestation.ChainDisagrees("the proposal is for chain %d, this is chain %d", p.ChainID, id)
	}
	return nil
}

// Message returns what carries the decision to the registry, after checking
// the approvals against the quorum, number and time of the chain.
func (p *Proposal) Message(root *registry.Root, query uint64) (*contracts.Govern, error) {
	d, err := p.Decision()
	if err != nil {
		return nil, err
	}
	if err := p.checkRoot(root); err != nil {
		return nil, err
	}
	a, err := p.approvals()
	if err != nil {
		return nil, err
	}
	digest, err := d.Digest()
	if err != nil {
		return nil, err
	}
	if err := a.Check(root.State.Governance, digest); err != nil {
		return nil, err
	}
	return &contracts.Govern{QueryID: query, Decision: *d, Approvals: a}, nil
}

// Propose makes a proposal as the registry's next, open for a while.
func Propose(ctx context.Context, r registry.Reader, addr attestation.Address, action string, value json.RawMessage, open time.Duration) (*Proposal, error) {
	root, err := r.Root(ctx, addr)
	if err != nil {
		return nil, err
	}
	id, err := r.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	p := &Proposal{
		Registry: addr, ChainID: id, Number: root.State.NextProposal,
		Expires: root.At.Time.Add(open).UTC().Truncate(time.Second), Action: action, Value: value,
	}
	_, err = p.Decision()
	return p, err
}

// Submit sends a proposal with its approvals.
func (o *Operator) Submit(ctx context.Context, p *Proposal) error {
	d, err := p.Decision()
	if err != nil {
		return err
	}
	digest, err := d.Digest()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("submit proposal %d with digest %x to registry %v", p.Number, digest, o.Registry)
	if found, err := o.resume(ctx, what); found || err != nil {
		return err // before the checks: it may be the registry's by now
	}
	id, err := o.Client.ChainID(ctx)
	if err != nil {
		return err
	}
	if err := p.CheckChain(id); err != nil {
		return err
	}
	root, err := o.Root(ctx)
	if err != nil {
		return err
	}
	m, err := p.Message(root, 0)
	if err != nil {
		return err
	}
	review, err := p.Review(root, id)
	if err != nil {
		return err
	}
	if err := review.Err(); err != nil {
		return err
	}
	return o.Send(ctx, what, contracts.ValueGovern, func(q uint64) Message {
		m.QueryID = q
		return m
	}, o.Registry)
}

// Execute carries out a proposal whose delay is over.
func (o *Operator) Execute(ctx context.Context, number uint32) error {
	what := fmt.Sprintf("execute proposal %d of registry %v", number, o.Registry)
	if found, err := o.resume(ctx, what); found || err != nil {
		return err // before the look at the registry: it may be done by now
	}
	root, err := o.Root(ctx)
	if err != nil {
		return err
	}
	if err := checkExecute(root, number); err != nil {
		return err
	}
	return o.Send(ctx, what, contracts.ValueGovern, func(q uint64) Message {
		return &contracts.Execute{QueryID: q, Number: number}
	}, o.Registry)
}

// Actions lists the names of actions.
func Actions() []string {
	var out []string
	for name := range actions {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// quorumJSON is a quorum as a value.
type quorumJSON struct {
	Number    uint32   `json:"number,omitempty"` // of a verifier set
	Threshold int      `json:"threshold"`
	Keys      []string `json:"keys"` // hexadecimal
}

func (v *quorumJSON) quorum() (contracts.Quorum, error) {
	var keys []ed25519.PublicKey
	for _, s := range v.Keys {
		b, err := hex.DecodeString(s)
		if err != nil {
			return contracts.Quorum{}, fmt.Errorf("key %q is not hexadecimal", s)
		}
		keys = append(keys, b)
	}
	return contracts.NewQuorum(v.Threshold, keys...)
}

// actions make an action of its value.
var actions = map[string]func(json.RawMessage) (contracts.Action, error){
	"remove-measurement": digestAction(func(d [32]byte) contracts.Action { return contracts.RemoveMeasurement{Digest: d} }),
	"add-measurement": digestAction(func(d [32]byte) contracts.Action {
		return contracts.AddMeasurement{Digest: d, Flags: contracts.MeasurementAccepted}
	}),
	"remove-model": digestAction(func(d [32]byte) contracts.Action { return contracts.RemoveModel{Digest: d} }),
	"add-ca": func(v json.RawMessage) (contracts.Action, error) {
		var k struct {
			Kind string `json:"kind"` // platform or processor
			X    string `json:"x"`
			Y    string `json:"y"`
		}
		if err := strictJSON(v, &k); err != nil {
			return nil, err
		}
		kind, ok := map[string]uint8{"platform": contracts.CAPlatform, "processor": contracts.CAProcessor}[k.Kind]
		if !ok {
			return nil, fmt.Errorf("kind %q: platform and processor are known", k.Kind)
		}
		x, xerr := digest(k.X)
		y, yerr := digest(k.Y)
		return contracts.AddCAKey{Key: contracts.CAKey{Kind: kind, Key: contracts.PublicKey{X: x, Y: y}}}, errors.Join(xerr, yerr)
	},
	"remove-ca":        digestAction(func(d [32]byte) contracts.Action { return contracts.RemoveCAKey{Digest: d} }),
	"revoke-platform":  digestAction(func(d [32]byte) contracts.Action { return contracts.RevokePlatform{PlatformID: d} }),
	"restore-platform": digestAction(func(d [32]byte) contracts.Action { return contracts.RestorePlatform{PlatformID: d} }),
	"remove-verifiers": plainAction(contracts.RemoveVerifiers{}),
	"pause":            plainAction(contracts.Pause{}),
	"resume":           plainAction(contracts.Resume{}),
	"cancel": func(v json.RawMessage) (contracts.Action, error) {
		n, err := strconv.ParseUint(string(v), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("value %s is not the number of a proposal", v)
		}
		return contracts.CancelProposal{Number: uint32(n)}, nil
	},
	"add-model": func(v json.RawMessage) (contracts.Action, error) {
		var m struct {
			Digest  string `json:"digest"`
			Licence string `json:"licence"`
			URL     string `json:"url"`
		}
		if err := strictJSON(v, &m); err != nil {
			return nil, err
		}
		d, err := digest(m.Digest)
		return contracts.AddModel{Digest: d, Model: contracts.Model{Licence: m.Licence, URL: m.URL}}, err
	},
	"raise-floor": floorAction(func(fmspc [6]byte, f contracts.TDXFloor) contracts.Action {
		return contracts.RaiseFloor{FMSPC: fmspc, Floor: f}
	}),
	"set-floor": floorAction(func(fmspc [6]byte, f contracts.TDXFloor) contracts.Action {
		return contracts.SetFloor{FMSPC: fmspc, Floor: f}
	}),
	"remove-floor": func(v json.RawMessage) (contracts.Action, error) {
		var s string
		if err := strictJSON(v, &s); err != nil {
			return nil, err
		}
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != 6 {
			return nil, fmt.Errorf("%q is not an FMSPC: 12 hexadecimal digits", s)
		}
		return contracts.RemoveFloor{FMSPC: [6]byte(b)}, nil
	},
	"set-params": func(v json.RawMessage) (contracts.Action, error) {
		var p contracts.Params
		if err := strictJSON(v, &p); err != nil {
			return nil, err
		}
		return contracts.SetParams{Params: p}, p.Check()
	},
	"set-governance": func(v json.RawMessage) (contracts.Action, error) {
		var q quorumJSON
		if err := strictJSON(v, &q); err != nil {
			return nil, err
		}
		g, err := q.quorum()
		return contracts.SetGovernance{Governance: g}, err
	},
	"set-verifiers": func(v json.RawMessage) (contracts.Action, error) {
		var q quorumJSON
		if err := strictJSON(v, &q); err != nil {
			return nil, err
		}
		g, err := q.quorum()
		return contracts.SetVerifiers{Verifiers: contracts.VerifierSet{Number: q.Number, Quorum: g}}, err
	},
}

func digest(s string) (d [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		return d, fmt.Errorf("%q is not a digest: 64 hexadecimal digits", s)
	}
	return [32]byte(b), nil
}

func digestAction(f func([32]byte) contracts.Action) func(json.RawMessage) (contracts.Action, error) {
	return func(v json.RawMessage) (contracts.Action, error) {
		var s string
		if err := strictJSON(v, &s); err != nil {
			return nil, fmt.Errorf("wants a digest as a JSON string: %w", err)
		}
		d, err := digest(s)
		if err != nil {
			return nil, err
		}
		return f(d), nil
	}
}

func plainAction(a contracts.Action) func(json.RawMessage) (contracts.Action, error) {
	return func(v json.RawMessage) (contracts.Action, error) {
		if len(v) > 0 {
			return nil, fmt.Errorf("takes no value")
		}
		return a, nil
	}
}

// floorAction takes a quote, in hexadecimal: the floor is the strictest one that
// accepts its platform.
func floorAction(f func([6]byte, contracts.TDXFloor) contracts.Action) func(json.RawMessage) (contracts.Action, error) {
	return func(v json.RawMessage) (contracts.Action, error) {
		var s string
		if err := strictJSON(v, &s); err != nil {
			return nil, fmt.Errorf("wants a TDX quote in hexadecimal as a JSON string: %w", err)
		}
		b, err := hex.DecodeString(s)
		if err != nil {
			return nil, fmt.Errorf("the quote is not hexadecimal")
		}
		info, err := contracts.ReadQuote(b)
		if err != nil {
			return nil, err
		}
		return f(info.FMSPC, contracts.FloorOf(info.TCB)), nil
	}
}
