package intel_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
)

// TestPCKCAGenuine: Intel's own Platform CA is told from everybody else's.
func TestPCKCAGenuine(t *testing.T) {
	p, rest := pem.Decode([]byte(moduleCollateral(t).PCKCRLIssuerChain))
	for _, data := range [][]byte{p.Bytes, pem.EncodeToMemory(p)} {
		c, err := intel.ParsePCKCA(data)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Genuine(); err != nil || !c.Platform() {
			t.Errorf("platform %v: %v", c.Platform(), err)
		}
		if err := c.Valid(moduleTime); err != nil {
			t.Error(err)
		}
		cert, err := x509.ParseCertificate(p.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := cert.PublicKey.(*ecdsa.PublicKey).Bytes(); err != nil || string(want[1:]) != string(bytesOf(c.Key())) {
			t.Errorf("key %x, want %x: %v", c.Key(), want, err)
		}
		for _, at := range []time.Time{cert.NotBefore.Add(-time.Second), cert.NotAfter.Add(time.Second)} {
			if err := c.Valid(at); fault.FamilyOf(err) != fault.FamilyUnknown {
				t.Errorf("at %v: %v", at, err)
			}
		}
		if err := c.Valid(time.Time{}); err == nil {
			t.Error("no time")
		}
	}
	if _, err := intel.ParsePCKCA(append(pem.EncodeToMemory(p), rest...)); err == nil || fault.FamilyOf(err) != fault.FamilyInput {
		t.Errorf("a whole chain: %v", err)
	}
	changed := bytes.Clone(p.Bytes)
	changed[len(changed)-1] ^= 1
	if c, err := intel.ParsePCKCA(changed); err == nil && fault.FamilyOf(c.Genuine()) != fault.FamilyFalse {
		t.Error("another signature is genuine")
	}
}

func bytesOf(b [64]byte) []byte { return b[:] }

// caTemplate is what a PCK CA's certificate says.
func caTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: moduleTime, NotAfter: moduleTime.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func selfSigned(t testing.TB, c *x509.Certificate, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), crypto.Signer(key))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestPCKCAForm: names, curve and use are looked at; a certificate that says all
// of them and that its maker signed himself is not genuine.
func TestPCKCAForm(t *testing.T) {
	for name, platform := range map[string]bool{"Intel SGX PCK Platform CA": true, "Intel SGX PCK Processor CA": false} {
		c, err := intel.ParsePCKCA(selfSigned(t, caTemplate(name), elliptic.P256()))
		if err != nil || c.Platform() != platform {
			t.Fatalf("%s: %v", name, err)
		}
		if err := c.Genuine(); fault.FamilyOf(err) != fault.FamilyFalse {
			t.Errorf("%s: %v", name, err)
		}
	}
	root := caTemplate("Intel SGX Root CA")
	leaf := caTemplate("Intel SGX PCK Platform CA")
	leaf.IsCA, leaf.KeyUsage = false, x509.KeyUsageDigitalSignature
	use := caTemplate("Intel SGX PCK Platform CA")
	use.KeyUsage = x509.KeyUsageCertSign
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"name", selfSigned(t, root, elliptic.P256()), `"Intel SGX Root CA" stands where`},
		{"curve", selfSigned(t, caTemplate("Intel SGX PCK Platform CA"), elliptic.P384()), "not on P-256"},
		{"no CA", selfSigned(t, leaf, elliptic.P256()), "CA flag is false"},
		{"use", selfSigned(t, use, elliptic.P256()), "may not sign certificates and CRLs"},
		{"key", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: selfSigned(t, use, elliptic.P256())}), "want one certificate"},
		{"text", []byte("hello"), "not a certificate"},
		{"nothing", nil, "not a certificate"},
	} {
		if _, err := intel.ParsePCKCA(c.data); err == nil || fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzParsePCKCA(f *testing.F) {
	p, _ := pem.Decode([]byte(moduleCollateral(f).PCKCRLIssuerChain))
	f.Add(p.Bytes)
	f.Add(pem.EncodeToMemory(p))
	f.Add([]byte(hex.EncodeToString(p.Bytes)))
	genuine, err := intel.ParsePCKCA(p.Bytes)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := intel.ParsePCKCA(b)
		if err != nil {
			return
		}
		if c.Genuine() == nil && c.Platform() && c.Key() != genuine.Key() {
			t.Error("another key of Intel's")
		}
	})
}
