package host

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// heap is a pile in a directory of a test, long after its files were written.
type heap struct {
	*pile
	*certifiedBoot
	t   *testing.T
	out bytes.Buffer // the log
}

func newHeap(t *testing.T) *heap {
	t.Helper()
	h := &heap{certifiedBoot: newCertifiedBoot(t), t: t}
	h.pile = newPile(t.TempDir(), slog.New(slog.NewTextHandler(&h.out, nil)))
	h.now = func() time.Time { return time.Now().Add(time.Minute) }
	return h
}

func (h *heap) write(name string, data []byte) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), data, 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *heap) encode(f *certificate.File) []byte {
	h.t.Helper()
	data, err := f.Encode()
	if err != nil {
		h.t.Fatal(err)
	}
	return data
}

// find looks, and wants so many certificates.
func (h *heap) find(want int) []*certificate.File {
	h.t.Helper()
	files, err := h.look(h.cert.ClaimsDigest, *h.root.State.Verifiers)
	if err != nil || len(files) != want {
		h.t.Fatalf("%d certificates, want %d; %v", len(files), want, err)
	}
	return files
}

// TestPile: others write into the directory. Each useless file that could concern
// this boot is named once.
func TestPile(t *testing.T) {
	h := newHeap(t)
	good := h.encode(h.signed("a"))
	h.write("1.certificate", good)
	h.write("2.certificate", h.encode(h.signed("b", "x")))
	h.write("3.certificate", h.encode(h.edited(func(c *contracts.Certificate) { c.Expiry += 100 }, "a")))
	h.write("half.certificate", good[:len(good)/2])
	h.write("large.certificate", bytes.Repeat([]byte{0}, certificate.MaxFileSize+1))
	h.write("set.certificate", h.encode(h.edited(func(c *contracts.Certificate) { c.Set = 2 }, "a", "b")))
	h.write("stranger.certificate", h.encode(h.signed("x")))
	h.write("forged.certificate", h.encode(h.forged("a", "b")))
	useless := []string{"half", "large", "set", "stranger", "forged"}
	// these are of no interest
	h.write("good.txt", good)
	h.write("older.certificate", h.encode(h.edited(func(c *contracts.Certificate) { c.ClaimsDigest[0]++ }, "a", "b")))
	if err := os.Mkdir(filepath.Join(h.dir, "folder.certificate"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		files := h.find(3)
		if _, err := h.prove(files...); err != nil {
			t.Error(err)
		}
	}
	for _, name := range useless {
		if n := strings.Count(h.out.String(), name+".certificate"); n != 1 {
			t.Errorf("%s is named %d times", name, n)
		}
	}
	if n := strings.Count(h.out.String(), "level=WARN"); n != len(useless) {
		t.Errorf("%d lines: %s", n, h.out.String())
	}
	var bad *attestation.InputError
	if _, err := newPile(filepath.Join(h.dir, "missing"), h.log).look([32]byte{}, contracts.VerifierSet{}); !errors.As(err, &bad) {
		t.Errorf("no directory: %v", err)
	}
}

// TestPileChanges: what was useless is looked at again when the file, the claims
// or the verifiers change.
func TestPileChanges(t *testing.T) {
	h := newHeap(t)
	good := h.encode(h.signed("a"))
	h.write("a.certificate", good[:100])
	h.find(0)
	h.write("a.certificate", good)
	h.find(1)
	stranger := h.encode(h.signed("x"))
	h.write("x.certificate", stranger)
	h.find(1)
	key := verifierKey("x").Public().(ed25519.PublicKey)
	h.root.State.Verifiers.Quorum.Keys[7] = [32]byte(key)
	h.find(2)
}

// TestPileTorn: a file that is copied bit by bit, even within one tick of the
// file system's clock and with its final size from the start, is read again, and
// is not named.
func TestPileTorn(t *testing.T) {
	h := newHeap(t)
	h.now = time.Now
	good := h.encode(h.signed("a"))
	at := time.Now()
	set := func(data []byte) {
		h.write("a.certificate", data)
		if err := os.Chtimes(filepath.Join(h.dir, "a.certificate"), at, at); err != nil {
			t.Fatal(err)
		}
	}
	set(make([]byte, len(good)))
	h.find(0)
	set(append(bytes.Clone(good[:100]), make([]byte, len(good)-100)...))
	h.find(0)
	set(good)
	h.find(1)
	if h.out.Len() > 0 {
		t.Errorf("logged %s", h.out.String())
	}
}

// TestPileThousands: a look reads a bounded number of files, and the next ones
// the rest; what was read is not read again; the log stays short.
func TestPileThousands(t *testing.T) {
	h := newHeap(t)
	n := maxReads + 100
	for i := range n {
		h.write(fmt.Sprintf("%05d.certificate", i), []byte("nonsense"))
	}
	h.write("z.certificate", h.encode(h.signed("a", "b")))
	h.find(0)
	h.find(1)
	if len(h.read) != n+1 {
		t.Errorf("%d files were read", len(h.read))
	}
	if lines := strings.Count(h.out.String(), "level=WARN"); lines != maxNamed+1 {
		t.Errorf("%d lines in the log", lines)
	}
	// None of them is opened again: unreadable now, they would be missed.
	if err := os.Chtimes(filepath.Join(h.dir, "z.certificate"), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	h.find(1)
	before, err := os.Stat(filepath.Join(h.dir, "z.certificate"))
	if err != nil {
		t.Fatal(err)
	}
	h.write("z.certificate", bytes.Repeat([]byte{1}, int(before.Size())))
	if err := os.Chtimes(filepath.Join(h.dir, "z.certificate"), time.Time{}, before.ModTime()); err != nil {
		t.Fatal(err)
	}
	h.find(1)
}

// TestPileKeeps a bounded number of certificates, those of the first names.
func TestPileKeeps(t *testing.T) {
	h := newHeap(t)
	for i := range maxCertificates + 10 {
		h.write(fmt.Sprintf("%05d.certificate", i), h.encode(h.edited(func(c *contracts.Certificate) { c.Expiry += uint32(i) }, "a")))
	}
	files := h.find(maxCertificates)
	if files[0].Certificate.Expiry != h.cert.Expiry {
		t.Error("not in the order of the names")
	}
}

// TestPileGrows: files come and go while the directory is read.
func TestPileGrows(t *testing.T) {
	h := newHeap(t)
	h.write("0.certificate", h.encode(h.signed("a")))
	data, done := h.encode(h.signed("b")), make(chan error)
	go func() {
		var errs []error
		for i := range 200 {
			path := filepath.Join(h.dir, fmt.Sprintf("%03d.certificate", i))
			errs = append(errs, os.WriteFile(path, data, 0o600))
			if i%2 == 1 {
				errs = append(errs, os.Remove(path))
			}
		}
		done <- errors.Join(errs...)
	}()
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		files, err := h.look(h.cert.ClaimsDigest, *h.root.State.Verifiers)
		if err != nil || len(files) == 0 {
			t.Fatalf("%d certificates, %v", len(files), err)
		}
	}
	h.find(101)
}
