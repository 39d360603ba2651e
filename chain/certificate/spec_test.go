package certificate

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"regexp"
	"testing"
)

// TestSpecification compares the example of the page with what the code makes.
func TestSpecification(t *testing.T) {
	seed := of32(1)
	key := ed25519.NewKeyFromSeed(seed[:])
	f := some()
	digest := f.Certificate.Digest()
	signature := ed25519.Sign(key, digest[:])
	f.Signatures[public(key)] = [64]byte(signature)
	page, err := os.ReadFile("../../docs/spec/certificate.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"digest": digest[:], "signature": signature, "file": encoded(t, f)} {
		m := regexp.MustCompile(`(?m)^    ` + name + ` +((?:[0-9a-f]+(?:\n +)?)+)$`).FindSubmatch(page)
		if m == nil {
			t.Errorf("the page has no %s; it is\n%x", name, want)
			continue
		}
		if got, err := hex.DecodeString(string(regexp.MustCompile(`\s`).ReplaceAll(m[1], nil))); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is\n%x", name, want)
		}
	}
}
