package intel

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"
)

// issue makes a certificate from a template that tests change.
func issue(t *testing.T, edit func(*x509.Certificate), pub, signer any, parent *x509.Certificate) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: namePlatformCA}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	if edit != nil {
		edit(c)
	}
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCheckRole(t *testing.T) {
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	edPub, edKey, _ := ed25519.GenerateKey(rand.Reader)
	if err := checkRole(issue(t, nil, &p256.PublicKey, p256, nil), rolePCKCA); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		c    *x509.Certificate
		want string
	}{
		"name":           {issue(t, func(c *x509.Certificate) { c.Subject.CommonName = nameRoot }, &p256.PublicKey, p256, nil), "stands where"},
		"no CA":          {issue(t, func(c *x509.Certificate) { c.IsCA = false }, &p256.PublicKey, p256, nil), "CA flag"},
		"no constraints": {issue(t, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false }, &p256.PublicKey, p256, nil), "CA flag"},
		"usage":          {issue(t, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }, &p256.PublicKey, p256, nil), "may not sign"},
		"critical extension": {issue(t, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}, &p256.PublicKey, p256, nil), "critical extension"},
		"curve":     {issue(t, nil, &p384.PublicKey, p384, nil), "P-256"},
		"algorithm": {issue(t, nil, edPub, edKey, nil), "P-256"},
	} {
		if err := checkRole(c.c, rolePCKCA); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestCheckIssued(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	root := issue(t, func(c *x509.Certificate) { c.Subject.CommonName = nameRoot }, &key.PublicKey, key, nil)
	renamed := issue(t, func(c *x509.Certificate) { c.Subject.CommonName = "Another" }, &key.PublicKey, key, nil)
	namesake := issue(t, func(c *x509.Certificate) { c.Subject.CommonName = nameRoot }, &other.PublicKey, other, nil)
	good := issue(t, nil, &other.PublicKey, key, root)
	if err := checkIssued(good, root); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		c, parent *x509.Certificate
		want      string
	}{
		"issuer's name":  {good, renamed, "its issuer is not"},
		"issuer's key":   {issue(t, nil, &other.PublicKey, other, namesake), root, "does not verify"},
		"hash algorithm": {issue(t, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA384 }, &other.PublicKey, key, root), root, "want ECDSA-SHA256"},
	} {
		if err := checkIssued(c.c, c.parent); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestRoot pins the built-in root by its published fingerprint and key.
func TestRoot(t *testing.T) {
	if fp := RootFingerprint(); hex.EncodeToString(fp[:]) != "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3" {
		t.Errorf("fingerprint %x", fp)
	}
	if err := checkRole(intelRoot(), roleRoot); err != nil {
		t.Error(err)
	}
	if err := checkIssued(intelRoot(), intelRoot()); err != nil {
		t.Error(err)
	}
}

// TestSignatureEncoding compares r || s as ASN.1 with the standard library's.
func TestSignatureEncoding(t *testing.T) {
	for _, h := range []string{
		strings.Repeat("00", 31) + "01" + strings.Repeat("00", 31) + "ff",
		strings.Repeat("ff", 64), strings.Repeat("00", 64), strings.Repeat("7f", 64), "00ff" + strings.Repeat("80", 62),
	} {
		sig, _ := hex.DecodeString(h)
		want, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])})
		if err != nil {
			t.Fatal(err)
		}
		if got := appendDERSignature(nil, sig); string(got) != string(want) {
			t.Errorf("%s: %x, want %x", h, got, want)
		}
	}
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	digest := sha256.Sum256(nil)
	for _, sig := range [][]byte{nil, make([]byte, 63), make([]byte, 64), make([]byte, 65)} {
		if verifyRaw(&key.PublicKey, &digest, sig) {
			t.Errorf("a signature of %d zero bytes verifies", len(sig))
		}
	}
}

// TestPlatformExtension: every malformed SGX extension is refused.
func TestPlatformExtension(t *testing.T) {
	good := sgxExtension(nil)
	if !new(Platform).parse(good) {
		t.Fatal("the genuine form is refused")
	}
	for name, edit := range map[string]func([]extItem) []extItem{
		"no PPID":          func(l []extItem) []extItem { return l[1:] },
		"no FMSPC":         func(l []extItem) []extItem { return append(l[:3:3], l[4:]...) },
		"twice":            func(l []extItem) []extItem { return append(l, l[0]) },
		"unknown":          func(l []extItem) []extItem { return append(l, extItem{9, octets(1)}) },
		"number 0":         func(l []extItem) []extItem { return append(l, extItem{0, octets(1)}) },
		"short PPID":       func(l []extItem) []extItem { l[0].value = octets(15); return l },
		"PCEID as integer": func(l []extItem) []extItem { l[2].value = []byte{2, 2, 1, 1}; return l },
		"flag of 2 bytes": func(l []extItem) []extItem {
			return append(l, extItem{7, seqOf(pairOf([]byte{7, 1}, []byte{1, 2, 0, 0}))})
		},
		"unknown flag": func(l []extItem) []extItem {
			return append(l, extItem{7, seqOf(pairOf([]byte{7, 4}, []byte{1, 1, 0xff}))})
		},
		"17 of 18": func(l []extItem) []extItem {
			l[1].value = tcbOf(func(n int) []byte { return smallInt(n) }, 16)
			return l
		},
		"component of 256": func(l []extItem) []extItem {
			l[1].value = tcbOf(func(n int) []byte {
				if n == 3 {
					return []byte{2, 2, 1, 0}
				}
				return smallInt(n)
			}, 18)
			return l
		},
		"negative component": func(l []extItem) []extItem {
			l[1].value = tcbOf(func(n int) []byte {
				if n == 3 {
					return []byte{2, 1, 0x80}
				}
				return smallInt(n)
			}, 18)
			return l
		},
		"integer with a needless zero": func(l []extItem) []extItem {
			l[1].value = tcbOf(func(n int) []byte {
				if n == 3 {
					return []byte{2, 2, 0, 1}
				}
				return smallInt(n)
			}, 18)
			return l
		},
	} {
		if new(Platform).parse(sgxExtension(edit)) {
			t.Errorf("%s: accepted", name)
		}
	}
	for i := range good { // cut anywhere
		if new(Platform).parse(good[:i]) {
			t.Errorf("accepted when cut at %d", i)
		}
	}
	if new(Platform).parse(append(good[:len(good):len(good)], 0)) {
		t.Error("accepted with a byte after it")
	}
}

type extItem struct {
	n     byte
	value []byte
}

func octets(n int) []byte   { return tlv(derOctets, make([]byte, n)) }
func smallInt(n int) []byte { return []byte{derInt, 1, byte(n)} }
func seqOf(p ...[]byte) []byte {
	var b []byte
	for _, x := range p {
		b = append(b, x...)
	}
	return tlv(derSeq, b)
}

func tlv(tag byte, v []byte) []byte {
	switch {
	case len(v) < 0x80:
		return append([]byte{tag, byte(len(v))}, v...)
	case len(v) < 0x100:
		return append([]byte{tag, 0x81, byte(len(v))}, v...)
	}
	return append([]byte{tag, 0x82, byte(len(v) >> 8), byte(len(v))}, v...)
}

func pairOf(path []byte, value []byte) []byte {
	id := append(append([]byte(nil), oidSGXBytes...), path...)
	return seqOf(tlv(derOID, id), value)
}

// tcbOf encodes the TCB with n of its 18 parts.
func tcbOf(value func(int) []byte, n int) []byte {
	var l [][]byte
	for i := 1; i <= n; i++ {
		v := value(i)
		if i == 18 {
			v = octets(16)
		}
		l = append(l, pairOf([]byte{2, byte(i)}, v))
	}
	return seqOf(l...)
}

func sgxExtension(edit func([]extItem) []extItem) []byte {
	items := []extItem{{1, octets(16)}, {2, tcbOf(smallInt, 18)}, {3, octets(2)}, {4, octets(6)}, {5, []byte{derEnum, 1, 1}}}
	if edit != nil {
		items = edit(items)
	}
	var l [][]byte
	for _, i := range items {
		l = append(l, pairOf([]byte{i.n}, i.value))
	}
	return seqOf(l...)
}
