package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
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
	}{
		"between":                     {registered.Add(time.Minute), 250, ""},
		"at the registration":         {registered.Add(-maxClock), 200, ""},
		"at the anchor":               {anchored.Add(maxClock), 300, ""},
		"before the registration":     {registered.Add(-maxClock - time.Second), 250, "its epoch was registered at 2027-01-15T08:00:00Z"},
		"after the anchor":            {anchored.Add(maxClock + time.Second), 250, "it was anchored at 2027-01-15T09:00:00Z"},
		"block before the claims'":    {registered.Add(time.Minute), 199, "names block 199"},
		"block after that of a proof": {registered.Add(time.Minute), 301, "names block 301"},
	} {
		w := &walk{Checked: &Checked{AnchoredAt: anchored, Block: chain.Block{Seqno: 300}, Epoch: registry.Epoch{StartBlock: 200, RegisteredAt: registered}},
			p: &receipt.Proof{Receipt: &receipt.Receipt{Head: receipt.Head{Time: uint32(c.made.Unix()), BlockSeqno: c.block}}}}
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

// anchors is a chain of which only the transactions of one node are there, newest
// first. It remembers the last few.
type anchors struct {
	chain.Reader
	txs    []chain.Transaction
	memory int
}

func (a *anchors) Transactions(_ context.Context, _ *chain.Account, limit int) ([]chain.Transaction, error) {
	if limit > a.memory {
		return nil, attestation.Unknown("forgotten")
	}
	return a.txs[:min(limit, len(a.txs))], nil
}

// anchorAt is the transaction of an anchor, as it comes from outside.
func anchorAt(t *testing.T, epoch uint32, size uint64, at time.Time) chain.Transaction {
	t.Helper()
	body := (&contracts.AnchorExternal{Anchor: contracts.Anchor{Epoch: epoch, Size: size}}).Body()
	return chain.Transaction{Time: at, In: &tlb.Message{MsgType: tlb.MsgTypeExternalIn, Msg: &tlb.ExternalMessage{Body: body}}}
}

// The oldest anchor that covers a receipt is found, however many came after it,
// as far as liteservers remember.
func TestFirstAnchor(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	const n = 700
	chainOf := func(memory int) *anchors {
		a := &anchors{memory: memory}
		for i := n; i > 0; i-- { // leaf i-1 is first covered by size i
			a.txs = append(a.txs, anchorAt(t, 1, uint64(i), start.Add(time.Duration(i)*time.Minute)))
		}
		return a
	}
	plain := chain.Transaction{Time: start.Add(n * time.Minute), In: &tlb.Message{MsgType: tlb.MsgTypeInternal, Msg: &tlb.InternalMessage{Body: cell.BeginCell().EndCell()}}}
	for name, c := range map[string]struct {
		leaf   uint64
		epoch  uint32
		memory int
		edit   func(*anchors)
		size   uint64 // of the anchor that is found; 0 for none
		depth  int    // transactions in the proof
	}{
		"newest":              {leaf: n - 1, epoch: 1, memory: 1e4, size: n, depth: 1},
		"an hour ago":         {leaf: n - 60, epoch: 1, memory: 1e4, size: n - 59, depth: 60},
		"half a day ago":      {leaf: 3, epoch: 1, memory: 1e4, size: 4, depth: n - 3},
		"liteservers forget":  {leaf: 3, epoch: 1, memory: 64, size: n - 63, depth: 64},
		"nothing is there":    {leaf: 3, epoch: 1, memory: 10},
		"of a later epoch":    {leaf: 3, epoch: 2, memory: 1e4},
		"other transactions":  {leaf: n - 1, epoch: 1, memory: 1e4, edit: func(a *anchors) { a.txs = append([]chain.Transaction{plain, {}}, a.txs...) }, size: n, depth: 3},
		"one that is aborted": {leaf: n - 2, epoch: 1, memory: 1e4, edit: func(a *anchors) { a.txs[1].Aborted = true }, size: n, depth: 1},
		"key is not there":    {leaf: n - 2, epoch: 1, memory: 1e4, edit: func(a *anchors) { a.txs[1] = anchorAt(t, 7, n-1, a.txs[1].Time) }, size: n, depth: 1},
	} {
		a := chainOf(c.memory)
		if c.edit != nil {
			c.edit(a)
		}
		x := &Client{chain: registry.Reader{Reader: a}}
		rec := &registry.Node{Epochs: map[uint32]registry.Epoch{1: {}, 2: {}}, Anchor: registry.Anchor{Size: n}}
		made := start.Add(time.Duration(c.leaf)*time.Minute + 30*time.Second)
		cp, txs, err := x.firstAnchor(t.Context(), nil, rec, &receipt.Head{Index: c.leaf, Epoch: c.epoch, Time: uint32(made.Unix())})
		var unknown *attestation.UnknownError
		if c.size == 0 {
			if cp != nil || !errors.As(err, &unknown) {
				t.Errorf("%s: %v, %v", name, cp, err)
			}
			continue
		}
		if err != nil || cp.Size != c.size || len(txs) != c.depth {
			t.Errorf("%s: %+v, %d transactions, %v", name, cp, len(txs), err)
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
