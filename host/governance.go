package host

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
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

// digest returns the decision and what approvals of it sign.
func (p *Proposal) digest() (*contracts.Decision, [32]byte, error) {
	d, err := p.Decision()
	if err != nil {
		return nil, [32]byte{}, err
	}
	digest, err := d.Digest()
	return d, digest, err
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
	_, digest, err := p.digest()
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
	d, digest, err := p.digest()
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
	_, digest, err := p.digest()
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
