package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

const config = `version = 1
chain_id = -777
registry = "0:0011223344556677889900112233445566778899001122334455667788990011"
node = "0:0011223344556677889900112233445566778899001122334455667788990011"
engine = "embedded"

[trusted_block]
seqno = 1
root_hash = "0011223344556677889900112233445566778899001122334455667788990011"
file_hash = "0011223344556677889900112233445566778899001122334455667788990011"
`

const gpu = `
[gpu]
count = 2
kind = "hopper"
feature = "mpt"
`

var upstream = strings.Replace(config, `"embedded"`, `"upstream"`, 1) + `
[upstream]
url = "http://10.0.0.1:1"
profile = "vllm"
models = [{name = "m", digest = "0011223344556677889900112233445566778899001122334455667788990011"}]
`

// files writes what an enclave is started with, and returns the directory.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	p, err := sim.NewIntel(nil, sim.IntelOptions{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.Files()
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string][]byte{"config.toml": []byte(config), "text": []byte("text"), "gpu.toml": []byte(config + gpu), "upstream.toml": []byte(upstream)}
	m, err := sim.NewNVIDIAMachine(sim.NVIDIAMachineConfig{GPUs: 2})
	if err != nil {
		t.Fatal(err)
	}
	docs, err := m.Endorsements(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	contents["some.xml"] = docs[0].Data
	for _, f := range all {
		contents[f.Name] = f.Data
	}
	for name, data := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestRefusals: what is wrong is said before anything is opened or made.
func TestRefusals(t *testing.T) {
	dir := files(t)
	for _, tt := range []struct{ args, want string }{
		{"", "a command is needed; `cocoon-enclave help` lists them"},
		{"nonsense", `unknown command "nonsense"`},
		{"run", "run needs --config, --ton-config, --data; --help explains"},
		{"run --config @config.toml", "run needs --ton-config, --data; --help explains"},
		{"run now", "run takes no arguments; --help explains"},
		{"run --config @config.toml --ton-config @text --data @data", "name the hardware with --device, or a simulated platform with --simulated"},
		{"run --config @config.toml --ton-config @text --data @data --device tdx --simulated @.", "--device and --simulated exclude each other"},
		{"run --config @config.toml --ton-config @text --data @data --device none", `device "none": tdx and snp are known`},
		{"run --config @missing --ton-config @text --data @data --simulated @.", "missing: no such file or directory"},
		{"run --config @text --ton-config @text --data @data --simulated @.", "text: "},
		{"run --config @config.toml --ton-config @text --data @data --simulated @nowhere", "--simulated: open "},
		{"run --config @config.toml --ton-config @missing --data @data --simulated @.", "missing: no such file or directory"},
		{"run --config @config.toml --ton-config @text --data @data --simulated @.", "text: TON global config: "},
		{"run --config @gpu.toml --ton-config @text --data @data --simulated @.", "the configuration has GPUs: name their RIM documents and OCSP responses with --endorsements"},
		{"run --config @gpu.toml --ton-config @text --data @data --simulated @. --endorsements @missing", "reading endorsements: "},
		{"run --config @gpu.toml --ton-config @text --data @data --simulated @. --endorsements @some.xml", "the configuration has GPUs: --simulated: "},
		{"gpus now", "gpus takes no arguments; --help explains"},
		{"gpus --simulated @nowhere", "nvidia.json: no such file or directory"},
		{"run --config @upstream.toml --ton-config @text --data @data --simulated @.", "configuration: engine: upstream \"http://10.0.0.1:1\": want a loopback IP address"},
		{"run --nonsense", "run: unknown flag --nonsense; `cocoon-enclave help run` explains"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			args := strings.Fields(strings.ReplaceAll(tt.args, "@", dir+"/"))
			// Standard input that does not end: the host is there.
			in, host := io.Pipe()
			defer host.Close()
			if code := app().Run(t.Context(), args, in, &out, &errs); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !strings.Contains(errs.String(), tt.want) {
				t.Errorf("stderr %q, want %q", &errs, tt.want)
			}
			// The host is told, once it can be the host that started it.
			want := ""
			if strings.HasPrefix(tt.args, "run") && tt.args != "run now" && tt.args != "run --nonsense" {
				want = fmt.Sprintf("refused %q\n", strings.TrimSuffix(strings.TrimPrefix(errs.String(), "cocoon-enclave: "), "\n"))
				want = strings.Replace(want, `SIMULATED: this runs on a simulated platform and protects nothing\ncocoon-enclave: `, "", 1)
			}
			if out.String() != want {
				t.Errorf("stdout %q, want %q", &out, want)
			}
			if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
				t.Error("the data directory was made for nothing")
			}
		})
	}
}

// TestGPUs: the evidence that is written is what the verifier reads.
func TestGPUs(t *testing.T) {
	dir := t.TempDir()
	m, err := sim.NewNVIDIAMachine(sim.NVIDIAMachineConfig{GPUs: 2})
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.File()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(code int, args ...string) (string, string) {
		t.Helper()
		var out, errs bytes.Buffer
		if got := app().Run(t.Context(), args, nil, &out, &errs); got != code {
			t.Fatalf("%v: exit code %d, want %d: %s", args, got, code, &errs)
		}
		return out.String(), errs.String()
	}
	file := filepath.Join(dir, "gpus.json")
	text, _ := run(0, "gpus", "--simulated", dir, "--out", file)
	if !strings.HasPrefix(text, "SIMULATED: ") || !strings.Contains(text, "2 GPUs and switches, confidential mode on, environment production, accept work: false") {
		t.Error(text)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list, err := nvidia.ParseFile(data)
	if err != nil || len(list) != 2 {
		t.Fatalf("%d devices, %v", len(list), err)
	}
	o := nvidia.Options{SimulatedRoots: m.Vendor.Roots(), WithoutRIMUnsafe: true, WithoutRevocationUnsafe: true}
	var facts []*nvidia.Facts
	for _, ev := range list {
		f, err := nvidia.Verify(ev, nvidia.AnyNonceUnsafe(), &nvidia.Endorsements{}, o, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		facts = append(facts, f)
	}
	if _, err := nvidia.CheckTopology(facts); err != nil {
		t.Error(err)
	}
	if facts[0].Report.RequestNonce == [32]byte{} {
		t.Error("the nonce is not random")
	}
	if _, errs := run(1, "gpus", "--simulated", dir, "--out", file); !strings.Contains(errs, "nothing is overwritten") {
		t.Error(errs)
	}
	text, _ = run(0, "gpus", "--simulated", dir, "--json")
	var v gpuList
	if err := json.Unmarshal([]byte(text), &v); err != nil || !v.Simulated || !v.Confidential || v.Ready || len(v.GPUs) != 2 || v.GPUs[0].UUID == "" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestHelp(t *testing.T) {
	for args, want := range map[string]string{
		"help":            "  run                       boot and serve until standard input ends",
		"help run":        "--simulated DIRECTORY",
		"--version":       "cocoon-enclave ",
		"version --json":  `"program": "cocoon-enclave"`,
		"completion bash": "complete -o default -F _cocoon_enclave cocoon-enclave",
		"run --help":      "Example:\n  cocoon-enclave run --config",
	} {
		var out, errs bytes.Buffer
		if code := app().Run(t.Context(), strings.Fields(args), nil, &out, &errs); code != 0 || !strings.Contains(out.String(), want) || errs.Len() > 0 {
			t.Errorf("%s: code %d, stdout %q, stderr %q, want %q", args, code, &out, &errs, want)
		}
	}
}
