package devnet_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// storedChain is a chain on disk that its process left without a word: the
// directory as it was while the chain ran.
type storedChain struct {
	dir   string
	head  *ton.BlockIDExt
	clock *devnet.Clock
	opts  devnet.Options
	to    attestation.Address
	paid  uint64
}

// newStoredChain runs a chain with payments, a changed parameter and a message
// in a queue, and copies its directory from under it.
func newStoredChain(t *testing.T) *storedChain {
	t.Helper()
	s := &storedChain{clock: devnet.NewClock(time.Unix(1_900_000_000, 0)), to: addr(0x33)}
	s.opts = devnet.Options{Dir: t.TempDir(), BlockInterval: -1, Now: s.clock.Now, DeferInternal: true, Validators: 3}
	c := start(t, s.opts)
	s.fill(t, c)
	s.dir = copyDir(t, s.opts.Dir)
	s.head = c.Head().ID
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *storedChain) fill(t *testing.T, c *devnet.Chain) {
	t.Helper()
	for range 3 {
		if err := s.clock.Advance(time.Second); err != nil {
			t.Fatal(err)
		}
		if err := c.Faucet(testContext(t), s.to, 1e9); err != nil {
			t.Fatal(err)
		}
		s.paid += 1e9
	}
	faucet, err := chain.NewWallet(c.FaucetWallet(), c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	m, err := faucet.Transfer(3, c.Now().Add(time.Minute), false, chain.Message{To: s.to, Amount: big.NewInt(5e8), NoBounce: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(m); err != nil {
		t.Fatal(err)
	}
	if err := c.Mine(1); err != nil { // the payment waits in the queue
		t.Fatal(err)
	}
	s.paid += 5e8
}

// open starts the chain from a directory.
func (s *storedChain) open(t *testing.T, dir string) *devnet.Chain {
	t.Helper()
	o := s.opts
	o.Dir = dir
	return start(t, o)
}

// goesOn demands that a chain makes blocks that an unmodified client and the light
// client prove, with the old ones, and that the account holds what it was paid.
func (s *storedChain) goesOn(t *testing.T, c *devnet.Chain, want uint64) {
	t.Helper()
	cfg, err := chain.ParseGlobalConfig(c.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	cl, err := chain.Dial(testContext(t), cfg, chain.WithClock(c.Now))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	// a block of before, by its signatures
	if h, err := cl.Head(testContext(t)); err != nil || h.Seqno != c.Head().ID.SeqNo {
		t.Errorf("head %v, err %v", h, err)
	}
	if err := c.Mine(2); err != nil {
		t.Fatal(err)
	}
	if cfg, err := chain.ParseGlobalConfig(c.GlobalConfig()); err != nil || cfg.Trusted().Seqno != 1 {
		t.Errorf("a key block within the hour after the first")
	}
	client := api(t, c, ton.ProofCheckPolicySecure)
	head, err := client.GetMasterchainInfo(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	acc, err := client.GetAccount(testContext(t), head, tonAddr(s.to))
	if err != nil {
		t.Fatal(err)
	}
	if got := acc.State.Balance.Nano().Uint64(); got > want || got < want-1000 {
		t.Errorf("balance %d, want %d", got, want)
	}
	old, err := cl.Block(testContext(t), 50)
	if err != nil || old.Seqno != 50 {
		t.Errorf("old block %v, err %v", old, err)
	}
	a, err := cl.Account(testContext(t), s.to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.VerifyAccountProof(a.Proof, s.to, cfg.Trusted()); err != nil {
		t.Error(err)
	}
	if txs, err := cl.Transactions(testContext(t), a, 10); err != nil || len(txs) == 0 {
		t.Errorf("%d transactions, err %v", len(txs), err)
	}
}

func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	err := fs.WalkDir(os.DirFS(from), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(from, path))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, path), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// records returns where the records of the block file end.
func records(t *testing.T, dir string) (ends []int64) {
	t.Helper()
	b := readFile(t, filepath.Join(dir, "blocks"))
	for at := int64(0); at < int64(len(b)); {
		at += 8 + int64(b[at])<<24 + int64(b[at+1])<<16 + int64(b[at+2])<<8 + int64(b[at+3])
		ends = append(ends, at)
	}
	return ends
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCrash ends the process between a block and its state: the chain goes on
// from the blocks, applied to the last state that was written.
func TestCrash(t *testing.T) {
	s := newStoredChain(t)
	states, _ := filepath.Glob(filepath.Join(s.dir, "state-*.boc"))
	if len(states) != 1 || !strings.HasSuffix(states[0], "state-0.boc") {
		t.Fatalf("states %v, want that of the start alone", states)
	}
	if n := len(records(t, s.dir)); n != int(s.head.SeqNo) {
		t.Fatalf("%d blocks on disk, the head is %d", n, s.head.SeqNo)
	}
	c := s.open(t, s.dir)
	if !c.Head().ID.Equals(s.head) {
		t.Fatalf("head %v, want %v", c.Head().ID, s.head)
	}
	if q, err := c.QueueLengths(); err != nil || q[0] != 1 {
		t.Errorf("queues %v, err %v; want the payment", q, err)
	}
	s.goesOn(t, c, s.paid)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	// and once more, from a state that was written
	s.goesOn(t, s.open(t, s.dir), s.paid)
}

// lockedBuffer is a buffer that a chain may still write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestTornFile cuts the block file in the middle of its last record, at every
// kind of place, and puts rubbish behind it: the chain goes on before it.
func TestTornFile(t *testing.T) {
	s := newStoredChain(t)
	blocks := readFile(t, filepath.Join(s.dir, "blocks"))
	ends := records(t, s.dir)
	last := ends[len(ends)-2]
	for _, tc := range []struct {
		name string
		edit func(b []byte) []byte
		head uint32
	}{
		{"one byte of the last record", func(b []byte) []byte { return b[:last+1] }, s.head.SeqNo - 1},
		{"its header", func(b []byte) []byte { return b[:last+8] }, s.head.SeqNo - 1},
		{"half of it", func(b []byte) []byte { return b[:(last+int64(len(b)))/2] }, s.head.SeqNo - 1},
		{"all but a byte", func(b []byte) []byte { return b[:len(b)-1] }, s.head.SeqNo - 1},
		{"a bit of it", func(b []byte) []byte { b[(last+int64(len(b)))/2] ^= 1; return b }, s.head.SeqNo - 1},
		{"a bit of its checksum", func(b []byte) []byte { b[last+5] ^= 1; return b }, s.head.SeqNo - 1},
		{"its length, too long", func(b []byte) []byte { b[last] = 0xff; return b }, s.head.SeqNo - 1},
		{"its length, zero", func(b []byte) []byte { copy(b[last:], make([]byte, 8)); return b }, s.head.SeqNo - 1},
		{"zeros behind it", func(b []byte) []byte { return append(b, make([]byte, 4096)...) }, s.head.SeqNo},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := copyDir(t, s.dir)
			writeFile(t, filepath.Join(dir, "blocks"), tc.edit(bytes.Clone(blocks)))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var log lockedBuffer
			s := *s
			s.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
			c := s.open(t, dir)
			runtime.ReadMemStats(&after)
			if want := fmt.Sprintf("goes_on_after=%d bytes=", tc.head); !strings.Contains(log.String(), want) {
				t.Errorf("log %q, want %q", log.String(), want)
			}
			if c.Head().ID.SeqNo != tc.head {
				t.Fatalf("head %d, want %d", c.Head().ID.SeqNo, tc.head)
			}
			if n := len(records(t, dir)); n != int(tc.head) {
				t.Errorf("%d records on disk, want %d: the tail is still there", n, tc.head)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 1<<30 {
				t.Errorf("%d MiB for a small file", n>>20)
			}
			switch tc.head {
			case s.head.SeqNo:
				s.goesOn(t, c, s.paid)
			case s.head.SeqNo - 1: // the last payment was never made
				s.goesOn(t, c, s.paid-5e8)
			}
			head := c.Head().ID
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if again := s.open(t, dir); !again.Head().ID.Equals(head) {
				t.Errorf("head %v after a restart, %v before", again.Head().ID, head)
			}
		})
	}
}

// TestDamagedRecord: damage that has good records behind it loses no block without
// a word. The record is named, and only repair goes on before it.
func TestDamagedRecord(t *testing.T) {
	s := newStoredChain(t)
	blocks := readFile(t, filepath.Join(s.dir, "blocks"))
	ends := records(t, s.dir)
	for name, edit := range map[string]func(b []byte) []byte{
		"a bit of it":         func(b []byte) []byte { b[ends[104]+100] ^= 1; return b },
		"a bit of its length": func(b []byte) []byte { b[ends[104]+3] ^= 1; return b },
		"its length":          func(b []byte) []byte { b[ends[104]] = 0x7f; return b },
		"zeros for it":        func(b []byte) []byte { clear(b[ends[104]:ends[105]]); return b },
		"many zeros for it": func(b []byte) []byte { // more than is searched at a time
			return slices.Concat(b[:ends[104]], make([]byte, 9<<20), b[ends[105]:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := s.opts
			o.Dir = copyDir(t, s.dir)
			path := filepath.Join(o.Dir, "blocks")
			b := edit(bytes.Clone(blocks))
			writeFile(t, path, b)
			if c, err := devnet.Start(o); err == nil {
				c.Close()
				t.Fatal("it starts")
			} else if !strings.Contains(err.Error(), "the record of block 106, at byte") || !strings.Contains(err.Error(), "repair") {
				t.Errorf("error %v", err)
			}
			if !bytes.Equal(readFile(t, path), b) {
				t.Error("the file has changed")
			}
			o.Repair = true
			c, err := devnet.Start(o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if n := c.Head().ID.SeqNo; n != 105 {
				t.Errorf("head %d, want 105", n)
			}
			if err := c.Mine(2); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStoredOptions: what a stored chain can't be is an error, and what is left
// open is what it is.
func TestStoredOptions(t *testing.T) {
	s := newStoredChain(t)
	for name, edit := range map[string]func(*devnet.Options){
		"chain id":   func(o *devnet.Options) { o.GlobalID = -778 },
		"validators": func(o *devnet.Options) { o.Validators = 7 },
	} {
		o := s.opts
		o.Dir = copyDir(t, s.dir)
		edit(&o)
		if c, err := devnet.Start(o); err == nil {
			c.Close()
			t.Errorf("%s: it starts", name)
		} else if !strings.Contains(err.Error(), "the stored chain has") {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := s.opts
	o.Dir, o.GlobalID, o.Validators = copyDir(t, s.dir), 0, 0
	c, err := devnet.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !c.Head().ID.Equals(s.head) {
		t.Errorf("head %v, want %v", c.Head().ID, s.head)
	}
}

// TestPorts: of a given port the liteservers have it and those after it.
func TestPorts(t *testing.T) {
	for range 10 { // another process may take one of them
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := ln.Addr().(*net.TCPAddr).Port
		ln.Close()
		c, err := devnet.Start(devnet.Options{BlockInterval: -1, Listen: fmt.Sprintf("127.0.0.1:%d", port), Liteservers: 3})
		if err != nil {
			continue
		}
		defer c.Close()
		for i, s := range c.Liteservers() {
			if s.Addr().Port != port+i {
				t.Errorf("liteserver %d listens on %v, want port %d", i, s.Addr(), port+i)
			}
		}
		return
	}
	t.Fatal("no three free ports")
}

// TestDamagedState damages files of states: the chain goes on from an older one,
// and says so when there is none.
func TestDamagedState(t *testing.T) {
	s := newStoredChain(t)
	c := s.open(t, s.dir)
	head := c.Head().ID
	if err := c.Close(); err != nil { // writes the state of the head
		t.Fatal(err)
	}
	newest := fmt.Sprintf("state-%d.boc", head.SeqNo)
	good := readFile(t, filepath.Join(s.dir, newest))
	old := readFile(t, filepath.Join(s.dir, "state-0.boc"))
	for name, b := range map[string][]byte{
		"empty":                      {},
		"torn":                       good[:len(good)/2],
		"a bit":                      flip(good, len(good)/2),
		"the state of another block": old,
	} {
		t.Run(name, func(t *testing.T) {
			dir := copyDir(t, s.dir)
			writeFile(t, filepath.Join(dir, newest), b)
			c := s.open(t, dir)
			if !c.Head().ID.Equals(head) {
				t.Fatalf("head %v, want %v", c.Head().ID, head)
			}
			s.goesOn(t, c, s.paid)
		})
	}
	t.Run("a state that no block has", func(t *testing.T) {
		dir := copyDir(t, s.dir)
		writeFile(t, filepath.Join(dir, "state-4000.boc"), good)
		s.goesOn(t, s.open(t, dir), s.paid)
	})
	for name, edit := range map[string]func(dir string){
		"no state is good": func(dir string) {
			writeFile(t, filepath.Join(dir, newest), nil)
			writeFile(t, filepath.Join(dir, "state-0.boc"), old[:len(old)/2])
		},
		"no state is there": func(dir string) {
			for _, name := range []string{newest, "state-0.boc"} {
				if err := os.Remove(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		},
		"the first state is damaged": func(dir string) { writeFile(t, filepath.Join(dir, "state-0.boc"), old[:len(old)/2]) },
		"the file of the chain is":   func(dir string) { writeFile(t, filepath.Join(dir, "chain.json"), []byte("{")) },
		"the chain is of another kind": func(dir string) {
			writeFile(t, filepath.Join(dir, "chain.json"), []byte(`{"format":"cocoon/devnet/v2"}`))
		},
		"a good record behind the last that is not the next": func(dir string) {
			path := filepath.Join(dir, "blocks")
			b, ends := readFile(t, path), records(t, dir)
			writeFile(t, path, append(b, b[ends[9]:ends[10]]...))
		},
		"the directory is a file": func(dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			writeFile(t, dir, nil)
		},
	} {
		dir := copyDir(t, s.dir)
		edit(dir)
		o := s.opts
		o.Dir = dir
		if c, err := devnet.Start(o); err == nil {
			c.Close()
			t.Errorf("%s: it starts", name)
		}
	}
}

func flip(b []byte, i int) []byte {
	out := bytes.Clone(b)
	out[i] ^= 1
	return out
}

// TestSecondProcess opens a directory twice.
func TestSecondProcess(t *testing.T) {
	o := devnet.Options{Dir: t.TempDir(), BlockInterval: -1}
	c := start(t, o)
	before := readFile(t, filepath.Join(o.Dir, "blocks"))
	if d, err := devnet.Start(o); err == nil {
		d.Close()
		t.Error("a second chain runs in the directory")
	} else if !strings.Contains(err.Error(), "in use") {
		t.Errorf("the second: %v", err)
	}
	if err := c.Mine(1); err != nil {
		t.Errorf("the first, after that: %v", err)
	}
	if now := readFile(t, filepath.Join(o.Dir, "blocks")); !bytes.HasPrefix(now, before) {
		t.Error("the second has written")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, o) // the lock ends with the first
}
