package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
)

// runtime is an enclave that serves in this process.
type runtime struct {
	w    *world
	node attestation.Address
	dir  string // its log
	url  string
	e    *enclave.Enclave

	end  func()        // ends it
	done chan struct{} // closed when Run has returned
	err  error         // what Run returned; after done
}

// configuration returns the measured configuration of an enclave, with more
// tables.
func (w *world) configuration(t testing.TB, node attestation.Address, tables ...[]byte) *enclave.Config {
	t.Helper()
	cfg, err := chain.ParseGlobalConfig(w.net.Chain.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	b := cfg.Trusted()
	c, err := enclave.ParseConfig(append(fmt.Appendf(nil, `version = 1
chain_id = %d
registry = %q
node = %q
engine = "embedded"

[trusted_block]
seqno = %d
root_hash = "%x"
file_hash = "%x"
`, w.net.Chain.GlobalID(), w.net.Registry, node, b.Seqno, b.RootHash, b.FileHash), bytes.Join(tables, nil)...))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// options are those of an enclave of a node over a directory.
func (w *world) options(t testing.TB, node attestation.Address, dir string, change ...func(*enclave.Options)) enclave.Options {
	t.Helper()
	dev, err := simdevice.New(w.net.Platform, w.program)
	if err != nil {
		t.Fatal(err)
	}
	o := enclave.Options{
		Config: w.configuration(t, node), Device: dev, Chain: w.reader, Engine: w.engine,
		DataDir: dir, Software: "system-test", Now: time.Now, Poll: 100 * time.Millisecond,
	}
	for _, f := range change {
		f(&o)
	}
	return o
}

// bootError boots an enclave that must not boot.
func (w *world) bootError(t testing.TB, node attestation.Address, dir string) error {
	t.Helper()
	_, err := enclave.Boot(testContext(t), w.options(t, node, dir))
	if err == nil {
		t.Fatal("the enclave boots")
	}
	return err
}

// launch boots an enclave of a node over a directory and starts to serve its
// port; it is not registered.
func (w *world) launch(t testing.TB, node attestation.Address, dir string, change ...func(*enclave.Options)) *runtime {
	t.Helper()
	o := w.options(t, node, dir, change...)
	var err error
	ctx, cancel := context.WithCancel(context.Background())
	r := &runtime{w: w, node: node, dir: dir, done: make(chan struct{})}
	if r.e, err = enclave.Boot(ctx, o); err != nil {
		cancel()
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	r.url = "http://" + ln.Addr().String()
	srv := r.e.Server()
	go srv.Serve(ln)
	go func() {
		r.err = r.e.Run(ctx)
		close(r.done)
	}()
	r.end = sync.OnceFunc(func() {
		cancel()
		<-r.done
		srv.Close()
	})
	t.Cleanup(r.end)
	return r
}

// boot launches an enclave, registers it, and waits until it serves.
func (w *world) boot(t testing.TB, node attestation.Address, dir string, change ...func(*enclave.Options)) *runtime {
	t.Helper()
	r := w.launch(t, node, dir, change...)
	if err := w.register(testContext(t), r.bundle(t)); err != nil {
		t.Fatal(err)
	}
	r.awaitState(t, enclave.StateServe)
	return r
}

// bootFresh boots an enclave of a node of its own.
func (w *world) bootFresh(t testing.TB, change ...func(*enclave.Options)) *runtime {
	t.Helper()
	return w.boot(t, w.takeNode(t), t.TempDir(), change...)
}

func (r *runtime) awaitState(t testing.TB, want enclave.State) {
	t.Helper()
	until := time.Now().Add(longest)
	for r.e.State() != want {
		select {
		case <-r.done:
			if r.e.State() != want {
				t.Fatalf("the enclave ended at %s: %v", r.e.State(), r.err)
			}
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(until) {
			t.Fatalf("the enclave stays at %s, want %s", r.e.State(), want)
		}
	}
}

// ended waits for the end of Run and returns its error.
func (r *runtime) ended(t testing.TB) error {
	t.Helper()
	select {
	case <-r.done:
		return r.err
	case <-time.After(longest):
		t.Fatalf("the enclave goes on at %s", r.e.State())
		return nil
	}
}

func (r *runtime) get(t testing.TB, path string) []byte {
	t.Helper()
	resp, err := http.Get(r.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v", path, resp.StatusCode, err)
	}
	return data
}

func (r *runtime) bundle(t testing.TB) []byte {
	t.Helper()
	return r.get(t, "/.well-known/cocoon/bundle")
}

// status is what an enclave says about itself.
type status struct {
	Size uint64 `json:"size"` // leaves in the log
	Head uint32 `json:"head"` // proved masterchain block

	Anchored uint64 `json:"anchored"` // leaves that it has proved to be on the chain
}

func (r *runtime) status(t testing.TB) (s status) {
	t.Helper()
	if err := json.Unmarshal(r.get(t, "/.well-known/cocoon/state"), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *runtime) size(t testing.TB) uint64 { t.Helper(); return r.status(t).Size }

// awaitHead waits until the enclave has proved a block with that number, or a
// later one.
func (r *runtime) awaitHead(t testing.TB, seqno uint32) {
	t.Helper()
	r.awaitStatus(t, func(s status) bool { return s.Head >= seqno })
}

// awaitAnchored waits until the enclave has proved an anchor of that size.
func (r *runtime) awaitAnchored(t testing.TB, size uint64) {
	t.Helper()
	r.awaitStatus(t, func(s status) bool { return s.Anchored >= size })
}

func (r *runtime) awaitStatus(t testing.TB, ok func(status) bool) {
	t.Helper()
	for until := time.Now().Add(longest); !ok(r.status(t)); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("the enclave stays at %+v", r.status(t))
		}
	}
}

// anchor puts the log's head on the chain and waits until it is there.
func (r *runtime) anchor(t testing.TB) *registry.Node {
	t.Helper()
	var v struct {
		Epoch     uint32 `json:"epoch"`
		Size      uint64 `json:"size"`
		Root      []byte `json:"root"`
		Signature []byte `json:"signature"`
	}
	if err := json.Unmarshal(r.get(t, "/log/anchor"), &v); err != nil {
		t.Fatal(err)
	}
	m := &contracts.AnchorExternal{
		Anchor:    contracts.Anchor{Epoch: v.Epoch, Size: v.Size, Root: [32]byte(v.Root)},
		Signature: [64]byte(v.Signature),
	}
	ctx := testContext(t)
	rec, err := r.w.reader.Node(ctx, r.node)
	if err != nil {
		t.Fatal(err)
	}
	// The contract compares with the time of its block, in whole seconds.
	if _, err := r.w.client.WaitAccount(ctx, r.node, func(a *chain.Account) bool {
		return !a.Block.Time.Before(rec.Anchor.Time.Add(rec.AnchorInterval))
	}); err != nil {
		t.Fatal(err)
	}
	acc, err := r.w.client.SendExternal(ctx, r.node, nil, m.Body(), func(a *chain.Account) bool {
		n, err := registry.NodeOf(a)
		return err == nil && n.Anchor.Size >= v.Size
	})
	if err != nil {
		t.Fatal(err)
	}
	if rec, err = registry.NodeOf(acc); err != nil {
		t.Fatal(err)
	}
	return rec
}

// copyDir copies the files of a directory, as a backup does.
func copyDir(t testing.TB, to, from string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
