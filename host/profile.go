package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/command"
)

// Profile is what an operator wants to say of his node on the chain. What is empty or
// nil stays as the chain has it.
type Profile struct {
	Endpoint                     string  // URL of the relay
	PromptPrice, CompletionPrice *uint64 // nano coins per million tokens
}

// Check reports what the contract can't hold, or clients can't use, as bad input.
func (p Profile) Check() error {
	if p.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(p.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return attestation.BadInput("%.200q is not the URL of a relay: want http://HOST[:PORT] or https://HOST[:PORT]", p.Endpoint)
	}
	if _, err := (contracts.Profile{Endpoint: p.Endpoint}).Cell(); err != nil {
		return attestation.BadInput("%.200q: %w", p.Endpoint, err)
	}
	return nil
}

// over returns a profile with what p says instead.
func (p Profile) over(was contracts.Profile) contracts.Profile {
	if p.Endpoint != "" {
		was.Endpoint = p.Endpoint
	}
	if p.PromptPrice != nil {
		was.PromptPrice = *p.PromptPrice
	}
	if p.CompletionPrice != nil {
		was.CompletionPrice = *p.CompletionPrice
	}
	return was
}

// what says in words what p changes.
func (p Profile) what(node attestation.Address) string {
	out := fmt.Sprintf("profile of node %v:", node)
	if p.Endpoint != "" {
		out += fmt.Sprintf(" endpoint %q", p.Endpoint)
	}
	if p.PromptPrice != nil {
		out += " prompt price " + command.Price(*p.PromptPrice)
	}
	if p.CompletionPrice != nil {
		out += " completion price " + command.Price(*p.CompletionPrice)
	}
	return out
}

// SetProfile changes what p says in the profile of the node, whose contract must be
// there. Where the chain has it already nothing is paid. What the contract would
// refuse is refused before.
func (o *Operator) SetProfile(ctx context.Context, p Profile) error {
	if err := p.Check(); err != nil {
		return err
	}
	what := p.what(o.Node)
	if found, err := o.resume(ctx, what); found || err != nil {
		return err // before the look at the record: it may be changed by now
	}
	if err := o.atHome(ctx); err != nil {
		return err
	}
	rec, err := o.Record(ctx)
	if errors.Is(err, registry.ErrNoContract) {
		return fmt.Errorf("%w: are registry, wallet, --index and network those of the node? `up` and `stake` make its contract", err)
	} else if err != nil {
		return err
	}
	want := p.over(rec.State.Profile)
	if want == rec.State.Profile {
		o.note("the chain has this profile already: nothing was paid")
		return nil
	}
	return o.Send(ctx, what, contracts.ValueSmall, func(q uint64) Message { return &contracts.SetProfile{QueryID: q, Profile: want} }, o.Node)
}

// endpoint returns what the chain should have as the node's endpoint: what the
// operator named, else what the chain has, unless that is an address of this machine:
// then it is where an earlier relay listened.
func (n *node) endpoint(chain string) string {
	switch {
	case n.Public != "":
		return n.Public
	case chain == "" || ownAddress(chain, n.listens):
		return n.listens
	}
	return chain
}

// ownAddress says whether a URL is http and an IP address that is loopback,
// unspecified, or that of another URL.
func ownAddress(s, own string) bool {
	a, ok := addressOf(s)
	b, _ := addressOf(own)
	return ok && (a.IsLoopback() || a.IsUnspecified() || a == b)
}

func addressOf(s string) (netip.Addr, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return a, err == nil
}
