package client

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// The receipt's own time, and the block that it names, must fit what the chain
// proves: a false one is found, and would gain nothing.
func TestReceiptTime(t *testing.T) {
	registered := time.Unix(1_800_000_000, 0).UTC()
	anchored := registered.Add(time.Hour)
	for name, c := range map[string]struct {
		made  time.Time
		block uint32
		says  string
		edit  func(*registry.Epoch)
	}{
		"between":                      {registered.Add(time.Minute), 250, "", nil},
		"at the registration":          {registered.Add(-maxClock), 200, "", nil},
		"at the anchor":                {anchored.Add(maxClock), 300, "", nil},
		"before the registration":      {registered.Add(-maxClock - time.Second), 250, "its epoch was registered at 2027-01-15T08:00:00Z", nil},
		"after the anchor":             {anchored.Add(maxClock + time.Second), 250, "it was anchored at 2027-01-15T09:00:00Z", nil},
		"block before the claims'":     {registered.Add(time.Minute), 199, "names block 199", nil},
		"block after that of a proof":  {registered.Add(time.Minute), 301, "names block 301", nil},
		"at the registration's end":    {anchored.Add(-time.Minute), 250, "", func(e *registry.Epoch) { e.Expires = anchored.Add(-time.Minute - maxAnswer) }},
		"after the registration's end": {anchored.Add(-time.Minute), 250, "the registration of its epoch ended at 2027-01-15T08:38:59Z", func(e *registry.Epoch) { e.Expires = anchored.Add(-time.Minute - maxAnswer - time.Second) }},
		"at the next epoch":            {anchored.Add(-time.Minute), 250, "", func(e *registry.Epoch) { e.Final.Time = anchored.Add(-time.Minute - maxAnswer) }},
		"after the next epoch":         {anchored.Add(-time.Minute), 250, "the registration of its epoch ended at 2027-01-15T08:38:59Z", func(e *registry.Epoch) { e.Final.Time = anchored.Add(-time.Minute - maxAnswer - time.Second) }},
	} {
		w := &walk{Checked: &Checked{AnchoredAt: anchored, Block: chain.Block{Seqno: 300}, Epoch: registry.Epoch{StartBlock: 200, RegisteredAt: registered, Expires: registered.AddDate(1, 0, 0)}},
			p: &receipt.Proof{Receipt: &receipt.Receipt{Head: receipt.Head{Time: uint32(c.made.Unix()), BlockSeqno: c.block}}}}
		if c.edit != nil {
			c.edit(&w.Epoch)
		}
		at, _, err := w.time()
		var f *attestation.FalseError
		if !at.Equal(c.made) || (c.says == "") != (err == nil) || err != nil && (!errors.As(err, &f) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, %v", name, at, err)
		}
	}
}

// A receipt of a model that the policy does not accept is refused, also when the
// node serves another that it does.
func TestReceiptModel(t *testing.T) {
	w := &walk{p: &receipt.Proof{Receipt: &receipt.Receipt{}}, models: []attestation.Model{{Name: "good", Digest: [32]byte{1}}}}
	b := &w.p.Receipt.Body
	b.ModelDigest, b.CompletionTokens = [32]byte{2}, 3
	var refused *attestation.RefusedError
	if _, _, err := w.model(); !errors.As(err, &refused) {
		t.Errorf("another model: %v", err)
	}
	b.ModelDigest = [32]byte{1}
	if _, detail, err := w.model(); err != nil || !strings.HasPrefix(detail, `"good"`) {
		t.Errorf("%s, %v", detail, err)
	}
	b.ModelDigest, b.CompletionTokens = [32]byte{2}, 0
	if _, _, err := w.model(); err != nil {
		t.Errorf("no model answered: %v", err)
	}
}

// The specification lists the steps in the order in which they are done.
func TestSpecOrder(t *testing.T) {
	doc, err := os.ReadFile("../docs/spec/receipt.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "## 8. ")
	var said []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(section, -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			said = append(said, strings.Trim(name, "`"))
		}
	}
	var done []string
	for _, s := range (&walk{}).steps() {
		if s.name == StepEvidence {
			done = append(done, StepRoot) // the part of it that no policy decides
		}
		done = append(done, s.name)
	}
	if done = append(done, StepReplay); !slices.Equal(said, done) {
		t.Errorf("said %v, done %v", said, done)
	}
	for _, s := range newTrail() {
		if !slices.Contains(done, s.Name) {
			t.Errorf("step %s is not in the order of work", s.Name)
		}
	}
}

// A verdict is looked at anew before its end, so that the anchor of an answer still
// falls into it.
func TestVerdictEndsEarly(t *testing.T) {
	f := newFleet(t)
	f.root.MergeDelay = 10 * time.Minute
	n := f.get(1)
	end := n.verified.NotAfter()
	p := f.client.entry(n.record.Address)
	for at, want := range map[time.Duration]bool{-11 * time.Minute: true, -9 * time.Minute: false} {
		if got := p.valid(n, end.Add(at)); got != want {
			t.Errorf("%s from its end: %v", at, got)
		}
	}
}
