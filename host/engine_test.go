package host

import (
	"errors"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestParseEngine(t *testing.T) {
	for in, want := range map[string]string{
		"[upstream]\nurl = \"http://127.0.0.1:1\"\n": "engine = \"upstream\"\n[upstream]\n",
		"[limits]\nconcurrent = 2\n":                 "engine = \"embedded\"\n[limits]\n",
		"[tpm]\nkey = 2\n":                           "engine = \"embedded\"\n[tpm]\n",
		"[gpu]\ncount = 2\n":                         "engine = \"embedded\"\n[gpu]\n",
	} {
		if got, err := ParseEngine([]byte(in)); err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "node = \"0:00\"\n", "[trusted_block]\nseqno = 1\n", "[limits]\n[upstream]\n[x]\n", "version = 1\n[limits]\n", "\x00"} {
		var bad *attestation.InputError
		if _, err := ParseEngine([]byte(in)); !errors.As(err, &bad) {
			t.Errorf("%q: %v", in, err)
		}
	}
}
