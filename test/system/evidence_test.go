package system

import (
	"bytes"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/internal/endorse"
	"github.com/cocoon-go/cocoon/internal/sealed"
)

// rewrite returns a bundle with other claims, other evidence, or both. The
// heads name the new body unless loose.
type rewrite struct {
	claims   func(*attestation.Claims)
	loose    bool // keep the heads that were registered
	td       func(*sim.TD)
	platform *sim.Intel // that signs; nil keeps the quote as it is
}

func (w rewrite) apply(t testing.TB, honest []byte) []byte {
	b, err := attestation.ParseBundle(honest)
	if err != nil {
		t.Error(err)
		return nil
	}
	claims, err := b.Claims()
	if err != nil {
		t.Error(err)
		return nil
	}
	heads := b.Heads
	if w.claims != nil {
		w.claims(claims)
	}
	quote := b.Evidence[0].Data
	if w.platform != nil {
		if quote, err = w.quote(quote, claims); err != nil {
			t.Error(err)
			return nil
		}
	}
	out, err := attestation.NewBundle(claims, attestation.Item{Kind: attestation.KindTDX, Data: quote})
	if err != nil {
		t.Error(err)
		return nil
	}
	enc, err := out.Encode()
	if err != nil {
		t.Error(err)
		return nil
	}
	if w.loose { // both have one length and one place
		return bytes.Replace(enc, out.Heads, heads, 1)
	}
	return enc
}

// quote mints the quote of the same TD over the claims.
func (w rewrite) quote(honest []byte, claims *attestation.Claims) ([]byte, error) {
	if _, _, err := claims.Encode(); err != nil {
		return nil, err
	}
	q, err := intel.ParseQuote(honest)
	if err != nil {
		return nil, err
	}
	r := q.TD()
	td := sim.TD{MRTD: r.MRTD, RTMR: r.RTMR, ReportData: attestation.ReportData(claims.Digest(), nil)}
	if w.td != nil {
		w.td(&td)
	}
	return w.platform.Quote(td)
}

// stolenKeys replaces all sealing keys of claims by ones that the operator
// knows.
func stolenKeys(t testing.TB) func(*attestation.Claims) {
	return func(c *attestation.Claims) {
		k, err := sealed.NewKeyring(sealed.KeyringConfig{Start: time.Now().Add(-time.Minute), Lifetime: time.Hour})
		if err != nil {
			t.Error(err)
			return
		}
		c.Body.KeyConfigs = k.Configs()
	}
}

// An operator serves evidence or keys that are not the enclave's. The client
// must refuse before anything of the request leaves, sealed or not.
func TestEvidence(t *testing.T) {
	t.Parallel()
	w := shared
	r := w.bootFresh(t)
	ours := w.net.Platform
	foreign, err := sim.NewIntel(nil, sim.IntelOptions{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	// collateral makes what a relay serves as endorsements.
	collateral := func(c sim.Collateral, platforms ...*sim.Intel) []byte {
		var files []endorse.File
		for i, p := range platforms {
			data, err := p.Endorsements(c)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, endorse.File{Name: string(rune('a'+i)) + ".json", Data: data})
		}
		enc, err := endorse.Encode(files)
		if err != nil {
			t.Fatal(err)
		}
		return enc
	}
	now := sim.Collateral{At: time.Now()}
	aged := func(c *sim.Collateral, age, valid time.Duration) *sim.Collateral {
		c.At = time.Now().Add(-age)
		c.Valid = age + valid
		return c
	}
	for _, c := range []struct {
		name         string
		rewrite      *rewrite
		endorsements []byte
		policy       []string // replacements
		want         family
		says         string
	}{
		{name: "a key of the operator in the claims, evidence as it was", rewrite: &rewrite{claims: stolenKeys(t)},
			want: isFalse, says: "the report data names these claims"},
		{name: "a key of the operator under the registered heads", rewrite: &rewrite{claims: stolenKeys(t), loose: true},
			want: isFalse, says: "the body is not the one that the heads name"},
		{name: "a key of the operator, quoted by genuine hardware", rewrite: &rewrite{claims: stolenKeys(t), platform: ours},
			want: chainSay, says: "the chain has registered these claims"},
		{name: "a key of the operator in claims of another epoch",
			rewrite: &rewrite{platform: ours, claims: func(c *attestation.Claims) { stolenKeys(t)(c); c.Epoch++ }},
			want:    chainSay, says: "the claims are of the current epoch"},
		{name: "claims of another node", rewrite: &rewrite{platform: ours, claims: func(c *attestation.Claims) { c.Node.Hash[0] ^= 1 }},
			want: chainSay, says: "the claims are of this node"},
		{name: "claims over another block", rewrite: &rewrite{platform: ours, claims: func(c *attestation.Claims) { c.BlockSeqno += 100 }},
			want: chainSay, says: "the bundle names block"},
		{name: "claims over another root hash", rewrite: &rewrite{platform: ours, claims: func(c *attestation.Claims) { c.BlockRoot[0] ^= 1 }},
			want: chainSay, says: "another root hash"},
		{name: "a quote minted under another root", rewrite: &rewrite{platform: foreign}, endorsements: collateral(now, ours, foreign),
			want: isFalse, says: "neither Intel's nor a simulated root that the policy names"},
		{name: "a policy that names no simulated root", policy: policyRoots(w, ""),
			want: isFalse, says: "neither Intel's nor a simulated root that the policy names"},
		{name: "a debug TD", rewrite: &rewrite{platform: ours, td: func(td *sim.TD) { td.Attributes = sim.TDSeptVEDisable | sim.TDDebug }},
			want: refused, says: "the host can't look into the TD: expected debug off"},
		{name: "a TDX module that is out of date", rewrite: &rewrite{platform: ours, td: func(td *sim.TD) { td.TEETCBSVN = [16]byte{2, 1, 2} }},
			want: refused, says: "the vendor rates the platform well enough"},
		{name: "a platform that is out of date", endorsements: collateral(sim.Collateral{At: time.Now(), PlatformStatus: intel.OutOfDate}, ours),
			want: refused, says: "got OutOfDate"},
		{name: "a revoked platform", endorsements: collateral(sim.Collateral{At: time.Now(), RevokePCK: true}, ours),
			want: isFalse, says: "the PCK certificate of this platform is revoked"},
		{name: "endorsements that have ended", endorsements: collateral(*aged(&sim.Collateral{}, 40*24*time.Hour, -24*time.Hour), ours),
			want: unknown, says: "expired at"},
		{name: "endorsements older than the policy allows", endorsements: collateral(*aged(&sim.Collateral{}, 40*24*time.Hour, 24*time.Hour), ours),
			want: refused, says: "the vendor's documents are young enough"},
		{name: "no endorsements", endorsements: collateral(now),
			want: unknown, says: "missing"},
		{name: "endorsements of another vendor", endorsements: collateral(now, foreign),
			want: isFalse, says: "it was issued by another root"},
		{name: "report data of other claims", rewrite: &rewrite{platform: ours, td: func(td *sim.TD) { td.ReportData[0] ^= 1 }},
			want: isFalse, says: "the report data names these claims"},
		{name: "a nonce that nobody asked for", rewrite: &rewrite{platform: ours, td: func(td *sim.TD) { td.ReportData[40] = 1 }},
			want: isFalse, says: "the report data has no nonce"},
		{name: "another configuration than claimed", rewrite: &rewrite{platform: ours, td: func(td *sim.TD) { td.RTMR[3][0] ^= 1 }},
			want: isFalse, says: "the TD runs the configuration that it claims"},
		{name: "code that the registry does not list", rewrite: &rewrite{platform: ours, td: func(td *sim.TD) { td.RTMR[1][0] ^= 1 }},
			want: refused, says: "the code that runs is accepted"},
		{name: "a bundle older than the policy allows", policy: []string{`max_age = "168h"`, `max_age = "1ms"`},
			want: refused, says: "the evidence is young enough: expected at most 1ms"},
		{name: "a policy that demands a live nonce", policy: []string{"live_nonce = false", "live_nonce = true"},
			want: refused, says: "a live nonce is used when the policy asks for one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := r.newRelay(t, func(l *relay) {
				if c.rewrite != nil {
					l.bundle = func(honest []byte) []byte { return c.rewrite.apply(t, honest) }
				}
				if c.endorsements != nil {
					l.endorsements = func() []byte { return c.endorsements }
				}
			})
			u := r.newUser(t, l, func(cfg *client.Config) { cfg.Policy = w.policy(t, c.policy...) })
			secret := newSecret()
			_, err := u.ask(t, secret, false)
			wantError(t, err, c.want, secret, c.says, r.node.String())
			l.heardNoRequest(t, secret)
			if n := len(u.receipts()); n != 0 {
				t.Errorf("%d receipts were kept", n)
			}
			// what is served, not the node, was at fault
			if c.policy == nil {
				r.newUser(t, r.newRelay(t)).mustAsk(t, newSecret())
			}
		})
	}
}

// policyRoots replaces the simulated roots of the default policy.
func policyRoots(w *world, with string) []string {
	full := attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{w.net.Platform.RootFingerprint()}})
	_, rest, _ := bytes.Cut([]byte(full), []byte("simulated_roots = ["))
	list, _, _ := bytes.Cut(rest, []byte("]"))
	return []string{"simulated_roots = [" + string(list) + "]", "simulated_roots = [" + with + "]"}
}

// Without a policy there is no client, so nothing can be sent.
func TestNoPolicy(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " \n\t", "version = \"cocoon/policy/v1\"\n"} {
		p, err := attestation.ParsePolicy([]byte(text))
		wantError(t, err, badInput, "", "policy: ")
		if p != nil {
			t.Errorf("policy %q: a policy came with the error", text)
		}
	}
	for _, p := range []*attestation.Policy{nil, {}} {
		c, err := client.New(client.Config{Policy: p, Chain: shared.client, Registry: shared.net.Registry})
		wantError(t, err, badInput, "", "policy")
		if c != nil {
			t.Error("a client came with the error")
		}
	}
}

// A user who trusts another registry than the node's: one that is none, and one
// that lists the same code and models.
func TestAnotherRegistry(t *testing.T) {
	t.Parallel()
	w := shared
	r := w.bootFresh(t)
	l := r.newRelay(t)
	for _, nodes := range [][]attestation.Address{nil, {r.node}} {
		secret := newSecret()
		u := r.newUser(t, l, func(c *client.Config) { c.Registry, c.Nodes = r.node, nodes })
		// whether registry or node is looked at first does not matter
		_, err := u.ask(t, secret, false)
		if code := attestation.ExitCode(err); code != int(chainSay) && code != int(refused) {
			t.Errorf("exit code %d: %v", code, err)
		}
		l.heardNoRequest(t, secret)
	}
	other := w.secondRegistry(t)
	named := "from registry " + w.net.Registry.String()
	policy := w.policy(t, `measurements = "`+named, `measurements = "from registry`, `models = "`+named, `models = "from registry`)
	secret := newSecret()
	_, err := r.newUser(t, l, func(c *client.Config) { c.Registry, c.Policy = other, policy }).ask(t, secret, false)
	wantError(t, err, refused, secret, "belongs to registry "+w.net.Registry.String())
	l.heardNoRequest(t, secret)
	r.newUser(t, l, func(c *client.Config) { c.Policy = policy }).mustAsk(t, newSecret())
}

// secondRegistry deploys a registry with the lists of the first.
func (w *world) secondRegistry(t testing.TB) attestation.Address {
	t.Helper()
	ctx := testContext(t)
	first, err := w.reader.Root(ctx, w.net.Registry)
	if err != nil {
		t.Fatal(err)
	}
	state := *first.State
	state.Nonce++
	state.Nodes = nil
	addr, init, err := contracts.RootAddress(&state)
	if err != nil {
		t.Fatal(err)
	}
	var si tlb.StateInit
	if err := tlb.LoadFromCell(&si, init.MustBeginParse()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.writer.Send(ctx, "another registry "+addr.String(), chain.Message{To: addr, Amount: nano(1_000_000_000), StateInit: &si}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.WaitAccount(ctx, addr, (*chain.Account).Active); err != nil {
		t.Fatal(err)
	}
	return addr
}

// An enclave that made its evidence again, over a newer block with the same keys,
// runs nothing for a client that believes in the first.
func TestOtherClaims(t *testing.T) {
	t.Parallel()
	w := shared
	var ahead atomic.Int64
	r := w.launch(t, w.takeNode(t), t.TempDir(), func(o *enclave.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	first := r.bundle(t)
	ahead.Store(int64(5 * time.Minute))
	for until := time.Now().Add(longest); bytes.Equal(r.bundle(t), first); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the evidence is not made again")
		}
	}
	ahead.Store(0)
	if err := w.register(testContext(t), r.bundle(t)); err != nil {
		t.Fatal(err)
	}
	r.awaitState(t, enclave.StateServe)
	r.newUser(t, r.newRelay(t)).mustAsk(t, newSecret())

	// what the first bundle says was never registered: only a policy that does
	// without the chain verifies it
	named := "from registry " + w.net.Registry.String()
	verifier, err := attestation.NewVerifier(w.policy(t, `measurements = "`+named+`"`, "unsafe_any_measurement = true",
		`models = "`+named+`"`, "unsafe_any_model = true", "live_nonce = false", "live_nonce = false\nunsafe_unregistered = true"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := attestation.ParseBundle(first)
	if err != nil {
		t.Fatal(err)
	}
	set, err := endorse.Set(w.endorsements)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verifier.Verify(attestation.Input{Bundle: bundle, Endorsements: set, At: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	x, err := sealed.NewExchange(v, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	inner, err := http.NewRequest(http.MethodPost, "https://cocoon.invalid/v1/chat/completions", bytes.NewReader(prompt(t, newSecret(), false)))
	if err != nil {
		t.Fatal(err)
	}
	inner.Header.Set("Content-Type", "application/json")
	body, err := x.Request(inner)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(r.url+"/.well-known/ohttp-gateway", sealed.RequestType, body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := x.Response(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if reason, ok := sealed.NotStarted(answer); !ok || reason != "other claims" {
		t.Errorf("status %d, %q, not started %v", answer.StatusCode, reason, ok)
	}
	if n := r.size(t); n != 1 {
		t.Errorf("the log has %d leaves, want that of the honest request", n)
	}
}
