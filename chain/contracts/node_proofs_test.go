package contracts

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// testLog is a log in memory.
type testLog struct {
	t      testing.TB
	leaves [][32]byte
	hashes []tlog.Hash
}

func newTestLog(t testing.TB, n int) *testLog {
	l := &testLog{t: t}
	for i := range n {
		var b [9]byte
		binary.BigEndian.PutUint64(b[1:], uint64(i))
		l.add(sha256.Sum256(b[:]))
	}
	return l
}

func (l *testLog) add(leaf [32]byte) {
	l.t.Helper()
	h, err := tlog.StoredHashesForRecordHash(int64(len(l.leaves)), leaf, l)
	if err != nil {
		l.t.Fatal(err)
	}
	l.leaves, l.hashes = append(l.leaves, leaf), append(l.hashes, h...)
}

// ReadHashes serves the tree's stored hashes.
func (l *testLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *testLog) root(size int) [32]byte {
	l.t.Helper()
	h, err := tlog.TreeHash(int64(size), l)
	if err != nil {
		l.t.Fatal(err)
	}
	return h
}

func (l *testLog) inclusion(index, size int) [][32]byte {
	l.t.Helper()
	p, err := tlog.ProveRecord(int64(size), int64(index), l)
	if err != nil {
		l.t.Fatal(err)
	}
	return hashes(p)
}

func (l *testLog) consistency(old, size int) [][32]byte {
	l.t.Helper()
	p, err := tlog.ProveTree(int64(size), int64(old), l)
	if err != nil {
		l.t.Fatal(err)
	}
	return hashes(p)
}

func hashes[T ~[]tlog.Hash](p T) (out [][32]byte) {
	for _, h := range p {
		out = append(out, h)
	}
	return out
}

var nodeHarness = loadHarness("node_harness")

// included asks the contract's code; a proof that is too short throws.
func included(t testing.TB, leaf [32]byte, index, size uint64, root [32]byte, proof *cellT) (bool, int64) {
	t.Helper()
	r := callOn(t, nodeHarness(), tvmtest.Start, "included", num(leaf[:]), uintNum(index), uintNum(size), num(root[:]), proof)
	return verdict(t, r), r.gas
}

func continued(t testing.TB, old uint64, oldRoot [32]byte, size uint64, root [32]byte, proof *cellT) (bool, int64) {
	t.Helper()
	r := callOn(t, nodeHarness(), tvmtest.Start, "continued", uintNum(old), num(oldRoot[:]), uintNum(size), num(root[:]), proof)
	return verdict(t, r), r.gas
}

func uintNum(v uint64) *big.Int { return new(big.Int).SetUint64(v) }

func verdict(t testing.TB, r result) bool {
	t.Helper()
	if r.exit == exitUnderflow {
		return false
	}
	if r.exit != 0 {
		t.Fatalf("a proof ends with %s", ErrorName(int(r.exit)))
	}
	return r.stack[0].(*big.Int).Sign() != 0
}

// TestInclusionMirror compares the contract's verdict with translog's: every
// leaf of every small tree, and each of their proofs spoiled.
func TestInclusionMirror(t *testing.T) {
	l := newTestLog(t, 34)
	for size := 1; size <= 34; size++ {
		root := l.root(size)
		for index := range size {
			proof := l.inclusion(index, size)
			if ok, _ := included(t, l.leaves[index], uint64(index), uint64(size), root, proofCell(proof)); !ok {
				t.Fatalf("leaf %d of %d is refused", index, size)
			}
		}
	}
	r := rand.New(rand.NewPCG(2, 3))
	accepted := 0
	for range 2000 {
		size := 1 + r.IntN(34)
		index := r.IntN(size)
		leaf, at, of, root, proof := l.leaves[index], uint64(index), uint64(size), l.root(size), l.inclusion(index, size)
		switch r.IntN(6) {
		case 0:
			at = uint64(r.IntN(size))
		case 1:
			of = at + 1 + uint64(r.IntN(40))
		case 2:
			leaf[r.IntN(32)] ^= 1
		case 3:
			root[r.IntN(32)] ^= 1
		default:
			proof = spoil(r, proof)
		}
		want := translog.VerifyInclusion(leaf, at, of, root, proof) == nil
		if got, _ := included(t, leaf, at, of, root, proofCell(proof)); got != want {
			t.Fatalf("leaf %d of %d, proof %x: contract says %v, translog %v", at, of, proof, got, want)
		}
		if want {
			accepted++
		}
	}
	if accepted > 700 {
		t.Errorf("%d of 2000 cases were good", accepted)
	}
}

// spoil changes a proof in one way.
func spoil(r *rand.Rand, p [][32]byte) [][32]byte {
	p = slices.Clone(p)
	switch i := r.IntN(len(p) + 1); r.IntN(5) {
	case 0:
		return slices.Insert(p, i, [32]byte{byte(r.IntN(256))})
	case 1:
		if i < len(p) {
			return slices.Delete(p, i, i+1)
		}
	case 2:
		if i < len(p) {
			p[i][r.IntN(32)] ^= 1 << r.IntN(8)
		}
	case 3:
		if i > 0 && i < len(p) {
			p[i], p[i-1] = p[i-1], p[i]
		}
	case 4:
		if i < len(p) {
			return append(p, p[i])
		}
	}
	return p
}

// TestConsistencyMirror does the same for proofs that a log only grew.
func TestConsistencyMirror(t *testing.T) {
	l := newTestLog(t, 34)
	for size := 2; size <= 34; size++ {
		for old := 1; old < size; old++ {
			if ok, _ := continued(t, uint64(old), l.root(old), uint64(size), l.root(size), proofCell(l.consistency(old, size))); !ok {
				t.Fatalf("the growth from %d to %d is refused", old, size)
			}
		}
	}
	r := rand.New(rand.NewPCG(4, 5))
	accepted := 0
	for range 2000 {
		size := 2 + r.IntN(33)
		old := 1 + r.IntN(size-1)
		from, to, oldRoot, root, proof := uint64(old), uint64(size), l.root(old), l.root(size), l.consistency(old, size)
		switch r.IntN(6) {
		case 0:
			from = uint64(1 + r.IntN(size-1))
		case 1:
			to = from + 1 + uint64(r.IntN(40))
		case 2:
			oldRoot[r.IntN(32)] ^= 1
		case 3:
			root[r.IntN(32)] ^= 1
		default:
			proof = spoil(r, proof)
		}
		want := translog.VerifyConsistency(from, oldRoot, to, root, proof) == nil
		if got, _ := continued(t, from, oldRoot, to, root, proofCell(proof)); got != want {
			t.Fatalf("from %d to %d, proof %x: contract says %v, translog %v", from, to, proof, got, want)
		}
		if want {
			accepted++
		}
	}
	if accepted > 700 {
		t.Errorf("%d of 2000 cases were good", accepted)
	}
}

// TestProofShape refuses proofs that are cut into cells in another way.
func TestProofShape(t *testing.T) {
	l := newTestLog(t, 100)
	root, proof := l.root(100), l.inclusion(30, 100)
	shape := treeOf(proofCell(proof))
	n := 0
	shape.reshapes(func(what string) {
		n++
		if ok, _ := included(t, l.leaves[30], 30, 100, root, shape.cell()); ok && !sameHashes(shape, proof) {
			t.Errorf("proof with cell %s is accepted", what)
		}
	})
	if n < 40 {
		t.Errorf("only %d shapes", n)
	}
}

// sameHashes reports whether a chain of cells holds these hashes and nothing
// else, however many lie in each cell: hashes may be cut between cells.
func sameHashes(c *tree, proof [][32]byte) bool {
	var bits []byte
	for ; ; c = c.refs[0] {
		if len(c.bits)%256 != 0 || len(c.refs) > 1 {
			return false
		}
		bits = append(bits, c.bits...)
		if len(c.refs) == 0 {
			break
		}
	}
	if len(bits) != 256*len(proof) {
		return false
	}
	for i, b := range bits {
		if b != proof[i/256][i%256/8]>>(7-i%8)&1 {
			return false
		}
	}
	return true
}

// uniform is the stored hashes of a log whose leaves are all the same, so that
// it may be as long as a log can be.
type uniform [49]tlog.Hash

func newUniform(leaf tlog.Hash) (u uniform) {
	u[0] = leaf
	for i := 1; i < len(u); i++ {
		u[i] = tlog.NodeHash(u[i-1], u[i-1])
	}
	return u
}

func (u uniform) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		level, _ := tlog.SplitStoredHashIndex(x)
		out[i] = u[level]
	}
	return out, nil
}

// TestProofGas pins what a proof costs for each level of the tree.
func TestProofGas(t *testing.T) {
	u := newUniform(tlog.Hash{7})
	var last int64
	for _, levels := range []int{10, 20, 30, 47, 48} {
		size := int64(1) << levels
		if levels == 48 {
			size = translog.MaxSize
		}
		root, err := tlog.TreeHash(size, u)
		if err != nil {
			t.Fatal(err)
		}
		p, err := tlog.ProveRecord(size, size/3, u)
		if err != nil {
			t.Fatal(err)
		}
		ok, gas := included(t, u[0], uint64(size/3), uint64(size), root, proofCell(hashes(p)))
		if !ok {
			t.Fatalf("a leaf of a log of %d is refused", size)
		}
		old := size/2 - 1 // all levels but one hash twice
		oldRoot, err := tlog.TreeHash(old, u)
		if err != nil {
			t.Fatal(err)
		}
		c, err := tlog.ProveTree(size, old, u)
		if err != nil {
			t.Fatal(err)
		}
		ok, growth := continued(t, uint64(old), oldRoot, uint64(size), root, proofCell(hashes(c)))
		if !ok {
			t.Fatalf("the growth of a log of %d is refused", size)
		}
		t.Logf("%d levels: inclusion %d gas, consistency %d gas", levels, gas, growth)
		if last > 0 && gas > last+1100*int64(levels-10) {
			t.Errorf("inclusion takes %d gas for %d levels", gas, levels)
		}
		if levels == 10 {
			last = gas
		}
		if growth > 1500*int64(levels)+2000 {
			t.Errorf("consistency takes %d gas for %d levels", growth, levels)
		}
	}
}
