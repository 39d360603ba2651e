package intel

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

func wantRefused(t *testing.T, name string, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}

// TestSimulatedRootRole: the fingerprint that a policy names makes no root of a
// certificate that is none.
func TestSimulatedRootRole(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	asRoot := func(c *x509.Certificate) { c.Subject.CommonName = nameRoot }
	root := issue(t, asRoot, &key.PublicKey, key, nil)
	for name, c := range map[string]struct {
		c    *x509.Certificate
		want string
	}{
		"root":                 {root, ""},
		"another role":         {issue(t, nil, &key.PublicKey, key, nil), "stands where"},
		"signed by another":    {issue(t, asRoot, &other.PublicKey, key, root), "does not verify"},
		"no authority to sign": {issue(t, func(c *x509.Certificate) { asRoot(c); c.IsCA = false }, &key.PublicKey, key, nil), "CA flag"},
	} {
		v := NewVerifier(sha256.Sum256(c.c.Raw))
		_, _, err := v.anchor(c.c)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.want != "" {
			wantRefused(t, name, err, c.want)
		}
	}
}

// TestPlatformComponents: each of the 18 components is there once, and no other.
func TestPlatformComponents(t *testing.T) {
	for name, c := range map[string]struct{ from, to byte }{"twice": {5, 4}, "number 0": {5, 0}, "number 19": {5, 19}} {
		bad := new(Platform).parse(sgxExtension(func(l []extItem) []extItem {
			l[1].value = bytes.Replace(l[1].value, componentID(c.from), componentID(c.to), 1)
			return l
		}))
		if bad {
			t.Errorf("%s: accepted", name)
		}
	}
	if !bytes.Contains(sgxExtension(nil), componentID(5)) {
		t.Fatal("the test changes nothing: component 5 is not written as it thinks")
	}
}

// componentID is the identifier of a component of the TCB.
func componentID(n byte) []byte {
	return tlv(derOID, append(append([]byte(nil), oidSGXBytes...), 2, n))
}

// TestNoExtension: a PCK certificate without Intel's extension says so.
func TestNoExtension(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, err := parsePlatform(issue(t, nil, &key.PublicKey, key, nil))
	wantRefused(t, "no extension", err, "no SGX extension")
}

// list makes a revocation list with a number.
func list(t *testing.T, n uint64, parent *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	number := parent.SerialNumber
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: number, ThisUpdate: time.Unix(int64(n), 0), NextUpdate: time.Unix(1<<33, 0)}, parent, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestListWithoutEnd: a revocation list that does not say when the next one comes
// would hold for ever.
func TestListWithoutEnd(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	root := issue(t, nil, &key.PublicKey, key, nil)
	der := list(t, 1, root, key)
	if err := new(Endorsements).AddCRL(der); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, "no next update", new(Endorsements).AddCRL(withoutNextUpdate(t, der, root, key)), "no time of the next update")
}

// withoutNextUpdate cuts the second time out of a list and signs it anew.
func withoutNextUpdate(t *testing.T, crl []byte, parent *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	parsed, err := x509.ParseRevocationList(crl)
	if err != nil {
		t.Fatal(err)
	}
	tbs := parsed.RawTBSRevocationList
	next := []byte(parsed.NextUpdate.UTC().Format("20060102150405Z"))
	i := bytes.Index(tbs, next)
	if i < 0 {
		t.Fatal("no next update in the list")
	}
	head := derBody(t, tbs)
	at := bytes.Index(head, next)
	body := append(bytes.Clone(head[:at-2]), head[at+len(next):]...)
	tbs = tlv(derSeq, body)
	digest := sha256.Sum256(tbs)
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	algorithm := tlv(derSeq, []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2})
	return seqOf(tbs, algorithm, tlv(3, append([]byte{0}, sig...)))
}

func derBody(t *testing.T, b []byte) []byte {
	t.Helper()
	d := der{b}
	v, ok := d.next(derSeq)
	if !ok {
		t.Fatal("no sequence")
	}
	return v
}

// TestBounds: how much one set and one chain may hold.
func TestBounds(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	root := issue(t, nil, &key.PublicKey, key, nil)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})

	e := new(Endorsements)
	if err := e.AddCollateral(&Collateral{PCKCertificateChain: strings.Repeat(string(text), maxChainCerts)}); err != nil {
		t.Error(err)
	}
	wantRefused(t, "chain", e.AddCollateral(&Collateral{PCKCertificateChain: strings.Repeat(string(text), maxChainCerts+1)}), "more than 64 certificates")
	_, err := parseCerts(bytes.Repeat(text, maxChainCerts+1))
	wantRefused(t, "certificates", err, "more than 64 certificates")
	if certs, err := parseCerts(bytes.Repeat(text, maxChainCerts)); err != nil || len(certs) != maxChainCerts {
		t.Errorf("%d certificates, %v", len(certs), err)
	}
	_, err = ParseCollateral(make([]byte, MaxDocumentSize+1))
	wantRefused(t, "collateral", err, "the limit is")

	e = new(Endorsements)
	for i := range uint32(MaxDocuments) {
		if fresh, err := e.add(sha256.Sum256(binary.BigEndian.AppendUint32(nil, i))); err != nil || !fresh {
			t.Fatal(i, fresh, err)
		}
	}
	wantRefused(t, "documents", e.AddCRL(list(t, 1, root, key)), "more than 4096 documents")
	if e.Len() != MaxDocuments {
		t.Errorf("%d documents", e.Len())
	}
}
