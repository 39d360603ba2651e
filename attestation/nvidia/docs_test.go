package nvidia_test

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// TestSpecification holds the page to what the code does: its example, the
// pinned root, and every step by name.
func TestSpecification(t *testing.T) {
	b, err := os.ReadFile("../../docs/spec/nvidia.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	example, err := (&nvidia.Evidence{Report: []byte("report"), Chain: [][]byte{[]byte("leaf"), []byte("root")}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	root := nvidia.DeviceRoot()
	parts := []string{hex.EncodeToString(example), hex.EncodeToString(root[:])}
	for _, s := range nvidia.Steps() {
		parts = append(parts, "| "+string(s)+" |")
	}
	for _, p := range parts {
		if !strings.Contains(page, p) {
			t.Errorf("docs/spec/nvidia.md lacks %q", p)
		}
	}
}
