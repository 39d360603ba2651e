package nvidia

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"golang.org/x/crypto/ocsp"
)

// FuzzOCSP parses OCSP responses: never a panic, never a response with an error,
// and nothing that package ocsp reads in another way, or refuses for more than its
// signature.
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
		if err != nil {
			return
		}
		o, err := ocsp.ParseResponse(der, nil)
		if err != nil {
			if !strings.Contains(err.Error(), "bad signature") {
				t.Fatalf("package ocsp refuses it: %v", err)
			}
			return
		}
		if o.Status != r.Status || !o.ThisUpdate.Equal(r.ThisUpdate) || !o.NextUpdate.Equal(r.NextUpdate) || !o.RevokedAt.Equal(r.RevokedAt) ||
			o.RevocationReason != r.RevocationReason || o.IssuerHash != r.IssuerHash || o.SerialNumber.Cmp(r.SerialNumber) != 0 ||
			!bytes.Equal(o.TBSResponseData, r.TBSResponseData) || !bytes.Equal(o.Signature, r.Signature) || o.SignatureAlgorithm != r.SignatureAlgorithm ||
			!bytes.Equal(o.RawResponderName, r.RawResponderName) || !bytes.Equal(o.ResponderKeyHash, r.ResponderKeyHash) || (o.Certificate == nil) != (r.Certificate == nil) ||
			o.Certificate != nil && !o.Certificate.Equal(r.Certificate) {
			t.Fatalf("package ocsp reads %+v, here it is %+v", o, r.Response)
		}
	})
}
