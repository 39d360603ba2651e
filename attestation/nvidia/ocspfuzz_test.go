package nvidia

import (
	"encoding/base64"
	"testing"
)

// FuzzOCSP parses OCSP responses: never a panic, never a response with an error.
func FuzzOCSP(f *testing.F) {
	for _, s := range []string{"MAMKAQY=", "MAMKAQA=", "MIIBAAoBAKCB+jCB9wYJKwYBBQUHMAEBBIHpMIHm"} {
		der, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := parseOCSP(der)
		if (r == nil) == (err == nil) {
			t.Fatalf("%v, %v", r, err)
		}
		if err == nil && (r.id.Serial == nil || r.until().Before(r.ThisUpdate) && !r.NextUpdate.Before(r.ThisUpdate)) {
			t.Fatalf("%+v", r)
		}
	})
}
