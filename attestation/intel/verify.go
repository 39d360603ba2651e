package intel

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/internal/memo"
)

// Sizes of the caches of a [Verifier], in entries. A platform takes about 1 KiB,
// a document 4 to 40 KiB.
const (
	maxCachedPlatforms = 20000
	maxCachedDocuments = 1024
)

// Facts is what a quote proves, with Intel's rating of the platform. Nothing in
// it is judged.
type Facts struct {
	TEE          TEE
	QuoteVersion uint16
	BodyType     BodyType
	OpenEnclave  bool // the quote came in Open Enclave's wrapping
	Trailing     int  // unsigned bytes that followed the quote

	TD      *TDReport  // of a TDX quote
	Enclave *SGXReport // of an SGX quote

	Platform Platform
	Root     [32]byte // SHA-256 of the root certificate that the chains end in

	Status         Status // the rating, all parts together
	PlatformStatus Status // of processor and microcode
	ModuleStatus   Status // of the TDX module; empty for SGX and for module version 0
	QEStatus       Status // of the quoting enclave
	// CurrentStatus rates a TD 1.5 by TEE_TCB_SVN2, the versions that run now;
	// empty for other bodies.
	CurrentStatus Status
	TCBDate       time.Time // the oldest date among the levels that matched
	Advisories    []string  // of all levels that matched, in order, repeated as Intel lists them
	Evaluation    int       // the lower evaluation data number of TCB info and QE identity

	// Issued is when the oldest of TCB info, QE identity and PCK revocation list
	// was issued. The root's revocation list does not count: Intel issues it
	// once a year, and its own next update bounds it.
	Issued    time.Time
	NotBefore time.Time // start of the validity of all documents together
	NotAfter  time.Time // its end
}

// Debug reports whether the host can look into what the quote speaks of.
func (f *Facts) Debug() bool {
	if f.TD != nil {
		return f.TD.Debug()
	}
	return f.Enclave.Debug()
}

// ReportData returns the 64 bytes that the workload chose.
func (f *Facts) ReportData() [64]byte {
	if f.TD != nil {
		return f.TD.ReportData
	}
	return f.Enclave.ReportData
}

// Verifier verifies quotes. It is safe for concurrent use. It remembers
// verified documents and platforms, immutably and bounded; see
// docs/spec/endorsements.md.
type Verifier struct {
	simulated map[[32]byte]bool
	platforms *memo.Cache[*platform]
	documents *memo.Cache[verified]
}

// NewVerifier returns a verifier that trusts Intel's root and, beside it, the
// root certificates with the given SHA-256 fingerprints.
func NewVerifier(simulatedRoots ...[32]byte) *Verifier {
	v := &Verifier{
		simulated: make(map[[32]byte]bool, len(simulatedRoots)),
		platforms: memo.New[*platform](maxCachedPlatforms),
		documents: memo.New[verified](maxCachedDocuments),
	}
	for _, r := range simulatedRoots {
		v.simulated[r] = true
	}
	return v
}

// platform is a verified PCK chain.
type platform struct {
	Platform
	key    *ecdsa.PublicKey // of the PCK certificate
	serial string
	ca     *authority
	valid  window
}

// authority is a verified certificate that the root issued.
type authority struct {
	cert   *x509.Certificate
	digest [32]byte // SHA-256 of the certificate
	serial string
	root   *x509.Certificate
	rootFP [32]byte
	valid  window
}

// verified is the outcome of verifying one signature, which can't change: the
// error, or nil and for certificates the authority.
type verified struct {
	ca  *authority
	err error
}

// Verify proves that q is genuine and rates its platform with the documents of
// e, all of which must be valid at the time at. It reads no clock.
func (v *Verifier) Verify(q *Quote, e *Endorsements, at time.Time) (*Facts, error) {
	if at.IsZero() {
		return nil, fault.BadInput("quote: no time to verify at")
	}
	if e == nil {
		e = new(Endorsements)
	}
	p, err := v.platform(q, e, at)
	if err != nil {
		return nil, err
	}
	if err := checkSignatures(q, p.key); err != nil {
		return nil, err
	}
	c, err := v.collateral(q, p, e, at)
	if err != nil {
		return nil, err
	}
	f := &Facts{
		TEE: q.TEE, QuoteVersion: q.Version, BodyType: q.BodyType, OpenEnclave: q.OpenEnclave, Trailing: q.Trailing,
		TD: q.TD(), Enclave: q.Enclave(), Platform: p.Platform, Root: p.ca.rootFP,
		Issued: c.issued, NotBefore: c.valid.from, NotAfter: c.valid.to,
		Evaluation: min(c.tcb.evaluation, c.qe.evaluation),
	}
	if err := f.rate(q, p, c); err != nil {
		return nil, err
	}
	return f, nil
}

// checkSignatures verifies the path from the PCK to the body: the PCK signs
// the quoting enclave's report, that report names the attestation key, and the
// attestation key signs the quote.
func checkSignatures(q *Quote, pck *ecdsa.PublicKey) error {
	digest := sha256.Sum256(q.qeReport)
	if !verifyRaw(pck, &digest, q.qeSignature) {
		return fault.False("quote: the PCK's signature of the quoting enclave's report does not verify")
	}
	h := sha256.New()
	h.Write(q.attestKey)
	h.Write(q.qeAuth)
	var want [64]byte
	h.Sum(want[:0])
	if !bytes.Equal(q.qeReport[320:384], want[:]) {
		return fault.False("quote: the quoting enclave did not vouch for the attestation key")
	}
	var point [65]byte
	point[0] = 4
	copy(point[1:], q.attestKey)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point[:])
	if err != nil {
		return fault.False("quote: the attestation key is not a point on P-256")
	}
	digest = sha256.Sum256(q.signed)
	if !verifyRaw(key, &digest, q.signature) {
		return fault.False("quote: the attestation key's signature does not verify")
	}
	return nil
}

// platform returns the verified PCK chain of q.
func (v *Verifier) platform(q *Quote, e *Endorsements, at time.Time) (*platform, error) {
	if q.certType != certTypeChain {
		return v.platformFrom(q, e, at)
	}
	k := memo.KeyOf(q.certData, [32]byte{})
	p, ok := v.platforms.Get(&k, at)
	if !ok {
		chain, err := parseCerts(q.certData)
		if err != nil {
			// Intel's library ignores what the quote carries when it is given
			// the chain beside it; a chain among the endorsements is as good.
			if p, e := v.platformFrom(q, e, at); e == nil {
				return p, nil
			}
			return nil, err
		}
		if len(chain) != 3 {
			return nil, fault.BadInput("PCK chain: %d certificates, want 3: PCK, CA, root", len(chain))
		}
		if p, err = v.verifyPCK(chain[0], chain[1], chain[2], at); err != nil {
			return nil, err
		}
		v.platforms.Put(&k, p, p.valid.to)
	}
	return p, p.valid.check(at)
}

// platformFrom finds the PCK certificate of a quote that does not carry it
// among the endorsements: the one whose key signed the quoting enclave's report.
func (v *Verifier) platformFrom(q *Quote, e *Endorsements, at time.Time) (*platform, error) {
	digest := sha256.Sum256(q.qeReport)
	for _, c := range e.pcks {
		key, ok := c.PublicKey.(*ecdsa.PublicKey)
		if c.Subject.CommonName != namePCK || !ok || key.Curve != elliptic.P256() || !verifyRaw(key, &digest, q.qeSignature) {
			continue
		}
		ca := findIssuer(e.pcks, c)
		if ca == nil {
			return nil, fault.Unknown("the certificate of %q that issued the PCK certificate is missing", c.Issuer.CommonName)
		}
		root := findIssuer(e.pcks, ca)
		if root == nil {
			root = intelRoot()
		}
		p, err := v.verifyPCK(c, ca, root, at)
		if err != nil {
			return nil, err
		}
		return p, p.valid.check(at)
	}
	return nil, fault.Unknown("the quote names its PCK certificate without carrying it (certification data type %d), "+
		"and no PCK certificate among the endorsements fits; the platform's owner has it (Intel PCS, /sgx/certification/v4/pckcert)", q.certType)
}

// findIssuer returns the certificate of pool that signed c.
func findIssuer(pool []*x509.Certificate, c *x509.Certificate) *x509.Certificate {
	for _, i := range pool {
		if i.IsCA && i != c && checkIssued(c, i) == nil {
			return i
		}
	}
	return nil
}

// verifyPCK verifies a chain of three up to a trusted root. It checks no dates:
// they go into the window, which is checked at every use.
func (v *Verifier) verifyPCK(leaf, ca, root *x509.Certificate, at time.Time) (*platform, error) {
	anchor, fp, err := v.anchor(root)
	if err != nil {
		return nil, err
	}
	a, err := v.authority(ca, rolePCKCA, anchor, fp, at)
	if err != nil {
		return nil, err
	}
	if err := checkRole(leaf, rolePCK); err != nil {
		return nil, err
	}
	if err := checkIssued(leaf, a.cert); err != nil {
		return nil, err
	}
	ext, err := parsePlatform(leaf)
	if err != nil {
		return nil, err
	}
	return &platform{
		Platform: *ext,
		key:      leaf.PublicKey.(*ecdsa.PublicKey),
		serial:   string(leaf.SerialNumber.Bytes()),
		ca:       a,
		valid:    certWindow(leaf).and(a.valid),
	}, nil
}

// anchor returns the trusted root that c is: a certificate with a fingerprint
// that the caller trusts, or Intel's, by key and name (Intel has published the
// same root under more than one certificate).
func (v *Verifier) anchor(c *x509.Certificate) (*x509.Certificate, [32]byte, error) {
	fp := sha256.Sum256(c.Raw)
	if intel := intelRoot(); bytes.Equal(c.RawSubjectPublicKeyInfo, intel.RawSubjectPublicKeyInfo) && bytes.Equal(c.RawSubject, intel.RawSubject) {
		return intel, RootFingerprint(), nil
	}
	if !v.simulated[fp] {
		return nil, fp, fault.False("the chain ends in the root %q with fingerprint sha256:%x, which is neither Intel's nor a simulated root that the policy names", c.Subject.CommonName, fp)
	}
	if err := checkRole(c, roleRoot); err != nil {
		return nil, fp, err
	}
	if err := checkIssued(c, c); err != nil {
		return nil, fp, err
	}
	return c, fp, nil
}

// authority verifies a certificate that the root issued.
func (v *Verifier) authority(c *x509.Certificate, r role, root *x509.Certificate, rootFP [32]byte, at time.Time) (*authority, error) {
	if len(c.AuthorityKeyId) > 0 && len(root.SubjectKeyId) > 0 && !bytes.Equal(c.AuthorityKeyId, root.SubjectKeyId) {
		return nil, fault.False("certificate %q: it was issued by another root", c.Subject.CommonName)
	}
	k := memo.KeyOf(c.Raw, rootFP)
	if x, ok := v.documents.Get(&k, at); ok {
		if x.err != nil {
			return nil, x.err
		}
		return x.ca, checkRole(x.ca.cert, r)
	}
	if err := checkRole(c, r); err != nil {
		return nil, err
	}
	if err := checkIssued(c, root); err != nil {
		v.documents.Put(&k, verified{err: err}, c.NotAfter)
		return nil, err
	}
	a := &authority{cert: c, digest: [32]byte(k[:32]), serial: string(c.SerialNumber.Bytes()), root: root, rootFP: rootFP,
		valid: certWindow(c).and(certWindow(root))}
	v.documents.Put(&k, verified{ca: a}, a.valid.to)
	return a, nil
}

// collateral is the set of verified documents that fits one quote.
type collateral struct {
	tcb     *tcbInfo
	qe      *qeIdentity
	valid   window
	issued  time.Time
	rootCRL *crl
	pckCRL  *crl
}

// collateral picks and verifies the documents for q, and checks that none of
// the certificates in use is revoked.
func (v *Verifier) collateral(q *Quote, p *platform, e *Endorsements, at time.Time) (*collateral, error) {
	c := &collateral{valid: p.valid}
	var errs [4]error
	c.rootCRL, errs[0] = v.crl(e, p.ca.root, p.ca.rootFP, at)
	c.pckCRL, errs[1] = v.crl(e, p.ca.cert, p.ca.digest, at)
	key, qeID := tcbKey{"SGX", p.FMSPC, p.PCEID}, "QE"
	if q.TEE == TDX {
		key.id, qeID = "TDX", "TD_QE"
	}
	tcb, tcbSigner, err := v.document(e, e.tcbs[key], p.ca, at)
	if err != nil {
		errs[2] = tcbSource(q.TEE, p.FMSPC).explain(fmt.Sprintf("TCB info for FMSPC %x", p.FMSPC), err)
	}
	qe, qeSigner, err := v.document(e, e.qes[qeID], p.ca, at)
	if err != nil {
		errs[3] = identitySource(q.TEE).explain("QE identity "+qeID, err)
	}
	if err := fault.JoinUnknown(errs[:]...); err != nil {
		return nil, err
	}
	c.tcb, c.qe = tcb.tcb, qe.qe
	c.issued = earliest(c.tcb.issued, c.qe.issued, c.pckCRL.valid.from)
	for _, w := range [...]window{c.rootCRL.valid, c.pckCRL.valid, tcb.window(), qe.window(), tcbSigner.valid, qeSigner.valid} {
		c.valid = c.valid.and(w)
	}
	if err := c.valid.check(at); err != nil {
		return nil, err
	}
	return c, c.checkRevoked(p, tcbSigner, qeSigner)
}

func (c *collateral) checkRevoked(p *platform, signers ...*authority) error {
	if c.pckCRL.revoked[p.serial] {
		return fault.False("the PCK certificate of this platform is revoked")
	}
	if c.rootCRL.revoked[p.ca.serial] {
		return fault.False("the certificate of %q is revoked", p.ca.cert.Subject.CommonName)
	}
	for _, s := range signers {
		if c.rootCRL.revoked[s.serial] {
			return fault.False("the certificate of %q is revoked", s.cert.Subject.CommonName)
		}
	}
	return nil
}

func earliest(ts ...time.Time) time.Time {
	min := ts[0]
	for _, t := range ts[1:] {
		if t.Before(min) {
			min = t
		}
	}
	return min
}

// maxAttempts bounds how many documents of one kind are tried, so that a set
// full of forgeries costs little.
const maxAttempts = 32

// crl returns the revocation list of issuer to use: of those that verify, the
// best. issuerDigest is the SHA-256 of the issuer's certificate.
func (v *Verifier) crl(e *Endorsements, issuer *x509.Certificate, issuerDigest [32]byte, at time.Time) (*crl, error) {
	lists := e.crls[string(issuer.RawSubject)]
	if len(lists) > 1 {
		lists = slices.SortedStableFunc(slices.Values(lists), func(a, b *crl) int {
			return better(a.valid, b.valid, 0, 0, at)
		})
	}
	var failed error
	attempts := 0
	for _, c := range lists {
		if len(c.list.AuthorityKeyId) > 0 && !bytes.Equal(c.list.AuthorityKeyId, issuer.SubjectKeyId) {
			continue // of another authority with the same name
		}
		if attempts++; attempts > maxAttempts {
			break
		}
		if failed = v.verifyCRL(c, issuer, issuerDigest, at); failed == nil {
			if err := c.valid.check(at); err != nil {
				return nil, missingCRL(issuer, err.Error())
			}
			return c, nil
		}
	}
	if failed != nil {
		return nil, failed
	}
	return nil, missingCRL(issuer, "")
}

func (v *Verifier) verifyCRL(c *crl, issuer *x509.Certificate, issuerDigest [32]byte, at time.Time) error {
	k := c.key
	copy(k[32:], issuerDigest[:])
	if x, ok := v.documents.Get(&k, at); ok {
		return x.err
	}
	var err error
	if c.list.SignatureAlgorithm != x509.ECDSAWithSHA256 {
		err = fault.False("revocation list of %q: signature algorithm %s, want ECDSA-SHA256", issuer.Subject.CommonName, c.list.SignatureAlgorithm)
	} else if e := c.list.CheckSignatureFrom(issuer); e != nil {
		err = fault.False("revocation list of %q: the signature does not verify: %v", issuer.Subject.CommonName, e)
	}
	v.documents.Put(&k, verified{err: err}, c.valid.to)
	return err
}

// document returns the document of docs to use, and who signed it: of those
// that verify under a signer that the same root issued, the best.
func (v *Verifier) document(e *Endorsements, docs []*document, ca *authority, at time.Time) (*document, *authority, error) {
	if len(docs) > 1 {
		docs = slices.SortedStableFunc(slices.Values(docs), func(a, b *document) int {
			return better(a.window(), b.window(), a.evaluation(), b.evaluation(), at)
		})
	}
	failed := errMissing
	for i, d := range docs {
		if i == maxAttempts {
			break
		}
		s, err := v.verifyDocument(d, e, ca, at)
		if err == nil {
			return d, s, d.window().check(at)
		}
		failed = err
	}
	return nil, nil, failed
}

// better compares a document with window a with one with window b: the one to
// use first comes first. Valid at the time wins, then the higher evaluation
// data number, then the newer.
func better(a, b window, evalA, evalB int, at time.Time) int {
	if x, y := a.contains(at), b.contains(at); x != y {
		if x {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(evalB, evalA), b.from.Compare(a.from))
}

func (v *Verifier) verifyDocument(d *document, e *Endorsements, ca *authority, at time.Time) (*authority, error) {
	var failed error
	for _, c := range e.signers {
		s, err := v.authority(c, roleSigner, ca.root, ca.rootFP, at)
		if err == nil {
			err = v.verifySignature(d, s, at)
		}
		if err == nil {
			return s, nil
		}
		failed = err
	}
	if failed == nil {
		failed = fault.Unknown("the certificate %q that signs it is missing; it comes with the document", nameSigner)
	}
	return nil, failed
}

func (v *Verifier) verifySignature(d *document, s *authority, at time.Time) error {
	k := d.key
	copy(k[32:], s.digest[:])
	if x, ok := v.documents.Get(&k, at); ok {
		return x.err
	}
	var err error
	if !verifyRaw(s.cert.PublicKey.(*ecdsa.PublicKey), &d.hash, d.signature) {
		err = fault.False("the signature of %q does not verify", nameSigner)
	}
	v.documents.Put(&k, verified{err: err}, d.window().to)
	return err
}
