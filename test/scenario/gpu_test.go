package scenario

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
)

// A node with eight simulated GPUs, and a client whose policy demands eight: the
// verdict names each of them.
func TestGPUNode(t *testing.T) {
	bin, dir := built(t), t.TempDir()
	m, err := simdevice.Measurement(filepath.Join(bin, "cocoon-enclave"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := network.Start(t.Context(), network.Options{
		Dir: dir, Measurements: [][32]byte{m}, GPUs: sim.NVIDIAMachineConfig{GPUs: 8},
		Models: map[[32]byte]contracts.Model{tinylm.Digest(): {Licence: "Apache-2.0", URL: "embedded"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	relay := startNode(t, bin, dir, n)

	file := func(name string) string { return filepath.Join(dir, name) }
	policy, err := os.ReadFile(file(network.PolicyFile))
	if err != nil {
		t.Fatal(err)
	}
	for count, code := range map[string]int{"8": 0, "9": 4} {
		strict := bytes.Replace(policy, []byte("min_count = 0"), []byte("min_count = "+count), 1)
		if bytes.Equal(strict, policy) {
			t.Fatal("the policy has no min_count")
		}
		if err := os.WriteFile(file("strict.toml"), strict, 0o600); err != nil {
			t.Fatal(err)
		}
		verify := func(more ...string) string {
			args := append([]string{"verify", "node", relay, "--policy", file("strict.toml"), "--ton-config", file(network.TONFile), "--registry", file(network.RegistryFile)}, more...)
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "cocoon"), args...)
			out, _ := cmd.Output()
			if got := cmd.ProcessState.ExitCode(); got != code {
				t.Fatalf("min_count %s: exit code %d, want %d\n%s", count, got, code, out)
			}
			return string(out)
		}
		outcome := map[int]string{0: "PASS  ", 4: "FAIL  "}[code]
		text := verify()
		for _, want := range []string{"SIMULATED: ", outcome + "there are enough GPUs", "PASS  GPUs and switches belong together", "NOT CHECKED  that the GPUs are plugged into this machine"} {
			if !strings.Contains(text, want) {
				t.Errorf("min_count %s: no %q in\n%s", count, want, text)
			}
		}
		if n := strings.Count(text, "PASS  the measurements of the device are those that the vendor published"); n != 8 {
			t.Errorf("%d devices are golden\n%s", n, text)
		}
		var v struct {
			Simulated, Accepted bool
			Facts               struct {
				GPUs []struct{ Kind, Feature string }
			}
		}
		if err := json.Unmarshal([]byte(verify("--json")), &v); err != nil {
			t.Fatal(err)
		}
		if code == 0 {
			saved := file("saved")
			verify("--save", saved)
			// offline, nobody asks the registry about code and model
			for name, want := range map[string]int{"bundle.cbor": 3, "2.nvidia": 0, "9.nvidia": 0} {
				cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "cocoon"), "verify", "evidence", filepath.Join(saved, name),
					"--endorsements", filepath.Join(saved, "endorsements"), "--policy", file(network.PolicyFile))
				out, _ := cmd.Output()
				if got := cmd.ProcessState.ExitCode(); got != want || !bytes.Contains(out, []byte("SIMULATED: ")) ||
					!bytes.Contains(out, []byte("the measurements of the device are those that the vendor published")) || bytes.Contains(out, []byte("FAIL")) {
					t.Errorf("verify evidence %s: exit code %d\n%s", name, got, out)
				}
			}
		}
		if !v.Simulated || v.Accepted != (code == 0) || len(v.Facts.GPUs) != 8 || v.Facts.GPUs[7].Kind != "hopper" || v.Facts.GPUs[7].Feature != "mpt" {
			t.Errorf("%+v", v)
		}
	}
}

// startNode runs cocoon-node with the GPUs of a network until the test ends, and
// returns its relay.
func startNode(t *testing.T, bin, dir string, n *network.Network) (relay string) {
	t.Helper()
	wallet := filepath.Join(dir, "wallet.key")
	if err := os.WriteFile(wallet, []byte(hex.EncodeToString(n.Operator.Seed())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*wait)
	t.Cleanup(cancel)
	file := func(name string) string { return filepath.Join(dir, name) }
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "cocoon-node"), "up", "--json", "--dir", file("node"), "--wallet", wallet,
		"--ton-config", file(network.TONFile), "--registry", file(network.RegistryFile), "--simulated", file(network.PlatformDir),
		"--endorsements", file(network.EndorsementsDir), "--engine", file(network.EngineFile), "--anchor-every", "1s")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ready struct{ Relay string }
	if err := json.NewDecoder(stdout).Decode(&ready); err != nil {
		cancel()
		_ = cmd.Wait()
		t.Fatalf("the node does not serve: %v\n%s", err, &log)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	return ready.Relay
}
