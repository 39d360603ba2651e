package certificate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

func openMemory(t *testing.T, dir string) *DirMemory {
	t.Helper()
	m, err := OpenDirMemory(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func aboutOf(c *contracts.Certificate) About { return About{c.ChainID, c.Node, c.Epoch} }

// put keeps a certificate if it may follow the last, and returns that.
func put(t *testing.T, m *DirMemory, c contracts.Certificate) (last *contracts.Certificate, err error) {
	t.Helper()
	err = m.Update(t.Context(), aboutOf(&c), func(l *contracts.Certificate) (*contracts.Certificate, error) {
		last = l
		return &c, mayFollow(l, &c)
	})
	return last, err
}

func TestDirMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "signed")
	m := openMemory(t, dir)
	c := some().Certificate
	if last, err := put(t, m, c); last != nil || err != nil {
		t.Fatalf("%v, %v", last, err)
	}
	other := c
	other.Epoch++
	if last, err := put(t, m, other); last != nil || err != nil {
		t.Fatalf("another epoch: %v, %v", last, err)
	}
	longer := c
	longer.Expiry++
	if last, err := put(t, m, longer); err != nil || *last != c {
		t.Fatalf("%v, %v", last, err)
	}
	m = openMemory(t, dir) // another process
	boot := c
	boot.ClaimsDigest[0]++
	var refused *attestation.RefusedError
	if last, err := put(t, m, boot); !errors.As(err, &refused) || *last != longer {
		t.Errorf("another boot: %v, %v", last, err)
	}
	if last, err := put(t, m, longer); err != nil || *last != longer {
		t.Errorf("what was refused is kept: %v, %v", last, err)
	}
	// The same again writes nothing.
	if files, _ := os.ReadDir(m.folder(aboutOf(&c))); len(files) != 2 {
		t.Errorf("%d files", len(files))
	}
	err := m.Update(t.Context(), aboutOf(&c), func(*contracts.Certificate) (*contracts.Certificate, error) { return &other, nil })
	if err == nil {
		t.Error("a certificate about another epoch was kept")
	}
	if err := m.Update(t.Context(), aboutOf(&c), func(*contracts.Certificate) (*contracts.Certificate, error) { return nil, nil }); err == nil {
		t.Error("nothing was kept")
	}
}

// TestDirMemoryDamaged: what can't be read is not "nothing".
func TestDirMemoryDamaged(t *testing.T) {
	m := openMemory(t, t.TempDir())
	c := some().Certificate
	if _, err := put(t, m, c); err != nil {
		t.Fatal(err)
	}
	path := numbered(m.folder(aboutOf(&c)), 1)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, good[:50], append(good, 0), []byte(strings.Replace(string(good), "certificate/v1", "certificate/v2", 1))} {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := put(t, m, c); err == nil || !strings.Contains(err.Error(), "nothing may be signed for this epoch") {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	if _, err := OpenDirMemory(path); err == nil {
		t.Error("a file is a memory")
	}
	if _, err := OpenDirMemory(""); err == nil {
		t.Error("nothing is a memory")
	}
}

// TestDirMemoryRace: of many processes that are asked about different boots of
// one epoch, one signs.
func TestDirMemoryRace(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	var signed []contracts.Certificate
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			m := openMemory(t, dir)
			for n := range uint32(8) {
				c := some().Certificate
				c.ClaimsDigest[0], c.Expiry = byte(i), c.Expiry+n
				if _, err := put(t, m, c); err == nil {
					mu.Lock()
					signed = append(signed, c)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(signed) != 8 {
		t.Errorf("%d certificates were signed", len(signed))
	}
	for _, a := range signed {
		for _, b := range signed {
			if a.ConflictsWith(&b) {
				t.Fatal("two are in conflict")
			}
		}
	}
}

func TestDirMemoryLimit(t *testing.T) {
	m := openMemory(t, t.TempDir())
	c := some().Certificate
	folder := m.folder(aboutOf(&c))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeNext(folder, maxChanges, &c); err != nil {
		t.Fatal(err)
	}
	c.Expiry++
	var refused *attestation.RefusedError
	if _, err := put(t, m, c); !errors.As(err, &refused) {
		t.Errorf("after %d changes: %v", maxChanges, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Update(ctx, aboutOf(&c), func(*contracts.Certificate) (*contracts.Certificate, error) { return &c, nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
