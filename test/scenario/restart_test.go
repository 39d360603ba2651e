package scenario

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// killAndRestart kills the node as a power cut would, and starts it again on its
// directory and address, with the command line that the demo used.
func (s *stage) killAndRestart() *exec.Cmd {
	s.Helper()
	before := s.status(0)
	enclave := int(before["enclave_pid"].(float64))
	if err := syscall.Kill(int(before["pid"].(float64)), syscall.SIGKILL); err != nil {
		s.Fatal(err)
	}
	s.until("the enclave ends after its host", func() bool { return !running(enclave) })
	s.until("the demo says that its node has ended", func() bool { return strings.Contains(s.demo.Stderr(), "cocoon-node has ended") })

	// Nobody answers: every part says so, in its own way.
	if v := s.status(3); v["error"] == nil {
		s.Errorf("status of a dead node: %v", v)
	}
	s.cocoon(3, "verify", "node", s.demo.Relay)
	s.cocoon(3, "chat", "hello", "--receipts", s.demo.Receipts)
	resp, a := s.post(`{"messages":[{"role":"user","content":"hello"}]}`)
	var v struct {
		Error struct{ Code string }
	}
	if err := json.Unmarshal(a.response, &v); err != nil || resp.StatusCode != http.StatusServiceUnavailable || v.Error.Code != "cocoon_unknown" {
		s.Errorf("the proxy without a node: status %d, %s", resp.StatusCode, a.response)
	}

	cmd, ready := s.startNode()
	s.pids = append(s.pids, ready.EnclavePID)
	if ready.Epoch != 2 || ready.Node != before["node"] {
		s.Errorf("the node comes back as epoch %d of %s, want epoch 2 of %v", ready.Epoch, ready.Node, before["node"])
	}
	return cmd
}

// nodeReady is what a node prints when it serves.
type nodeReady struct {
	Node       string
	Epoch      int
	Relay      string
	EnclavePID int `json:"enclave_pid"`
}

// startNode starts the demo's node on its address. A connection of somebody else on
// this machine may have taken the port meanwhile, for as long as it lasts.
func (s *stage) startNode() (*exec.Cmd, nodeReady) {
	s.Helper()
	for end := time.Now().Add(wait); ; {
		cmd, ready, log, err := s.tryNode()
		if err == nil {
			return cmd, ready
		}
		if !strings.Contains(log, "address already in use") || time.Now().After(end) {
			s.Fatalf("the node does not come back: %v\n%s", err, log)
		}
	}
}

func (s *stage) tryNode() (cmd *exec.Cmd, ready nodeReady, said string, err error) {
	s.Helper()
	args := append(s.demo.NodeCommand[1:], "--listen", strings.TrimPrefix(s.demo.Relay, "http://"))
	cmd = exec.Command(s.demo.NodeCommand[0], args...)
	cmd.Dir, cmd.Env = s.demo.Work, s.demo.Env()
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.pids = append(s.pids, cmd.Process.Pid)
	s.Cleanup(func() { _ = cmd.Process.Signal(os.Interrupt) }) // for tests that fail
	giveUp := time.AfterFunc(wait, func() { _ = cmd.Process.Kill() })
	defer giveUp.Stop()
	if err := json.NewDecoder(stdout).Decode(&ready); err != nil {
		_ = cmd.Wait()
		return nil, ready, log.String(), err
	}
	return cmd, ready, "", nil
}

// afterRestart: the proxy goes on with the new epoch, the log with the old
// leaves, and old receipts stay good.
func (s *stage) afterRestart(old *answer, oldProof string) {
	s.Helper()
	var resp *http.Response
	var a *answer
	s.until("the proxy answers again", func() bool {
		resp, a = s.post(`{"messages":[{"role":"user","content":"Are you back?"}],"max_tokens":16}`)
		return resp.StatusCode == http.StatusOK
	})
	s.checkAnswer(resp, a)
	if h := a.receipt.Head; h.Epoch != 2 || h.Node != old.receipt.Head.Node || h.Index <= old.receipt.Head.Index {
		s.Errorf("the receipt is leaf %d of epoch %d of %v", h.Index, h.Epoch, h.Node)
	}
	if v := s.status(0); v["epoch"] != 2.0 {
		s.Errorf("status: %v", v)
	}
	s.export(a)
	s.verify(oldProof, old) // the proof of epoch 1, as it is
	s.export(old)           // a new proof of the old receipt, from the log of two epochs
}

// stopNode ends the restarted node as its operator would.
func (s *stage) stopNode(cmd *exec.Cmd) {
	s.Helper()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		s.Fatal(err)
	}
	giveUp := time.AfterFunc(wait, func() { _ = cmd.Process.Kill() })
	defer giveUp.Stop()
	if err := cmd.Wait(); err != nil {
		s.Errorf("the node does not end well: %v", err)
	}
}
