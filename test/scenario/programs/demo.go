package programs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// Waits for the demo. They only end tests that would fail anyway.
const (
	startWait = 5 * time.Minute
	stopWait  = 2 * time.Minute
)

// Report is what `cocoon demo --keep --json` prints once everything runs.
type Report struct {
	Simulated   bool     `json:"simulated"`
	Dir         string   `json:"dir"`
	BaseURL     string   `json:"base_url"`
	Relay       string   `json:"relay"`
	Receipts    string   `json:"receipts"`
	Commands    []string `json:"commands"`
	NodeDir     string   `json:"node_dir"`
	NodeCommand []string `json:"node_command"`
}

// Demo is a running demo.
type Demo struct {
	Report
	Bin  string // directory of the programs
	Work string // working directory of the demo; everything is below it
	PID  int

	cmd    *exec.Cmd
	stderr *lockedBuffer
	ended  chan error
}

// StartDemo runs `cocoon demo --keep` in a directory that must exist. Home,
// configuration and temporary files of its processes are below it too.
func StartDemo(bin, work string) (*Demo, error) {
	d := &Demo{Bin: bin, Work: work, stderr: &lockedBuffer{}, ended: make(chan error, 1)}
	if err := os.MkdirAll(filepath.Join(work, "tmp"), 0o755); err != nil {
		return nil, err
	}
	d.cmd = exec.Command(filepath.Join(bin, "cocoon"), "demo", "--keep", "--json")
	d.cmd.Dir, d.cmd.Env, d.cmd.Stderr = work, d.Env(), d.stderr
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	d.PID = d.cmd.Process.Pid
	ready := make(chan error, 1)
	go func() {
		ready <- json.NewDecoder(stdout).Decode(&d.Report)
		_, _ = io.Copy(io.Discard, stdout)
		d.ended <- d.cmd.Wait()
	}()
	select {
	case err = <-ready:
	case <-time.After(startWait):
		err = errors.New("it does not get ready")
	}
	if err == nil && d.BaseURL == "" {
		err = errors.New("it printed no base_url")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cocoon demo --keep: %w", err), d.Stop())
	}
	return d, nil
}

// Env returns the environment of the demo's processes, and of commands on it.
func (d *Demo) Env() []string {
	return append(os.Environ(), "HOME="+d.Work, "XDG_CONFIG_HOME="+filepath.Join(d.Work, "config"), "TMPDIR="+filepath.Join(d.Work, "tmp"),
		"PATH="+d.Bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
}

// Stderr returns what the demo has said on standard error.
func (d *Demo) Stderr() string { return d.stderr.String() }

// Stop interrupts the demo and waits until it has ended well.
func (d *Demo) Stop() error {
	_ = d.cmd.Process.Signal(os.Interrupt) // fails when it has ended by itself
	select {
	case err := <-d.ended:
		if err != nil {
			return fmt.Errorf("cocoon demo: %w\n%s", err, d.Stderr())
		}
		return nil
	case <-time.After(stopWait):
		_ = d.cmd.Process.Kill()
		return errors.New("cocoon demo did not end when it was interrupted")
	}
}

// lockedBuffer may be read while a process writes.
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
