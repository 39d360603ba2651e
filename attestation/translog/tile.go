package translog

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation"
)

// Shape of tiles (C2SP tlog-tiles).
const (
	TileHeight = 8               // levels of the tree in a tile
	TileWidth  = 1 << TileHeight // hashes in a full tile
	maxLevel   = 5
)

// Tile names one tile: up to 256 consecutive hashes of the tree.
type Tile struct {
	Level int    // 0 to 5; level 0 holds leaf hashes, level L roots of subtrees of 256^L leaves
	Index uint64 // number within the level
	Width int    // 1 to 256; less than 256 only for the last tile of a level
}

// Path returns the path of the tile below the log's URL, for example
// "tile/0/x001/234" or "tile/1/000.p/17".
func (t Tile) Path() string {
	p := tlog.Tile{H: TileHeight, L: t.Level, N: int64(t.Index), W: t.Width}.Path()
	return "tile/" + strings.TrimPrefix(p, fmt.Sprintf("tile/%d/", TileHeight))
}

// String returns the path of the tile, see [Tile.Path].
func (t Tile) String() string { return t.Path() }

// ParseTilePath reads a path that [Tile.Path] writes and nothing else. Entry
// bundles (tile/entries/...) do not exist in these logs.
func ParseTilePath(path string) (Tile, error) {
	bad := attestation.BadInput("tile path %.60q: want tile/LEVEL/NUMBER or tile/LEVEL/NUMBER.p/WIDTH, level 0 to %d", path, maxLevel)
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > 60 || strings.HasPrefix(rest, "data/") {
		return Tile{}, bad
	}
	t, err := tlog.ParseTilePath("tile/" + strconv.Itoa(TileHeight) + "/" + rest)
	if err != nil || t.L > maxLevel || t.N > MaxSize>>TileHeight {
		return Tile{}, bad
	}
	return Tile{t.L, uint64(t.N), t.W}, nil
}

// ParseTile checks the length of a tile's bytes and returns its hashes. It does
// not verify them.
func ParseTile(t Tile, b []byte) ([][32]byte, error) {
	if len(b) != t.Width*tlog.HashSize {
		return nil, attestation.BadInput("tile %s: %d bytes, want %d", t, len(b), t.Width*tlog.HashSize)
	}
	out := make([][32]byte, t.Width)
	for i := range out {
		copy(out[i][:], b[i*tlog.HashSize:])
	}
	return out, nil
}

// tileAt returns tile number index of a level in a tree of size leaves, as wide
// as the tree allows. Width 0 means that the tree has no such tile.
func tileAt(level int, index, size uint64) Tile {
	total := size >> (TileHeight * level) // hashes of this level
	t := Tile{Level: level, Index: index}
	if start := index << TileHeight; start < total {
		t.Width = int(min(total-start, TileWidth))
	}
	return t
}
