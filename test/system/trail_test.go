package system

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
)

// record is what a user keeps of two answers of one node, whose anchors lie at
// least two seconds apart.
type record struct {
	r       *runtime
	u       *user
	src     client.Source
	expect  client.Expect
	opening [2]*receipt.Opening
	anchors [2]time.Time
	proofs  [2][]byte // exported after the second anchor
	early   []byte    // proof of the registry's state before the first anchor
}

// newRecord asks twice. The proofs are exported late: the first is older than the
// newest anchor.
func newRecord(t *testing.T) *record {
	t.Helper()
	w, ctx := shared, testContext(t)
	x := &record{r: w.bootFresh(t)}
	x.u = x.r.newUser(t, x.r.newRelay(t))
	cfg, err := chain.ParseGlobalConfig(w.net.Chain.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	x.expect = client.Expect{Policy: w.policy(t), Registry: w.net.Registry, Trusted: []chain.BlockID{cfg.Trusted()}}
	lists, err := w.client.Account(ctx, w.net.Registry)
	if err != nil {
		t.Fatal(err)
	}
	x.early = lists.Proof
	var files []*receipt.File
	for i := range x.anchors {
		secret := newSecret()
		a, err := x.u.ask(t, secret, false)
		if err != nil {
			t.Fatal(err)
		}
		f := client.ReceiptOf(a.resp)
		files = append(files, f)
		x.opening[i] = &receipt.Opening{RequestSalt: f.RequestSalt, ResponseSalt: f.ResponseSalt, Request: prompt(t, secret, false), Response: a.body}
		last := x.anchors[0]
		if i == 0 {
			last = lists.Block.Time // which is after that of the block that the claims name
		}
		after := last.Add(2 * time.Second) // the chain's clock counts whole seconds
		if _, err := w.client.WaitAccount(ctx, x.r.node, func(a *chain.Account) bool { return !a.Block.Time.Before(after) }); err != nil {
			t.Fatal(err)
		}
		x.anchors[i] = x.r.anchor(t).Anchor.Time
	}
	x.src = x.r.source(t, x.u)
	for i, f := range files {
		p, err := x.u.Prove(ctx, x.src, f.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		if x.proofs[i], err = p.Encode(); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

// blockTime returns the time of the block that the enclave's claims name.
func (r *runtime) blockTime(t *testing.T) time.Time {
	t.Helper()
	rec, err := r.w.reader.Node(testContext(t), r.node)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.w.client.Block(testContext(t), rec.Epochs[rec.Current].StartBlock)
	if err != nil {
		t.Fatal(err)
	}
	return b.Time
}

func (x *record) proof(t *testing.T, i int) *receipt.Proof {
	t.Helper()
	p, err := receipt.ParseProof(x.proofs[i])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The evidence is as old as it was when the chain took the first anchor that covers
// the receipt: not when the proof was exported, and not when it is read.
func TestEvidenceTime(t *testing.T) {
	t.Parallel()
	x := newRecord(t)
	blockTime := x.r.blockTime(t)
	for i := range x.proofs {
		c, err := client.VerifyProof(x.proof(t, i), x.expect)
		if err != nil {
			t.Fatal(err)
		}
		if !c.AnchoredAt.Equal(x.anchors[i]) || !c.Verdict.At.Equal(x.anchors[i]) {
			t.Errorf("proof %d is judged at %v, %v; anchored at %v", i, c.AnchoredAt, c.Verdict.At, x.anchors[i])
		}
		for _, s := range c.Trail {
			if want := !fromOutside[s.Name]; (s.Outcome == attestation.Pass) != want {
				t.Errorf("step %s: %s", s.Name, s.Outcome)
			}
		}
		if s := c.Trail.Step(client.StepEvidence); !s.At.Equal(x.anchors[i]) {
			t.Errorf("step %s at %v", s.Name, s.At)
		}
	}

	// a policy under which the evidence ended between the two anchors
	strict := x.expect
	age := x.anchors[0].Sub(blockTime)
	strict.Policy = shared.policy(t, `max_age = "168h"`, fmt.Sprintf("max_age = %q", age))
	if _, err := client.VerifyProof(x.proof(t, 0), strict); err != nil {
		t.Errorf("evidence that was young enough: %v", err)
	}
	_, err := client.VerifyProof(x.proof(t, 1), strict)
	wantError(t, err, refused, "", "the evidence is young enough")
	strict.Policy = shared.policy(t, `max_age = "168h"`, fmt.Sprintf("max_age = %q", age-time.Second))
	_, err = client.VerifyProof(x.proof(t, 0), strict)
	wantError(t, err, refused, "", "the evidence is young enough")

	// in five years what the vendor signed has ended; the proof is good
	p := x.proof(t, 0)
	b, err := attestation.ParseBundle(p.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	set, err := client.Endorsements([]client.EndorsementFile{{Name: p.Endorsements[0].Name, Data: p.Endorsements[0].Bytes}})
	if err != nil {
		t.Fatal(err)
	}
	patient := shared.policy(t, `max_age = "168h"`, `max_age = "87600h"`, `max_age = "720h"`, `max_age = "87600h"`, "[evidence]\n", "[evidence]\nunsafe_unregistered = true\n",
		`measurements = "from registry`, "unsafe_any_measurement = true\n#", `models = "from registry`, "unsafe_any_model = true\n#")
	v, err := attestation.NewVerifier(patient)
	if err != nil {
		t.Fatal(err)
	}
	for years, good := range map[int]bool{0: true, 5: false} {
		_, err := v.Verify(attestation.Input{Bundle: b, Endorsements: set, At: x.anchors[0].AddDate(years, 0, 0)})
		if (err == nil) != good {
			t.Errorf("after %d years: %v", years, err)
		}
	}
}

// Every step of the trail broken once: the error has the family of the step, what
// passed before is said, and what comes after is not claimed.
func TestTrail(t *testing.T) {
	t.Parallel()
	x := newRecord(t)
	other := x.proof(t, 1)
	stranger := shared.bootFresh(t)
	foreign, err := stranger.newUser(t, stranger.newRelay(t)).Node(testContext(t), stranger.node)
	if err != nil {
		t.Fatal(err)
	}
	foreignSource, err := foreign.Source(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	header, err := shared.client.Block(testContext(t), oldBlock)
	if err != nil {
		t.Fatal(err)
	}
	oldHeader, err := shared.client.HeaderProof(testContext(t), header)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		step   string
		want   family
		proof  func(*receipt.Proof)
		expect func(*client.Expect)
	}{
		{"a trusted block that is not on the way", client.StepChain, unknown, nil, func(e *client.Expect) { e.Trusted = []chain.BlockID{{Seqno: 1}} }},
		{"a changed state", client.StepChain, isFalse, func(p *receipt.Proof) { p.AccountProof[stateByte(t, x, p)] ^= 1 }, nil},
		{"not anchored yet", client.StepChain, unknown, func(p *receipt.Proof) { p.AccountProof = nil }, nil},
		{"another registry", client.StepNode, chainSay, nil, func(e *client.Expect) { e.Registry.Hash[0] ^= 1 }},
		{"another receipt key", client.StepReceipt, isFalse, func(p *receipt.Proof) { p.Receipt.Signature[5] ^= 1 }, nil},
		{"a checkpoint that is not on the chain", client.StepCheckpoint, chainSay, func(p *receipt.Proof) { p.Checkpoint.Size += 9 }, nil},
		{"a checkpoint that the node did not sign", client.StepCheckpoint, isFalse, func(p *receipt.Proof) {
			p.AccountProof = other.AccountProof // whose anchor is another one
			p.Checkpoint.Root[7] ^= 1
		}, nil},
		{"another checkpoint than the chain's", client.StepCheckpoint, chainSay, func(p *receipt.Proof) { p.Checkpoint.Root[7] ^= 1 }, nil},
		{"another leaf", client.StepInclusion, isFalse, func(p *receipt.Proof) {
			*p = *x.proof(t, 1)
			p.Inclusion.Hashes = nil
		}, nil},
		{"no transactions", client.StepAnchor, unknown, func(p *receipt.Proof) { p.Passage = nil }, nil},
		{"another anchor's transaction", client.StepAnchor, isFalse, func(p *receipt.Proof) { p.Passage = other.Passage }, nil},
		{"a changed transaction", client.StepAnchor, badInput, func(p *receipt.Proof) { p.Passage[len(p.Passage)-40] ^= 1 }, nil},
		{"a later anchor than the first", client.StepAnchor, chainSay, func(p *receipt.Proof) {
			later := x.proof(t, 1)
			later.Receipt, later.Inclusion.Index = p.Receipt, 0
			later.Inclusion.Hashes = [][32]byte{other.Receipt.Head.LeafHash()}
			*p = *later
		}, nil},
		{"the checkpoint of another anchor", client.StepAnchor, chainSay, func(p *receipt.Proof) {
			later := x.proof(t, 1)
			later.Receipt, later.Inclusion.Index = p.Receipt, 0
			later.Inclusion.Hashes = [][32]byte{other.Receipt.Head.LeafHash()}
			later.Passage = x.life(t, later)
			*p = *later
		}, nil},
		{"another request", client.StepRequest, isFalse, func(p *receipt.Proof) { p.Opening = x.opening[1] }, nil},
		{"another answer", client.StepResponse, isFalse, func(p *receipt.Proof) {
			o := *x.opening[0]
			p.Opening, o.Response = &o, x.opening[1].Response
		}, nil},
		{"another registry's state", client.StepRegistry, badInput, func(p *receipt.Proof) { p.RegistryProof = p.AccountProof }, nil},
		{"the registry at another time", client.StepRegistry, unknown, func(p *receipt.Proof) { p.RegistryProof = other.RegistryProof }, nil},
		{"the registry before the anchor", client.StepRegistry, unknown, func(p *receipt.Proof) { p.RegistryProof = x.early }, nil},
		{"another bundle", client.StepRegistration, chainSay, func(p *receipt.Proof) { p.Bundle = foreignSource.Bundle }, nil},
		{"no block of the claims", client.StepRegistration, unknown, func(p *receipt.Proof) { p.BlockHeader = nil }, nil},
		{"another block than that of the claims", client.StepRegistration, isFalse, func(p *receipt.Proof) { p.BlockHeader = oldHeader }, nil},
		{"no endorsements", client.StepRoot, unknown, func(p *receipt.Proof) { p.Endorsements = nil }, nil},
		{"a changed quote", client.StepRoot, isFalse, func(p *receipt.Proof) { changeQuote(t, p) }, nil},
		{"a policy that does not accept it", client.StepEvidence, refused, nil, func(e *client.Expect) { e.Policy = shared.policy(t, `accept = ["tdx", "snp"]`, `accept = ["snp"]`) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, e := x.proof(t, 0), x.expect
			if c.proof != nil {
				c.proof(p)
			}
			if c.expect != nil {
				c.expect(&e)
			}
			got, err := client.VerifyProof(p, e)
			if got != nil || err == nil {
				t.Fatal("accepted")
			}
			wantError(t, err, c.want, "")
			trail := client.TrailOf(err)
			if s := trail.Step(c.step); s.Outcome == attestation.Pass || s.Outcome == client.NotChecked || s.Detail == "" || (s.Outcome == attestation.NotSure) != (c.want == unknown) {
				t.Errorf("step %s: %s, %s", s.Name, s.Outcome, s.Detail)
			}
			broken := 0
			for _, s := range trail {
				if s.Outcome == attestation.Fail || s.Outcome == attestation.NotSure {
					broken++
				}
			}
			if broken != 1 {
				t.Errorf("%d steps are broken: %+v", broken, trail)
			}
			wantPassed(t, trail, c.step)
		})
	}
	p := x.proof(t, 0)
	p.Opening = x.opening[0]
	c, err := client.VerifyProof(p, x.expect)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{client.StepRequest, client.StepResponse} {
		if s := c.Trail.Step(name); s.Outcome != attestation.Pass {
			t.Errorf("%+v", s)
		}
	}
	var te *client.TrailError
	if _, err := client.VerifyProof(p, client.Expect{}); errors.As(err, &te) || client.TrailOf(err) != nil {
		t.Errorf("nothing was looked at: %v", err)
	}
}

// life is the passage of all that came to the node until a proof's block.
func (x *record) life(t *testing.T, p *receipt.Proof) []byte {
	t.Helper()
	acc, err := chain.VerifyAccountProof(p.AccountProof, p.Receipt.Head.Node, x.expect.Trusted...)
	if err != nil {
		t.Fatal(err)
	}
	txs, err := shared.client.History(testContext(t), acc, 100, func(x *chain.Transaction) bool { return x.After(nil) })
	if err != nil {
		t.Fatal(err)
	}
	b, err := chain.EncodePassage(txs, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fromOutside are the steps that need more than a proof.
var fromOutside = map[string]bool{client.StepRequest: true, client.StepResponse: true, client.StepReplay: true}

// wantPassed checks that of the steps in the order of work those before one passed,
// and those after it are not claimed.
func wantPassed(t *testing.T, trail client.Trail, step string) {
	t.Helper()
	order := []string{client.StepChain, client.StepNode, client.StepReceipt, client.StepCheckpoint, client.StepInclusion, client.StepAnchor,
		client.StepTime, client.StepRequest, client.StepResponse, client.StepRegistry, client.StepRegistration, client.StepRoot, client.StepEvidence, client.StepModel, client.StepReplay}
	if len(order) != len(trail) {
		t.Fatalf("%d steps", len(trail))
	}
	at := slices.Index(order, step)
	for i, name := range order {
		s := trail.Step(name)
		switch {
		case i < at && !fromOutside[name] && s.Outcome != attestation.Pass:
			t.Errorf("before %s, %s: %s, %s", step, name, s.Outcome, s.Detail)
		case i > at && (s.Outcome != client.NotChecked || s.Detail != ""):
			t.Errorf("after %s, %s: %s, %s", step, name, s.Outcome, s.Detail)
		}
	}
}

// stateByte returns the place of a byte of an account proof that can be changed
// without making it malformed.
func stateByte(t *testing.T, x *record, p *receipt.Proof) int {
	t.Helper()
	for i := len(p.AccountProof) - 1; i > 0; i-- {
		bad := bytes.Clone(p.AccountProof)
		bad[i] ^= 1
		var f *attestation.FalseError
		if _, err := chain.VerifyAccountProof(bad, p.Receipt.Head.Node, x.expect.Trusted...); errors.As(err, &f) {
			return i
		}
	}
	t.Fatal("no byte of the proof is part of what it proves")
	return 0
}

// changeQuote changes a bit in the signed part of the quote.
func changeQuote(t *testing.T, p *receipt.Proof) {
	t.Helper()
	b, err := attestation.ParseBundle(p.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	b.Evidence[0].Data = bytes.Clone(b.Evidence[0].Data)
	b.Evidence[0].Data[200] ^= 1
	if p.Bundle, err = b.Encode(); err != nil {
		t.Fatal(err)
	}
}
