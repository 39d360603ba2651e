package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cocoon-go/cocoon/chain/contracts"
)

// TestAnchorEvery: there is time for another try before the merge delay is over.
func TestAnchorEvery(t *testing.T) {
	const s = time.Second
	for name, c := range map[string]struct {
		asked, mergeDelay, interval, every time.Duration
		fits                               bool
	}{
		"default":                {0, 600 * s, 60 * s, 300 * s, true},
		"a long interval":        {0, 600 * s, 400 * s, 400 * s, true},
		"an unknown merge delay": {0, 0, 60 * s, 60 * s, true},
		"a short merge delay":    {0, 1 * s, 1 * s, 1 * s, true},
		"nothing is known":       {0, 0, 0, 1 * s, true},
		"asked":                  {2 * s, 600 * s, 60 * s, 2 * s, true},
		"half":                   {300 * s, 600 * s, 60 * s, 300 * s, true},
		"more than half":         {301 * s, 600 * s, 60 * s, 301 * s, false},
		"all of it":              {600 * s, 600 * s, 60 * s, 600 * s, false},
	} {
		if every, fits := anchorEvery(c.asked, c.mergeDelay, c.interval); every != c.every || fits != c.fits {
			t.Errorf("%s: %v, %v", name, every, fits)
		}
	}
}

// TestAnchorPeriod: half of the registry's merge delay, and a warning about more.
func TestAnchorPeriod(t *testing.T) {
	p := newOnePlatform(t)
	o, log := p.operator(0), new(bytes.Buffer)
	n := &node{Options: Options{Log: slog.New(slog.NewTextHandler(log, nil))}, op: o}
	rec := must(o.Record(t.Context()))
	half := time.Duration(contracts.DefaultParams().MergeDelay) * time.Second / 2
	if every := n.anchorPeriod(t.Context(), rec); every != half || log.Len() > 0 {
		t.Errorf("default %v, %s", every, log)
	}
	n.AnchorEvery = half + 1
	if every := n.anchorPeriod(t.Context(), rec); every != half+1 || !strings.Contains(log.String(), "--anchor-every is too long") {
		t.Errorf("more: %v, %s", every, log)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec.AnchorInterval, n.AnchorEvery = time.Minute, 0
	if every := n.anchorPeriod(ctx, rec); every != time.Minute || !strings.Contains(log.String(), "is not known") {
		t.Errorf("unknown: %v, %s", every, log)
	}
}

// TestRepeat: what failed is tried again within seconds, more and more slowly.
func TestRepeat(t *testing.T) {
	for name, c := range map[string]struct {
		every time.Duration
		fails []bool          // of each try; then all is well
		want  []time.Duration // from the start
	}{
		"no failure":     {5 * time.Minute, nil, []time.Duration{300e9, 600e9, 900e9}},
		"some":           {5 * time.Minute, []bool{true, true, true, false, true}, []time.Duration{300e9, 301e9, 303e9, 307e9, 607e9, 608e9, 908e9}},
		"many":           {5 * time.Minute, slices.Repeat([]bool{true}, 9), []time.Duration{300e9, 301e9, 303e9, 307e9, 315e9, 331e9, 361e9, 391e9, 421e9, 451e9}},
		"often enough":   {3 * time.Second, []bool{true, true, true}, []time.Duration{3e9, 4e9, 6e9, 9e9, 12e9}},
		"every half one": {time.Second / 2, []bool{true, true}, []time.Duration{500e6, 1e9, 1500e6}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				start, said := time.Now(), 0
				var tries []time.Duration
				repeat(ctx, c.every, func() error {
					if tries = append(tries, time.Since(start)); len(tries) == len(c.want) {
						cancel()
					}
					if i := len(tries) - 1; i < len(c.fails) && c.fails[i] {
						return errors.New("no")
					}
					return nil
				}, func(error, time.Duration) { said++ })
				if want := len(slices.DeleteFunc(slices.Clone(c.fails), func(f bool) bool { return !f })); !slices.Equal(tries, c.want) || said != want {
					t.Errorf("%v, %d said", tries, said)
				}
			})
		})
	}
}

// enclaveThatSigned is an enclave whose newest head is given.
func enclaveThatSigned(t *testing.T, h *contracts.SignedHead) *process {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"epoch": h.Epoch, "size": h.Size, "root": h.Root[:], "signature": h.Signature[:]})
	}))
	t.Cleanup(srv.Close)
	return &process{url: must(url.Parse(srv.URL)), http: srv.Client()}
}

// TestAnchorPays: the contract pays for anchors, and when it holds too little the
// wallet does.
func TestAnchorPays(t *testing.T) {
	l := newLeaver(t, 4)
	n := l.nodeOf()
	anchored := func(size int64) {
		t.Helper()
		if err := n.anchorOnce(t.Context(), enclaveThatSigned(t, l.signed(size))); err != nil {
			t.Fatal(err)
		}
		if rec := must(l.op.Record(t.Context())); rec.Anchor.Size != uint64(size) {
			t.Errorf("%d anchored, want %d", rec.Anchor.Size, size)
		}
	}
	before := l.balance(l.op)
	anchored(2)
	anchored(2) // nothing new
	if l.balance(l.op) != before {
		t.Error("the wallet paid, and the contract has coins")
	}
	acc := must(l.client.Account(t.Context(), l.op.Node))
	spare := acc.Balance.Uint64() - must(l.op.Record(t.Context())).State.Protected() - contracts.NodeReserve
	l.did(l.op.Withdraw(t.Context(), spare-anchorCost/2), l.op)
	before = l.balance(l.op)
	anchored(4)
	after := l.balance(l.op)
	if after >= before {
		t.Errorf("the contract paid with %d nano to spare", anchorCost/2)
	}
	if anchored(4); l.balance(l.op) != after {
		t.Error("the wallet paid for nothing new")
	}
}

// TestAnchorOvertaken: somebody with an older head anchors it at the node's expense
// just before the node does; the newest head is anchored all the same.
func TestAnchorOvertaken(t *testing.T) {
	l := newLeaver(t, 4, func(p *contracts.Params) { p.MergeDelay, p.AnchorInterval = 3600, 3600 })
	n := l.nodeOf()
	newest := l.signed(4)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := n.anchorByNode(r.Context(), l.signed(2)); err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"epoch": newest.Epoch, "size": newest.Size, "root": newest.Root[:], "signature": newest.Signature[:]})
	}))
	t.Cleanup(srv.Close)
	before := l.balance(l.op)
	if err := n.anchorOnce(t.Context(), &process{url: must(url.Parse(srv.URL)), http: srv.Client()}); err != nil {
		t.Fatal(err)
	}
	if rec := must(l.op.Record(t.Context())); rec.Anchor.Size != 4 || l.balance(l.op) >= before {
		t.Errorf("%d anchored", rec.Anchor.Size)
	}
}
