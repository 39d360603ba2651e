package translog

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

// memLog is a log in memory, built with tlog itself.
type memLog struct {
	leaves [][32]byte
	stored []tlog.Hash
}

func (l *memLog) ReadHashes(ix []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(ix))
	for i, x := range ix {
		out[i] = l.stored[x]
	}
	return out, nil
}

func newMemLog(t testing.TB, n int) *memLog {
	t.Helper()
	l := &memLog{}
	for i := range n {
		leaf := sha256.Sum256(binary.BigEndian.AppendUint64([]byte{0}, uint64(i)))
		hs, err := tlog.StoredHashesForRecordHash(int64(i), leaf, l)
		if err != nil {
			t.Fatal(err)
		}
		l.leaves = append(l.leaves, leaf)
		l.stored = append(l.stored, hs...)
	}
	return l
}

func (l *memLog) root(t testing.TB, n int) [32]byte {
	t.Helper()
	h, err := tlog.TreeHash(int64(n), l)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// fetch serves the tiles of the tree of n leaves and records the paths.
func (l *memLog) fetch(t testing.TB, n int, paths *[]string) Fetch {
	var mu sync.Mutex
	return func(_ context.Context, path string) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		*paths = append(*paths, path)
		tile, err := ParseTilePath(path)
		if err != nil {
			t.Errorf("asked for %q: %v", path, err)
			return nil, err
		}
		if tileAt(tile.Level, tile.Index, uint64(n)).Width < tile.Width {
			return nil, fs.ErrNotExist
		}
		return tlog.ReadTileData(tlog.Tile{H: TileHeight, L: tile.Level, N: int64(tile.Index), W: tile.Width}, l)
	}
}

func wantFamily(t *testing.T, err error, want fault.Family, text string) {
	t.Helper()
	if err == nil || fault.FamilyOf(err) != want || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v (family %d), want family %d with %q", err, fault.FamilyOf(err), want, text)
	}
	if want == fault.FamilyInput && !errors.As(err, new(*attestation.InputError)) {
		t.Fatalf("error %v is not an InputError", err)
	}
}

func testKey(b byte) (ed25519.PrivateKey, [32]byte) {
	k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32))
	return k, [32]byte(k.Public().(ed25519.PublicKey))
}

func testCheckpoint() Checkpoint {
	c := Checkpoint{ChainID: -239, Epoch: 3, Size: 1235, Root: sha256.Sum256([]byte("root"))}
	copy(c.Node.Hash[:], bytes.Repeat([]byte{0x11}, 32))
	return c
}

func TestAnchorDigest(t *testing.T) {
	c := testCheckpoint()
	var b []byte
	b = append(b, "cocoon/anchor/v1\n"...)
	b = append(b, 0xff, 0xff, 0xff, 0x11) // -239
	b = append(b, 0, 0, 0, 0)
	b = append(b, c.Node.Hash[:]...)
	b = append(b, 0, 0, 0, 3)
	b = append(b, 0, 0, 0, 0, 0, 0, 4, 0xd3)
	b = append(b, c.Root[:]...)
	if c.AnchorDigest() != sha256.Sum256(b) {
		t.Error("digest differs from the specification")
	}
	key, pub := testKey(7)
	sig := c.SignAnchor(key)
	if err := c.VerifyAnchor(pub, sig); err != nil {
		t.Fatal(err)
	}
	for _, edit := range []func(*Checkpoint){
		func(c *Checkpoint) { c.ChainID++ },
		func(c *Checkpoint) { c.Node.Workchain-- },
		func(c *Checkpoint) { c.Node.Hash[31] ^= 1 },
		func(c *Checkpoint) { c.Epoch++ },
		func(c *Checkpoint) { c.Size++ },
		func(c *Checkpoint) { c.Root[0] ^= 1 },
	} {
		d := c
		edit(&d)
		wantFamily(t, d.VerifyAnchor(pub, sig), fault.FamilyFalse, "log key")
	}
	_, pub = testKey(8)
	wantFamily(t, c.VerifyAnchor(pub, sig), fault.FamilyFalse, "log key of epoch 3")
}

func TestNote(t *testing.T) {
	c := testCheckpoint()
	key, pub := testKey(7)
	b, err := c.SignNote(key)
	if err != nil {
		t.Fatal(err)
	}
	if len(Origin(c.Node)) != 50 {
		t.Errorf("origin has %d characters", len(Origin(c.Node)))
	}
	size, root, err := ParseNote(b, c.Node, pub)
	if err != nil || size != c.Size || root != c.Root {
		t.Fatalf("%d %x %v", size, root, err)
	}
	// The tools of others read it with the usual form of the key.
	vkey, err := note.NewEd25519VerifierKey(Origin(c.Node), pub[:])
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(b, note.VerifierList(v)); err != nil {
		t.Fatal(err)
	}
	// A witness's signature beside ours changes nothing.
	wkey, _, _ := note.GenerateKey(nil2rand{}, "witness.example")
	w, _ := note.NewSigner(wkey)
	n, _ := note.Open(b, note.VerifierList(v))
	cosigned, err := note.Sign(n, w)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ParseNote(cosigned, c.Node, pub); err != nil {
		t.Fatal(err)
	}

	_, other := testKey(8)
	_, _, err = ParseNote(b, c.Node, other)
	wantFamily(t, err, fault.FamilyFalse, "not signed by the log key")
	node := c.Node
	node.Hash[0] ^= 1
	_, _, err = ParseNote(b, node, pub)
	wantFamily(t, err, fault.FamilyFalse, "not signed by the log key")
	bad := bytes.Replace(b, []byte("1235"), []byte("1236"), 1)
	_, _, err = ParseNote(bad, c.Node, pub)
	wantFamily(t, err, fault.FamilyFalse, "does not hold")
	_, _, err = ParseNote(make([]byte, MaxNote+1), c.Node, pub)
	wantFamily(t, err, fault.FamilyInput, "limit")
	_, _, err = ParseNote([]byte("hello"), c.Node, pub)
	wantFamily(t, err, fault.FamilyInput, "malformed")
	_, err = c.SignNote(key[:31])
	wantFamily(t, err, fault.FamilyInput, "log key")
}

// Texts that our own key signed and that are no checkpoint of this log.
func TestNoteText(t *testing.T) {
	c := testCheckpoint()
	key, pub := testKey(7)
	origin := Origin(c.Node)
	root := base64.StdEncoding.EncodeToString(c.Root[:])
	for _, tt := range []struct {
		text, want string
		family     fault.Family
	}{
		{"cocoon/x\n1\n" + root + "\n", "of the log", fault.FamilyFalse},
		{origin + "\n1\n" + root + "\nmore\n", "exactly three", fault.FamilyInput},
		{origin + "\n1\n", "exactly three", fault.FamilyInput},
		{origin + "\n01\n" + root + "\n", "not a log size", fault.FamilyInput},
		{origin + "\n-1\n" + root + "\n", "not a log size", fault.FamilyInput},
		{origin + "\n281474976710656\n" + root + "\n", "not a log size", fault.FamilyInput},
		{origin + "\n1\n" + root[:40] + "\n", "not a root", fault.FamilyInput},
		{origin + "\n1\n" + root[:42] + "/=\n", "not a root", fault.FamilyInput},
	} {
		b, err := note.Sign(&note.Note{Text: tt.text}, noteSigner{noteKey{origin, pub}, key})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = ParseNote(b, c.Node, pub)
		wantFamily(t, err, tt.family, tt.want)
	}
}

type nil2rand struct{}

func (nil2rand) Read(p []byte) (int, error) { return len(p), nil }

func TestProofs(t *testing.T) {
	const n = 70
	l := newMemLog(t, n)
	for size := 1; size <= n; size++ {
		root := l.root(t, size)
		for i := range size {
			p, err := tlog.ProveRecord(int64(size), int64(i), l)
			if err != nil {
				t.Fatal(err)
			}
			proof := fromHashes(p)
			if err := VerifyInclusion(l.leaves[i], uint64(i), uint64(size), root, proof); err != nil {
				t.Fatal(err)
			}
			wantFamily(t, VerifyInclusion(l.leaves[(i+1)%n], uint64(i), uint64(size), root, proof), fault.FamilyFalse, "not in the tree")
			if i+1 < size {
				if VerifyInclusion(l.leaves[i], uint64(i+1), uint64(size), root, proof) == nil {
					t.Fatal("proof holds for another index")
				}
			}
			wantFamily(t, VerifyInclusion(l.leaves[i], uint64(i), uint64(size), root, append(proof, root)), fault.FamilyFalse, "not in the tree")
		}
		for old := 1; old < size; old++ {
			p, err := tlog.ProveTree(int64(size), int64(old), l)
			if err != nil {
				t.Fatal(err)
			}
			proof := fromHashes(p)
			oldRoot := l.root(t, old)
			if err := VerifyConsistency(uint64(old), oldRoot, uint64(size), root, proof); err != nil {
				t.Fatal(err)
			}
			oldRoot[0] ^= 1
			wantFamily(t, VerifyConsistency(uint64(old), oldRoot, uint64(size), root, proof), fault.FamilyFalse, "does not continue")
		}
	}
	root := l.root(t, n)
	long := make([][32]byte, MaxProof+1)
	wantFamily(t, VerifyInclusion(l.leaves[0], n, n, root, nil), fault.FamilyInput, "leaf 70 of a tree of 70")
	wantFamily(t, VerifyInclusion(l.leaves[0], 0, MaxSize+1, root, nil), fault.FamilyInput, "limit")
	wantFamily(t, VerifyInclusion(l.leaves[0], 0, n, root, long), fault.FamilyInput, "65 hashes")
	wantFamily(t, VerifyConsistency(n+1, root, n, root, nil), fault.FamilyInput, "from 71 leaves to 70")
	wantFamily(t, VerifyConsistency(1, root, MaxSize+1, root, nil), fault.FamilyInput, "limit")
	wantFamily(t, VerifyConsistency(1, root, n, root, long), fault.FamilyInput, "65 hashes")
	// One size has one root, and the empty tree starts every tree.
	if err := VerifyConsistency(n, root, n, root, nil); err != nil {
		t.Error(err)
	}
	if err := VerifyConsistency(0, EmptyRoot, n, root, nil); err != nil {
		t.Error(err)
	}
	wantFamily(t, VerifyConsistency(n, l.leaves[0], n, root, nil), fault.FamilyFalse, "does not continue")
	wantFamily(t, VerifyConsistency(n, root, n, root, long[:1]), fault.FamilyFalse, "does not continue")
	wantFamily(t, VerifyConsistency(0, root, n, root, nil), fault.FamilyFalse, "does not continue")
	wantFamily(t, VerifyConsistency(0, EmptyRoot, n, root, long[:1]), fault.FamilyFalse, "does not continue")
}

func TestTilePath(t *testing.T) {
	for path, want := range map[string]Tile{
		"tile/0/000":                    {0, 0, 256},
		"tile/0/000.p/1":                {0, 0, 1},
		"tile/1/x001/234.p/255":         {1, 1234, 255},
		"tile/5/x123/x456/789":          {5, 123456789, 256},
		"tile/0/x001/x099/x511/627/775": {},
	} {
		got, err := ParseTilePath(path)
		if want.Width == 0 {
			if err == nil {
				t.Errorf("%s: accepted", path)
			}
			continue
		}
		if err != nil || got != want || got.Path() != path {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/6/000", "tile/-1/000", "tile/00/000",
		"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/x000/001", "tile/0/001/001", "tile/data/000", "tile/entries/000",
		"/tile/0/000", "tile/0/000/", "tile/0/../000", "tile/8/0/000", "tile/0/x001/x099/x511/x627/776",
		"tile/0/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/x999/000",
	} {
		_, err := ParseTilePath(path)
		wantFamily(t, err, fault.FamilyInput, "tile path")
	}
	if _, err := ParseTile(Tile{0, 0, 2}, make([]byte, 63)); err == nil {
		t.Error("short tile accepted")
	}
}

// sizes lie around every edge of tiles of height 8.
var sizes = []int{1, 2, 3, 255, 256, 257, 511, 512, 513, 700, 65535, 65536, 65537, 66000}

func TestTileReader(t *testing.T) {
	l := newMemLog(t, 66000)
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range sizes {
		var paths []string
		root := l.root(t, n)
		r, err := NewTileReader(uint64(n), root, l.fetch(t, n, &paths))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, n - 1, rnd.IntN(n), rnd.IntN(n)} {
			h, err := r.LeafHash(t.Context(), uint64(i))
			if err != nil || h != l.leaves[i] {
				t.Fatalf("size %d leaf %d: %v", n, i, err)
			}
			p, err := r.InclusionProof(t.Context(), uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			if err := VerifyInclusion(h, uint64(i), uint64(n), root, p); err != nil {
				t.Fatalf("size %d: %v", n, err)
			}
		}
		for _, old := range []int{0, 1, n / 2, n - 1, n} {
			oldRoot, p, err := r.ConsistencyProof(t.Context(), uint64(old))
			if err != nil {
				t.Fatal(err)
			}
			if old > 0 && oldRoot != l.root(t, old) {
				t.Fatalf("size %d from %d: root differs", n, old)
			}
			if err := VerifyConsistency(uint64(old), oldRoot, uint64(n), root, p); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(paths)
		if u := slices.Compact(slices.Clone(paths)); len(u) != len(paths) {
			t.Errorf("size %d: a tile was fetched twice: %v", n, paths)
		}
		_, err = r.LeafHash(t.Context(), uint64(n))
		wantFamily(t, err, fault.FamilyInput, "of a log of")
		_, err = r.InclusionProof(t.Context(), uint64(n))
		wantFamily(t, err, fault.FamilyInput, "of a log of")
		_, _, err = r.ConsistencyProof(t.Context(), uint64(n+1))
		wantFamily(t, err, fault.FamilyInput, "in a log of")
	}
	_, err := NewTileReader(MaxSize+1, EmptyRoot, nil)
	wantFamily(t, err, fault.FamilyInput, "limit")
	_, err = NewTileReader(0, l.leaves[0], nil)
	wantFamily(t, err, fault.FamilyFalse, "without leaves")
	if _, err := NewTileReader(0, EmptyRoot, nil); err != nil {
		t.Error(err)
	}
}

// Any bit the server flips in any tile that was asked for is caught, and the
// error names the tile.
func TestTileReaderCatchesEveryFlip(t *testing.T) {
	const n = 66000
	l := newMemLog(t, n)
	var paths []string
	good := l.fetch(t, n, &paths)
	root := l.root(t, n)
	read := func(fetch Fetch) error {
		r, err := NewTileReader(n, root, fetch)
		if err != nil {
			return err
		}
		_, err = r.InclusionProof(t.Context(), 300)
		return err
	}
	if err := read(good); err != nil {
		t.Fatal(err)
	}
	asked := slices.Clone(paths)
	if len(asked) < 4 {
		t.Fatalf("only %v were asked for", asked)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, bad := range asked {
		for range 20 {
			err := read(func(ctx context.Context, path string) ([]byte, error) {
				b, err := good(ctx, path)
				if path == bad {
					i := rnd.IntN(len(b) * 8)
					b[i/8] ^= 1 << (i % 8)
				}
				return b, err
			})
			wantFamily(t, err, fault.FamilyFalse, bad)
		}
		for _, cut := range []int{0, 31, 33, 8193} {
			err := read(func(ctx context.Context, path string) ([]byte, error) {
				if path == bad {
					return make([]byte, cut), nil
				}
				return good(ctx, path)
			})
			wantFamily(t, err, fault.FamilyFalse, bad)
		}
		down := errors.New("connection refused")
		err := read(func(ctx context.Context, path string) ([]byte, error) {
			if path == bad {
				return nil, down
			}
			return good(ctx, path)
		})
		wantFamily(t, err, fault.FamilyUnknown, bad)
		if !errors.Is(err, down) {
			t.Error("the reason is lost")
		}
	}
}

// A server that grew and dropped its partial tiles still serves the full ones.
func TestTileReaderFullInsteadOfPartial(t *testing.T) {
	l := newMemLog(t, 1024)
	var paths []string
	fetch := l.fetch(t, 1024, &paths)
	r, err := NewTileReader(300, l.root(t, 300), func(ctx context.Context, path string) ([]byte, error) {
		if strings.HasPrefix(path, "tile/0/") && strings.Contains(path, ".p/") {
			return nil, fmt.Errorf("get %s: %w", path, fs.ErrNotExist)
		}
		return fetch(ctx, path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.InclusionProof(t.Context(), 299); err != nil {
		t.Fatal(err)
	}
}

func TestTileReaderCacheIsBounded(t *testing.T) {
	l := newMemLog(t, 512)
	var paths []string
	r, _ := NewTileReader(512, l.root(t, 512), l.fetch(t, 512, &paths))
	for i := range maxCached + 100 {
		r.keep(Tile{0, uint64(i), 256}, [][32]byte{{}})
	}
	if len(r.cache) != maxCached || len(r.order) != maxCached {
		t.Errorf("%d tiles cached, limit %d", len(r.cache), maxCached)
	}
}

func FuzzParseTilePath(f *testing.F) {
	f.Add("tile/0/x001/234.p/255")
	f.Add("tile/5/000")
	f.Fuzz(func(t *testing.T, s string) {
		if tile, err := ParseTilePath(s); err == nil && tile.Path() != s {
			t.Fatalf("%q parses to %q", s, tile.Path())
		}
	})
}

func FuzzParseNote(f *testing.F) {
	c := testCheckpoint()
	key, pub := testKey(7)
	b, err := c.SignNote(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, p []byte) {
		size, root, err := ParseNote(p, c.Node, pub)
		if err == nil && (size != c.Size || root != c.Root) {
			t.Fatalf("forged: %d %x", size, root)
		}
		parseNoteText(string(p), Origin(c.Node))
	})
}
