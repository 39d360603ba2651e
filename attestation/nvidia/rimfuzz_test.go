package nvidia_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// FuzzRIM parses RIM documents in XML and JSON: never a panic, never a document
// with an error, and what is parsed is what its names allow.
func FuzzRIM(f *testing.F) {
	doc := rim(f, vendor(), sim.NVIDIARIM{})
	f.Add(doc)
	f.Add([]byte(`{"id":"x","rim":"` + base64.StdEncoding.EncodeToString(doc) + `","rim_format":"TCG"}`))
	if vectortest.Has() {
		f.Add(vectortest.Read(f, benchRIM))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := nvidia.ParseRIM(b)
		if err != nil {
			if fault.FamilyOf(err) != fault.FamilyInput || d != nil {
				t.Fatalf("%v, %v", err, d)
			}
			return
		}
		if d.Version == "" || strings.ContainsAny(d.Version+d.Product+d.TagID, "\n<&\x00 ") || d.Edition != "GPU" && d.Edition != "SWITCH" {
			t.Fatalf("document %+v", d)
		}
	})
}
