package command

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("1234"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadFile(path, 4); err != nil || string(b) != "1234" {
		t.Errorf("%q, %v", b, err)
	}
	var input *attestation.InputError
	if b, err := ReadFile(path, 3); b != nil || !errors.As(err, &input) {
		t.Errorf("over the limit: %q, %v", b, err)
	}
	if _, err := ReadFile(path+"x", 3); !errors.As(err, &input) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestReadAddress(t *testing.T) {
	const addr = "0:0011223344556677889900112233445566778899001122334455667788990011"
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(addr+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{addr, path} {
		if a, err := ReadAddress(v); err != nil || a.String() != addr {
			t.Errorf("%s: %v, %v", v, a, err)
		}
	}
	raw, err := attestation.ParseAddress(addr)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := ReadAddress(Friendly(raw, true)); err != nil || a != raw {
		t.Errorf("as explorers show it: %v, %v", a, err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for v, want := range map[string]string{path: "want 0: and 64 hexadecimal digits", "nowhere": "neither an address", filepath.Dir(path): "is a directory"} {
		if _, err := ReadAddress(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", v, err, want)
		}
	}
}
