package translog

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// hashesOf cuts bytes into hashes; what is left over is dropped.
func hashesOf(b []byte) (h [][32]byte) {
	for ; len(b) >= 32; b = b[32:] {
		h = append(h, [32]byte(b))
	}
	return h
}

// smallTree returns a tree of n leaves: the hashes as tlog stores them, and its root.
func smallTree(f *testing.F, n int64) (tlog.HashReaderFunc, [32]byte) {
	f.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i := range n {
		add, err := tlog.StoredHashes(i, binary.BigEndian.AppendUint64(nil, uint64(i)), read)
		if err != nil {
			f.Fatal(err)
		}
		stored = append(stored, add...)
	}
	root, err := tlog.TreeHash(n, read)
	if err != nil {
		f.Fatal(err)
	}
	return read, [32]byte(root)
}

// FuzzInclusion: no numbers and no proof make a leaf part of a tree that it is
// not part of.
func FuzzInclusion(f *testing.F) {
	const size = 11
	read, root := smallTree(f, size)
	for i := range int64(size) {
		p, err := tlog.ProveRecord(size, i, read)
		if err != nil {
			f.Fatal(err)
		}
		leaf := tlog.RecordHash(binary.BigEndian.AppendUint64(nil, uint64(i)))
		var b []byte
		for _, h := range p {
			b = append(b, h[:]...)
		}
		f.Add(leaf[:], uint64(i), uint64(size), b)
	}
	f.Fuzz(func(t *testing.T, leaf []byte, index, n uint64, proof []byte) {
		h := sha256.Sum256(leaf)
		if len(leaf) == 32 {
			h = [32]byte(leaf)
		}
		if VerifyInclusion(h, index, n, root, hashesOf(proof)) != nil || n != size {
			return // another size is another tree, which may have the same root for shorter paths
		}
		if want := tlog.RecordHash(binary.BigEndian.AppendUint64(nil, index)); [32]byte(want) != h {
			t.Errorf("%x is leaf %d", h, index)
		}
	})
}

// FuzzConsistency: no proof makes another root that of the first leaves.
func FuzzConsistency(f *testing.F) {
	const size = 11
	read, root := smallTree(f, size)
	roots := map[uint64][32]byte{0: EmptyRoot}
	for i := int64(1); i <= size; i++ {
		h, err := tlog.TreeHash(i, read)
		if err != nil {
			f.Fatal(err)
		}
		p, err := tlog.ProveTree(size, i, read)
		if err != nil {
			f.Fatal(err)
		}
		var b []byte
		for _, x := range p {
			b = append(b, x[:]...)
		}
		roots[uint64(i)] = h
		f.Add(uint64(i), h[:], b)
	}
	f.Fuzz(func(t *testing.T, n uint64, old, proof []byte) {
		if len(old) != 32 || VerifyConsistency(n, [32]byte(old), size, root, hashesOf(proof)) != nil {
			return
		}
		if want, ok := roots[n]; !ok || want != [32]byte(old) {
			t.Errorf("%x is the root of the first %d leaves", old, n)
		}
	})
}

// FuzzParseTile: what is read from a tile is all of it.
func FuzzParseTile(f *testing.F) {
	f.Add("tile/0/000", make([]byte, 256*32))
	f.Add("tile/0/000.p/2", make([]byte, 64))
	f.Fuzz(func(t *testing.T, path string, b []byte) {
		tile, err := ParseTilePath(path)
		if err != nil {
			return
		}
		if h, err := ParseTile(tile, b); err == nil && len(h)*32 != len(b) {
			t.Errorf("%d hashes of %d bytes", len(h), len(b))
		}
	})
}
