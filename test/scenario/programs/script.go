package programs

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cocoon-go/cocoon/internal/command"
)

// shared is the demo that all tests of a test binary use.
var shared struct {
	once sync.Once
	dir  string
	demo *Demo
	err  error
}

// Shared returns a demo that runs until the tests of this binary have ended: it
// is built and started when a test first asks. Its TestMain must call [Main].
func Shared(t *testing.T) *Demo {
	t.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "cocoon-test-*"); shared.err != nil {
			return
		}
		bin := filepath.Join(shared.dir, "bin")
		if shared.err = Build(context.Background(), bin); shared.err == nil {
			shared.demo, shared.err = StartDemo(bin, shared.dir)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.demo
}

// Main runs the tests, and ends what [Shared] started. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	var err error
	if shared.demo != nil {
		err = shared.demo.Stop()
	}
	if shared.dir != "" {
		err = errors.Join(err, os.RemoveAll(shared.dir))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(code, 1)
	}
	return code
}

// Scripts runs the scripts of testdata/script. Every script has a copy of the
// demo's folder as demo, its policy, chain and registry in the configuration
// directory config/cocoon, what the policy names as $ROOT, $MEASUREMENT and
// $MODEL, and what runs as $RELAY, $BASE_URL, $NODE_DIR and
// $RUNNING (the folder of the running demo). $BIN holds the programs.
//
// Every command of the program must be in a script. Script commands beside
// testscript's own:
//
//	wallet                     makes $WALLET the key of the demo's operator, which
//	                           belongs to one script at a time until its end
//	exits CODE PROGRAM ARG...  runs, and compares the exit code; when it is not
//	                           0, no file may have changed, and standard error
//	                           must have a reason
//	unpaid CODE PROGRAM ARG... runs, and compares the exit code; $WALLET may have
//	                           spent nothing
//	jsonkeys KEY...            standard output is one JSON object of these keys
//	jsonis KEY VALUE           and this is one of its values
//	flip FILE                  changes one bit in the middle of a file
//	unhex FILE TO              makes the file that hexadecimal digits say
//	interrupt CODE TEXT PROGRAM ARG...
//	                           starts, waits until standard output has the text,
//	                           sends SIGINT, and compares the exit code; what it
//	                           printed is in the files out.txt and err.txt
func Scripts(t *testing.T, commands []*command.Command) {
	mentioned(t, commands)
	d := Shared(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") == "1",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "jsonkeys": jsonKeys, "jsonis": jsonIs, "flip": flip, "unhex": unhex, "interrupt": interrupt, "wallet": d.takeWallet,
			"unpaid": unpaid("demo/ton-global.json", walletOf, func(*testscript.TestScript) func() time.Time { return time.Now }),
		},
		Setup: func(e *testscript.Env) error { return d.setup(e) },
	})
}

// mentioned looks for a script that makes each command fail, and one that shows
// its help.
func mentioned(t *testing.T, commands []*command.Command) {
	t.Helper()
	var all []byte
	names, err := filepath.Glob(filepath.Join("testdata", "script", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	for _, c := range commands {
		for what, expr := range map[string]string{
			"makes fail":        `(?m)^exits [1-5] [a-z-]+ ` + c.Name + `\b`,
			"shows the help of": `(?m)^exec [a-z-]+ help ` + c.Name + `$`,
		} {
			if !regexp.MustCompile(expr).Match(all) {
				t.Errorf("no script in testdata/script %s %q", what, c.Name)
			}
		}
	}
}

func (d *Demo) setup(e *testscript.Env) error {
	work := e.WorkDir
	for k, v := range map[string]string{
		"HOME": filepath.Join(work, "home"), "XDG_CONFIG_HOME": filepath.Join(work, "config"),
		"PATH":  d.Bin + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"RELAY": d.Relay, "BASE_URL": d.BaseURL, "NODE_DIR": d.NodeDir, "BIN": d.Bin,
		"RUNNING": filepath.Join(d.Work, d.Dir),
	} {
		e.Setenv(k, v)
	}
	if err := d.setPolicy(e); err != nil {
		return err
	}
	if err := d.setNode(e); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(work, "home"), 0o755); err != nil {
		return err
	}
	from, to := filepath.Join(d.Work, d.Dir), filepath.Join(work, "demo")
	if err := copyTree(to, from); err != nil {
		return err
	}
	config := filepath.Join(work, "config", "cocoon")
	if err := os.MkdirAll(config, 0o700); err != nil {
		return err
	}
	for _, name := range []string{"policy.toml", "ton-global.json", "registry.txt"} {
		if err := copyFile(filepath.Join(config, name), filepath.Join(from, name)); err != nil {
			return err
		}
	}
	return nil
}

// spends is held by the script that spends from the operator's wallet.
var spends sync.Mutex

// takeWallet is the script command "wallet".
func (d *Demo) takeWallet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 || ts.Getenv("WALLET") != "" {
		ts.Fatalf("usage: wallet, once in a script")
	}
	spends.Lock()
	ts.Defer(spends.Unlock)
	ts.Setenv("WALLET", d.wallet())
}

// walletOf returns the file of the wallet that a script has taken.
func walletOf(ts *testscript.TestScript) string {
	file := ts.Getenv("WALLET")
	if file == "" {
		ts.Fatalf("the script command wallet must come first")
	}
	return file
}

// wallet returns the file with the key of the demo's operator.
func (d *Demo) wallet() string {
	if i := slices.Index(d.NodeCommand, "--wallet"); i >= 0 && i+1 < len(d.NodeCommand) {
		return d.NodeCommand[i+1]
	}
	return ""
}

// setNode sets $NODE to the address of the demo's node.
func (d *Demo) setNode(e *testscript.Env) error {
	data, err := os.ReadFile(filepath.Join(d.NodeDir, "run.json"))
	if err != nil {
		return err
	}
	var run struct {
		Node string `json:"node"`
	}
	if err := json.Unmarshal(data, &run); err != nil {
		return err
	}
	e.Setenv("NODE", run.Node)
	return nil
}

// setPolicy sets what the demo's policy names, for scripts that make their own.
func (d *Demo) setPolicy(e *testscript.Env) error {
	text, err := os.ReadFile(filepath.Join(d.Work, d.Dir, "policy.toml"))
	if err != nil {
		return err
	}
	for name, expr := range map[string]string{"ROOT": `"(sha256:[0-9a-f]{64})"`, "MEASUREMENT": `measurements = \["([0-9a-f]{64})"`, "MODEL": `models = \["([0-9a-f]{64})"`} {
		m := regexp.MustCompile(expr).FindSubmatch(text)
		if m == nil {
			return fmt.Errorf("the demo's policy has no %s", name)
		}
		e.Setenv(name, string(m[1]))
	}
	return nil
}

// copyTree copies what a demo wrote, but not what running processes add to, nor files
// that they are about to give a name, which may be gone at any time.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != from {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			if rel == "receipts" {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		if err := copyFile(filepath.Join(to, rel), path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	fi, err := os.Stat(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, fi.Mode().Perm())
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	work := ts.Getenv("WORK")
	before, err := tree(work)
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
	if code == 0 {
		return
	}
	if !strings.Contains(ts.ReadFile("stderr"), args[1]+": ") {
		ts.Fatalf("it failed without a reason on standard error")
	}
	after, err := tree(work)
	ts.Check(err)
	if before != after {
		ts.Fatalf("it failed, and files changed:\n%s\nbefore:\n%s", after, before)
	}
}

// tree lists the files below a directory with size and time.
func tree(dir string) (string, error) {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Fprintf(&b, "%s %d %d\n", path, fi.Size(), fi.ModTime().UnixNano())
		} else if err == nil {
			fmt.Fprintln(&b, path)
		}
		return err
	})
	return b.String(), err
}

// object reads standard output as one JSON object.
func object(ts *testscript.TestScript) map[string]any {
	out := ts.ReadFile("stdout")
	dec := json.NewDecoder(strings.NewReader(out))
	var v map[string]any
	if err := dec.Decode(&v); err != nil {
		ts.Fatalf("standard output is not a JSON object: %v", err)
	}
	if dec.More() {
		ts.Fatalf("something follows the JSON object")
	}
	return v
}

func jsonKeys(ts *testscript.TestScript, neg bool, args []string) {
	v := object(ts)
	got := make([]string, 0, len(v))
	for k := range v {
		got = append(got, k)
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(args))
	if neg || !slices.Equal(got, want) {
		ts.Fatalf("keys %v, want %v", got, want)
	}
}

func jsonIs(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: jsonis KEY VALUE")
	}
	var v any = object(ts)
	for _, k := range strings.Split(args[0], ".") {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	ts.Check(enc.Encode(v))
	if got := strings.Trim(b.String(), "\"\n"); (got == args[1]) == neg {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip FILE")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.WriteFile(path, data, 0o600))
}

func unhex(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: unhex FILE TO")
	}
	data, err := hex.DecodeString(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o600))
}

// startedWait only ends scripts that would fail anyway.
const startedWait = 3 * time.Minute

func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: interrupt CODE TEXT PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := exec.Command(filepath.Join(ts.Getenv("BIN"), args[2]), args[3:]...)
	cmd.Dir = ts.Getenv("WORK")
	for _, k := range []string{"HOME", "XDG_CONFIG_HOME", "TMPDIR", "PATH"} {
		cmd.Env = append(cmd.Env, k+"="+ts.Getenv(k))
	}
	var errs lockedBuffer
	cmd.Stderr = &errs
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	giveUp := time.AfterFunc(startedWait, func() { _ = cmd.Process.Kill() })
	defer giveUp.Stop()
	var out []byte
	for buf := make([]byte, 4096); !bytes.Contains(out, []byte(args[1])); {
		n, err := stdout.Read(buf)
		out = append(out, buf[:n]...)
		if err != nil {
			break
		}
	}
	_ = cmd.Process.Signal(os.Interrupt)
	rest, _ := io.ReadAll(stdout)
	_ = cmd.Wait()
	out = append(out, rest...)
	ts.Check(os.WriteFile(ts.MkAbs("out.txt"), out, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("err.txt"), []byte(errs.String()), 0o600))
	if code := cmd.ProcessState.ExitCode(); code != want || !bytes.Contains(out, []byte(args[1])) {
		ts.Fatalf("exit code %d, want %d\n%s%s", code, want, out, errs.String())
	}
}
