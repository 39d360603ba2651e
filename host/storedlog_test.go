package host

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/internal/leaffile"
)

var loggedNode = attestation.Address{Hash: [32]byte{5}}

// writeLog writes a leaf file of heads, unsigned, and returns the tree over it.
func writeLog(t *testing.T, dir string, node attestation.Address, heads []receipt.Head) *memoryLog {
	t.Helper()
	l, file := &memoryLog{}, leaffile.Header(node)
	for i := range heads {
		file = leaffile.Append(file, &heads[i], new([64]byte))
		hs, err := tlog.StoredHashes(int64(i), heads[i].AppendTo(nil), l)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes, l.n = append(l.hashes, hs...), l.n+1
	}
	if err := os.WriteFile(filepath.Join(dir, leaffile.Name), file, 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

func headsOf(node attestation.Address, n int) []receipt.Head {
	out := make([]receipt.Head, n)
	for i := range out {
		out[i] = receipt.Head{Node: node, Epoch: 1, Index: uint64(i), Time: 1}
	}
	return out
}

// TestStoredLog compares tiles that are made from the leaf file with those of the
// tree, on every level.
func TestStoredLog(t *testing.T) {
	const n = 66000
	dir := t.TempDir()
	l := writeLog(t, dir, loggedNode, headsOf(loggedNode, n))
	s := newStoredLog(dir, loggedNode)
	for _, path := range []string{
		"tile/0/000", "tile/0/000.p/1", "tile/0/000.p/255", "tile/0/256", "tile/0/257.p/208", "tile/1/000", "tile/1/001.p/1", "tile/2/000.p/1", "tile/1/000.p/7",
	} {
		want, err := l.fetch(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.fetch(t.Context(), path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	for _, path := range []string{"tile/0/257.p/209", "tile/0/258.p/1", "tile/1/001.p/2", "tile/2/000.p/2", "tile/3/000.p/1", "tile/0/x999/999"} {
		if b, err := s.fetch(t.Context(), path); b != nil || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %d bytes, %v", path, len(b), err)
		}
	}
	if _, err := s.fetch(t.Context(), "tile/9/000"); attestation.ExitCode(err) != 1 {
		t.Errorf("no tile: %v", err)
	}
	// Leaves that come later, and proofs through all of it.
	more := writeLog(t, dir, loggedNode, headsOf(loggedNode, n+700))
	for _, number := range []uint64{0, 65535, 65999, 66100} {
		c := contracts.Challenge{Number: number, Hash: tlog.RecordHash(appendHead(loggedNode, number)), Size: n + 690, Root: more.root(t, n+690)}
		if _, err := challengeProof(t.Context(), c, s.fetch); err != nil {
			t.Errorf("leaf %d: %v", number, err)
		}
	}
	grown := contracts.Challenge{Log: true, Number: 300, Hash: more.root(t, 300), Size: n + 700, Root: more.root(t, n+700)}
	if _, err := challengeProof(t.Context(), grown, s.fetch); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newStoredLog(dir, loggedNode).fetch(ctx, "tile/1/000"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func appendHead(node attestation.Address, index uint64) []byte {
	h := receipt.Head{Node: node, Epoch: 1, Index: index, Time: 1}
	return h.AppendTo(nil)
}

// TestStoredLogDamaged: nothing is proved by a file that is not the log.
func TestStoredLogDamaged(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(b []byte) []byte
		code int
	}{
		"whole":             {func(b []byte) []byte { return b }, 0},
		"torn at the end":   {func(b []byte) []byte { return append(b, 1, 2, 3) }, 0},
		"missing":           {func([]byte) []byte { return nil }, 3},
		"cut in the header": {func(b []byte) []byte { return b[:100] }, 3},
		"of another node": {func(b []byte) []byte {
			return append(leaffile.Header(attestation.Address{}), b[leaffile.RecordSize:]...)
		}, 3},
		"too short":      {func(b []byte) []byte { return b[:len(b)-leaffile.RecordSize] }, 3},
		"a leaf changed": {func(b []byte) []byte { b[7*leaffile.RecordSize+50] ^= 1; return b }, 3},
		"a leaf forged": {func(b []byte) []byte {
			copy(b[7*leaffile.RecordSize:], b[8*leaffile.RecordSize:][:leaffile.RecordSize])
			return b
		}, 2},
		"its checksum, no more": {func(b []byte) []byte { b[8*leaffile.RecordSize-1] ^= 1; return b }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := writeLog(t, dir, loggedNode, headsOf(loggedNode, 20))
			file := filepath.Join(dir, leaffile.Name)
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if b = c.edit(b); b == nil {
				err = os.Remove(file)
			} else {
				err = os.WriteFile(file, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			missing := contracts.Challenge{Number: 3, Hash: tlog.RecordHash(appendHead(loggedNode, 3)), Size: 20, Root: l.root(t, 20)}
			p, err := challengeProof(t.Context(), missing, newStoredLog(dir, loggedNode).fetch)
			if attestation.ExitCode(err) != c.code || (p == nil) != (c.code != 0) {
				t.Errorf("exit code %d: %v", attestation.ExitCode(err), err)
			}
		})
	}
}
