package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

// TestWriteAddress: who has paid learns the address, also when no file can hold it;
// a file that another has made meanwhile counts when it says the same.
func TestWriteAddress(t *testing.T) {
	a, dir := attestation.Address{Hash: [32]byte{1}}, t.TempDir()
	path, other := filepath.Join(dir, "registry.txt"), filepath.Join(dir, "other.txt")
	for range 2 {
		if err := writeAddress(path, a); err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != a.String()+"\n" {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.WriteFile(other, []byte(attestation.Address{Hash: [32]byte{2}}.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{filepath.Join(dir, "none", "f"): "no such file", dir: "exists", other: "the address of another registry"} {
		err := writeAddress(path, a)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "the registry "+a.String()+" is paid for and on the chain") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
