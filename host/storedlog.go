package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/internal/leaffile"
)

// storedLog makes the tiles of a node's log from the file in which its enclave keeps
// it. No enclave has to run, and one may: leaves are only added. What it returns is
// as good as the disk; a [translog.TileReader] compares it with the chain. Not for
// concurrent use.
type storedLog struct {
	file  string
	node  attestation.Address
	roots []tlog.Hash // of the complete tiles of leaves, as far as they were needed
}

// newStoredLog returns the log in a directory.
func newStoredLog(dir string, node attestation.Address) *storedLog {
	return &storedLog{file: filepath.Join(dir, leaffile.Name), node: node}
}

// fetch is a [translog.Fetch].
func (l *storedLog) fetch(ctx context.Context, path string) ([]byte, error) {
	t, err := translog.ParseTilePath(path)
	if err != nil {
		return nil, err
	}
	f, have, err := l.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	first := t.Index * translog.TileWidth
	if last := first + uint64(t.Width); last > have>>(translog.TileHeight*t.Level) {
		return nil, fmt.Errorf("%s holds %d leaves, too few for tile %s: %w", l.file, have, path, fs.ErrNotExist)
	}
	hashes, err := l.hashes(ctx, f, t.Level, first, t.Width)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return out, nil
}

// open opens the file and counts its leaves: the last may not be whole yet.
func (l *storedLog) open() (*os.File, uint64, error) {
	f, err := os.Open(l.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, attestation.BadInput("the log is not here: %s is missing: bring it from the machine where the enclave ran", l.file)
	} else if err != nil {
		return nil, 0, attestation.BadInput("the log: %w", err)
	}
	size, err := checkedSize(f, l.node)
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("%s: %w", l.file, err), f.Close())
	}
	return f, size, nil
}

func checkedSize(f *os.File, node attestation.Address) (uint64, error) {
	header := make([]byte, leaffile.RecordSize)
	if _, err := f.ReadAt(header, 0); err != nil {
		return 0, attestation.BadInput("the leaf file is cut off: %w", err)
	}
	if err := leaffile.CheckHeader(header, node); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return uint64(info.Size()/leaffile.RecordSize) - 1, nil
}

// hashes returns n hashes of a level, from number first on.
func (l *storedLog) hashes(ctx context.Context, f *os.File, level int, first uint64, n int) ([]tlog.Hash, error) {
	if level == 0 {
		return leafHashes(f, first, n)
	}
	wide := uint64(1) << (translog.TileHeight * (level - 1)) // complete tiles below a hash
	if err := l.grow(ctx, f, (first+uint64(n))*wide); err != nil {
		return nil, err
	}
	out := make([]tlog.Hash, n)
	for i := range out {
		at := (first + uint64(i)) * wide
		out[i] = rootOf(l.roots[at : at+wide])
	}
	return out, nil
}

// grow reads the leaves until the roots of so many tiles are known.
func (l *storedLog) grow(ctx context.Context, f *os.File, tiles uint64) error {
	for n := uint64(len(l.roots)); n < tiles; n++ {
		if err := ctx.Err(); err != nil {
			return attestation.Unknown("reading the log: %w", err)
		}
		hs, err := leafHashes(f, n*translog.TileWidth, translog.TileWidth)
		if err != nil {
			return err
		}
		l.roots = append(l.roots, rootOf(hs))
	}
	return nil
}

// leafHashes reads n leaves, at most a tile, from number first on.
func leafHashes(f *os.File, first uint64, n int) ([]tlog.Hash, error) {
	b := make([]byte, n*leaffile.RecordSize)
	if _, err := f.ReadAt(b, int64(first+1)*leaffile.RecordSize); err != nil {
		return nil, attestation.Unknown("reading the log: %w", err)
	}
	out := make([]tlog.Hash, n)
	for i := range out {
		rec := b[i*leaffile.RecordSize:][:leaffile.RecordSize]
		if !leaffile.Sealed(rec) {
			return nil, attestation.BadInput("the log is damaged at leaf %d: restore it from a copy", first+uint64(i))
		}
		out[i] = tlog.RecordHash(rec[:receipt.HeadSize])
	}
	return out, nil
}

// rootOf returns the root over a power of two of hashes.
func rootOf(hs []tlog.Hash) tlog.Hash {
	if len(hs) == 1 {
		return hs[0]
	}
	half := len(hs) / 2
	return tlog.NodeHash(rootOf(hs[:half]), rootOf(hs[half:]))
}
