package enclave

import (
	"errors"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

const configText = `version = 1
chain_id = -777
registry = "0:0011223344556677889900112233445566778899001122334455667788990011"
node = "0:0011223344556677889900112233445566778899001122334455667788990011"
engine = "embedded"

[trusted_block]
seqno = 1
root_hash = "0011223344556677889900112233445566778899001122334455667788990011"
file_hash = "0011223344556677889900112233445566778899001122334455667788990011"
`

const gpuText = `
[gpu]
count = 8
kind = "hopper"
feature = "ppcie"
simulated_roots = ["sha256:0011223344556677889900112233445566778899001122334455667788990011"]
`

func TestConfigGPU(t *testing.T) {
	c, err := ParseConfig([]byte(configText))
	if err != nil || c.GPU.Count != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	if c, err = ParseConfig([]byte(configText + gpuText)); err != nil {
		t.Fatal(err)
	}
	if g := c.GPU; g.Count != 8 || g.Kind != nvidia.Hopper || g.Feature != nvidia.PPCIE || len(g.SimulatedRoots) != 1 || g.SimulatedRoots[0][1] != 0x11 {
		t.Errorf("%+v", g)
	}
	for _, r := range []struct{ old, new, want string }{
		{"count = 8", "count = 0", "leave [gpu] out"},
		{"count = 8", "count = -1", "want 1 to 64"},
		{"count = 8", "count = 65", "want 1 to 64"},
		{"count = 8\n", "", "want 1 to 64"},
		{"count = 8", "count = 4", "a board in mode ppcie has 8"},
		{`"hopper"`, `"ls10"`, "gpu.kind"},
		{"kind = \"hopper\"\n", "", "gpu.kind"},
		{`"ppcie"`, `"off"`, "gpu.feature"},
		{"feature = \"ppcie\"\n", "", "gpu.feature"},
		{"sha256:00", "00", "gpu.simulated_roots"},
		{"sha256:00", "sha256:", "gpu.simulated_roots"},
		{"sha256:00", "sha256:0g", "gpu.simulated_roots"},
		{"count = 8", "count = 8\nmin = 1", "configuration: "},
		{"[gpu]", "[gpus]", "configuration: "},
	} {
		text := strings.Replace(gpuText, r.old, r.new, 1)
		if text == gpuText {
			t.Fatalf("%q is not there", r.old)
		}
		var bad *attestation.InputError
		if c, err := ParseConfig([]byte(configText + text)); c != nil || !errors.As(err, &bad) || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%s: %v", r.new, err)
		}
	}
}

const tpmText = `
[tpm]
kind = "tpm"
key = 0x81010002
pcrs = [0, 4, 7]
certificate = 0x01c10002
`

func TestConfigTPM(t *testing.T) {
	c, err := ParseConfig([]byte(configText))
	if err != nil || c.TPM != nil {
		t.Fatalf("%+v, %v", c, err)
	}
	if c, err = ParseConfig([]byte(configText + tpmText)); err != nil {
		t.Fatal(err)
	}
	if m := c.TPM; m.Key != 0x81010002 || m.Certificate != 0x01c10002 || len(m.PCRs) != 3 || m.PCRs[2] != 7 {
		t.Errorf("%+v", m)
	}
	development := strings.Replace(strings.Replace(tpmText, `"tpm"`, `"vtpm-dev"`, 1), "certificate = 0x01c10002\n", "", 1)
	if c, err = ParseConfig([]byte(configText + development)); err != nil || c.TPM.Certificate != 0 {
		t.Fatal(err)
	}
	for _, r := range []struct{ old, new, want string }{
		{`"tpm"`, `"swtpm"`, "tpm.kind"},
		{"kind = \"tpm\"\n", "", "tpm.kind"},
		{`"tpm"`, `"vtpm-dev"`, "contradicts"},
		{"certificate = 0x01c10002\n", "", "needs tpm.certificate"},
		{"0x81010002", "0x1", "configuration: TPM key"},
		{"0x81010002", "-1", "configuration: "},
		{"0x81010002", "0x181010002", "configuration: "},
		{"[0, 4, 7]", "[]", "configuration: TPM: no register"},
		{"[0, 4, 7]", "[0, 4, 77]", "configuration: TPM registers"},
		{"key =", "handle =", "configuration: "},
	} {
		text := strings.Replace(tpmText, r.old, r.new, 1)
		if text == tpmText {
			t.Fatalf("%q is not there", r.old)
		}
		var bad *attestation.InputError
		if c, err := ParseConfig([]byte(configText + text)); c != nil || !errors.As(err, &bad) || !strings.Contains(err.Error(), r.want) {
			t.Errorf("%s: %v", r.new, err)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, s := range []string{"", "version = 1", configText, configText + gpuText, configText + gpuText + tpmText,
		strings.Replace(configText, "embedded", "upstream", 1) + "[upstream]\nurl = \"http://127.0.0.1:1\"\nprofile = \"vllm\"\nmodels = [{name = \"a\", digest = \"00\"}]\n[limits]\nconcurrent = 2\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if c != nil && (c.GPU.Count < 0 || c.GPU.Count > attestation.MaxGPUs || c.GPU.Count > 0 && (c.GPU.Kind == "" || c.GPU.Feature == "")) {
			t.Fatalf("%+v", c.GPU)
		}
	})
}
