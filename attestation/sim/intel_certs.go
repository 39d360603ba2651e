package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"slices"
	"time"
)

var oidSGX = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

// minter makes keys and certificates; err latches the first failure.
type minter struct {
	r        io.Reader
	from, to time.Time
	windows  map[string][2]time.Time
	err      error
}

func (m *minter) read(b []byte) {
	if m.err == nil {
		_, m.err = io.ReadFull(m.r, b)
	}
}

// key makes a P-256 key from the source of randomness. crypto/ecdsa would not
// use the caller's.
func (m *minter) key() *ecdsa.PrivateKey {
	for m.err == nil {
		var b [32]byte
		m.read(b[:])
		if k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b[:]); err == nil {
			return k
		}
	}
	return nil
}

// certificate issues a certificate; pathLen -1 means it is no CA, a nil parent
// that it signs itself.
func (m *minter) certificate(who, cn string, key *ecdsa.PrivateKey, parent *x509.Certificate, signer *ecdsa.PrivateKey, crl string, pathLen int, ext ...pkix.Extension) *x509.Certificate {
	var serial [20]byte
	m.read(serial[:])
	if m.err != nil {
		return nil
	}
	serial[0] = serial[0]&0x7f | 0x40
	pub, err := key.PublicKey.Bytes()
	if err != nil {
		m.err = err
		return nil
	}
	id := sha256.Sum256(pub)
	t := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial[:]), Subject: intelName(cn), NotBefore: m.from, NotAfter: m.to,
		BasicConstraintsValid: true, CRLDistributionPoints: []string{crl}, SubjectKeyId: id[:20],
		SignatureAlgorithm: x509.ECDSAWithSHA256, ExtraExtensions: ext,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
	}
	if w, ok := m.windows[who]; ok {
		t.NotBefore, t.NotAfter = w[0], w[1]
	}
	if pathLen >= 0 {
		t.IsCA, t.MaxPathLen, t.MaxPathLenZero = true, pathLen, pathLen == 0
		t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	if parent == nil {
		parent, t.AuthorityKeyId = t, t.SubjectKeyId
	}
	der, err := x509.CreateCertificate(nil, t, parent, &key.PublicKey, deterministic{signer})
	if err != nil {
		m.err = err
		return nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		m.err = err
	}
	return c
}

func intelName(cn string) pkix.Name {
	return pkix.Name{CommonName: cn, Organization: []string{"Intel Corporation"}, Locality: []string{"Santa Clara"}, Province: []string{"CA"}, Country: []string{"US"}}
}

// sgxExtension encodes the SGX extensions of the PCK certificate.
func (p *Intel) sgxExtension() ([]byte, error) {
	type octets struct {
		ID asn1.ObjectIdentifier
		V  []byte
	}
	type number struct {
		ID asn1.ObjectIdentifier
		V  int
	}
	type enum struct {
		ID asn1.ObjectIdentifier
		V  asn1.Enumerated
	}
	type list struct {
		ID asn1.ObjectIdentifier
		V  []asn1.RawValue
	}
	type flag struct {
		ID asn1.ObjectIdentifier
		V  bool
	}
	var err error
	raw := func(v any) asn1.RawValue {
		b, e := asn1.Marshal(v)
		if err == nil {
			err = e
		}
		return asn1.RawValue{FullBytes: b}
	}
	oid := func(n ...int) asn1.ObjectIdentifier { return append(slices.Clone(oidSGX), n...) }
	var tcb []asn1.RawValue
	for i, v := range p.cpusvn {
		tcb = append(tcb, raw(number{oid(2, i+1), int(v)}))
	}
	tcb = append(tcb, raw(number{oid(2, 17), p.pcesvn}), raw(octets{oid(2, 18), p.cpusvn[:]}))
	all := []asn1.RawValue{
		raw(octets{oid(1), p.ppid[:]}), raw(list{oid(2), tcb}), raw(octets{oid(3), []byte{0, 0}}),
		raw(octets{oid(4), p.fmspc[:]}), raw(enum{oid(5), 1}),
	}
	if !p.processor {
		id := sha256.Sum256(append([]byte("simulated platform instance"), p.ppid[:]...))
		all = append(all, raw(octets{oid(6), id[:16]}),
			raw(list{oid(7), []asn1.RawValue{raw(flag{oid(7, 1), true}), raw(flag{oid(7, 2), true}), raw(flag{oid(7, 3), true})}}))
	}
	b, e := asn1.Marshal(all)
	if err == nil {
		err = e
	}
	return b, err
}

func rawPublicKey(k *ecdsa.PrivateKey) (out [64]byte) {
	b, err := k.PublicKey.Bytes()
	if err != nil {
		panic("sim: a P-256 key has no encoding: " + err.Error())
	}
	copy(out[:], b[1:])
	return out
}

func pemCerts(cs ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range cs {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}
