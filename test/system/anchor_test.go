package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave"
)

// junk sends a node large messages that it does not want, with one payment.
func (w *world) junk(t testing.TB, to attestation.Address, n int) {
	t.Helper()
	fill := bytes.Repeat([]byte{0xa5}, 119)
	salt := uint64(time.Now().UnixNano())
	leaf := func(i int) *cell.Builder {
		return cell.BeginCell().MustStoreUInt(salt+uint64(i), 64).MustStoreSlice(fill, 952)
	}
	body := leaf(0)
	for i := range 4 {
		b := leaf(1000 * (i + 1))
		for j := range 4 {
			c := leaf(1000*(i+1) + 100*(j+1))
			for k := range 4 {
				d := leaf(1000*(i+1) + 100*(j+1) + 10*(k+1))
				for l := range 4 {
					d.MustStoreRef(leaf(1000*(i+1) + 100*(j+1) + 10*(k+1) + l + 1).EndCell())
				}
				c.MustStoreRef(d.EndCell())
			}
			b.MustStoreRef(c.EndCell())
		}
		body.MustStoreRef(b.EndCell())
	}
	msgs := make([]chain.Message, n)
	for i := range msgs {
		msgs[i] = chain.Message{To: to, Amount: big.NewInt(50_000_000), Body: body.EndCell()}
	}
	if _, err := w.writer.Send(testContext(t), fmt.Sprintf("junk %d", salt), msgs...); err != nil {
		t.Fatal(err)
	}
}

// Whoever floods a node with large messages makes neither proofs longer nor their
// export impossible, whenever he does it.
func TestFlood(t *testing.T) {
	t.Parallel()
	w, ctx := shared, testContext(t)
	r := w.bootFresh(t)
	u := r.newUser(t, r.newRelay(t))
	src := r.source(t, u)
	cfg, err := chain.ParseGlobalConfig(w.net.Chain.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.net.Chain.Faucet(ctx, w.writer.Address(), 200_000_000_000); err != nil {
		t.Fatal(err)
	}
	expect := client.Expect{Policy: w.policy(t), Registry: w.net.Registry, Trusted: []chain.BlockID{cfg.Trusted()}}
	var files []*receipt.File
	ask := func() {
		t.Helper()
		files = append(files, u.mustAsk(t, newSecret()))
		r.anchor(t)
	}
	anchors := map[uint64][32]byte{} // transactions, by leaf
	prove := func(f *receipt.File) int {
		t.Helper()
		began := time.Now()
		p, err := u.Prove(ctx, src, f.Receipt)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		c, err := client.VerifyProof(p, expect)
		if err != nil {
			t.Fatal(err)
		}
		anchors[f.Receipt.Head.Index] = c.AnchorTx
		b, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("in %s a proof of %d bytes, of them node %d, registry %d, passage %d, bundle %d", took.Round(time.Millisecond), len(b), len(p.AccountProof), len(p.RegistryProof), len(p.Passage), len(p.Bundle))
		return len(b)
	}
	ask()
	quiet := prove(files[0])
	const n = 250
	w.junk(t, r.node, n)
	late := prove(files[0])
	w.junk(t, r.node, n)
	ask() // between two floods
	w.junk(t, r.node, n)
	between := prove(files[1])
	// Other tests' nodes make the registry longer too; a message of the flood that is
	// in a proof takes hundreds of bytes.
	for _, size := range []int{late, between} {
		if size > quiet+64*n {
			t.Errorf("a proof of %d bytes; without the flood it has %d", size, quiet)
		}
	}
	for size := range uint64(4) { // of 0 leaves, and of more than there are, there is none
		tx, err := u.AnchorTx(ctx, r.node, size)
		if there := size == 1 || size == 2; (err == nil) != there || there && tx != anchors[size-1] {
			t.Errorf("%d leaves were anchored by %x, %v", size, tx, err)
		}
	}
	acc, err := w.client.Account(ctx, r.node)
	if err != nil {
		t.Fatal(err)
	}
	if txs, err := w.client.Transactions(ctx, acc, 3*n); err != nil || len(txs) < 3*n {
		t.Errorf("the flood was of %d transactions, %v", len(txs), err)
	}
}

// forgetful is a chain whose liteservers have no old states.
type forgetful struct{ chain.Reader }

func (forgetful) FirstState(context.Context, attestation.Address, uint32, func(*chain.Account) (bool, error)) (before, first *chain.Account, err error) {
	return nil, nil, attestation.Unknown("forgotten")
}

// A proof is as good months later as it is at once, whatever the registry took off its
// lists meanwhile. What a registry lists months later is not taken for what it listed.
func TestLateExport(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w, err := newWorld(ctx, t.TempDir(), now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	w.now = now
	r := w.bootFresh(t, func(o *enclave.Options) { o.Now = now })
	onTime := func(c *client.Config) { c.Now = now }
	u := r.newUser(t, r.newRelay(t), onTime)
	src := r.source(t, u)
	f := u.mustAsk(t, newSecret())
	r.anchor(t)
	expect := client.Expect{Policy: w.policy(t), Registry: w.net.Registry}
	prove := func(u *user, f *receipt.File) (*receipt.Proof, error) {
		t.Helper()
		p, err := u.Prove(ctx, src, f.Receipt)
		if err != nil {
			return nil, err
		}
		way, err := chain.ProofBlocks(p.AccountProof)
		if err != nil {
			t.Fatal(err)
		}
		expect.Trusted = way[:1] // the config's of that time
		_, err = client.VerifyProof(p, expect)
		return p, err
	}
	soon, err := prove(u, f)
	if err != nil {
		t.Fatal(err)
	}

	// The node is told things, and liteservers have forgotten.
	short := r.newUser(t, r.newRelay(t), func(c *client.Config) { c.Chain = forgetful{w.client} })
	skip := func(d time.Duration) {
		t.Helper()
		ahead.Add(int64(d))
		for { // until the chain has followed
			if _, err := w.client.Head(ctx); err == nil {
				return
			} else if ctx.Err() != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	skip(time.Hour)
	w.junk(t, r.node, 3)
	if _, err := prove(short, f); err != nil {
		t.Errorf("nothing came to the registry since: %v", err)
	}

	// The registry takes the code off its list.
	waiting := u.mustAsk(t, newSecret())
	list, err := w.reader.Root(ctx, w.net.Registry)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := w.reader.Node(ctx, r.node)
	if err != nil {
		t.Fatal(err)
	}
	code := rec.Epochs[rec.Current].Measurement
	off, err := json.Marshal(fmt.Sprintf("%x", code))
	if err != nil {
		t.Fatal(err)
	}
	w.govern(t, "remove-measurement", off)
	if after, err := w.reader.Root(ctx, w.net.Registry); err != nil || len(after.Measurements) != len(list.Measurements)-1 {
		t.Fatalf("%d of %d measurements, %v", len(after.Measurements), len(list.Measurements), err)
	}
	_, err = prove(short, f)
	wantError(t, err, unknown, "", "forgotten", "the registry has changed since the anchor")

	// A receipt that the chain took only then is judged by what is left of the list,
	// and not at all when its machine was revoked.
	r.anchor(t)
	_, err = prove(u, waiting)
	wantError(t, err, refused, "", "the code that runs is accepted")
	machine, err := json.Marshal(fmt.Sprintf("%x", rec.Epochs[rec.Current].PlatformID))
	if err != nil {
		t.Fatal(err)
	}
	careless := r.newUser(t, r.newRelay(t), onTime, func(c *client.Config) {
		c.Policy = w.policy(t, `measurements = "from registry`, "unsafe_any_measurement = true\n#")
	})
	waiting = careless.mustAsk(t, newSecret())
	w.govern(t, "revoke-platform", machine)
	r.anchor(t)
	_, err = prove(u, waiting)
	wantError(t, err, refused, "", "the registry had revoked the machine of epoch 1")
	skip(90 * 24 * time.Hour)
	late, err := prove(u, f)
	if err != nil {
		t.Fatal(err)
	}
	if len(late.AccountProof) > len(soon.AccountProof)+20_000 || late.Checkpoint.Signature != soon.Checkpoint.Signature {
		t.Errorf("the late proof of the node has %d bytes, the early one %d", len(late.AccountProof), len(soon.AccountProof))
	}
	c, err := client.VerifyProof(late, expect)
	if err != nil || c.AnchoredAt.Sub(c.Trail.Step(client.StepRegistry).At).Abs() > 10*time.Minute {
		t.Errorf("%+v, %v", c, err)
	}

	// Whoever shows the registry of now is not believed.
	acc, err := w.client.Account(ctx, r.node)
	if err != nil {
		t.Fatal(err)
	}
	root, err := w.client.AccountAt(ctx, acc.Block, w.net.Registry)
	if err != nil {
		t.Fatal(err)
	}
	txs, err := w.client.History(ctx, acc, 100, func(x *chain.Transaction) bool { return x.After(nil) })
	if err != nil {
		t.Fatal(err)
	}
	p := *late
	p.AccountProof, p.RegistryProof = acc.Proof, root.Proof
	if p.Passage, err = chain.EncodePassage(txs, 0, nil); err != nil {
		t.Fatal(err)
	}
	_, err = client.VerifyProof(&p, expect)
	wantError(t, err, unknown, "", "the proof does not show what the registry listed at the time of the anchor", "from an archive liteserver")
}
