package ledger

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
)

// memFS is a file system that can fail at any step and then lose power. It
// knows which bytes and names are durable.
type memFS struct {
	files  map[string]*memFile
	step   int // counts operations that change something
	failAt int // the step that fails; 0 for none
	how    failure
	failed bool
}

type failure int

const (
	failBefore failure = iota // nothing happened
	failHalf                  // half of it happened, and an error came back
	failAfter                 // all of it happened, and an error came back
	shortWrite                // half was written, and no error came back
)

var errDisk = errors.New("input/output error")

type memFile struct {
	fs       *memFS
	data     []byte // what reads see
	durable  []byte // what a power loss leaves at least
	named    bool   // the directory entry is durable
	isClosed bool
}

func newMemFS() *memFS { return &memFS{files: map[string]*memFile{}} }

// do counts a step and says how it fails.
func (m *memFS) do() (failure, bool) {
	m.step++
	if m.step == m.failAt {
		m.failed = true
		return m.how, true
	}
	return 0, false
}

func (m *memFS) mkdir(string) error             { return nil }
func (m *memFS) lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }
func (m *memFS) open(path string) (file, error) {
	if f := m.files[path]; f != nil {
		f.isClosed = false
		return f, nil
	}
	f := &memFile{fs: m}
	m.files[path] = f
	return f, nil
}

func (m *memFS) syncDir(dir string) error {
	how, fails := m.do()
	if !fails || how == failAfter {
		for p, f := range m.files {
			if filepath.Dir(p) == dir {
				f.named = true
			}
		}
	}
	if fails {
		return errDisk
	}
	return nil
}

// loss is what a power loss does to bytes that were written and not synced.
type loss string

const (
	loseNothing loss = "nothing lost" // also: only the process died
	loseAll     loss = "all lost"
	loseHalf    loss = "half lost"
	loseToZero  loss = "half zero"
)

func (m *memFS) powerLoss(how loss) {
	m.failAt = 0
	for p, f := range m.files {
		f.fs = m
		if !f.named && how != loseNothing {
			delete(m.files, p)
			continue
		}
		if how == loseNothing || slices.Equal(f.data, f.durable) {
			continue
		}
		// Files only grow, but for a torn tail that was cut.
		keep := min(len(f.durable), len(f.data))
		fresh := len(f.data) - keep
		data := slices.Clone(f.durable)
		switch how {
		case loseHalf:
			data = append(data, f.data[keep:keep+fresh/2]...)
		case loseToZero:
			data = append(data, f.data[keep:keep+fresh/2]...)
			data = append(data, make([]byte, fresh-fresh/2)...)
		}
		f.data, f.durable = data, slices.Clone(data)
	}
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	how, fails := f.fs.do()
	n := len(p)
	if fails && how == failBefore {
		return 0, errDisk
	}
	if fails && how != failAfter {
		n /= 2
	}
	if need := int(off) + n; need > len(f.data) {
		f.data = append(f.data, make([]byte, need-len(f.data))...)
	}
	copy(f.data[off:], p[:n])
	if fails && how != shortWrite {
		return n, errDisk
	}
	return n, nil
}

func (f *memFile) Sync() error {
	how, fails := f.fs.do()
	if !fails || how == failAfter {
		f.durable = slices.Clone(f.data)
	}
	if fails {
		return errDisk
	}
	return nil
}

func (f *memFile) Truncate(size int64) error {
	if how, fails := f.fs.do(); fails && how != failAfter {
		return errDisk
	} else if fails {
		f.data = f.data[:size]
		return errDisk
	}
	f.data = f.data[:size]
	return nil
}

func (f *memFile) Close() error         { f.isClosed = true; return nil }
func (f *memFile) size() (int64, error) { return int64(len(f.data)), nil }

// life runs two boots on m and stops at the first error. It returns the heads
// whose receipts left the enclave and the last checkpoint that could have been
// anchored.
func life(m *memFS, acked *[]receipt.Head, cp *translog.Checkpoint) error {
	for epoch := uint32(1); epoch <= 2; epoch++ {
		l, err := open(m, "d", anchoredAt(epoch, *cp))
		if err != nil {
			return err
		}
		for range 3 {
			r, err := l.Append(signer(epoch, 1))
			if err != nil {
				// Nothing more may be signed.
				if _, again := l.Append(signer(epoch, 2)); again == nil {
					return fmt.Errorf("append worked after %w", err)
				}
				if !errors.As(err, new(*fault.UnknownError)) {
					return fmt.Errorf("%v is not an UnknownError", err)
				}
				return errDisk
			}
			*acked = append(*acked, r.Head)
			if *cp, err = l.Checkpoint(); err != nil {
				return err
			}
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// Every step fails in every way, then power is lost in every way; after it, and
// after a second loss right after the recovery, every receipt that was returned
// is in the log, and the log continues every checkpoint.
func TestEveryCrash(t *testing.T) {
	count := newMemFS()
	if err := life(count, new([]receipt.Head), &translog.Checkpoint{}); err != nil {
		t.Fatal(err)
	}
	if count.step < 14 {
		t.Fatalf("only %d steps", count.step)
	}
	for at := 1; at <= count.step; at++ {
		for _, how := range []failure{failBefore, failHalf, failAfter, shortWrite} {
			for _, lost := range []loss{loseNothing, loseAll, loseHalf, loseToZero} {
				t.Run(fmt.Sprintf("step %d/%d/%s", at, how, lost), func(t *testing.T) {
					m := newMemFS()
					m.failAt, m.how = at, how
					var acked []receipt.Head
					var cp translog.Checkpoint
					if err := life(m, &acked, &cp); err != nil && !errors.Is(err, errDisk) && !errors.Is(err, io.ErrShortWrite) {
						t.Fatal(err)
					} else if !m.failed {
						t.Fatal("nothing failed")
					} else if err == nil {
						t.Fatal("a failure went unnoticed")
					}
					for epoch := uint32(3); epoch <= 5; epoch++ {
						m.powerLoss(lost)
						l, err := open(m, "d", anchoredAt(epoch, cp))
						if err != nil {
							t.Fatalf("boot %d: %v", epoch, err)
						}
						for _, want := range acked {
							h, _, err := l.Leaf(want.Index)
							if err != nil || h != want {
								t.Fatalf("boot %d: receipt %d is lost: %v", epoch, want.Index, err)
							}
						}
						r, err := l.Append(signer(epoch, 3))
						if err != nil {
							t.Fatal(err)
						}
						acked = append(acked, r.Head)
						if cp, err = l.Checkpoint(); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// What a boot found in the page cache is durable before the boot builds on it.
func TestOpenSyncsWhatItRead(t *testing.T) {
	m := newMemFS()
	l, err := open(m, "d", boot(1))
	if err != nil {
		t.Fatal(err)
	}
	m.failAt = m.step + 2 // the sync of the first append
	if _, err := l.Append(signer(1, 0)); err == nil {
		t.Fatal("no error")
	}
	m.powerLoss(loseNothing) // the process died, the machine did not
	if l, err = open(m, "d", boot(2)); err != nil {
		t.Fatal(err)
	}
	cp := checkpoint(t, l)
	if cp.Size != 1 {
		t.Fatalf("%d leaves, want the one in the page cache", cp.Size)
	}
	m.powerLoss(loseAll)
	if _, err := open(m, "d", anchoredAt(3, cp)); err != nil {
		t.Fatal(err)
	}
}

// Appends that wait for a sync share it.
func TestGroupCommit(t *testing.T) {
	m := newMemFS()
	l, err := open(m, "d", boot(1))
	if err != nil {
		t.Fatal(err)
	}
	before := m.step
	l.writing.Lock() // a slow disk
	const n = 50
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := l.Append(signer(1, 0))
			errs <- err
		}()
	}
	for {
		l.mu.Lock()
		queued := l.next
		l.mu.Unlock()
		if queued == n {
			break
		}
	}
	if l.Size() != 0 {
		t.Error("leaves are in the tree before they are durable")
	}
	l.writing.Unlock()
	for range n {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if steps := m.step - before; steps != 2 {
		t.Errorf("%d file operations for %d appends, want one write and one sync", steps, n)
	}
	if l.Size() != n {
		t.Errorf("%d leaves", l.Size())
	}
}

// When the shared sync fails, nobody gets a receipt.
func TestGroupFails(t *testing.T) {
	m := newMemFS()
	l, err := open(m, "d", boot(1))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Err(); err != nil {
		t.Errorf("before: %v", err)
	}
	m.failAt = m.step + 2
	l.writing.Lock()
	errs := make(chan error, 5)
	for range 5 {
		go func() {
			r, err := l.Append(signer(1, 0))
			if r != nil {
				t.Error("a receipt came with an error")
			}
			errs <- err
		}()
	}
	for queued := uint64(0); queued < 5; {
		l.mu.Lock()
		queued = l.next
		l.mu.Unlock()
	}
	l.writing.Unlock()
	for range 5 {
		wantFamily(t, <-errs, fault.FamilyUnknown, "boots again")
	}
	if l.Size() != 0 {
		t.Error("a leaf that may not be durable is in the tree")
	}
	wantFamily(t, l.Err(), fault.FamilyUnknown, "boots again")
}
