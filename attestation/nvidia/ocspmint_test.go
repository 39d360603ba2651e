package nvidia_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"
)

// answer is an OCSP response of any form (RFC 6960, section 4.2.1): golang.org/x/crypto
// writes only usual ones.
type answer struct {
	serial       *big.Int
	issuer       *x509.Certificate // whose names go into the certificate's id
	signer       *x509.Certificate
	key          *ecdsa.PrivateKey
	this, next   time.Time
	byName       bool
	responder    []byte // DER of the responder's id instead
	copies       int    // answers about certificates; default 1
	extensions   []pkix.Extension
	single       []pkix.Extension
	hash         crypto.Hash // of the id; default SHA-1
	algorithm    asn1.ObjectIdentifier
	digest       func([]byte) (crypto.Hash, []byte)
	noResponder  bool // leaves the responder's certificate out
	certificates []*x509.Certificate
}

type (
	ocspOuter struct {
		Status asn1.Enumerated
		Inner  ocspInner `asn1:"explicit,tag:0"`
	}
	ocspInner struct {
		Type asn1.ObjectIdentifier
		Data []byte
	}
	ocspBasic struct {
		Data         asn1.RawValue
		Algorithm    pkix.AlgorithmIdentifier
		Signature    asn1.BitString
		Certificates []asn1.RawValue `asn1:"explicit,tag:0,optional"`
	}
	ocspData struct {
		Responder  asn1.RawValue
		ProducedAt time.Time `asn1:"generalized"`
		Responses  []ocspSingle
		Extensions []pkix.Extension `asn1:"explicit,tag:1,optional,omitempty"`
	}
	ocspSingle struct {
		ID         ocspID
		Status     asn1.RawValue
		ThisUpdate time.Time        `asn1:"generalized"`
		NextUpdate time.Time        `asn1:"generalized,explicit,tag:0,optional"`
		Extensions []pkix.Extension `asn1:"explicit,tag:1,optional,omitempty"`
	}
	ocspID struct {
		Hash       pkix.AlgorithmIdentifier
		IssuerName []byte
		IssuerKey  []byte
		Serial     *big.Int
	}
)

var ocspHashes = map[crypto.Hash]asn1.ObjectIdentifier{
	crypto.SHA1:   {1, 3, 14, 3, 2, 26},
	crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
	crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
	crypto.MD5:    {1, 2, 840, 113549, 2, 5},
}

func (a answer) mint(t testing.TB) []byte {
	t.Helper()
	data := marshal(t, a.data(t))
	if a.algorithm == nil {
		a.algorithm = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	}
	hash, digest := crypto.SHA384, sha512.Sum384(data)
	d := digest[:]
	if a.digest != nil {
		hash, d = a.digest(data)
	}
	sig, err := a.key.Sign(nil, d, hash)
	if err != nil {
		t.Fatal(err)
	}
	b := ocspBasic{Data: asn1.RawValue{FullBytes: data}, Algorithm: pkix.AlgorithmIdentifier{Algorithm: a.algorithm}, Signature: asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}}
	if a.certificates == nil && !a.noResponder {
		a.certificates = []*x509.Certificate{a.signer}
	}
	for _, c := range a.certificates {
		b.Certificates = append(b.Certificates, asn1.RawValue{FullBytes: c.Raw})
	}
	return marshal(t, ocspOuter{Inner: ocspInner{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}, marshal(t, b)}})
}

func (a answer) data(t testing.TB) ocspData {
	hash := a.hash
	if hash == 0 {
		hash = crypto.SHA1
	}
	name, tag := sha1.Sum(keyBits(t, a.signer)), 2
	by := marshal(t, name[:])
	if a.byName {
		by, tag = a.signer.RawSubject, 1
	}
	d := ocspData{Responder: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: by}, ProducedAt: a.this.UTC(), Extensions: a.extensions}
	if a.responder != nil {
		d.Responder = asn1.RawValue{FullBytes: a.responder}
	}
	for range max(1, a.copies) {
		d.Responses = append(d.Responses, ocspSingle{
			ID: ocspID{
				Hash:       pkix.AlgorithmIdentifier{Algorithm: ocspHashes[hash], Parameters: asn1.NullRawValue},
				IssuerName: sum(hash, a.issuer.RawSubject), IssuerKey: sum(hash, keyBits(t, a.issuer)), Serial: a.serial,
			},
			Status:     asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0},
			ThisUpdate: a.this.UTC(), NextUpdate: a.next.UTC(), Extensions: a.single,
		})
	}
	return d
}

func sum(h crypto.Hash, b []byte) []byte {
	switch h {
	case crypto.SHA256:
		d := sha256.Sum256(b)
		return d[:]
	case crypto.SHA384:
		d := sha512.Sum384(b)
		return d[:]
	}
	d := sha1.Sum(b)
	return d[:]
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keyBits(t testing.TB, c *x509.Certificate) []byte {
	t.Helper()
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		Bits      asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &key); err != nil {
		t.Fatal(err)
	}
	return key.Bits.RightAlign()
}
