package system

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/internal/endorse"
	"github.com/cocoon-go/cocoon/internal/sealed"
)

// liar is a program that passed all verification, with keys and evidence of its
// own and a place in the registry, and whose answers then break the rules. It
// logs nothing.
type liar struct {
	runtime // only node and world; there is no Enclave in it
	keys    *sealed.Keyring
	receipt ed25519.PrivateKey
	digest  [32]byte
	claims  *attestation.Claims

	mu     sync.Mutex
	behave behaviour
	opened [][]byte // contents of the requests it got
}

// behaviour is how the liar answers; zero fields are honest.
type behaviour struct {
	head     func(*receipt.Head)
	body     func(*receipt.Body)
	key      ed25519.PrivateKey             // that signs the receipt
	trailers func(honest string) []string   // receipts in the trailer
	refuse   string                         // the authenticated reason not to start
	reply    func(*sealed.ReplyWriter) bool // true: it has answered
}

// newLiar boots and registers one.
func newLiar(t testing.TB, w *world) *liar {
	t.Helper()
	ctx := testContext(t)
	x := &liar{runtime: runtime{w: w, node: w.takeNode(t)}}
	var err error
	if x.keys, err = sealed.NewKeyring(sealed.KeyringConfig{Start: time.Now().Add(-time.Minute), Lifetime: time.Hour}); err != nil {
		t.Fatal(err)
	}
	dev, err := simdevice.New(w.net.Platform, w.program)
	if err != nil {
		t.Fatal(err)
	}
	conf := w.configuration(t, x.node).Digest()
	if err := dev.Configure(ctx, conf); err != nil {
		t.Fatal(err)
	}
	head, err := w.client.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	block, err := w.client.Block(ctx, head.Seqno/100*100)
	if err != nil {
		t.Fatal(err)
	}
	x.claims = &attestation.Claims{
		Heads: attestation.Heads{ChainID: w.net.Chain.GlobalID(), Node: x.node, Epoch: 1, BlockSeqno: block.Seqno, BlockRoot: block.RootHash},
		Body: attestation.Body{
			KeyConfigs: x.keys.Configs(), Configuration: conf, SelfTest: attestation.SelfTest{Passed: true},
			Software: "liar", Created: time.Now().Truncate(time.Second), Engine: "liar/1",
		},
	}
	for _, m := range w.engine.Identity().Models {
		x.claims.Body.Models = append(x.claims.Body.Models, attestation.Model{Name: m.Name, Digest: m.Digest})
	}
	for _, to := range []*[32]byte{&x.claims.ReceiptKey, &x.claims.LogKey, &x.claims.IdentityKey} {
		pub, priv, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		*to = [32]byte(pub)
		if to == &x.claims.ReceiptKey {
			x.receipt = priv
		}
	}
	if _, _, err := x.claims.Encode(); err != nil { // sets the body's digest
		t.Fatal(err)
	}
	x.digest = x.claims.Digest()
	quote, err := dev.Evidence(ctx, attestation.ReportData(x.digest, nil))
	if err != nil {
		t.Fatal(err)
	}
	b, err := attestation.NewBundle(x.claims, attestation.Item{Kind: dev.Kind(), Data: quote})
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.register(ctx, bundle); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/cocoon/bundle":
			rw.Write(bundle)
		case endorse.Path:
			rw.Write(w.endorsementSet(t))
		case "/.well-known/ohttp-gateway":
			x.answer(t, rw, r)
		}
	}))
	t.Cleanup(srv.Close)
	x.url = srv.URL
	return x
}

const liarsWords = `{"choices":[{"index":0,"message":{"content":"trust me"},"finish_reason":"stop"}]}`

// answer opens a request and answers it as the test says.
func (x *liar) answer(t testing.TB, w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	in, err := x.keys.Open(r.Context(), time.Now(), r.Body)
	if err != nil {
		t.Error(err)
		return
	}
	content, err := io.ReadAll(in.Request.Body)
	if err != nil {
		t.Error(err)
		return
	}
	x.opened = append(x.opened, content)
	b := x.behave
	w.Header().Set("Content-Type", sealed.ResponseType)
	flush := http.NewResponseController(w).Flush
	if b.refuse != "" {
		if err := in.NotStarted(w, flush, b.refuse); err != nil {
			t.Error(err)
		}
		return
	}
	reply, err := in.Reply(w, flush)
	if err != nil {
		t.Error(err)
		return
	}
	defer reply.Abort()
	if b.reply != nil && b.reply(reply) {
		return
	}
	if err := reply.WriteHeader(http.StatusOK, http.Header{"Content-Type": {"application/json"}}); err != nil {
		t.Error(err)
		return
	}
	if _, err := io.WriteString(reply, liarsWords); err != nil {
		t.Error(err)
		return
	}
	if err := reply.Close(x.trailer(t, in, content, b)); err != nil {
		t.Error(err)
	}
}

// trailer makes the receipt, false where the test says so.
func (x *liar) trailer(t testing.TB, in *sealed.Inbound, content []byte, b behaviour) http.Header {
	head := receipt.Head{Node: x.node, Epoch: 1, Time: uint32(time.Now().Unix()), BlockSeqno: x.w.net.Chain.Head().ID.SeqNo,
		Holder: receipt.Holder([32]byte(in.Holder))}
	body := receipt.Body{
		ClaimsDigest: x.digest, RequestCommitment: receipt.Commit(in.RequestSalt, content),
		ResponseCommitment: receipt.Commit(in.ResponseSalt, []byte(liarsWords)),
		ModelDigest:        x.claims.Body.Models[0].Digest, Engine: "liar/1", Finish: receipt.Complete,
		PromptTokens: 3, CompletionTokens: 2,
	}
	if b.head != nil {
		b.head(&head)
	}
	if b.body != nil {
		b.body(&body)
	}
	key := x.receipt
	if b.key != nil {
		key = b.key
	}
	r, err := receipt.Sign(key, head, &body)
	if err != nil {
		t.Error(err)
		return nil
	}
	value, err := r.EncodeTrailer()
	if err != nil {
		t.Error(err)
		return nil
	}
	values := []string{value}
	if b.trailers != nil {
		values = b.trailers(value)
	}
	return http.Header{http.CanonicalHeaderKey(receipt.TrailerName): values}
}

func (x *liar) set(b behaviour) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.behave = b
}

// A program that the policy accepts, and that answers without a receipt, or with
// one that is not about this answer. The request was read by then: what the
// client can do is not to believe the answer, and to say so.
func TestFalseReceipt(t *testing.T) {
	t.Parallel()
	x := newLiar(t, shared)
	_, foreign, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	l := x.newRelay(t)
	u := x.newUser(t, l)
	old := u.mustAsk(t, newSecret())
	oldTrailer, err := old.Receipt.EncodeTrailer()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		b    behaviour
		want family
		says string
	}{
		{"dropped", behaviour{trailers: func(string) []string { return nil }}, isFalse, "the answer ended with 0 receipts"},
		{"two", behaviour{trailers: func(s string) []string { return []string{s, s} }}, isFalse, "the answer ended with 2 receipts"},
		{"of an old answer", behaviour{trailers: func(string) []string { return []string{oldTrailer} }}, isFalse, "it was made out to another holder"},
		{"no receipt at all", behaviour{trailers: func(string) []string { return []string{"thank you"} }}, badInput, "receipt"},
		{"no CBOR", behaviour{trailers: func(string) []string {
			return []string{base64.StdEncoding.EncodeToString([]byte("thank you"))}
		}}, badInput, "receipt"},
		{"signed by another key", behaviour{key: foreign}, isFalse, "not signed by the receipt key of epoch 1"},
		{"of another epoch", behaviour{head: func(h *receipt.Head) { h.Epoch = 2 }}, isFalse, "it is of epoch 2 of node"},
		{"of another node", behaviour{head: func(h *receipt.Head) { h.Node.Hash[9] ^= 1 }}, isFalse, "the request went to epoch 1"},
		{"for another holder", behaviour{head: func(h *receipt.Head) { h.Holder[0] ^= 1 }}, isFalse, "another holder"},
		{"of other claims", behaviour{body: func(b *receipt.Body) { b.ClaimsDigest[0] ^= 1 }}, isFalse, "it names other claims"},
		{"of another request", behaviour{body: func(b *receipt.Body) { b.RequestCommitment[0] ^= 1 }}, isFalse, "it commits to another request"},
		{"of another answer", behaviour{body: func(b *receipt.Body) { b.ResponseCommitment[0] ^= 1 }}, isFalse, "it commits to another answer"},
		{"of another model", behaviour{body: func(b *receipt.Body) { b.ModelDigest[0] ^= 1 }}, isFalse, "a model that was not asked for, or not verified"},
		{"an hour old", behaviour{head: func(h *receipt.Head) { h.Time -= 3600 }}, isFalse, "away from this machine's clock"},
		{"an hour early", behaviour{head: func(h *receipt.Head) { h.Time += 3600 }}, isFalse, "away from this machine's clock"},
		{"over an hour-old block", behaviour{head: func(h *receipt.Head) { h.BlockSeqno = oldBlock }}, isFalse, "block 20, which it names, is 1h"},
		{"over a block that is not there yet", behaviour{head: func(h *receipt.Head) { h.BlockSeqno += 1_000_000 }}, unknown, "the block it names"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := x.newUser(t, l)
			x.set(c.b)
			secret := newSecret()
			a, err := u.ask(t, secret, false)
			wantError(t, err, c.want, secret, c.says)
			if a.resp == nil || client.ReceiptOf(a.resp) != nil || len(u.receipts()) != 0 {
				t.Error("the receipt was kept")
			}
			l.heardNothingOf(t, secret)
		})
	}
	// the same enclave, honest: the checks above are about the receipt
	x.set(behaviour{})
	u.mustAsk(t, newSecret())
}

// "Not started" is believed only sealed, and then the request may go elsewhere:
// it runs once.
func TestNotStarted(t *testing.T) {
	t.Parallel()
	x, good := newLiar(t, shared), shared.bootFresh(t)
	x.set(behaviour{refuse: "busy"})
	lx, lg := x.newRelay(t), good.newRelay(t)
	secret := newSecret()
	u := x.newUser(t, lx)
	_, err := u.ask(t, secret, false)
	wantError(t, err, unknown, secret, "the enclave did not start: busy")
	both := x.newUser(t, lx, func(c *client.Config) {
		c.Nodes = append(c.Nodes, good.node)
		c.Endpoints[good.node] = lg.url
	})
	for range 4 { // the order of nodes is random
		f := both.mustAsk(t, newSecret())
		if f.Receipt.Head.Node != good.node {
			t.Errorf("receipt of node %v", f.Receipt.Head.Node)
		}
	}
	if n := good.size(t); n != 4 {
		t.Errorf("4 requests left %d receipts", n)
	}
}

// An answer that begins well and is then given up by the enclave itself.
func TestAbandonedAnswer(t *testing.T) {
	t.Parallel()
	x := newLiar(t, shared)
	x.set(behaviour{reply: func(r *sealed.ReplyWriter) bool {
		if err := r.WriteHeader(http.StatusOK, nil); err != nil {
			t.Error(err)
		}
		if _, err := io.WriteString(r, liarsWords[:20]); err != nil {
			t.Error(err)
		}
		return true
	}})
	l := x.newRelay(t)
	secret := newSecret()
	a, err := x.newUser(t, l).ask(t, secret, false)
	wantError(t, err, unknown, secret, "not received to its end")
	if len(a.body) == 0 || !strings.HasPrefix(liarsWords[:20], string(a.body)) || json.Valid(a.body) { // some may wait for the receipt
		t.Errorf("read %q", a.body)
	}
}
