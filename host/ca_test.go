package host

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	tdxtest "github.com/google/go-tdx-guest/testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// realCA is the certificate of Intel's PCK Platform CA, from go-tdx-guest's test
// data.
func realCA(t testing.TB) []byte {
	t.Helper()
	for _, v := range tdxtest.PckCrlHeader {
		text, err := url.QueryUnescape(v[0])
		if err != nil {
			t.Fatal(err)
		}
		p, _ := pem.Decode([]byte(text))
		return p.Bytes
	}
	t.Fatal("no chain")
	return nil
}

// processorCA is a certificate with the name of Intel's Processor CA that its maker
// signed himself.
func processorCA(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Intel SGX PCK Processor CA"}, NotBefore: realTime, NotAfter: realTime.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// realTime lies in the window of Intel's certificate.
var realTime = time.Date(2023, 7, 1, 0, 0, 0, 0, time.UTC)

// TestRegistryCA: Intel's CA needs no word in the registry's file, while it is
// valid; another one does, and the registry is then simulated.
func TestRegistryCA(t *testing.T) {
	files := map[string][]byte{"ca.pem": realCA(t), "other.pem": processorCA(t)}
	const text = "chain_id = -239\nca_certificates = [\"ca.pem\"]\n[governance]\nthreshold = 1\n" +
		"keys = [\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"]\n"
	n, err := ParseRegistry([]byte(text), realTime, reader(files))
	if err != nil || n.Simulated || len(n.State.CAKeys) != 1 {
		t.Fatalf("%+v, %v", n, err)
	}
	if _, err := ParseRegistry([]byte(text), realTime.AddDate(30, 0, 0), reader(files)); fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "ca.pem: certificate Intel SGX PCK Platform CA expired at") {
		t.Errorf("expired: %v", err)
	}
	silent := strings.Replace(text, `"ca.pem"`, `"other.pem"`, 1)
	if _, err := ParseRegistry([]byte(silent), realTime, reader(files)); fault.FamilyOf(err) != fault.FamilyFalse ||
		!strings.Contains(err.Error(), `other.pem: certificate "Intel SGX PCK Processor CA": its issuer is not "Intel SGX Root CA": a registry of a dev chain may list it with simulated = true`) {
		t.Errorf("not Intel's: %v", err)
	}
	both := strings.NewReplacer("-239", "-777\nsimulated = true", `"ca.pem"`, `"other.pem", "ca.pem"`).Replace(text)
	if n, err = ParseRegistry([]byte(both), realTime, reader(files)); err != nil || !n.Simulated {
		t.Fatalf("%+v, %v", n, err)
	}
	kinds := map[uint8]int{}
	for _, k := range n.State.CAKeys {
		kinds[k.Kind]++
	}
	if kinds[contracts.CAPlatform] != 1 || kinds[contracts.CAProcessor] != 1 {
		t.Errorf("kinds %v", kinds)
	}
	dev := strings.Replace(text, "-239", "-777\nsimulated = true", 1)
	if n, err = ParseRegistry([]byte(dev), realTime, reader(files)); err != nil || n.Simulated {
		t.Errorf("Intel's alone: simulated %v, %v", n.Simulated, err)
	}
}

// TestCAValue: a certificate for "add-ca" is Intel's and valid.
func TestCAValue(t *testing.T) {
	v, err := CAValue(realCA(t), realTime)
	if err != nil {
		t.Fatal(err)
	}
	a, err := actions["add-ca"](v)
	if add, ok := a.(contracts.AddCAKey); err != nil || !ok || add.Key.Kind != contracts.CAPlatform || add.Key.Key == (contracts.PublicKey{}) {
		t.Errorf("%s: %+v, %v", v, a, err)
	}
	for name, c := range map[string]struct {
		data []byte
		at   time.Time
		want fault.Family
	}{
		"no certificate": {[]byte("hello"), realTime, fault.FamilyInput},
		"expired":        {realCA(t), realTime.AddDate(30, 0, 0), fault.FamilyUnknown},
		"not Intel's":    {processorCA(t), realTime, fault.FamilyFalse},
	} {
		if v, err := CAValue(c.data, c.at); v != nil || fault.FamilyOf(err) != c.want {
			t.Errorf("%s: %s, %v", name, v, err)
		}
	}
}
