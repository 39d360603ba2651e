package attestation

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// Registered is what the caller proved on the chain about one epoch of a node.
// Nothing in it comes from the bundle.
type Registered struct {
	Registry     Address   // the root contract whose lists are below
	ChainID      int32     // TON global_id
	Node         Address   // the node's contract
	Epoch        uint32    // boot counter of the node, from 1
	ClaimsDigest [32]byte  // that the epoch registered
	BlockTime    time.Time // of the block that the claims name
	RegisteredAt time.Time // when the epoch was registered

	Measurements [][32]byte // that the registry lists
	Models       [][32]byte // that the registry lists
}

func (r *Registered) clone() *Registered {
	out := *r
	out.Measurements = slices.Clone(r.Measurements)
	out.Models = slices.Clone(r.Models)
	return &out
}

// Subject is what the facts are appraised with. The zero value, but for At, is
// a single piece of evidence of which nothing else is known; rules that need
// more are then listed as not checked.
type Subject struct {
	At         time.Time   // required
	Claims     *Claims     // that the evidence was made for
	Nonce      *[32]byte   // the caller's live nonce; without claims, of GPUs, tokens or a TPM alone
	Registered *Registered // what the chain says
	EventLog   []byte      // what the machine's firmware and loader say that they measured

	devices []*nvidia.Facts // GPUs and switches, verified over the claims
	tpm     *tpm.Facts      // verified over the claims
	log     *logVerdict     // what came of EventLog, when it was judged before
}

// Appraise judges facts. It is pure, and lists every rule with its outcome.
func (p *Policy) Appraise(f *Facts, s Subject) *Verdict {
	a := &appraisal{p: p, f: f, s: s, v: newVerdict(f, &s)}
	a.kind()
	a.binding()
	a.registration()
	a.age()
	a.intel()
	a.amd()
	a.gpus()
	a.tokens()
	a.module()
	a.eventLog()
	a.measurement()
	a.claims()
	a.v.Accepted = !slices.ContainsFunc(a.v.Checks, func(c Check) bool { return c.Outcome != Pass })
	a.v.NotChecked = append(a.v.NotChecked, alwaysUnchecked...)
	return a.v
}

// alwaysUnchecked is what no verdict covers (docs/threat-model.md).
var alwaysUnchecked = []string{
	"side channels and physical attacks on the processor",
	"that the measured code does what its source says: that is the review of whoever listed the measurement",
}

type appraisal struct {
	p *Policy
	f *Facts
	s Subject
	v *Verdict
}

// rule adds a check of the family refused-by-policy.
func (a *appraisal) rule(ok bool, rule, text, expected, got string) {
	a.check(ok, fault.FamilyRefused, rule, text, expected, got)
}

func (a *appraisal) check(ok bool, family fault.Family, rule, text, expected, got string) {
	a.v.add(newCheck(ok, family, rule, text, expected, got))
}

// newCheck makes a check; family is that of the error when it does not pass.
func newCheck(ok bool, family fault.Family, rule, text, expected, got string) Check {
	c := Check{Rule: rule, Text: text, Outcome: Pass, Expected: expected, Got: got, family: family}
	switch {
	case ok:
	case family == fault.FamilyUnknown:
		c.Outcome = NotSure
	default:
		c.Outcome = Fail
	}
	return c
}

func (a *appraisal) skip(format string, args ...any) {
	a.v.NotChecked = append(a.v.NotChecked, fmt.Sprintf(format, args...))
}

func (a *appraisal) kind() {
	if a.f.Kind != KindNVIDIA && a.f.Kind != KindNRAS { // of which section gpu says what is accepted
		a.accepted()
	}
	for _, root := range simulatedRoots(a.f, &a.s) {
		a.rule(slices.Contains(a.p.roots, root), "policy.simulated_roots", "the policy names the simulated root", "", "SIMULATED "+fingerprint(root))
	}
}

func (a *appraisal) accepted() {
	a.rule(slices.Contains(a.p.f.Accept, a.f.Kind), "policy.accept", "the policy accepts this kind of machine",
		strings.Join(a.p.f.Accept, ", "), a.f.Kind)
}

// binding checks that the hardware signed these claims.
func (a *appraisal) binding() {
	if a.s.Claims == nil {
		a.skip("report data: no claims were given to compare it with")
		a.nonceAlone()
		return
	}
	if a.f.module(&a.s).Confidential() {
		a.bindingOfModule()
		return
	}
	rd := a.f.ReportData()
	d := a.s.Claims.Digest()
	a.check(bytes.Equal(rd[:32], d[:]), fault.FamilyFalse, "binding.claims", "the report data names these claims",
		hex.EncodeToString(d[:]), hex.EncodeToString(rd[:32]))
	var nonce [32]byte
	what := "the report data has no nonce"
	if a.s.Nonce != nil {
		nonce, what = *a.s.Nonce, "the report data has the nonce of this verification"
	}
	a.check(bytes.Equal(rd[32:], nonce[:]), fault.FamilyFalse, "binding.nonce", what,
		hex.EncodeToString(nonce[:]), hex.EncodeToString(rd[32:]))
	a.liveNonce()
}

func (a *appraisal) liveNonce() {
	a.rule(a.s.Nonce != nil || !a.p.f.Evidence.LiveNonce, "evidence.live_nonce", "a live nonce is used when the policy asks for one",
		fmt.Sprint(a.p.f.Evidence.LiveNonce), fmt.Sprint(a.s.Nonce != nil))
}

// registration checks that the chain knows exactly these claims.
func (a *appraisal) registration() {
	c, r := a.s.Claims, a.s.Registered
	if c == nil {
		a.skip("registration: no claims were given to look for on the chain")
		return
	}
	if r == nil {
		if a.p.f.Evidence.UnsafeUnregistered {
			a.skip("registration: unsafe_unregistered is set and no state of the chain was given")
			return
		}
		a.check(false, fault.FamilyUnknown, "chain.registered", "the chain has registered these claims", "", "no proved state of the chain was given")
		return
	}
	d := c.Digest()
	same := func(ok bool, rule, text, expected, got string) {
		a.check(ok, fault.FamilyChain, rule, text, expected, got)
	}
	same(r.ClaimsDigest == d, "chain.claims", "the chain has registered these claims", hex.EncodeToString(r.ClaimsDigest[:]), hex.EncodeToString(d[:]))
	same(r.ChainID == c.ChainID, "chain.id", "the claims are for this chain", fmt.Sprint(r.ChainID), fmt.Sprint(c.ChainID))
	same(r.Node == c.Node, "chain.node", "the claims are of this node", r.Node.String(), c.Node.String())
	same(r.Epoch == c.Epoch, "chain.epoch", "the claims are of the current epoch", fmt.Sprint(r.Epoch), fmt.Sprint(c.Epoch))
	same(!r.RegisteredAt.Before(r.BlockTime), "chain.order", "the claims were registered after the block that they name",
		"not before "+stamp(r.BlockTime), stamp(r.RegisteredAt))
	for _, src := range []struct {
		name string
		s    Source
	}{{"measurements", a.p.measurements}, {"models", a.p.models}} {
		if src.s.Registry && !src.s.Address.IsZero() {
			a.check(src.s.Address == r.Registry, fault.FamilyUnknown, "policy."+src.name+".registry",
				"the registry that was read is the one that the policy names for "+src.name, src.s.Address.String(), r.Registry.String())
		}
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// evidenceTime returns since when the evidence counts as existing, and where
// that comes from.
func (a *appraisal) evidenceTime() (time.Time, string) {
	switch {
	case a.s.Registered != nil:
		return a.s.Registered.BlockTime, "the block that the claims name"
	case a.s.Claims != nil:
		return a.s.Claims.Body.Created, "the enclave's own word"
	}
	return time.Time{}, ""
}

func (a *appraisal) age() {
	if t, from := a.evidenceTime(); !t.IsZero() {
		age := a.s.At.Sub(t)
		a.rule(age <= a.p.maxAge, "evidence.max_age", "the evidence is young enough",
			"at most "+a.p.maxAge.String(), fmt.Sprintf("%s, by %s", age.Round(time.Second), from))
		a.check(age >= 0, fault.FamilyFalse, "evidence.not_future", "the evidence is not from the future", "not after "+stamp(a.s.At), stamp(t))
	} else {
		a.skip("age of the evidence: nothing says when it was made")
	}
	if a.f.Issued.IsZero() {
		a.skip("age of the vendor's documents: it renews none of them every month; each is within its own validity")
		return
	}
	age := a.s.At.Sub(a.f.Issued)
	a.rule(age <= a.p.endorseAge, "endorsements.max_age", "the vendor's documents are young enough",
		"at most "+a.p.endorseAge.String(), age.Round(time.Second).String())
}

func (a *appraisal) measurement() {
	m, ok := a.f.Measurement()
	if !ok || a.f.module(&a.s).Confidential() {
		return // of enclaves, GPUs and paravisors their own rules judge what runs
	}
	got := hex.EncodeToString(m[:])
	const text = "the code that runs is accepted"
	list, from, ok := a.list("measurement", a.p.measurements, func(r *Registered) [][32]byte { return r.Measurements })
	if ok {
		a.rule(slices.Contains(list, m), "measurements", text, "one of "+from, got)
	}
}

// list returns the digests that a source stands for; false means that the rule
// is dealt with.
func (a *appraisal) list(what string, s Source, of func(*Registered) [][32]byte) (list [][32]byte, from string, ok bool) {
	switch {
	case s.Any:
		a.skip("%s: the policy accepts any (unsafe_any_%s)", what, what)
		return nil, "", false
	case !s.Registry:
		return s.Digests, fmt.Sprintf("%d in the policy", len(s.Digests)), true
	case a.s.Registered != nil:
		l := of(a.s.Registered)
		return l, fmt.Sprintf("%d in the registry %s", len(l), a.s.Registered.Registry), true
	case a.s.Claims == nil:
		a.skip("%s: the policy takes the list from a registry, and none was read", what)
		return nil, "", false
	}
	a.check(false, fault.FamilyUnknown, what+"s", "the registry lists the "+what, "", "no registry was read")
	return nil, "", false
}

// claims judges what the claims say beside the hardware.
func (a *appraisal) claims() {
	c := a.s.Claims
	if c == nil {
		a.skip("models, self-test and configuration: no claims were given")
		return
	}
	a.rule(c.Body.SelfTest.Passed, "claims.self_test", "the enclave passed its self-test", "passed", fmt.Sprintf("passed: %v", c.Body.SelfTest.Passed))
	list, from, ok := a.list("model", a.p.models, func(r *Registered) [][32]byte { return r.Models })
	if ok {
		var names []string
		for _, m := range c.Body.Models {
			names = append(names, fmt.Sprintf("%q %x", m.Name, m.Digest))
		}
		a.rule(slices.ContainsFunc(c.Body.Models, func(m Model) bool { return slices.Contains(list, m.Digest) }),
			"models", "the node serves an accepted model", "one of "+from, strings.Join(names, ", "))
	}
}
