package device

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestNoAccelerator(t *testing.T) {
	for name, c := range map[string]struct {
		class, vendor string
		code          int
	}{
		"none":                     {"", "", 0},
		"network":                  {"0x020000\n", "0x1af4\n", 0},
		"NVIDIA as 3D controller":  {"0x030200\n", "0x10de\n", 4},
		"NVIDIA as VGA":            {"0x030000\n", "0x10de\n", 4},
		"AMD as accelerator":       {"0x120000\n", "0x1002\n", 4},
		"emulated accelerator":     {"0x120000\n", "0x1af4\n", 4},
		"emulated VGA":             {"0x030000\n", "0x1234\n", 0},
		"virtio's display":         {"0x038000\n", "0x1af4\n", 0},
		"class that is no number":  {"display\n", "0x10de\n", 3},
		"vendor that is no number": {"0x030200\n", "\n", 3},
	} {
		dir := t.TempDir()
		for _, d := range []struct{ name, class, vendor string }{{"0000:00:00.0", "0x060000\n", "0x8086\n"}, {"0000:00:03.0", c.class, c.vendor}} {
			if d.class == "" {
				continue
			}
			if err := os.Mkdir(filepath.Join(dir, d.name), 0o755); err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"class": d.class, "vendor": d.vendor} {
				if err := os.WriteFile(filepath.Join(dir, d.name, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		err := noAccelerator(dir)
		if code := attestation.ExitCode(err); code != c.code {
			t.Errorf("%s: exit code %d, want %d: %v", name, code, c.code, err)
		}
		if c.code == 4 && !strings.Contains(err.Error(), "PCI device 0000:00:03.0") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := noAccelerator(filepath.Join(t.TempDir(), "missing")); attestation.ExitCode(err) != 3 {
		t.Errorf("where it can't look: %v", err)
	}
}
