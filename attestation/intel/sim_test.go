package intel_test

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/sim"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func seeded(seed string) *rand.ChaCha8 { return rand.NewChaCha8(sha256.Sum256([]byte(seed))) }

func newPlatform(t testing.TB, o sim.IntelOptions) *sim.Intel {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = now
	}
	p, err := sim.NewIntel(seeded("platform"), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func certPool(t testing.TB, pem []byte) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the PEM text")
	}
	return pool
}

// criticalExtension is one that no verifier knows.
var criticalExtension = pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}

// certificate returns the fingerprint of the first certificate of a PEM text.
func certificate(t testing.TB, text []byte) [32]byte {
	t.Helper()
	if b, _ := pem.Decode(text); b != nil {
		return sha256.Sum256(b.Bytes)
	}
	t.Fatal("no PEM text")
	return [32]byte{}
}
