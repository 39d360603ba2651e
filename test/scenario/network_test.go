package scenario

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/cocoon-go/cocoon/test/scenario/programs"
)

// TestScripts runs testdata/script: what operators, governors and challengers do
// on a network on which days pass.
func TestScripts(t *testing.T) {
	dir := filepath.Join(binDir, "clock")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := programs.BuildWithClock(context.WithoutCancel(t.Context()), dir); err != nil {
		t.Fatal(err)
	}
	programs.NetworkScripts(t, dir)
}
