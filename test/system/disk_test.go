package system

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave"
)

// current returns the epoch that the chain has registered last.
func (w *world) current(t testing.TB, r *runtime) uint32 {
	t.Helper()
	rec, err := w.reader.Node(testContext(t), r.node)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Current
}

// provable makes proofs of receipts from what an enclave serves now, and checks
// them as a stranger would.
func (r *runtime) provable(t testing.TB, u *user, src client.Source, receipts ...*receipt.File) {
	t.Helper()
	cfg, err := chain.ParseGlobalConfig(r.w.net.Chain.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	expect := client.Expect{Policy: r.w.policy(t), Registry: r.w.net.Registry, Trusted: []chain.BlockID{cfg.Trusted()}}
	for i, f := range receipts {
		p, err := u.Prove(testContext(t), src, f.Receipt)
		if err != nil {
			t.Errorf("receipt %d can't be proved: %v", i, err)
			continue
		}
		if _, err := client.VerifyProof(p, expect); err != nil {
			t.Errorf("proof of receipt %d: %v", i, err)
		}
	}
}

// source returns what to keep of the node for proofs.
func (r *runtime) source(t testing.TB, u *user) client.Source {
	t.Helper()
	n, err := u.Node(testContext(t), r.node)
	if err != nil {
		t.Fatal(err)
	}
	src, err := n.Source(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// leaves returns the log file of a directory.
func leaves(t testing.TB, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "leaves"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Two nodes, or one node twice, on one data directory. The second does not boot;
// the first notices nothing: its registration stands, and its log goes on.
func TestTwoNodesOneDirectory(t *testing.T) {
	t.Parallel()
	w, dir := shared, t.TempDir()
	node, other := w.takeNode(t), w.takeNode(t)
	first := w.boot(t, node, dir)
	l := first.newRelay(t)
	u := first.newUser(t, l)
	u.mustAsk(t, newSecret())

	wantError(t, w.bootError(t, other, dir), badInput, "", "the data directory is in use by another process; one node has one process")
	wantError(t, w.bootError(t, node, dir), badInput, "", "the data directory is in use by another process")
	if f := u.mustAsk(t, newSecret()); f.Receipt.Head.Index != 1 || f.Receipt.Head.Epoch != 1 {
		t.Errorf("receipt %d of epoch %d", f.Receipt.Head.Index, f.Receipt.Head.Epoch)
	}
	if n := w.current(t, first); n != 1 {
		t.Errorf("epoch %d is registered", n)
	}

	// one after the other is no better
	first.end()
	before := leaves(t, dir)
	wantError(t, w.bootError(t, other, dir), badInput, "", "node")
	if !bytes.Equal(leaves(t, dir), before) {
		t.Error("the log was changed by a node that it does not belong to")
	}
	second := w.boot(t, node, dir)
	l.target.Store(&second.url)
	u.Forget(node)
	if f := u.mustAsk(t, newSecret()); f.Receipt.Head.Index != 2 || f.Receipt.Head.Epoch != 2 {
		t.Errorf("receipt %d of epoch %d", f.Receipt.Head.Index, f.Receipt.Head.Epoch)
	}
}

// A restart from a copy of the data directory that is older than the chain's
// head. It is refused before anything is registered; with the newest copy the
// node goes on, every receipt can be proved, and no index was given out twice.
func TestOlderCopy(t *testing.T) {
	t.Parallel()
	w, dir, old := shared, t.TempDir(), t.TempDir()
	node := w.takeNode(t)
	first := w.boot(t, node, dir)
	l := first.newRelay(t)
	u := first.newUser(t, l)
	src := first.source(t, u)
	var given []*receipt.File
	ask := func(n int) {
		for range n {
			given = append(given, u.mustAsk(t, newSecret()))
		}
	}
	ask(2)
	copyDir(t, old, dir)
	ask(2)
	first.anchor(t)
	first.end()

	before := leaves(t, old)
	wantError(t, w.bootError(t, node, old), chainSay, "",
		"this data directory is older than what is anchored: it holds 2 receipts, the chain has 4; bring back the newest copy")
	if n := w.current(t, first); n != 1 {
		t.Errorf("epoch %d was registered by a boot that can't serve", n)
	}
	if !bytes.Equal(leaves(t, old), before) {
		t.Error("the older copy was changed")
	}

	// a host that exchanges the directory after the boot
	swapped := t.TempDir()
	copyDir(t, swapped, dir)
	second := w.launch(t, node, swapped)
	copyDir(t, swapped, old)
	if err := w.register(testContext(t), second.bundle(t)); err != nil {
		t.Fatal(err)
	}
	wantError(t, second.ended(t), chainSay, "", "this data directory is older than what is anchored")
	secret := newSecret()
	l.target.Store(&second.url)
	u.Forget(node)
	_, err := u.ask(t, secret, false)
	wantError(t, err, unknown, secret, "not serving")

	third := w.boot(t, node, dir)
	l.target.Store(&third.url)
	u.Forget(node)
	src2 := third.source(t, u)
	ask(1)
	third.anchor(t)
	for i, f := range given {
		if f.Receipt.Head.Index != uint64(i) {
			t.Errorf("receipt %d has index %d", i, f.Receipt.Head.Index)
		}
	}
	third.provable(t, u, src, given[:4]...)
	third.provable(t, u, src2, given[4])
	if e := given[4].Receipt.Head.Epoch; e != 3 {
		t.Errorf("the last receipt is of epoch %d", e)
	}
}

// A restart from a copy that lacks receipts which were not anchored yet. Nobody
// but their holders knows of them, so the enclave can't refuse; but no key signs
// an index twice, and the receipt of the lost leaf stays a proof against the
// node: it is genuine, and not in the log.
func TestLostTail(t *testing.T) {
	t.Parallel()
	w, dir, old := shared, t.TempDir(), t.TempDir()
	node := w.takeNode(t)
	first := w.boot(t, node, dir)
	l := first.newRelay(t)
	u := first.newUser(t, l)
	src := first.source(t, u)
	kept := u.mustAsk(t, newSecret())
	first.anchor(t)
	copyDir(t, old, dir)
	lost := u.mustAsk(t, newSecret())
	first.end()

	second := w.boot(t, node, old)
	l.target.Store(&second.url)
	u.Forget(node)
	next := u.mustAsk(t, newSecret())
	a, b := &lost.Receipt.Head, &next.Receipt.Head
	if a.Index != b.Index || a.Epoch == b.Epoch {
		t.Fatalf("indexes %d and %d, epochs %d and %d", a.Index, b.Index, a.Epoch, b.Epoch)
	}
	rec := second.anchor(t)
	if rec.Epochs[a.Epoch].ReceiptKey == rec.Epochs[b.Epoch].ReceiptKey {
		t.Error("one key signed an index twice")
	}
	if err := lost.Receipt.Verify(rec.Epochs[a.Epoch].ReceiptKey); err != nil {
		t.Errorf("the lost receipt is not genuine: %v", err)
	}
	second.provable(t, u, src, kept)
	second.provable(t, u, second.source(t, u), next)
	_, err := u.Prove(testContext(t), src, lost.Receipt)
	wantError(t, err, isFalse, "")

	// and from now on the first directory is another log than the anchored one
	second.end()
	wantError(t, w.bootError(t, node, dir), chainSay, "", "this data directory is not the log that is anchored")
}

// A power cut leaves the last leaf half written: it is dropped, since its receipt
// never left. Other damage is not repaired by dropping leaves.
func TestDamagedDirectory(t *testing.T) {
	t.Parallel()
	w, dir := shared, t.TempDir()
	node := w.takeNode(t)
	first := w.boot(t, node, dir)
	u := first.newUser(t, first.newRelay(t))
	for range 3 {
		u.mustAsk(t, newSecret())
	}
	first.end()
	whole := leaves(t, dir)
	write := func(b []byte) {
		if err := os.WriteFile(filepath.Join(dir, "leaves"), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	changed := bytes.Clone(whole)
	changed[len(changed)/2] ^= 1
	write(changed)
	wantError(t, w.bootError(t, node, dir), badInput, "", "damaged", "restore it from a copy")
	if !bytes.Equal(leaves(t, dir), changed) {
		t.Error("the damaged log was changed")
	}
	write(append(bytes.Clone(whole), whole[len(whole)-50:]...))
	second := w.boot(t, node, dir)
	if n := second.size(t); n != 3 {
		t.Errorf("the log has %d leaves after a torn write, want 3", n)
	}
	second.end()
	if second.e.State() != enclave.StateStopped || !bytes.Equal(leaves(t, dir), whole) {
		t.Error("the torn end is still there")
	}
}
