package programs

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
)

// networkWait only ends scripts that would fail anyway.
const networkWait = 5 * time.Minute

// place is a dev network of one script, whose clock can be moved ahead, and what
// runs on it.
type place struct {
	net   *network.Network
	bin   string
	work  string
	ahead atomic.Int64        // seconds
	ups   map[string]*running // nodes, by directory
	liar  *Liar               // nil until it starts
}

type running struct {
	*exec.Cmd
	log lockedBuffer
}

type placeKey struct{}

func placeOf(ts *testscript.TestScript) *place { return ts.Value(placeKey{}).(*place) }

// NetworkScripts runs the scripts of testdata/script. Every script has a dev
// network of its own, in net, and programs of [BuildWithClock] from bin. The
// registry wants a stake, receipts must be anchored within a minute, and the
// answer window is a day. operator.key and client.key are funded wallets,
// governor.key decides over the registry; $MEASUREMENT is the enclave's, and
// $AMD_MEASUREMENT that on the simulated AMD machine, net/sim-amd, whose root is
// $AMD_ROOT. Two verifiers are listed, net/verifier-1.key and net/verifier-2.key, who
// have no stake yet. $MODEL is the model's digest. Script commands beside
// testscript's own:
//
//	exits CODE PROGRAM ARG...   runs, and compares the exit code
//	node CODE COMMAND ARG...    is exits CODE cocoon-node with the flags that an
//	                            operator's commands need
//	unpaid CODE COMMAND ARG...  is node, and the operator's wallet may have spent
//	                            nothing
//	up [dir=DIR] ARG...         starts the node of a directory, "node" unless it is
//	                            named, and waits until it serves: $RELAY, $NODE and
//	                            $EPOCH are set
//	begin [dir=DIR] ARG...      starts it, and does not wait
//	down, crash [dir=DIR]       ends it as its operator does, or as a power cut does
//	ends [dir=DIR] CODE TEXT    waits until it has ended by itself, and said this
//	full [dir=DIR] enclave|host lets it write nothing more to files
//	says [dir=DIR] TEXT         waits until its log has the text
//	ahead DURATION              moves the clock of the chain, and of all programs
//	liar STEP ARG...           has a node whose keys the script holds do something: see
//	                           lie
//	until KEY VALUE PROGRAM ARG...
//	                            runs it until its JSON has the value
//	jsonis, jsonkeys            as in [Scripts]
func NetworkScripts(t *testing.T, bin string) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": runs, "node": nodeRuns, "unpaid": nodeUnpaid, "up": upRuns, "begin": begin, "down": down, "crash": crash, "ends": ends, "full": full, "says": says, "ahead": ahead, "liar": lie, "until": until, "jsonis": jsonIs, "jsonkeys": jsonKeys,
		},
		Setup: func(e *testscript.Env) error { return setupPlace(e, bin) },
	})
}

func setupPlace(e *testscript.Env, bin string) error {
	p := &place{bin: bin, work: e.WorkDir, ups: map[string]*running{}}
	e.Values[placeKey{}] = p
	m, err := simdevice.Measurement(filepath.Join(bin, "cocoon-enclave"))
	if err != nil {
		return err
	}
	amd, err := simdevice.SNPMeasurement(filepath.Join(bin, "cocoon-enclave"))
	if err != nil {
		return err
	}
	dir := filepath.Join(e.WorkDir, "net")
	config := filepath.Join(e.WorkDir, "config", "cocoon")
	for _, d := range []string{dir, config, filepath.Join(e.WorkDir, "home")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	p.net, err = network.Start(context.Background(), network.Options{
		Dir: dir, Measurements: [][32]byte{m, amd}, Verifiers: 2, Models: map[[32]byte]contracts.Model{tinylm.Digest(): {Licence: "Apache-2.0", URL: "embedded"}},
		Params: func(c *contracts.Params) {
			c.MinStake, c.ForkLoss, c.ReceiptLoss = 5e9, 2e9, 1e9
			c.MergeDelay, c.AnswerWindow, c.Unbonding, c.GovernanceDelay = 60, 86400, 3*86400, 4*86400
		},
		Chain: devnet.Options{BlockInterval: 100 * time.Millisecond, Now: p.now, Keep: 1 << 16},
	})
	if err != nil {
		return err
	}
	e.Defer(func() {
		for _, r := range p.ups {
			_ = r.Process.Kill()
			_ = r.Wait()
		}
		if p.liar != nil {
			_ = p.liar.Close()
		}
		_ = p.net.Close()
	})
	model, root := tinylm.Digest(), p.net.AMD.Vendor.Root()
	for k, v := range map[string]string{
		"AMD_MEASUREMENT": hex.EncodeToString(amd[:]), "AMD_ROOT": "sha256:" + hex.EncodeToString(root[:]), "MODEL": hex.EncodeToString(model[:]),
		"HOME": filepath.Join(e.WorkDir, "home"), "XDG_CONFIG_HOME": filepath.Join(e.WorkDir, "config"),
		"PATH": bin + string(filepath.ListSeparator) + os.Getenv("PATH"), "MEASUREMENT": hex.EncodeToString(m[:]),
	} {
		e.Setenv(k, v)
	}
	for _, name := range []string{network.PolicyFile, network.TONFile, network.RegistryFile} {
		if err := copyFile(filepath.Join(config, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return p.keys()
}

func (p *place) now() time.Time { return time.Now().Add(time.Duration(p.ahead.Load()) * time.Second) }

// keys writes the keys of the network, and funds a client.
func (p *place) keys() error {
	_, client, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	for name, key := range map[string]ed25519.PrivateKey{"operator.key": p.net.Operator, "governor.key": p.net.Governor, "client.key": client} {
		if err := os.WriteFile(filepath.Join(p.work, name), []byte(hex.EncodeToString(key.Seed())+"\n"), 0o600); err != nil {
			return err
		}
	}
	w, err := chain.NewWallet(client, p.net.Chain.GlobalID())
	if err != nil {
		return err
	}
	return p.net.Chain.Faucet(context.Background(), w.Address(), 10e9)
}

func runs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	if code := exitCode(ts, args[1:]); strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func exitCode(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

// flags are what every command of an operator needs.
func (p *place) flags(dir string, args []string) []string {
	return append(args, "--dir", dir, "--ton-config", filepath.Join("net", network.TONFile), "--registry", filepath.Join("net", network.RegistryFile), "--wallet", "operator.key")
}

func nodeRuns(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: node CODE COMMAND ARG...")
	}
	if args[1] == "up" {
		args = append([]string{args[0], "up", "--simulated", filepath.Join("net", network.PlatformDir)}, args[2:]...)
	}
	runs(ts, false, append([]string{args[0], "cocoon-node"}, placeOf(ts).flags("node", args[1:])...))
}

// nodeUnpaid is nodeRuns where nothing may be paid.
func nodeUnpaid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: unpaid CODE COMMAND ARG...")
	}
	p := placeOf(ts)
	now := func(*testscript.TestScript) func() time.Time { return p.now }
	key := func(*testscript.TestScript) string { return "operator.key" }
	unpaid(filepath.Join("net", network.TONFile), key, now)(ts, false, append([]string{args[0], "cocoon-node"}, p.flags("node", args[1:])...))
}

// dirOf takes the directory off the arguments.
func dirOf(args []string) (string, []string) {
	if len(args) > 0 {
		if dir, ok := strings.CutPrefix(args[0], "dir="); ok {
			return dir, args[1:]
		}
	}
	return "node", args
}

func upRuns(ts *testscript.TestScript, neg bool, args []string) {
	r, stdout := start(ts, neg, args)
	giveUp := time.AfterFunc(networkWait, func() { _ = r.Process.Kill() })
	defer giveUp.Stop()
	var ready struct {
		Relay, Node string
		Epoch       int
	}
	if err := json.NewDecoder(stdout).Decode(&ready); err != nil || ready.Relay == "" {
		ts.Fatalf("the node does not serve: %v\n%s", err, r.log.String())
	}
	for k, v := range map[string]string{"RELAY": ready.Relay, "NODE": ready.Node, "EPOCH": strconv.Itoa(ready.Epoch)} {
		ts.Setenv(k, v)
	}
}

func begin(ts *testscript.TestScript, neg bool, args []string) { start(ts, neg, args) }

// start starts the node of a directory.
func start(ts *testscript.TestScript, neg bool, args []string) (*running, io.Reader) {
	p := placeOf(ts)
	dir, args := dirOf(args)
	if neg || p.ups[dir] != nil {
		ts.Fatalf("usage: up or begin [dir=DIR] ARG..., when it does not run")
	}
	args = append([]string{"up", "--json", "--simulated", filepath.Join("net", network.PlatformDir), "--endorsements", filepath.Join("net", network.EndorsementsDir)}, args...)
	r := &running{Cmd: exec.Command(filepath.Join(p.bin, "cocoon-node"), p.flags(dir, args)...)}
	r.Dir, r.Stderr = p.work, &r.log
	r.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "XDG_CONFIG_HOME="+ts.Getenv("XDG_CONFIG_HOME"))
	stdout, err := r.StdoutPipe()
	ts.Check(err)
	ts.Check(r.Start())
	p.ups[dir] = r
	return r, stdout
}

func down(ts *testscript.TestScript, neg bool, args []string) {
	r, code := ended(ts, args, os.Interrupt)
	if code != 0 {
		ts.Fatalf("the node does not end well: exit code %d\n%s", code, r.log.String())
	}
}

func crash(ts *testscript.TestScript, neg bool, args []string) { ended(ts, args, syscall.SIGKILL) }

func ends(ts *testscript.TestScript, neg bool, args []string) {
	_, rest := dirOf(args)
	if neg || len(rest) != 2 {
		ts.Fatalf("usage: ends [dir=DIR] CODE TEXT")
	}
	r, code := ended(ts, args, nil)
	if strconv.Itoa(code) != rest[0] || !strings.Contains(r.log.String(), rest[1]) {
		ts.Fatalf("exit code %d, want %s\n%s", code, rest[0], r.log.String())
	}
}

// ended waits until a node has ended, by a signal or by itself.
func ended(ts *testscript.TestScript, args []string, s os.Signal) (*running, int) {
	p := placeOf(ts)
	dir, _ := dirOf(args)
	r := p.ups[dir]
	if r == nil {
		ts.Fatalf("no node runs in %s", dir)
	}
	delete(p.ups, dir)
	giveUp := time.AfterFunc(networkWait, func() { _ = r.Process.Kill() })
	defer giveUp.Stop()
	if s != nil {
		_ = r.Process.Signal(s)
	}
	_ = r.Wait()
	ts.Logf("%s", r.log.String())
	return r, r.ProcessState.ExitCode()
}

func says(ts *testscript.TestScript, neg bool, args []string) {
	dir, rest := dirOf(args)
	r := placeOf(ts).ups[dir]
	if neg || len(rest) != 1 || r == nil {
		ts.Fatalf("usage: says [dir=DIR] TEXT, when it runs")
	}
	for end := time.Now().Add(networkWait); !strings.Contains(r.log.String(), rest[0]); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("it does not say so\n%s", r.log.String())
		}
	}
}

func ahead(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ahead DURATION")
	}
	by, err := time.ParseDuration(args[0])
	ts.Check(err)
	p := placeOf(ts)
	to := p.ahead.Load() + int64(by.Seconds())
	// Programs and chain may be a moment apart: a head may be a minute old.
	path := filepath.Join(ts.Getenv("HOME"), clockFile)
	ts.Check(os.WriteFile(path+".new", []byte(strconv.FormatInt(to, 10)), 0o600))
	p.ahead.Store(to)
	ts.Check(os.Rename(path+".new", path))
	want := uint32(p.now().Unix())
	for end := time.Now().Add(networkWait); p.net.Chain.Head().UTime < want; {
		if time.Now().After(end) {
			ts.Fatalf("the chain's clock does not move")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: until KEY VALUE PROGRAM ARG...")
	}
	var last string
	for end := time.Now().Add(networkWait); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		cmd := exec.Command(filepath.Join(placeOf(ts).bin, args[2]), args[3:]...)
		cmd.Dir = placeOf(ts).work
		cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "XDG_CONFIG_HOME="+ts.Getenv("XDG_CONFIG_HOME"))
		out, _ := cmd.Output()
		var v any
		_ = json.Unmarshal(out, &v)
		for _, k := range strings.Split(args[0], ".") {
			m, _ := v.(map[string]any)
			v = m[k]
		}
		got, err := json.Marshal(v)
		ts.Check(err)
		if last = string(bytes.Trim(got, `"`)); last == args[1] {
			return
		}
	}
	ts.Fatalf("%s is %s, and does not become %s", args[0], last, args[1])
}
