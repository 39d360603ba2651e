package ledger

import (
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation/translog"
)

const tileWidth = translog.TileWidth

// tree holds the hashes of a log that cannot be trusted to the disk: the roots
// of all complete subtrees of 256 leaves and more, and the leaves after them.
//
// A tree value is immutable: add returns a new one that shares memory. Slices
// only grow, behind the length that older values see, so add may be called on
// the newest value only.
type tree struct {
	size uint64
	tail []tlog.Hash   // leaf hashes after the last complete tile, fewer than 256
	sub  [][]tlog.Hash // sub[k][i]: root of the i-th complete subtree of 2^(8+k) leaves
}

func (t tree) add(leaf [32]byte) tree {
	t.size++
	t.tail = append(t.tail, leaf)
	if len(t.tail) < tileWidth {
		return t
	}
	h := subtree(t.tail)
	t.tail = make([]tlog.Hash, 0, tileWidth)
	sub := append(make([][]tlog.Hash, 0, len(t.sub)+1), t.sub...)
	for k := 0; ; k++ {
		if k == len(sub) {
			sub = append(sub, nil)
		}
		sub[k] = append(sub[k], h)
		n := len(sub[k])
		if n%2 == 1 {
			break
		}
		h = tlog.NodeHash(sub[k][n-2], sub[k][n-1])
	}
	t.sub = sub
	return t
}

// leaves reads the leaf hashes of complete tile number n from the disk.
type leaves func(n uint64) ([]tlog.Hash, error)

// reader returns the hashes of the tree by storage index. Tiles that come from
// the disk are compared with the roots in memory by the function read.
func (t tree) reader(read leaves) tlog.HashReader {
	var last uint64
	var tile []tlog.Hash // cache of tile number last; one proof needs at most two
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			level, n := tlog.SplitStoredHashIndex(x)
			if level >= translog.TileHeight {
				out[i] = t.sub[level-translog.TileHeight][n]
				continue
			}
			first := uint64(n) << level
			hs := t.tail
			if no := first / tileWidth; no < t.size/tileWidth {
				if tile == nil || last != no {
					var err error
					if tile, err = read(no); err != nil {
						return nil, err
					}
					last = no
				}
				hs = tile
			}
			lo := first % tileWidth
			out[i] = subtree(hs[lo : lo+1<<level])
		}
		return out, nil
	})
}

func (t tree) root() ([32]byte, error) {
	if t.size == 0 {
		return translog.EmptyRoot, nil
	}
	// The root needs only what is in memory: the right edge of the tree.
	return tlog.TreeHash(int64(t.size), t.reader(nil))
}

// subtree returns the root over a power of two of hashes.
func subtree(hs []tlog.Hash) tlog.Hash {
	if len(hs) == 1 {
		return hs[0]
	}
	half := len(hs) / 2
	return tlog.NodeHash(subtree(hs[:half]), subtree(hs[half:]))
}
