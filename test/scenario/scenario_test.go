// Package scenario drives the real programs over loopback, as their users do:
// the demo that keeps running, the proxy with a plain HTTP client, the verifying
// commands, and a node that is killed and comes back.
package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/test/scenario/programs"
)

// wait only ends tests that would fail anyway.
const wait = 3 * time.Minute

// stage is a running demo and what a test knows of it.
type stage struct {
	*testing.T
	demo *programs.Demo
	pids []int // of processes that must be gone in the end
}

// binDir holds the programs for all tests.
var binDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cocoon-scenario-*")
	if err != nil {
		panic(err)
	}
	binDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

var build = sync.OnceValue(func() error { return programs.Build(context.Background(), binDir) })

// built returns the directory of the programs.
func built(t *testing.T) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return binDir
}

func TestScenario(t *testing.T) {
	bin, work := built(t), filepath.Join(t.TempDir(), "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	demo, err := programs.StartDemo(bin, work)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{T: t, demo: demo, pids: []int{demo.PID}}
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			_ = demo.Stop()
		}
	})

	s.printedCommands()
	old := s.chatThroughProxy()
	s.commands(old)
	proof := s.export(old)
	node := s.killAndRestart()
	s.afterRestart(old, proof)

	s.stopNode(node)
	stopped = true
	if err := demo.Stop(); err != nil {
		t.Error(err)
	}
	s.nothingLeft()
}

// run runs one of the programs in the demo's working directory.
func (s *stage) run(code int, program string, args ...string) (stdout []byte) {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), filepath.Join(s.demo.Bin, program), args...)
	cmd.Dir, cmd.Env = s.demo.Work, s.demo.Env()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.Fatalf("%s %q: exit code %d, want %d\n%s%s", program, args, got, code, &out, &errs)
	}
	return out.Bytes()
}

// cocoon runs the client with the demo's policy, chain and registry.
func (s *stage) cocoon(code int, args ...string) []byte {
	s.Helper()
	return s.run(code, "cocoon", append(args, "--policy", "demo/policy.toml", "--ton-config", "demo/ton-global.json", "--registry", "demo/registry.txt")...)
}

// object runs the client and returns its JSON.
func (s *stage) object(args ...string) map[string]any {
	s.Helper()
	return s.decode(s.cocoon(0, append(args, "--json")...))
}

func (s *stage) decode(data []byte) map[string]any {
	s.Helper()
	var v map[string]any
	if err := json.Unmarshal(data, &v); err != nil {
		s.Fatalf("not a JSON object: %v\n%s", err, data)
	}
	return v
}

// until waits for a condition.
func (s *stage) until(what string, ok func() bool) {
	s.Helper()
	for end := time.Now().Add(wait); !ok(); {
		if time.Now().After(end) {
			s.Fatalf("waited %s in vain until %s", wait, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func running(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// printedCommands runs the commands that the demo tells its user to try, as
// they are printed.
func (s *stage) printedCommands() {
	s.Helper()
	if !s.demo.Simulated {
		s.Error("the demo does not say that it is simulated")
	}
	if n := len(s.demo.Commands); n != 4 {
		s.Errorf("%d commands to try, want 4", n)
	}
	for _, line := range s.demo.Commands {
		cmd := exec.CommandContext(s.Context(), "sh", "-c", line)
		cmd.Dir, cmd.Env = s.demo.Work, s.demo.Env()
		out, err := cmd.CombinedOutput()
		if err != nil {
			s.Errorf("%s: %v\n%s", line, err, out)
		}
		if !bytes.Contains(out, []byte("SIMULATED")) {
			s.Errorf("%s: the output does not say SIMULATED\n%s", line, out)
		}
	}
}

// nothingLeft looks for processes and files that should be gone.
func (s *stage) nothingLeft() {
	s.Helper()
	for _, pid := range s.pids {
		s.until("process is gone", func() bool { return !running(pid) })
	}
	var left []string
	for _, dir := range []string{"tmp", "."} {
		entries, err := os.ReadDir(filepath.Join(s.demo.Work, dir))
		if err != nil {
			s.Fatal(err)
		}
		for _, e := range entries {
			left = append(left, filepath.Join(dir, e.Name()))
		}
	}
	if len(left) != 2 || left[0] != "demo" || left[1] != "tmp" {
		s.Errorf("what is left is %v, want the folder of the demo and an empty tmp", left)
	}
}
