package translog

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation"
)

// Fetch returns the bytes behind a tile path, for example by HTTP below the
// log's URL. It must limit what it reads: no tile has more than 8192 bytes. An
// error that wraps fs.ErrNotExist says that the server does not have the tile.
// It may be called by several goroutines at once.
type Fetch func(ctx context.Context, path string) ([]byte, error)

// maxCached bounds the verified tiles a TileReader keeps (8 KiB each).
const maxCached = 512

// TileReader reads a log through its tiles. Every hash it returns was checked
// against the root it was made with, whoever served it; a tile that does not
// fit is named in the error, which is false evidence. A tile that cannot be
// had is "could not find out". Safe for concurrent use.
type TileReader struct {
	size  uint64
	root  [32]byte
	fetch Fetch

	mu    sync.Mutex // guards cache, order
	cache map[Tile][][32]byte
	order []Tile // oldest first
}

// NewTileReader returns a reader of the tree of size leaves with the given
// root, both from a checkpoint or an anchor that the caller has verified.
func NewTileReader(size uint64, root [32]byte, fetch Fetch) (*TileReader, error) {
	if size > MaxSize {
		return nil, attestation.BadInput("log of %d leaves, limit %d", size, uint64(MaxSize))
	}
	if size == 0 && root != EmptyRoot {
		return nil, attestation.False("log without leaves has root %x, want %x", root, EmptyRoot)
	}
	return &TileReader{size: size, root: root, fetch: fetch, cache: map[Tile][][32]byte{}}, nil
}

// LeafHash returns the hash of leaf number index.
func (r *TileReader) LeafHash(ctx context.Context, index uint64) ([32]byte, error) {
	if index >= r.size {
		return [32]byte{}, attestation.BadInput("leaf %d of a log of %d", index, r.size)
	}
	return r.node(ctx, 0, index)
}

// InclusionProof returns the proof that leaf number index is in the tree.
func (r *TileReader) InclusionProof(ctx context.Context, index uint64) ([][32]byte, error) {
	if index >= r.size {
		return nil, attestation.BadInput("leaf %d of a log of %d", index, r.size)
	}
	p, err := tlog.ProveRecord(int64(r.size), int64(index), r.hashes(ctx))
	if err != nil {
		return nil, err
	}
	return fromHashes(p), nil
}

// ConsistencyProof returns the proof that the tree continues its own first
// oldSize leaves, and the root of those. Compare that root with the checkpoint
// of oldSize.
func (r *TileReader) ConsistencyProof(ctx context.Context, oldSize uint64) (oldRoot [32]byte, proof [][32]byte, err error) {
	switch {
	case oldSize > r.size:
		return oldRoot, nil, attestation.BadInput("consistency proof from %d leaves in a log of %d", oldSize, r.size)
	case oldSize == 0:
		return EmptyRoot, nil, nil
	case oldSize == r.size:
		return r.root, nil, nil
	}
	root, err := tlog.TreeHash(int64(oldSize), r.hashes(ctx))
	if err != nil {
		return oldRoot, nil, err
	}
	p, err := tlog.ProveTree(int64(r.size), int64(oldSize), r.hashes(ctx))
	if err != nil {
		return oldRoot, nil, err
	}
	return root, fromHashes(p), nil
}

func (r *TileReader) hashes(ctx context.Context) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			level, n := tlog.SplitStoredHashIndex(x)
			h, err := r.node(ctx, level, uint64(n))
			if err != nil {
				return nil, err
			}
			out[i] = h
		}
		return out, nil
	})
}

// node returns the verified hash of node n at a level of the tree.
func (r *TileReader) node(ctx context.Context, level int, n uint64) ([32]byte, error) {
	tl, up := level/TileHeight, level%TileHeight
	first := n << up // the node's first hash in the tile's level
	t := tileAt(tl, first>>TileHeight, r.size)
	hs, err := r.tile(ctx, t)
	if err != nil {
		return [32]byte{}, err
	}
	lo := int(first % TileWidth)
	return subtree(hs[lo : lo+1<<up]), nil
}

// tile returns the verified hashes of t.
func (r *TileReader) tile(ctx context.Context, t Tile) ([][32]byte, error) {
	if hs := r.cached(t); hs != nil {
		return hs, nil
	}
	if t.Width < TileWidth {
		return r.edge(ctx, t)
	}
	hs, err := r.download(ctx, t)
	if err != nil {
		return nil, err
	}
	// A full tile always has its root in a tile of the next level.
	parent, err := r.tile(ctx, tileAt(t.Level+1, t.Index>>TileHeight, r.size))
	if err != nil {
		return nil, err
	}
	want := parent[t.Index%TileWidth]
	if got := subtree(hs); got != want {
		return nil, attestation.False("tile %s from the log's server hashes to %x, the checkpoint requires %x", t, got, want)
	}
	r.keep(t, hs)
	return hs, nil
}

// edge verifies all partial tiles of the tree, its right edge, at once against
// the root: their hashes are exactly what the root is computed from. When the
// root differs, no server can be told which of them is wrong, so all are named.
func (r *TileReader) edge(ctx context.Context, want Tile) ([][32]byte, error) {
	var tiles []Tile
	for level := 0; level <= maxLevel && r.size>>(TileHeight*level) > 0; level++ {
		if t := tileAt(level, r.size>>(TileHeight*(level+1)), r.size); t.Width > 0 {
			tiles = append(tiles, t)
		}
	}
	var (
		acc   [32]byte
		have  bool
		parts = make([][][32]byte, len(tiles))
	)
	for i, t := range tiles { // the lowest level is rightmost in the tree
		hs, err := r.download(ctx, t)
		if err != nil {
			return nil, err
		}
		parts[i] = hs
		acc, have = foldRight(hs, acc, have)
	}
	if acc != r.root {
		return nil, attestation.False("tiles %v from the log's server hash to root %x, the checkpoint has %x", tiles, acc, r.root)
	}
	var out [][32]byte
	for i, t := range tiles {
		r.keep(t, parts[i])
		if t == want {
			out = parts[i]
		}
	}
	return out, nil
}

// foldRight puts the maximal subtrees of hs to the left of acc, smallest first.
func foldRight(hs [][32]byte, acc [32]byte, have bool) ([32]byte, bool) {
	for end := len(hs); end > 0; {
		w := end & -end
		h := subtree(hs[end-w : end])
		if have {
			h = tlog.NodeHash(h, acc)
		}
		acc, have = h, true
		end -= w
	}
	return acc, have
}

// subtree returns the root of a complete subtree over a power of two of hashes.
func subtree(hs [][32]byte) [32]byte {
	if len(hs) == 1 {
		return hs[0]
	}
	half := len(hs) / 2
	return tlog.NodeHash(subtree(hs[:half]), subtree(hs[half:]))
}

// download fetches a tile without verifying it. Servers may delete a partial
// tile once the full one exists (C2SP tlog-tiles), so that is tried next.
func (r *TileReader) download(ctx context.Context, t Tile) ([][32]byte, error) {
	b, err := r.fetch(ctx, t.Path())
	if errors.Is(err, fs.ErrNotExist) && t.Width < TileWidth {
		full := Tile{t.Level, t.Index, TileWidth}
		if b, err = r.fetch(ctx, full.Path()); err == nil && len(b) == TileWidth*tlog.HashSize {
			b = b[:t.Width*tlog.HashSize]
		}
	}
	if err != nil {
		return nil, attestation.Unknown("tile %s: %w", t, err)
	}
	hs, err := ParseTile(t, b)
	if err != nil {
		return nil, attestation.False("tile %s from the log's server has %d bytes, want %d", t, len(b), t.Width*tlog.HashSize)
	}
	return hs, nil
}

func (r *TileReader) cached(t Tile) [][32]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cache[t]
}

func (r *TileReader) keep(t Tile, hs [][32]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.cache[t]; ok {
		return
	}
	if len(r.order) >= maxCached {
		delete(r.cache, r.order[0])
		r.order = slices.Delete(r.order, 0, 1)
	}
	r.cache[t] = hs
	r.order = append(r.order, t)
}
