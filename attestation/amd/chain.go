package amd

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/internal/memo"
)

// maxTries bounds the signatures that are checked while a chain is built from
// certificates of the same name.
const maxTries = 8

// Chain is a verified endorsement key: its certificate is signed up to a
// trusted root and was not revoked. It is immutable, small, and safe for
// concurrent use; keep it to verify more reports of the same platform
// ([Chain.Verify]).
type Chain struct {
	leaf       leafInfo
	leafDigest [32]byte
	root       [32]byte
	simulated  bool
	revocation Revocation
	notBefore  time.Time
	notAfter   time.Time
}

// Revocation says how revocation was checked.
type Revocation struct {
	Checked    bool      // false only under [Options.WithoutRevocationUnsafe]
	ThisUpdate time.Time // of the revocation list
	NextUpdate time.Time
	Number     string // CRL number, decimal; empty without one
}

// NotBefore returns the latest start of all documents in the chain, the
// revocation list included.
func (c *Chain) NotBefore() time.Time { return c.notBefore }

// NotAfter returns the earliest end of all documents in the chain. After it,
// the chain must be built again from fresh endorsements.
func (c *Chain) NotAfter() time.Time { return c.notAfter }

// VerifyChain finds the endorsement of report r in e, verifies it up to a root
// and checks its revocation at the given time. It does not look at the report's
// signature, and of the report only at what selects the certificate: key kind,
// chip id, reported TCB.
//
// Missing and outdated documents are "could not find out" (a [*MissingError] for
// each, joined); a signature that does not hold, an untrusted root and a revoked certificate are
// false evidence.
func VerifyChain(r *Report, e *Endorsements, o Options, at time.Time) (*Chain, error) {
	return verifyChain(r, e, o, at, nil)
}

// signatures remembers which intermediates and revocation lists a key has
// signed; nil remembers nothing.
type signatures = memo.Cache[error]

func verifyChain(r *Report, e *Endorsements, o Options, at time.Time, known *signatures) (*Chain, error) {
	if r == nil || e == nil {
		return nil, inputAt(StepLeaf, "no report or no endorsements given")
	}
	if at.IsZero() {
		return nil, inputAt(StepValidity, "no time given")
	}
	leaf, info, err := selectLeaf(r, e)
	if err != nil {
		return nil, fault.JoinUnknown(err, e.lacksList(r, o, at))
	}
	product := info.product
	inter, err := findIssuer(leaf, slices.Concat(e.set.Certs, builtin().intermediates),
		info.kind.intermediateName(product), product, info.kind, signedBy)
	if err != nil {
		return nil, err
	}
	ark, simulated, err := findRoot(inter, e, o, product, info.kind, at, known)
	if err != nil {
		return nil, err
	}
	c := &Chain{
		leaf: *info, leafDigest: sha256.Sum256(leaf.Raw),
		root: sha256.Sum256(ark.Raw), simulated: simulated,
	}
	var lacks []error
	for _, x := range []struct {
		what string
		cert *x509.Certificate
		url  []string
	}{
		{info.kind.String() + " certificate", leaf, r.VCEKURLs()},
		{inter.Subject.CommonName + " certificate", inter, []string{CertChainURL(product, info.kind)}},
		{ark.Subject.CommonName + " certificate", ark, []string{CertChainURL(product, info.kind)}},
	} {
		lacks = append(lacks, c.narrow(StepValidity, x.what, x.cert.NotBefore, x.cert.NotAfter, at, x.url...))
	}
	if err := fault.JoinUnknown(append(lacks, c.checkRevocation(e, o, at, known, ark, inter, leaf))...); err != nil {
		return nil, err
	}
	return c, nil
}

// lacksList says that no list in force is there for the product of r, whose
// endorsement key's certificate is missing: both are named together. By the names
// alone, since there is no chain yet.
func (e *Endorsements) lacksList(r *Report, o Options, at time.Time) error {
	root := "ARK-" + r.Product().String()
	there := slices.ContainsFunc(e.set.CRLs, func(l *x509.RevocationList) bool {
		return l.Issuer.CommonName == root && inForce(l, at)
	})
	if there || o.WithoutRevocationUnsafe || r.Product() == UnknownProduct {
		return nil
	}
	return missing(StepRevocation, "revocation list of "+root, "missing", CRLURL(r.Product(), r.SigningKey))
}

// narrow checks that at lies in the validity of a document, ends included, and
// narrows the validity of the chain to it.
func (c *Chain) narrow(s Step, what string, notBefore, notAfter, at time.Time, urls ...string) error {
	if at.Before(notBefore) {
		return missing(s, what, fmt.Sprintf("valid from %s, later than the time of verification %s", day(notBefore), day(at)), urls...)
	}
	if at.After(notAfter) {
		return missing(s, what, fmt.Sprintf("expired at %s, before the time of verification %s", day(notAfter), day(at)), urls...)
	}
	if notBefore.After(c.notBefore) {
		c.notBefore = notBefore
	}
	if c.notAfter.IsZero() || notAfter.Before(c.notAfter) {
		c.notAfter = notAfter
	}
	return nil
}

// selectLeaf picks the certificate of the key that signed r. A single
// certificate of the right kind is taken whatever it says, so that a wrong one
// is reported as false by the binding check; among several, the one for this
// chip and TCB is wanted.
func selectLeaf(r *Report, e *Endorsements) (*x509.Certificate, *leafInfo, error) {
	kind := r.SigningKey
	name := "SEV-" + kind.String()
	var found *x509.Certificate
	var foundInfo *leafInfo
	var n int
	var firstErr error
	for _, c := range e.set.Certs {
		if c.Subject.CommonName != name {
			continue
		}
		n++
		info, err := parseLeaf(c)
		if err != nil {
			if firstErr == nil {
				firstErr = err
			}
			continue
		}
		if info.bind(r) == nil {
			return c, info, nil
		}
		if found == nil {
			found, foundInfo = c, info
		}
	}
	what := kind.String() + " certificate of this chip and TCB"
	switch {
	case n == 0 && kind == VLEK:
		return nil, nil, missing(StepLeaf, "VLEK certificate of TCB "+r.ReportedTCB.String(), "missing; the cloud provider hands it out beside the report")
	case n == 0:
		return nil, nil, missing(StepLeaf, what, "missing", r.VCEKURLs()...)
	case n == 1 && firstErr != nil:
		return nil, nil, falseAt(StepLeaf, "%w", firstErr)
	case n == 1:
		return found, foundInfo, nil
	}
	return nil, nil, missing(StepLeaf, what, fmt.Sprintf("none of the %d given is for it", n), r.VCEKURLs()...)
}

// findIssuer returns the certificate among candidates that carries the wanted
// name and, as check says, signed c.
func findIssuer(c *x509.Certificate, candidates []*x509.Certificate, name string, p Product, k KeyKind,
	check func(c, ca *x509.Certificate) error) (*x509.Certificate, error) {
	if c.Issuer.CommonName != name {
		return nil, falseAt(StepChain, "%q is issued by %q, want %q", c.Subject.CommonName, c.Issuer.CommonName, name)
	}
	var last error
	tries := 0
	for _, ca := range candidates {
		if !bytes.Equal(ca.RawSubject, c.RawIssuer) || tries == maxTries {
			continue
		}
		tries++
		if last = check(c, ca); last == nil {
			return ca, nil
		}
	}
	if tries == 0 {
		return nil, missing(StepChain, name+" certificate", "missing", CertChainURL(p, k))
	}
	return nil, falseAt(StepChain, "%q is not signed by %q: %w", c.Subject.CommonName, name, last)
}

// signedBy checks that ca may sign certificates and signed c with the one
// algorithm that AMD uses: RSA-PSS with SHA-384 and a 4096-bit key.
func signedBy(c, ca *x509.Certificate) error {
	if c.SignatureAlgorithm != x509.SHA384WithRSAPSS {
		return fmt.Errorf("signature algorithm %v, want SHA384-RSAPSS", c.SignatureAlgorithm)
	}
	if key, ok := ca.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() != 4096 {
		return fmt.Errorf("the issuer's key is not RSA-4096")
	}
	if len(ca.UnhandledCriticalExtensions) != 0 {
		return fmt.Errorf("the issuer's certificate has unknown critical extensions")
	}
	return c.CheckSignatureFrom(ca)
}

// findRoot returns the trusted root that signed the intermediate.
func findRoot(inter *x509.Certificate, e *Endorsements, o Options, p Product, k KeyKind, at time.Time, known *signatures) (*x509.Certificate, bool, error) {
	if ark := builtin().issuer[sha256.Sum256(inter.Raw)]; ark != nil {
		return ark, false, nil
	}
	name := "ARK-" + p.String()
	if bytes.Equal(inter.RawIssuer, inter.RawSubject) {
		return nil, false, falseAt(StepChain, "%q is self-signed", inter.Subject.CommonName)
	}
	ark, err := findIssuer(inter, slices.Concat(builtin().roots, e.set.Certs), name, p, k, func(c, ca *x509.Certificate) error {
		return once(known, c.Raw, ca, c.NotAfter, at, func() error { return signedBy(c, ca) })
	})
	if err != nil {
		return nil, false, err
	}
	for _, r := range builtin().roots {
		if r.Equal(ark) {
			return ark, false, nil
		}
	}
	fp := sha256.Sum256(ark.Raw)
	if slices.Contains(o.SimulatedRoots, fp) {
		return ark, true, nil
	}
	return nil, false, falseAt(StepRoot, "the chain ends at root sha256:%x, which is neither AMD's nor named by the caller", fp)
}

// once checks that ca signed raw, unless that is known. until is when what was
// signed ends.
func once(known *signatures, raw []byte, ca *x509.Certificate, until, at time.Time, check func() error) error {
	k := memo.KeyOf(raw, sha256.Sum256(ca.Raw))
	if err, ok := known.Get(&k, at); ok {
		return err
	}
	err := check()
	known.Put(&k, err, until)
	return err
}

// checkRevocation looks the intermediate and the leaf up in the newest
// revocation list of the root that is in force. AMD revokes intermediates; the
// leaves all have serial number 0 and are superseded by TCB instead, so their
// lookup only matters if AMD ever revokes the lot.
func (c *Chain) checkRevocation(e *Endorsements, o Options, at time.Time, known *signatures, ark, inter, leaf *x509.Certificate) error {
	what := "revocation list of " + ark.Subject.CommonName
	url := CRLURL(c.leaf.product, c.leaf.kind)
	list, err := findList(e, ark, at, known, url)
	if err != nil {
		return err
	}
	if list == nil {
		if o.WithoutRevocationUnsafe {
			return nil
		}
		return missing(StepRevocation, what, "missing", url)
	}
	for _, x := range []*x509.Certificate{inter, leaf} {
		if t, ok := revoked(list, x.SerialNumber); ok {
			return falseAt(StepRevocation, "%q with serial number %x was revoked at %s", x.Subject.CommonName, x.SerialNumber, day(t))
		}
	}
	if o.WithoutRevocationUnsafe && !inForce(list, at) {
		return nil
	}
	if err := c.narrow(StepRevocation, what, list.ThisUpdate, list.NextUpdate, at, url); err != nil {
		return err
	}
	c.revocation = Revocation{Checked: true, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate}
	if list.Number != nil {
		c.revocation.Number = list.Number.String()
	}
	return nil
}

func inForce(l *x509.RevocationList, at time.Time) bool {
	return !at.Before(l.ThisUpdate) && !at.After(l.NextUpdate)
}

// findList returns the list of ark to use: of those that ark signed, one in
// force before others, then the newest. It is nil when there is none, and an
// error when none of those in its name can be used.
func findList(e *Endorsements, ark *x509.Certificate, at time.Time, known *signatures, url string) (*x509.RevocationList, error) {
	var lists []*x509.RevocationList
	for _, l := range e.set.CRLs {
		if bytes.Equal(l.RawIssuer, ark.RawSubject) && bytes.Equal(l.AuthorityKeyId, ark.SubjectKeyId) { // else another product's or root's
			lists = append(lists, l)
		}
	}
	slices.SortStableFunc(lists, func(a, b *x509.RevocationList) int {
		x, y := inForce(a, at), inForce(b, at)
		switch {
		case x != y && x:
			return -1
		case x != y:
			return 1
		case x:
			return b.ThisUpdate.Compare(a.ThisUpdate)
		}
		return b.NextUpdate.Compare(a.NextUpdate)
	})
	var first error
	for i, l := range lists {
		if i == maxTries {
			break
		}
		err := once(known, l.Raw, ark, l.NextUpdate, at, func() error { return checkList(l, ark, url) })
		if err == nil {
			return l, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// checkList checks that ark signed l and that nothing in it is unknown.
func checkList(l *x509.RevocationList, ark *x509.Certificate, url string) error {
	what := "revocation list of " + ark.Subject.CommonName
	if l.SignatureAlgorithm != x509.SHA384WithRSAPSS {
		return falseAt(StepRevocation, "%s: signature algorithm %v, want SHA384-RSAPSS", what, l.SignatureAlgorithm)
	}
	if err := l.CheckSignatureFrom(ark); err != nil {
		return falseAt(StepRevocation, "%s: not signed by it: %w", what, err)
	}
	for _, x := range l.Extensions {
		if x.Critical { // RFC 5280, section 5.2: such a list must not be used
			return missing(StepRevocation, what, fmt.Sprintf("has the unknown critical extension %v", x.Id), url)
		}
	}
	return nil
}

func revoked(l *x509.RevocationList, serial *big.Int) (time.Time, bool) {
	for _, x := range l.RevokedCertificateEntries {
		if x.SerialNumber.Cmp(serial) == 0 {
			return x.RevocationTime, true
		}
	}
	return time.Time{}, false
}

// bind checks that the certificate is for the platform that r describes.
func (l *leafInfo) bind(r *Report) error {
	if l.kind != r.SigningKey {
		return fmt.Errorf("signed by a %v, the certificate is of a %v", r.SigningKey, l.kind)
	}
	if p := r.Product(); r.HasCPUID && p != l.product {
		return fmt.Errorf("CPUID family %#x model %#x (%v), the certificate is for %v", r.Family, r.Model, p, l.product)
	}
	if l.kind == VCEK && !r.ChipIDMasked() {
		var id [ChipIDSize]byte
		copy(id[:], l.hwid)
		if r.ChipID != id {
			return fmt.Errorf("chip id %x, the certificate is for %x", r.ChipID[:l.product.hwidSize()], l.hwid)
		}
	}
	if r.ReportedTCB != l.tcb {
		return fmt.Errorf("reported TCB %v, the certificate is for %v", r.ReportedTCB, l.tcb)
	}
	return nil
}
