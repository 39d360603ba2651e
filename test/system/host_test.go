package system

import (
	"context"
	"crypto/ed25519"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
	"github.com/cocoon-go/cocoon/host"
)

// enclaveMain is this test binary as the program of an enclave, started by a
// host: cmd/cocoon-enclave without its words for people. It ends when its
// standard input does.
func enclaveMain(args []string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	err := runEnclave(ctx, args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "enclave:", err)
	}
	return attestation.ExitCode(err)
}

func runEnclave(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("run", flag.ContinueOnError)
	config, ton, data := fs.String("config", "", ""), fs.String("ton-config", "", ""), fs.String("data", "", "")
	listen, simulated := fs.String("listen", "", ""), fs.String("simulated", "", "")
	fs.String("endorsements", "", "") // of GPUs, which there are none of
	if err := fs.Parse(args); err != nil {
		return err
	}
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		return b
	}
	cfg, err := enclave.ParseConfig(read(*config))
	if err != nil {
		return err
	}
	global, err := chain.ParseGlobalConfig(read(*ton))
	if err != nil {
		return err
	}
	client, err := chain.Dial(ctx, global)
	if err != nil {
		return err
	}
	defer client.Close()
	platform, err := sim.ParseIntel(read(filepath.Join(*simulated, sim.IntelPlatformFile)))
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dev, err := simdevice.New(platform, self)
	if err != nil {
		return err
	}
	eng, err := tinylm.New(tinylm.Options{})
	if err != nil {
		return err
	}
	defer eng.Close()
	e, err := enclave.Boot(ctx, enclave.Options{
		Config: cfg, Device: dev, Chain: registry.Reader{Reader: client}, Engine: eng, DataDir: *data,
		Software: "system-test", Now: time.Now, Poll: 100 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	srv := e.Server()
	defer srv.Close()
	go srv.Serve(ln)
	fmt.Println("listening on", ln.Addr())
	return e.Run(ctx)
}

// operator is a host that runs in this process, and its enclave in another.
type operator struct {
	host.Running
	stop func() error // ends it and returns what it ended with
	done chan struct{}
}

// hostOptions are those of a node in a directory, of an operator with a wallet of
// his own.
func (w *world) hostOptions(t testing.TB, dir string) host.Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	wallet, err := chain.NewWallet(key, w.net.Chain.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.net.Chain.Faucet(testContext(t), wallet.Address(), 20_000_000_000); err != nil {
		t.Fatal(err)
	}
	ton := filepath.Join(t.TempDir(), "ton.json") // with the honest liteserver only
	if err := os.WriteFile(ton, w.globalConfig(t, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	return host.Options{
		Dir: dir, Program: self, Simulated: filepath.Join(w.dir, network.PlatformDir), TON: ton,
		Registry: w.net.Registry, Wallet: key, Endorsements: w.endorsements, AnchorEvery: time.Second,
		Log: slog.New(slog.DiscardHandler),
	}
}

// up runs a host until the test ends or stop is called, and waits until it
// serves.
func up(t testing.TB, o host.Options) *operator {
	t.Helper()
	ready := make(chan host.Running, 1)
	o.Ready = func(r host.Running) { ready <- r }
	ctx, cancel := context.WithCancel(context.Background())
	p := &operator{done: make(chan struct{})}
	var err error
	go func() {
		err = host.Up(ctx, o)
		close(p.done)
	}()
	p.stop = func() error {
		cancel()
		<-p.done
		return err
	}
	t.Cleanup(func() { _ = p.stop() })
	select {
	case p.Running = <-ready:
	case <-p.done:
		t.Fatalf("the host ended: %v", err)
	case <-time.After(longest):
		t.Fatal("the host does not serve")
	}
	return p
}

// Two hosts on one directory, then a restart from an older copy of it: with the
// real host, its relay, and the enclave in a process of its own.
func TestHost(t *testing.T) {
	t.Parallel()
	w, dir := shared, t.TempDir()
	o := w.hostOptions(t, dir)
	first := up(t, o)
	u := w.newUser(t, first.Node, first.Relay)
	given := []*receipt.File{u.mustAsk(t, newSecret())}

	err := host.Up(testContext(t), o)
	wantError(t, err, badInput, "", "in use by another process; every node needs its own")
	given = append(given, u.mustAsk(t, newSecret()))

	old := t.TempDir()
	copyDir(t, old, filepath.Join(dir, "log"))
	given = append(given, u.mustAsk(t, newSecret()))
	if _, err := u.WaitAnchored(testContext(t), given[2].Receipt, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := first.stop(); err != nil {
		t.Errorf("the host ends with %v", err)
	}
	newest := t.TempDir()
	copyDir(t, newest, filepath.Join(dir, "log"))
	copyDir(t, filepath.Join(dir, "log"), old)

	// it says so and ends, instead of registering one boot after another
	err = host.Up(testContext(t), o)
	wantError(t, err, chainSay, "", "the enclave did not boot", "its own words are above")
	rec, err := w.reader.Node(testContext(t), first.Node)
	if err != nil || rec.Current != 1 {
		t.Errorf("epoch %d is registered, %v", rec.Current, err)
	}

	copyDir(t, filepath.Join(dir, "log"), newest)
	second := up(t, o)
	if second.Node != first.Node || second.Epoch != 2 {
		t.Errorf("epoch %d of node %v", second.Epoch, second.Node)
	}
	u = w.newUser(t, second.Node, second.Relay)
	given = append(given, u.mustAsk(t, newSecret()))
	for i, f := range given {
		if f.Receipt.Head.Index != uint64(i) {
			t.Errorf("receipt %d has index %d", i, f.Receipt.Head.Index)
		}
	}
	if err := second.stop(); err != nil {
		t.Errorf("the host ends with %v", err)
	}
	// nobody answers, and the client says so
	secret := newSecret()
	_, err = u.ask(t, secret, false)
	wantError(t, err, unknown, secret, "sending to the relay")
}
