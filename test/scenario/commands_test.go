package scenario

import (
	"os"
	"path/filepath"
)

// commands runs the client's and the operator's commands on what runs.
func (s *stage) commands(a *answer) {
	s.Helper()
	models := s.object("models")
	if list, _ := models["models"].([]any); len(list) != 1 || models["simulated"] != true {
		s.Errorf("models: %v", models)
	}
	nodes := s.object("nodes")
	list, _ := nodes["nodes"].([]any)
	if len(list) != 1 {
		s.Fatalf("nodes: %v", nodes)
	}
	if n := list[0].(map[string]any); n["status"] != "active" || n["endpoint"] != s.demo.Relay || n["address"] != a.receipt.Head.Node.String() {
		s.Errorf("the node of the registry is %v", n)
	}
	if v := s.object("verify", "node", s.demo.Relay); v["accepted"] != true || v["simulated"] != true {
		s.Errorf("verify node: %v", v)
	}
	status := s.status(0)
	if status["epoch"] != 1.0 || status["simulated"] != true {
		s.Errorf("status: %v", status)
	}
	for _, k := range []string{"pid", "enclave_pid"} {
		pid, _ := status[k].(float64)
		if pid < 2 || !running(int(pid)) {
			s.Fatalf("status: %s %v is no running process", k, status[k])
		}
		s.pids = append(s.pids, int(pid))
	}
	if status["pid"] == status["enclave_pid"] || int(status["pid"].(float64)) == s.demo.PID {
		s.Error("the enclave is not a process of its own")
	}
}

func (s *stage) status(code int) map[string]any {
	s.Helper()
	return s.decode(s.run(code, "cocoon-node", "status", "--dir", s.demo.NodeDir, "--ton-config", "demo/ton-global.json", "--json"))
}

// export makes the proof of an answer and checks it, replayed too. It returns
// the proof's file, which the end of the test removes.
func (s *stage) export(a *answer) (proof string) {
	s.Helper()
	dir := s.TempDir()
	proof = filepath.Join(dir, "x.proof")
	v := s.object("receipt", "export", a.file, "--out", proof, "--wait", wait.String())
	if v["proof"] != proof || v["anchor_size"].(float64) <= float64(a.receipt.Head.Index) {
		s.Errorf("receipt export: %v", v)
	}
	s.verify(proof, a)
	return proof
}

// verify checks a proof together with the contents of the answer.
func (s *stage) verify(proof string, a *answer) {
	s.Helper()
	request, response := proof+".request", proof+".response"
	for name, data := range map[string][]byte{request: a.request, response: a.response} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			s.Fatal(err)
		}
	}
	v := s.object("verify", "receipt", proof, "--receipt", a.file, "--request", request, "--response", response, "--replay")
	if v["outcome"] != "valid" || v["epoch"] != float64(a.receipt.Head.Epoch) || v["index"] != float64(a.receipt.Head.Index) || v["simulated"] != true {
		s.Errorf("verify receipt: %v", v)
	}
	s.cocoon(2, "verify", "receipt", proof, "--receipt", a.file, "--request", response)
}
