package network

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestStartFails: a network that can't be made says why, and ends its chain.
func TestStartFails(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, PlatformDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if n, err := Start(t.Context(), Options{Dir: dir}); n != nil || err == nil || !strings.Contains(err.Error(), PlatformDir) {
		t.Errorf("a directory that is in use: %v, %v", n, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	// No block is ever made, so the registry does not appear.
	if n, err := Start(ctx, Options{Dir: t.TempDir(), Chain: devnet.Options{BlockInterval: -1}}); n != nil || err == nil || !strings.Contains(err.Error(), "deploying the registry") {
		t.Errorf("no blocks: %v, %v", n, err)
	}
}
