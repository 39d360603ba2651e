package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

// Waits for the demo's node.
const (
	nodeStart = 2 * time.Minute  // until it serves
	nodeStop  = 20 * time.Second // to end when told to
)

// demoSiblings are the other two programs, of the same build.
type demoSiblings struct{ node, enclave string }

func demoPrograms() (p demoSiblings, err error) {
	if p.node, err = demoSibling("cocoon-node"); err != nil {
		return p, err
	}
	p.enclave, err = demoSibling("cocoon-enclave")
	return p, err
}

func demoSibling(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	p := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(p); err != nil {
		return "", attestation.BadInput("the demo needs %s beside cocoon: build all three with `make build`, or run `make demo`", name)
	}
	out, err := exec.Command(p, "--version").Output()
	if err != nil {
		return "", attestation.BadInput("%s does not run: %w", name, err)
	}
	if want := name + " " + command.Version(); strings.TrimSpace(string(out)) != want {
		return "", attestation.BadInput("%s is of another build (%.80q, want %q): build all three with `make build`", name, strings.TrimSpace(string(out)), want)
	}
	return p, nil
}

// demoNode is the running cocoon-node. Its data lies in a temporary directory.
type demoNode struct {
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended
	log   string        // file with what it says
	work  string
	dir   string // its own directory, in work
	relay string
}

// stop ends the node and removes its data.
func (n *demoNode) stop() {
	_ = n.cmd.Process.Signal(os.Interrupt)
	select {
	case <-n.done:
	case <-time.After(nodeStop):
		_ = n.cmd.Process.Kill()
		<-n.done
	}
	os.RemoveAll(n.work)
}

// startNode starts the operator's side: the sibling program.
func (d *demoRun) startNode(ctx context.Context, programs demoSiblings) error {
	work, err := os.MkdirTemp("", "cocoon-demo-*")
	if err != nil {
		return err
	}
	n := &demoNode{done: make(chan struct{}), work: work, dir: filepath.Join(work, "node"), log: filepath.Join(d.dir, "node.log")}
	ready, err := d.launch(n, programs)
	if err != nil {
		os.RemoveAll(work)
		return err
	}
	select {
	case v := <-ready:
		d.node, n.relay = n, v.Relay
		d.say("the enclave booted in a process of its own, and TON itself verified its quote and registered it",
			"node", v.Node, "epoch", v.Epoch, "relay", v.Relay)
		return nil
	case <-n.done:
		err = fmt.Errorf("cocoon-node ended before it served: see %s", n.log)
	case <-time.After(nodeStart):
		err = fmt.Errorf("cocoon-node did not serve within %s: see %s", nodeStart, n.log)
	case <-ctx.Done():
		err = ctx.Err()
	}
	n.stop()
	return err
}

// nodeReady is what cocoon-node up prints when it serves.
type nodeReady struct {
	Node  string `json:"node"`
	Epoch uint32 `json:"epoch"`
	Relay string `json:"relay"`
}

// launch starts the process. The channel gets a value when it serves.
func (d *demoRun) launch(n *demoNode, programs demoSiblings) (<-chan nodeReady, error) {
	wallet := filepath.Join(n.work, "wallet.key")
	if err := atomicfile.Create(wallet, []byte(hex.EncodeToString(d.net.Operator.Seed())+"\n"), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(n.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	n.cmd = exec.Command(programs.node, "up", "--json", "--dir", n.dir, "--wallet", wallet,
		"--ton-config", d.files.ton.Config, "--registry", d.files.registry,
		"--simulated", filepath.Join(d.dir, network.PlatformDir), "--endorsements", filepath.Join(d.dir, network.EndorsementsDir),
		"--enclave", programs.enclave, "--anchor-every", "1s")
	n.cmd.Stderr = log
	endWithParent(n.cmd)
	stdout, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan nodeReady, 1)
	go func() {
		var v nodeReady
		if json.NewDecoder(stdout).Decode(&v) == nil && v.Relay != "" {
			ready <- v
		}
		_, _ = io.Copy(io.Discard, stdout)
		_ = n.cmd.Wait()
		close(n.done)
	}()
	return ready, nil
}

// ended says whether the node has ended by itself.
func (n *demoNode) ended() error {
	select {
	case <-n.done:
		return errors.New("cocoon-node has ended: see " + n.log)
	default:
		return nil
	}
}
