package command

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestNotA(t *testing.T) {
	inner := attestation.False("its inside is false")
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "f is empty, want a bundle: ask"},
		{"of the kind", "\xa4\x00\x70cocoon/bundle/v1\x01", "f: its inside is false"},
		{"a newer version", "\xa4\x00\x70cocoon/bundle/v9\x01", "f: its inside is false"},
		{"of another kind", "\xa4\x00\x6fcocoon/proof/v1\x01", "f is the proof of a receipt, want a bundle: ask"},
		{"a receipt", "\xa5\x00\x76cocoon/receipt-file/v1", "f is a receipt, want a bundle: ask"},
		{"text", "hello cocoon/x", "f is not a bundle: ask"},
		{"far inside", strings.Repeat("x", 40) + "cocoon/proof/v1", "f is not a bundle: ask"},
	} {
		err := NotA(BundleFile, "f", []byte(c.data), "ask", inner)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
		var bad *attestation.InputError
		if strings.Contains(c.want, "inside") != errors.Is(err, inner) || errors.As(err, &bad) == errors.Is(err, inner) {
			t.Errorf("%s: family of %v", c.name, err)
		}
	}
	for k, text := range fileKinds {
		if text == "" || KindOf([]byte(k)) != k {
			t.Errorf("%s: %q, %q", k, text, KindOf([]byte(k)))
		}
	}
}

// TestTooLarge: a file that is too large is named by what it is.
func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for head, want := range map[string]string{"cocoon/bundle/v1": " is a bundle, and larger than 100 bytes", "": " is larger than 100 bytes"} {
		if err := os.WriteFile(path, append([]byte(head), make([]byte, 100)...), 0o600); err != nil {
			t.Fatal(err)
		}
		if head == "" {
			if _, err := ReadFile(path, 100); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(path, make([]byte, 101), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := ReadFile(path, 100); err == nil || err.Error() != path+want {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
