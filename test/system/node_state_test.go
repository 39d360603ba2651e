package system

import (
	"net/http"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/client"
)

// What a relay says of its node is compared with the chain: a lie is shown as one,
// and everything else is still found out.
func TestNodeState(t *testing.T) {
	t.Parallel()
	w, ctx := shared, testContext(t)
	r, stranger := w.bootFresh(t), w.bootFresh(t)
	honest := r.newRelay(t)
	u := r.newUser(t, honest)
	for range 3 {
		u.mustAsk(t, newSecret())
	}
	if rec := r.anchor(t); rec.Anchor.Size != 3 {
		t.Fatalf("%d leaves are anchored", rec.Anchor.Size)
	}
	u.mustAsk(t, newSecret())
	older := w.bootFresh(t) // a log of one leaf, signed by another key
	older.newUser(t, older.newRelay(t)).mustAsk(t, newSecret())
	serve := func(b []byte) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) { rw.Write(b) }
	}
	missing := func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "no", http.StatusNotFound) }
	short := r.get(t, "/log/checkpoint")
	for _, c := range []struct {
		name   string
		change func(*relay)
		policy *attestation.Policy
		want   family                 // 0 for none
		steps  [3]attestation.Outcome // bundle, policy, log
	}{
		{name: "honest", steps: [3]attestation.Outcome{attestation.Pass, attestation.Pass, attestation.Pass}},
		{"another bundle", func(l *relay) {
			l.bundle = func([]byte) []byte { return stranger.get(t, "/.well-known/cocoon/bundle") }
		}, nil, chainSay,
			[3]attestation.Outcome{attestation.Fail, client.NotChecked, attestation.Pass}},
		{"no bundle", func(l *relay) { l.bundle = func([]byte) []byte { return nil } }, nil, badInput,
			[3]attestation.Outcome{attestation.Fail, client.NotChecked, attestation.Pass}},
		{"another node's log", func(l *relay) {
			l.public = map[string]http.HandlerFunc{"/log/checkpoint": serve(older.get(t, "/log/checkpoint"))}
		}, nil, isFalse, [3]attestation.Outcome{attestation.Pass, attestation.Pass, attestation.Fail}},
		{"no log", func(l *relay) { l.public = map[string]http.HandlerFunc{"/log/checkpoint": missing} }, nil, unknown,
			[3]attestation.Outcome{attestation.Pass, attestation.Pass, attestation.NotSure}},
		{"other tiles", func(l *relay) { l.tile = func(_ string, b []byte) []byte { b[0] ^= 1; return b } }, nil, isFalse,
			[3]attestation.Outcome{attestation.Pass, attestation.Pass, attestation.Fail}},
		{"a policy that does not accept it", nil, w.policy(t, `accept = ["tdx", "snp"]`, `accept = ["snp"]`), refused,
			[3]attestation.Outcome{attestation.Pass, attestation.Fail, attestation.Pass}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var change []func(*relay)
			if c.change != nil {
				change = append(change, c.change)
			}
			l := r.newRelay(t, change...)
			u := r.newUser(t, l, func(cfg *client.Config) {
				if c.policy != nil {
					cfg.Policy = c.policy
				}
			})
			rec, trail, err := u.CheckNode(ctx, r.node)
			if rec == nil || rec.Address != r.node {
				t.Fatalf("no record: %v", err)
			}
			if c.want == 0 && err != nil {
				t.Error(err)
			} else if c.want != 0 {
				wantError(t, err, c.want, "")
			}
			for i, want := range c.steps {
				if got := trail[i]; got.Outcome != want || (want == attestation.Fail || want == attestation.NotSure) && got.Detail == "" {
					t.Errorf("step %s: %s, %s; want %s", got.Name, got.Outcome, got.Detail, want)
				}
			}
		})
	}

	// a log that was rolled back behind its anchor
	l := r.newRelay(t, func(l *relay) { l.public = map[string]http.HandlerFunc{"/log/checkpoint": serve(short)} })
	for range 2 {
		u.mustAsk(t, newSecret())
	}
	if rec := r.anchor(t); rec.Anchor.Size != 6 {
		t.Fatalf("%d leaves are anchored", rec.Anchor.Size)
	}
	_, trail, err := r.newUser(t, l).CheckNode(ctx, r.node)
	wantError(t, err, chainSay, "", "the relay serves a log of 4 receipts, the chain holds one of 6")
	if trail[2].Outcome != attestation.Fail {
		t.Errorf("%+v", trail[2])
	}

	// a relay that is gone, and a node that is not there
	l.server.Close()
	_, trail, err = r.newUser(t, l).CheckNode(ctx, r.node)
	wantError(t, err, unknown, "")
	if trail[0].Outcome != attestation.NotSure || trail[1].Outcome != client.NotChecked {
		t.Errorf("%+v", trail)
	}
	nobody := r.node
	nobody.Hash[0] ^= 1
	if _, trail, err := u.CheckNode(ctx, nobody); trail != nil || !chainSay.is(err) {
		t.Errorf("%v, %v", trail, err)
	}

	// a node that never registered has nothing to be compared with
	idle := w.takeNode(t)
	rec, trail, err := w.newUser(t, idle, "http://relay.invalid").CheckNode(ctx, idle)
	if err != nil || rec.Status != "none" {
		t.Errorf("%+v, %v", rec, err)
	}
	for _, s := range trail {
		if s.Outcome != client.NotChecked || s.Detail != `the node has no active registration, its status is "none"` {
			t.Errorf("%+v", s)
		}
	}
}
