package ledger

import (
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/internal/leaffile"
)

// Leaf returns a durable leaf: the head of a receipt and its signature.
func (l *Ledger) Leaf(index uint64) (receipt.Head, [64]byte, error) {
	t := l.snapshot()
	if index >= t.size {
		return receipt.Head{}, [64]byte{}, fault.BadInput("leaf %d of a log of %d", index, t.size)
	}
	no := index / tileWidth
	recs, hashes, err := l.records(no, int(min(t.size-no*tileWidth, tileWidth)))
	if err != nil {
		return receipt.Head{}, [64]byte{}, err
	}
	i := int(index % tileWidth)
	want := t.tail
	if no < t.size/tileWidth {
		if err := t.fits(no, hashes); err != nil {
			return receipt.Head{}, [64]byte{}, err
		}
		want = hashes
	}
	if hashes[i] != want[i] {
		return receipt.Head{}, [64]byte{}, changed(no)
	}
	h, sig, err := leaffile.Parse(recs[i*leaffile.RecordSize:][:leaffile.RecordSize])
	if err != nil {
		return receipt.Head{}, [64]byte{}, err
	}
	// The tree vouches for the head only; the signature was on the disk.
	if key, ok := l.genesis.ReceiptKeys[h.Epoch]; ok && receipt.VerifyHead(&h, sig, key) != nil {
		return receipt.Head{}, [64]byte{}, changed(no)
	}
	return h, sig, nil
}

// InclusionProof returns the proof that leaf index is in the tree of the first
// size leaves, which must be durable.
func (l *Ledger) InclusionProof(index, size uint64) ([][32]byte, error) {
	t := l.snapshot()
	if size > t.size || index >= size {
		return nil, fault.BadInput("inclusion proof of leaf %d in %d leaves, of a log of %d", index, size, t.size)
	}
	p, err := tlog.ProveRecord(int64(size), int64(index), t.reader(l.leavesOf(t)))
	if err != nil {
		return nil, err
	}
	return hashes32(p), nil
}

// ConsistencyProof returns the proof that the tree of newSize leaves, which must
// be durable, continues the one of oldSize.
func (l *Ledger) ConsistencyProof(oldSize, newSize uint64) ([][32]byte, error) {
	t := l.snapshot()
	if newSize > t.size || oldSize > newSize {
		return nil, fault.BadInput("consistency proof from %d to %d leaves, of a log of %d", oldSize, newSize, t.size)
	}
	if oldSize == 0 || oldSize == newSize {
		return nil, nil
	}
	p, err := tlog.ProveTree(int64(newSize), int64(oldSize), t.reader(l.leavesOf(t)))
	if err != nil {
		return nil, err
	}
	return hashes32(p), nil
}

// Tile returns the bytes behind a tile path (docs/spec/log.md, section 4). A
// path that is none is bad input; a tile the log does not have yet gives an
// error that wraps fs.ErrNotExist. Partial tiles of any width up to the log's
// are served.
func (l *Ledger) Tile(path string) ([]byte, error) {
	tile, err := translog.ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	t := l.snapshot()
	first := tile.Index * tileWidth
	if first+uint64(tile.Width) > t.size>>(translog.TileHeight*tile.Level) {
		return nil, fmt.Errorf("tile %s of a log of %d leaves: %w", path, t.size, fs.ErrNotExist)
	}
	var hs []tlog.Hash
	switch {
	case tile.Level > 0:
		hs = t.sub[translog.TileHeight*(tile.Level-1)][first:]
	case tile.Index < t.size/tileWidth:
		if hs, err = l.leavesOf(t)(tile.Index); err != nil {
			return nil, err
		}
	default:
		hs = t.tail
	}
	out := make([]byte, 0, tile.Width*tlog.HashSize)
	for _, h := range hs[:tile.Width] {
		out = append(out, h[:]...)
	}
	return out, nil
}

// leavesOf reads complete tiles of leaf hashes and compares them with t.
func (l *Ledger) leavesOf(t tree) leaves {
	return func(no uint64) ([]tlog.Hash, error) {
		_, hs, err := l.records(no, tileWidth)
		if err != nil {
			return nil, err
		}
		if err := t.fits(no, hs); err != nil {
			return nil, err
		}
		return hs, nil
	}
}

func (t tree) fits(no uint64, hs []tlog.Hash) error {
	if subtree(hs) != t.sub[0][no] {
		return changed(no)
	}
	return nil
}

func changed(no uint64) error {
	return fault.False("the leaf file was changed while it was open: leaves %d to %d are not those that were written", no*tileWidth, no*tileWidth+tileWidth-1)
}

// records reads n records from leaf no*256 and hashes their heads.
func (l *Ledger) records(no uint64, n int) ([]byte, []tlog.Hash, error) {
	b := make([]byte, n*leaffile.RecordSize)
	if _, err := l.file.ReadAt(b, int64(no*tileWidth+1)*leaffile.RecordSize); err != nil {
		return nil, nil, fault.Unknown("reading the leaf file: %w", err)
	}
	hs := make([]tlog.Hash, n)
	for i := range hs {
		hs[i] = tlog.RecordHash(b[i*leaffile.RecordSize:][:receipt.HeadSize])
	}
	return b, hs, nil
}

func hashes32(p []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(p))
	for i := range p {
		out[i] = p[i]
	}
	return out
}
