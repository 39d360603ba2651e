package amd_test

import (
	"os"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/amd"
)

// TestSpecification: the page names every step, in order.
func TestSpecification(t *testing.T) {
	page, err := os.ReadFile("../../docs/spec/endorsements.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n## 6. AMD")
	for _, s := range amd.Steps() {
		var ok bool
		if _, rest, ok = strings.Cut(rest, "\n| `"+string(s)+"` |"); !ok {
			t.Fatalf("docs/spec/endorsements.md, section 6, lacks step %q, or has it in another place", s)
		}
	}
}
