package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/internal/leaffile"
)

var testNode = attestation.Address{Hash: sha256.Sum256([]byte("node"))}

func epochKey(epoch uint32) (ed25519.PrivateKey, [32]byte) {
	seed := sha256.Sum256(binary.BigEndian.AppendUint32([]byte("epoch"), epoch))
	k := ed25519.NewKeyFromSeed(seed[:])
	return k, [32]byte(k.Public().(ed25519.PublicKey))
}

// boot returns what the chain says to the enclave of an epoch when nothing is
// anchored.
func boot(epoch uint32) Genesis {
	g := Genesis{ChainID: -239, Node: testNode, Epoch: epoch, ReceiptKeys: map[uint32][32]byte{}}
	for e := uint32(1); e <= epoch; e++ {
		_, g.ReceiptKeys[e] = epochKey(e)
	}
	return g
}

func anchoredAt(epoch uint32, c translog.Checkpoint) Genesis {
	g := boot(epoch)
	g.ChainSize, g.ChainRoot = c.Size, c.Root
	return g
}

func body() *receipt.Body { return &receipt.Body{Engine: "test/1", Finish: receipt.Complete} }

// signer returns a callback for Append that signs as the enclave of the epoch.
func signer(epoch uint32, holder byte) func(uint64) (*receipt.Receipt, error) {
	key, _ := epochKey(epoch)
	return func(index uint64) (*receipt.Receipt, error) {
		h := receipt.Head{Node: testNode, Epoch: epoch, Index: index, Time: uint32(index), BlockSeqno: 100}
		h.Holder[0] = holder
		return receipt.Sign(key, h, body())
	}
}

func mustOpen(t testing.TB, dir string, g Genesis) *Ledger {
	t.Helper()
	l, err := Open(dir, g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func fill(t testing.TB, l *Ledger, epoch uint32, n int) {
	t.Helper()
	for range n {
		if _, err := l.Append(signer(epoch, 0)); err != nil {
			t.Fatal(err)
		}
	}
}

func checkpoint(t testing.TB, l *Ledger) translog.Checkpoint {
	t.Helper()
	c, err := l.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wantFamily(t *testing.T, err error, want fault.Family, text string) {
	t.Helper()
	if err == nil || fault.FamilyOf(err) != want || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v (family %d), want family %d with %q", err, fault.FamilyOf(err), want, text)
	}
}

// copyDir is what an operator's backup does.
func copyDir(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestAppendAndProve(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	l := mustOpen(t, dir, boot(1))
	if c := checkpoint(t, l); c.Size != 0 || c.Root != translog.EmptyRoot {
		t.Fatalf("empty ledger: %+v", c)
	}
	const n = 600
	var receipts []*receipt.Receipt
	cps := map[uint64]translog.Checkpoint{}
	for i := range n {
		r, err := l.Append(signer(1, 7))
		if err != nil {
			t.Fatal(err)
		}
		if r.Head.Index != uint64(i) {
			t.Fatalf("index %d, want %d", r.Head.Index, i)
		}
		receipts = append(receipts, r)
		cps[uint64(i+1)] = checkpoint(t, l)
	}
	for _, size := range []uint64{1, 2, 255, 256, 257, 512, 513, 600} {
		for _, i := range []uint64{0, size / 2, size - 1} {
			p, err := l.InclusionProof(i, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := translog.VerifyInclusion(receipts[i].Head.LeafHash(), i, size, cps[size].Root, p); err != nil {
				t.Fatal(err)
			}
		}
		for _, old := range []uint64{0, 1, size / 2, size} {
			p, err := l.ConsistencyProof(old, size)
			if err != nil {
				t.Fatal(err)
			}
			root := translog.EmptyRoot
			if old > 0 {
				root = cps[old].Root
			}
			if err := translog.VerifyConsistency(old, root, size, cps[size].Root, p); err != nil {
				t.Fatalf("%d to %d: %v", old, size, err)
			}
		}
	}
	for _, i := range []uint64{0, 300, 599} {
		h, sig, err := l.Leaf(i)
		if err != nil || h != receipts[i].Head || sig != receipts[i].Signature {
			t.Fatalf("leaf %d: %v", i, err)
		}
	}
	for _, err := range []error{
		second(l.InclusionProof(600, 600)), second(l.InclusionProof(0, 601)),
		second(l.ConsistencyProof(0, 601)), second(l.ConsistencyProof(2, 1)), third(l.Leaf(600)),
	} {
		wantFamily(t, err, fault.FamilyInput, "of a log of 600")
	}
}

func second[A any](_ A, err error) error        { return err }
func third[A, B any](_ A, _ B, err error) error { return err }

// A client that trusts only the checkpoint reads the whole log from the tiles.
func TestTiles(t *testing.T) {
	l := mustOpen(t, t.TempDir(), boot(1))
	fill(t, l, 1, 700)
	c := checkpoint(t, l)
	r, err := translog.NewTileReader(c.Size, c.Root, func(_ context.Context, path string) ([]byte, error) { return l.Tile(path) })
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Size {
		h, _, err := l.Leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.LeafHash(t.Context(), i); err != nil || got != h.LeafHash() {
			t.Fatalf("leaf %d: %v", i, err)
		}
	}
	// An older, narrower tile of a tile that is full by now.
	b, err := l.Tile("tile/0/000.p/5")
	if err != nil || len(b) != 160 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	for _, path := range []string{"tile/0/003", "tile/0/002.p/189", "tile/0/002", "tile/1/000.p/3", "tile/2/000.p/1", "tile/5/x999/x999/000"} {
		if _, err := l.Tile(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want ErrNotExist", path, err)
		}
	}
	_, err = l.Tile("tile/entries/000")
	wantFamily(t, err, fault.FamilyInput, "tile path")
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	var want []receipt.Head
	cp := translog.Checkpoint{Root: translog.EmptyRoot}
	for epoch := uint32(1); epoch <= 4; epoch++ {
		l := mustOpen(t, dir, anchoredAt(epoch, cp))
		if l.Size() != uint64(len(want)) || l.Truncated() != 0 {
			t.Fatalf("epoch %d starts with %d leaves, want %d; %d bytes cut", epoch, l.Size(), len(want), l.Truncated())
		}
		for i := range 150 {
			r, err := l.Append(signer(epoch, 0))
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, r.Head)
			if i == 100 { // the last 49 leaves of an epoch are never anchored
				cp = checkpoint(t, l)
			}
		}
		for i := range want {
			h, _, err := l.Leaf(uint64(i))
			if err != nil || h != want[i] {
				t.Fatalf("epoch %d leaf %d: %v", epoch, i, err)
			}
		}
		if c := checkpoint(t, l); c.Epoch != epoch || c.ChainID != -239 || c.Node != testNode {
			t.Errorf("checkpoint %+v", c)
		}
		l.Close()
	}
}

// What a host may present at boot, and what it is told.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, boot(1))
	fill(t, l, 1, 300)
	l.Close()
	old := copyDir(t, dir)
	l = mustOpen(t, dir, boot(2))
	fill(t, l, 2, 300)
	cp := checkpoint(t, l)
	l.Close()

	edit := func(f func([]byte) []byte) string {
		d := copyDir(t, dir)
		p := filepath.Join(d, "leaves")
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, f(b), 0o600); err != nil {
			t.Fatal(err)
		}
		return d
	}
	reseal := func(b []byte, leaf int) {
		rec := b[(leaf+1)*leaffile.RecordSize:]
		h, sig, _ := leaffile.Parse(rec[:leaffile.RecordSize])
		copy(rec, leaffile.Append(nil, &h, &sig))
	}
	record := func(key ed25519.PrivateKey, h receipt.Head) []byte {
		r, err := receipt.Sign(key, h, body())
		if err != nil {
			t.Fatal(err)
		}
		return leaffile.Append(nil, &r.Head, &r.Signature)
	}
	key1, _ := epochKey(1)
	key2, _ := epochKey(2)
	other := anchoredAt(3, cp)
	other.Node.Hash[0] ^= 1
	noKey := boot(3)
	delete(noKey.ReceiptKeys, 2)
	half := anchoredAt(3, cp)
	half.ChainSize = 299 // root of 600 leaves for 299
	huge := boot(3)
	huge.ChainSize = translog.MaxSize + 1
	noOwn := boot(3)
	delete(noOwn.ReceiptKeys, 3)
	noEpoch := boot(3)
	noEpoch.Epoch = 0
	noEpoch.ReceiptKeys[0] = [32]byte{}
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)

	for _, tt := range []struct {
		name, dir string
		g         Genesis
		family    fault.Family
		want      string
	}{
		{"older copy", old, anchoredAt(3, cp), fault.FamilyChain, "older than what is anchored: it holds 300 receipts, the chain has 600"},
		{"empty directory", t.TempDir(), anchoredAt(3, cp), fault.FamilyChain, "older than what is anchored: it holds 0 receipts"},
		{"other root", dir, half, fault.FamilyChain, "not the log that is anchored"},
		{"other node", dir, other, fault.FamilyInput, "belongs to node"},
		{"same epoch", dir, boot(2), fault.FamilyChain, "every boot needs a new epoch"},
		{"older epoch", dir, boot(1), fault.FamilyChain, "every boot needs a new epoch"},
		{"no key of an epoch", dir, noKey, fault.FamilyChain, "the chain has no receipt key"},
		{"no own key", dir, noOwn, fault.FamilyInput, "receipt key of this boot's epoch 3"},
		{"epoch 0", dir, noEpoch, fault.FamilyInput, "epoch is missing"},
		{"huge size", dir, huge, fault.FamilyInput, "above the limit"},
		{"no directory", file, boot(3), fault.FamilyInput, "not a directory"},
		{"forged after the anchor", edit(func(b []byte) []byte {
			b[601*leaffile.RecordSize-5] ^= 1
			reseal(b, 599)
			return b
		}), boot(3), fault.FamilyChain, "leaf 599 of this data directory was not signed"},
		{"forged head before the anchor", edit(func(b []byte) []byte {
			b[6*leaffile.RecordSize+70] ^= 1
			reseal(b, 5)
			return b
		}), anchoredAt(3, cp), fault.FamilyChain, "not the log that is anchored"},
		{"leaf of another place", edit(func(b []byte) []byte {
			copy(b[10*leaffile.RecordSize:], b[11*leaffile.RecordSize:12*leaffile.RecordSize])
			return b
		}), boot(3), fault.FamilyChain, "leaf 9 of this data directory was signed as leaf 10"},
		{"leaf of another node", edit(func(b []byte) []byte {
			return append(b, record(key2, receipt.Head{Node: other.Node, Epoch: 2, Index: 600})...)
		}), boot(3), fault.FamilyChain, "of node"},
		{"epoch falls", edit(func(b []byte) []byte {
			return append(b, record(key1, receipt.Head{Node: testNode, Epoch: 1, Index: 600})...)
		}), boot(3), fault.FamilyChain, "of epoch 1, after one of epoch 2"},
		{"damage in the middle", edit(func(b []byte) []byte { b[300*leaffile.RecordSize+3] ^= 1; return b }), boot(3), fault.FamilyInput, "damaged at leaf 299"},
		{"damage in the last leaf", edit(func(b []byte) []byte { b[600*leaffile.RecordSize+3] ^= 1; return b }), boot(3), fault.FamilyInput, "damaged at leaf 599"},
		{"hole in the middle", edit(func(b []byte) []byte { clear(b[300*leaffile.RecordSize : 301*leaffile.RecordSize]); return b }), boot(3), fault.FamilyInput, "damaged at leaf 299"},
		{"head without shape", edit(func(b []byte) []byte {
			rec := make([]byte, leaffile.PayloadSize)
			return append(b, binary.LittleEndian.AppendUint32(rec, 0x0)...)[:len(b)+leaffile.RecordSize-1]
		}), anchoredAt(3, translog.Checkpoint{Size: 601}), fault.FamilyChain, "older than what is anchored"},
		{"header", edit(func(b []byte) []byte { b[0] ^= 1; return b }), boot(3), fault.FamilyInput, "header does not parse"},
		{"header checksum", edit(func(b []byte) []byte { b[9] ^= 1; return b }), boot(3), fault.FamilyInput, "header does not parse"},
		{"version", edit(func(b []byte) []byte {
			b[7] = 2
			resum(b)
			return b
		}), boot(3), fault.FamilyInput, "version 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, _ := os.ReadFile(filepath.Join(tt.dir, "leaves"))
			l, err := Open(tt.dir, tt.g)
			if err == nil {
				l.Close()
			}
			wantFamily(t, err, tt.family, tt.want)
			after, _ := os.ReadFile(filepath.Join(tt.dir, "leaves"))
			if tt.name != "head without shape" && tt.name != "empty directory" && !bytes.Equal(before, after) {
				t.Error("a refused directory was changed")
			}
		})
	}
	// The refusals left no lock behind, and the true directory still opens.
	mustOpen(t, dir, anchoredAt(3, cp))
}

func resum(b []byte) {
	h := append([]byte(nil), b[:leaffile.PayloadSize]...)
	binary.LittleEndian.PutUint32(b[leaffile.PayloadSize:], leaffile.Checksum(h))
}

// A leaf whose bytes are sealed and mean nothing is damage too.
func TestOpenRefusesLeafWithoutShape(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir, boot(1)).Close()
	p := filepath.Join(dir, "leaves")
	b, _ := os.ReadFile(p)
	rec := make([]byte, leaffile.RecordSize)
	resum(rec)
	os.WriteFile(p, append(b, rec...), 0o600)
	_, err := Open(dir, boot(2))
	wantFamily(t, err, fault.FamilyInput, "damaged at leaf 0: receipt head")
}

func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, boot(1))
	fill(t, l, 1, 3)
	cp := checkpoint(t, l)
	l.Close()
	full, err := os.ReadFile(filepath.Join(dir, "leaves"))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := signer(1, 0)(3)
	rec := leaffile.Append(nil, &r.Head, &r.Signature)
	for _, tail := range [][]byte{
		rec[:1], rec[:100], rec[:leaffile.RecordSize-1], // too short
		append(bytes.Clone(rec[:100]), make([]byte, leaffile.RecordSize-100)...), // sectors missing
		make([]byte, leaffile.RecordSize), make([]byte, 70000),                   // reserved, never written
	} {
		d := t.TempDir()
		os.WriteFile(filepath.Join(d, "leaves"), append(bytes.Clone(full), tail...), 0o600)
		l := mustOpen(t, d, anchoredAt(2, cp))
		if l.Size() != 3 || l.Truncated() != int64(len(tail)) {
			t.Errorf("%d leaves, %d bytes cut, want 3 and %d", l.Size(), l.Truncated(), len(tail))
		}
		fill(t, l, 2, 2)
		l.Close()
		if l := mustOpen(t, d, anchoredAt(3, cp)); l.Size() != 5 {
			t.Errorf("%d leaves after appending to a cut log, want 5", l.Size())
		}
	}
	// A cut header is a directory that was being made.
	for n := range leaffile.RecordSize {
		d := t.TempDir()
		os.WriteFile(filepath.Join(d, "leaves"), full[:n], 0o600)
		l := mustOpen(t, d, boot(1))
		fill(t, l, 1, 1)
		l.Close()
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	if os.Getenv("LEDGER_TEST_DIR") != "" {
		_, err := Open(os.Getenv("LEDGER_TEST_DIR"), boot(2))
		fmt.Println("child:", err)
		return
	}
	l := mustOpen(t, dir, boot(1))
	_, err := Open(dir, boot(2))
	wantFamily(t, err, fault.FamilyInput, "in use by another process")
	cmd := exec.Command(os.Args[0], "-test.run", "^TestLock$", "-test.v")
	cmd.Env = append(os.Environ(), "LEDGER_TEST_DIR="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "child: the data directory is in use") {
		t.Fatalf("second process: %v\n%s", err, out)
	}
	l.Close()
	mustOpen(t, dir, boot(2))
}

func TestClose(t *testing.T) {
	l := mustOpen(t, t.TempDir(), boot(1))
	fill(t, l, 1, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := l.Append(signer(1, 0))
	wantFamily(t, err, fault.FamilyUnknown, "closed")
}

func TestAppendChecksTheReceipt(t *testing.T) {
	key, _ := epochKey(1)
	good := func(i uint64) receipt.Head { return receipt.Head{Node: testNode, Epoch: 1, Index: i} }
	for name, edit := range map[string]func(*receipt.Receipt, *receipt.Head){
		"index":     func(_ *receipt.Receipt, h *receipt.Head) { h.Index++ },
		"epoch":     func(_ *receipt.Receipt, h *receipt.Head) { h.Epoch++ },
		"node":      func(_ *receipt.Receipt, h *receipt.Head) { h.Node.Workchain = -1 },
		"signature": func(r *receipt.Receipt, _ *receipt.Head) { r.Signature[5] ^= 1 },
		"body":      func(r *receipt.Receipt, _ *receipt.Head) { r.Body.Price++ },
	} {
		t.Run(name, func(t *testing.T) {
			l := mustOpen(t, t.TempDir(), boot(1))
			fill(t, l, 1, 2)
			// An error of sign uses up no index.
			no := errors.New("no")
			if _, err := l.Append(func(uint64) (*receipt.Receipt, error) { return nil, no }); err != no {
				t.Fatalf("%v", err)
			}
			fill(t, l, 1, 1)
			_, err := l.Append(func(i uint64) (*receipt.Receipt, error) {
				h := good(i)
				edit(&receipt.Receipt{}, &h)
				r, err := receipt.Sign(key, h, body())
				if err == nil {
					edit(r, &receipt.Head{})
				}
				return r, err
			})
			if err == nil || !strings.Contains(err.Error(), "does not belong at index 3") {
				t.Fatal(err)
			}
			// The key has signed something that is not in the log: it is over.
			if _, err := l.Append(signer(1, 0)); err == nil {
				t.Fatal("append after a stray signature")
			}
			if l.Size() != 3 {
				t.Errorf("%d leaves, want 3", l.Size())
			}
		})
	}
}

// The host changes the file under a running enclave.
func TestDiskChangesWhileOpen(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, boot(1))
	fill(t, l, 1, 300)
	good := checkpoint(t, l)
	f, err := os.OpenFile(filepath.Join(dir, "leaves"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteAt([]byte{1}, 11*leaffile.RecordSize+80)         // head of leaf 10
	f.WriteAt([]byte{1, 2, 3}, 291*leaffile.RecordSize+130) // signature of leaf 290
	f.WriteAt([]byte{1, 2, 3}, 292*leaffile.RecordSize+80)  // head of leaf 291, in the last, partial tile
	for name, err := range map[string]error{
		"tile":        second(l.Tile("tile/0/000")),
		"inclusion":   second(l.InclusionProof(11, 300)),
		"consistency": second(l.ConsistencyProof(7, 300)),
		"leaf":        third(l.Leaf(10)),
		"neighbour":   third(l.Leaf(11)),
		"signature":   third(l.Leaf(290)),
		"tail":        third(l.Leaf(291)),
	} {
		if fault.FamilyOf(err) != fault.FamilyFalse || !strings.Contains(err.Error(), "changed while it was open") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The checkpoint comes from memory.
	if c := checkpoint(t, l); c != good {
		t.Error("the disk moved the root")
	}
	f.Truncate(5)
	_, err = l.Tile("tile/0/000")
	wantFamily(t, err, fault.FamilyUnknown, "reading the leaf file")
	_, _, err = l.Leaf(299)
	wantFamily(t, err, fault.FamilyUnknown, "reading the leaf file")
}

// Many writers, and readers beside them: every index once, every proof right.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, boot(1))
	var mu sync.Mutex
	seen := map[uint64]receipt.Head{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 60 {
				r, err := l.Append(signer(1, 0))
				if err != nil {
					t.Error(err)
					return
				}
				if s := l.Size(); s <= r.Head.Index {
					t.Errorf("receipt %d returned, log has %d leaves", r.Head.Index, s)
				}
				mu.Lock()
				if _, twice := seen[r.Head.Index]; twice {
					t.Errorf("index %d given twice", r.Head.Index)
				}
				seen[r.Head.Index] = r.Head
				mu.Unlock()
			}
		})
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			c, err := l.Checkpoint()
			if err != nil {
				t.Error(err)
				return
			}
			if c.Size == 0 {
				continue
			}
			h, _, err := l.Leaf(c.Size / 2)
			if err != nil {
				t.Error(err)
				return
			}
			p, err := l.InclusionProof(c.Size/2, c.Size)
			if err != nil {
				t.Error(err)
				return
			}
			if err := translog.VerifyInclusion(h.LeafHash(), c.Size/2, c.Size, c.Root, p); err != nil {
				t.Error(err)
				return
			}
		}
	})
	wg.Wait()
	close(done)
	readers.Wait()
	if len(seen) != 480 || l.Size() != 480 {
		t.Errorf("%d receipts, %d leaves, want 480", len(seen), l.Size())
	}
	l.Close()
	l = mustOpen(t, dir, boot(2))
	got := map[uint64]receipt.Head{}
	for i := range l.Size() {
		h, _, err := l.Leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		got[i] = h
	}
	if !maps.Equal(seen, got) {
		t.Error("the leaves on disk are not those that were returned")
	}
}

func TestFullLog(t *testing.T) {
	l := mustOpen(t, t.TempDir(), boot(1))
	l.next = translog.MaxSize
	_, err := l.Append(func(uint64) (*receipt.Receipt, error) {
		t.Error("an index was given out")
		return nil, errors.New("no")
	})
	wantFamily(t, err, fault.FamilyRefused, "the log is full")
}
