package nvidia

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"
)

// TestNoChain refuses chains in which there is nothing to verify.
func TestNoChain(t *testing.T) {
	for _, n := range []int{0, 1, maxCertificates + 1} {
		chain := make([]*x509.Certificate, n)
		for i := range chain {
			chain[i] = &x509.Certificate{}
		}
		if err := verifyLinks(chain, nil); err == nil || !strings.Contains(err.Error(), "want 2 to 8") {
			t.Errorf("%d certificates: %v", n, err)
		}
	}
}

// TestAuthorityKey refuses an authority on another curve whose signature holds.
func TestAuthorityKey(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P384(), elliptic.P256()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		sign := func(cn string, parent *x509.Certificate) *x509.Certificate {
			c := &x509.Certificate{
				SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<31, 0),
				BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign, SignatureAlgorithm: x509.ECDSAWithSHA384,
			}
			if parent == nil {
				parent = c
			}
			der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, key)
			if err != nil {
				t.Fatal(err)
			}
			if c, err = x509.ParseCertificate(der); err != nil {
				t.Fatal(err)
			}
			return c
		}
		root := sign("root", nil)
		err = signedBy(sign("child", root), root)
		if good := curve == elliptic.P384(); good != (err == nil) || !good && !strings.Contains(err.Error(), "the key of root is not on P-384") {
			t.Errorf("%s: %v", curve.Params().Name, err)
		}
	}
}
