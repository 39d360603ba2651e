package endorse

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// TestSpecExample: the bytes in the specification are those of the code.
func TestSpecExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/spec/endorsements.md")
	if err != nil {
		t.Fatal(err)
	}
	enc, err := Encode([]File{{"root-crl.der", []byte{0x30, 0x80}}, {"collateral.json", []byte("{}")}})
	if err != nil {
		t.Fatal(err)
	}
	if flat := strings.Join(strings.Fields(string(text)), ""); !strings.Contains(flat, hex.EncodeToString(enc)) {
		t.Errorf("docs/spec/endorsements.md lacks the set %x", enc)
	}
	for _, s := range []string{"`" + Path + "`", "`" + MediaType + "`", "`" + kind + "`"} {
		if !strings.Contains(string(text), s) {
			t.Errorf("docs/spec/endorsements.md lacks %s", s)
		}
	}
}
