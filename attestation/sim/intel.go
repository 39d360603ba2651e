package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"
)

// IntelOptions says what kind of platform [NewIntel] makes. The zero value is
// good for most uses.
type IntelOptions struct {
	Now       time.Time // start of the certificates' validity is a day before; required
	Processor bool      // PCK issued by the processor CA rather than by the platform CA
	FMSPC     [6]byte   // zero means 514d00000000, which no real processor has
	Years     int       // validity of the certificates, default 7
	// Windows overrides the validity of single certificates: "root", "ca",
	// "signer", "pck".
	Windows map[string][2]time.Time
}

// Intel is a simulated Intel platform: root, PCK CA, TCB signer, one machine
// with its PCK and attestation key. It is safe for concurrent use.
type Intel struct {
	root, ca, signer, pck                 *x509.Certificate
	rootKey, caKey, signerKey, pckKey, ak *ecdsa.PrivateKey
	processor                             bool
	fmspc                                 [6]byte
	cpusvn                                [16]byte
	pcesvn                                int
	ppid                                  [16]byte
	qeSigner                              [32]byte
}

var oidSGX = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}

const (
	rootCRLURL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
	pckCRLURL  = "https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=%s&encoding=der"
)

// NewIntel makes a platform from the randomness of r, nil for crypto/rand. The
// same bytes and options give the same platform.
func NewIntel(r io.Reader, o IntelOptions) (*Intel, error) {
	if o.Now.IsZero() {
		return nil, fmt.Errorf("sim: no time to make a platform at")
	}
	if r == nil {
		r = rand.Reader
	}
	if o.FMSPC == ([6]byte{}) {
		o.FMSPC = [6]byte{0x51, 0x4d}
	}
	if o.Years == 0 {
		o.Years = 7
	}
	p := &Intel{processor: o.Processor, fmspc: o.FMSPC, pcesvn: 13}
	for i := range 8 {
		p.cpusvn[i] = 3
	}
	from := o.Now.Add(-24 * time.Hour)
	m := &minter{r: r, from: from, to: from.AddDate(o.Years, 0, 0), windows: o.Windows} // Intel's end at the same second of a year, too
	for _, k := range []**ecdsa.PrivateKey{&p.rootKey, &p.caKey, &p.signerKey, &p.pckKey, &p.ak} {
		*k = m.key()
	}
	m.read(p.ppid[:])
	m.read(p.qeSigner[:])
	caName, caKind := "Intel SGX PCK Platform CA", "platform"
	if o.Processor {
		caName, caKind = "Intel SGX PCK Processor CA", "processor"
	}
	p.root = m.certificate("root", "Intel SGX Root CA", p.rootKey, nil, p.rootKey, rootCRLURL, 1)
	p.ca = m.certificate("ca", caName, p.caKey, p.root, p.rootKey, rootCRLURL, 0)
	p.signer = m.certificate("signer", "Intel SGX TCB Signing", p.signerKey, p.root, p.rootKey, rootCRLURL, -1)
	ext, err := p.sgxExtension()
	if err != nil {
		return nil, err
	}
	p.pck = m.certificate("pck", "Intel SGX PCK Certificate", p.pckKey, p.ca, p.caKey, fmt.Sprintf(pckCRLURL, caKind), -1,
		pkix.Extension{Id: oidSGX, Value: ext})
	return p, m.err
}

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

// RootFingerprint is the SHA-256 of the root certificate (DER), which a policy
// must name before it accepts this platform.
func (p *Intel) RootFingerprint() [32]byte { return sha256.Sum256(p.root.Raw) }

// RootPEM returns the root certificate.
func (p *Intel) RootPEM() []byte { return pemCerts(p.root) }

// PPID returns the identity of the simulated machine.
func (p *Intel) PPID() [16]byte { return p.ppid }

// FMSPC returns the family and platform type of the simulated machine.
func (p *Intel) FMSPC() [6]byte { return p.fmspc }

// CAPublicKey returns the public key of the CA that issued the PCK certificate,
// x || y, 64 bytes: the form in which a registry contract lists it.
func (p *Intel) CAPublicKey() [64]byte { return rawPublicKey(p.caKey) }

// PCKChain returns the chain PCK, CA, root as it stands in quotes.
func (p *Intel) PCKChain() []byte { return append(pemCerts(p.pck, p.ca, p.root), 0) }

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

// TD is a simulated trust domain: what its quotes say. The zero value is a TD
// with zero measurements that a policy accepts (SEPT_VE_DISABLE is set, debug
// is not).
type TD struct {
	MRTD          [48]byte
	RTMR          [4][48]byte
	ReportData    [64]byte
	MRConfigID    [48]byte
	MROwner       [48]byte
	MROwnerConfig [48]byte
	MRSEAM        [48]byte
	MRSIGNERSEAM  [48]byte
	SEAM          uint64   // SEAMATTRIBUTES
	Attributes    uint64   // TDATTRIBUTES; 0 means SEPT_VE_DISABLE, see Plain
	Plain         bool     // take Attributes as it is, also when 0
	XFAM          uint64   // 0 means 0x602e7
	TEETCBSVN     [16]byte // zero means 05 01 03
	Version       uint16   // 4 (default) or 5
	BodyType      uint16   // of version 5: 2, 3 (default) or 4
	TEETCBSVN2    [16]byte // of body types 3 and 4; zero means TEETCBSVN
	MRServiceTD   [48]byte
	Edit          Edit // changes below the body, for negative tests
}

// Edit changes parts of a quote before they are signed, or signs with the wrong
// key. The zero value changes nothing.
type Edit struct {
	Header   func([]byte) // of the quote, 48 bytes
	QEReport func([]byte) // report of the quoting enclave, 384 bytes
	Auth     []byte       // QE authentication data; default 32 zero bytes
	Chain    []byte       // certification data; default the PCK chain
	CertType uint16       // its type; default 5
	WrongPCK bool         // the report of the quoting enclave is signed by another key
	WrongAK  bool         // the quote is signed by another key
	Trailing []byte       // follows the quote, not signed
}

// Attribute bits of a TD, for [TD.Attributes].
const (
	TDDebug         = 1 << 0
	TDSeptVEDisable = 1 << 28
	TDMigratable    = 1 << 29
	TDPerfmon       = 1 << 63
)

var (
	qeVendor      = []byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07}
	defaultTCBSVN = [16]byte{5, 1, 3}
)

// Body encodes the report of the TD, as quotes carry it.
func (t TD) Body() []byte {
	if t.Attributes == 0 && !t.Plain {
		t.Attributes = TDSeptVEDisable
	}
	if t.XFAM == 0 {
		t.XFAM = 0x602e7
	}
	if t.TEETCBSVN == ([16]byte{}) {
		t.TEETCBSVN = defaultTCBSVN
	}
	if t.TEETCBSVN2 == ([16]byte{}) {
		t.TEETCBSVN2 = t.TEETCBSVN
	}
	le := binary.LittleEndian
	b := append([]byte(nil), t.TEETCBSVN[:]...)
	b = append(b, t.MRSEAM[:]...)
	b = append(b, t.MRSIGNERSEAM[:]...)
	b = le.AppendUint64(b, t.SEAM)
	b = le.AppendUint64(b, t.Attributes)
	b = le.AppendUint64(b, t.XFAM)
	for _, f := range [][48]byte{t.MRTD, t.MRConfigID, t.MROwner, t.MROwnerConfig, t.RTMR[0], t.RTMR[1], t.RTMR[2], t.RTMR[3]} {
		b = append(b, f[:]...)
	}
	b = append(b, t.ReportData[:]...)
	if t.bodyType() >= 3 {
		b = append(b, t.TEETCBSVN2[:]...)
		b = append(b, t.MRServiceTD[:]...)
	}
	if t.bodyType() == 4 {
		b = append(b, make([]byte, 237)...)
	}
	return b
}

func (t TD) bodyType() uint16 {
	if t.Version != 5 {
		return 2
	}
	if t.BodyType == 0 {
		return 3
	}
	return t.BodyType
}

// Quote mints a TDX quote. It is deterministic.
func (p *Intel) Quote(t TD) ([]byte, error) {
	body := t.Body()
	if t.Version == 0 {
		t.Version = 4
	}
	signed := quoteHeader(t.Version, 0x81, t.Edit)
	if t.Version == 5 {
		signed = binary.LittleEndian.AppendUint16(signed, t.bodyType())
		signed = binary.LittleEndian.AppendUint32(signed, uint32(len(body)))
	}
	return p.sign(append(signed, body...), t.Version, tdQE, t.Edit)
}

// Enclave is a simulated SGX enclave.
type Enclave struct {
	MRENCLAVE, MRSIGNER [32]byte
	ProdID, SVN         uint16
	Debug               bool
	ReportData          [64]byte
	Version             uint16 // 3 (default) or 4
	OpenEnclave         bool   // wrap the quote as EGo and Open Enclave do
	Edit                Edit   // changes below the body, for negative tests
}

// EnclaveQuote mints an SGX quote. It is deterministic.
func (p *Intel) EnclaveQuote(e Enclave) ([]byte, error) {
	if e.Version == 0 {
		e.Version = 3
	}
	b := make([]byte, 384)
	copy(b, p.cpusvn[:])
	b[48] = 5 // initialised, 64 bit
	if e.Debug {
		b[48] |= 2
	}
	b[56] = 3 // XFRM: x87, SSE
	copy(b[64:], e.MRENCLAVE[:])
	copy(b[128:], e.MRSIGNER[:])
	binary.LittleEndian.PutUint16(b[256:], e.ProdID)
	binary.LittleEndian.PutUint16(b[258:], e.SVN)
	copy(b[320:], e.ReportData[:])
	q, err := p.sign(append(quoteHeader(e.Version, 0, e.Edit), b...), e.Version, sgxQE, e.Edit)
	if err != nil || !e.OpenEnclave {
		return q, err
	}
	le := binary.LittleEndian
	oe := le.AppendUint32(nil, 1)
	oe = le.AppendUint32(oe, 2)
	oe = le.AppendUint64(oe, uint64(len(q)))
	return append(oe, q...), nil
}

func quoteHeader(version uint16, tee uint32, e Edit) []byte {
	h := make([]byte, 48)
	binary.LittleEndian.PutUint16(h, version)
	binary.LittleEndian.PutUint16(h[2:], 2)
	binary.LittleEndian.PutUint32(h[4:], tee)
	copy(h[12:], qeVendor)
	if e.Header != nil {
		e.Header(h)
	}
	return h
}

// Product numbers of Intel's quoting enclaves.
const (
	sgxQE = 1
	tdQE  = 2
)

// qeReport makes the report of the quoting enclave, which vouches for the
// attestation key.
func (p *Intel) qeReport(product uint16, auth []byte) []byte {
	r := make([]byte, 384)
	copy(r, p.cpusvn[:])
	r[48] = 0x11 | 0x04 // initialised, 64 bit, provisioning key
	copy(r[128:], p.qeSigner[:])
	binary.LittleEndian.PutUint16(r[256:], product)
	binary.LittleEndian.PutUint16(r[258:], 4)
	key := rawPublicKey(p.ak)
	d := sha256.Sum256(append(key[:], auth...))
	copy(r[320:], d[:])
	return r
}

// sign appends the signature data to header and body.
func (p *Intel) sign(signed []byte, version, product uint16, e Edit) ([]byte, error) {
	le := binary.LittleEndian
	pck, ak := p.pckKey, p.ak
	if e.WrongPCK {
		pck = p.ak
	}
	if e.WrongAK {
		ak = p.pckKey
	}
	if e.Auth == nil {
		e.Auth = make([]byte, 32)
	}
	if e.Chain == nil {
		e.Chain = p.PCKChain()
	}
	if e.CertType == 0 {
		e.CertType = 5
	}
	report := p.qeReport(product, e.Auth)
	if e.QEReport != nil {
		e.QEReport(report)
	}
	qeSig, err := signRaw(pck, report)
	if err != nil {
		return nil, err
	}
	sig, err := signRaw(ak, signed)
	if err != nil {
		return nil, err
	}
	c := append(report, qeSig...)
	c = le.AppendUint16(c, uint16(len(e.Auth)))
	c = append(c, e.Auth...)
	c = le.AppendUint16(c, e.CertType)
	c = le.AppendUint32(c, uint32(len(e.Chain)))
	c = append(c, e.Chain...)
	key := rawPublicKey(p.ak)
	s := append(sig, key[:]...)
	if version > 3 {
		s = le.AppendUint16(s, 6)
		s = le.AppendUint32(s, uint32(len(c)))
	}
	s = append(s, c...)
	out := le.AppendUint32(slices.Clone(signed), uint32(len(s)))
	return append(append(out, s...), e.Trailing...), nil
}
