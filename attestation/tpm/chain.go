package tpm

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

const (
	maxTries = 8 // signatures checked among issuers of the same name
	maxDepth = 6 // certificates of a chain
)

// Options says whom the caller trusts to certify attestation keys. The zero
// value trusts nobody, which leaves HCL reports.
type Options struct {
	// Roots lists the SHA-256 of the DER certificates of authorities that the
	// caller trusts to certify attestation keys of TPMs, usually self-signed
	// roots. The certificates themselves come with the endorsements.
	Roots [][32]byte

	// SimulatedRoots lists more of them. Facts that rest on one are marked
	// simulated, and the TPM as one of development.
	SimulatedRoots [][32]byte

	// UnsafeDevelopmentKeys lists the SHA-256 of public areas (TPMT_PUBLIC) of
	// attestation keys that nobody has certified, such as those of a TPM that
	// software emulates on the host. It protects nothing, and the facts say
	// so: a TPM of development.
	UnsafeDevelopmentKeys [][32]byte

	// WithoutRevocationUnsafe accepts certificates that name a revocation list
	// without one in force. A list that is there is still read, and obeyed when
	// it revokes.
	WithoutRevocationUnsafe bool
}

// Certificate is a verified certificate of an attestation key.
type Certificate struct {
	Subject   string // RFC 2253; may be empty
	Issuer    string
	Serial    string   // decimal
	Digest    [32]byte // SHA-256 of the certificate, DER
	DER       []byte
	Root      [32]byte // SHA-256 of the anchor's certificate, DER
	Simulated bool     // the anchor is one of [Options.SimulatedRoots]

	Revocation Revocation
	NotBefore  time.Time // latest start of all documents of the chain
	NotAfter   time.Time // earliest end of all documents of the chain
}

// Revocation says how revocation was checked.
type Revocation struct {
	Checked    int       // certificates that a list in force does not revoke
	Unlisted   int       // certificates that name no list, and of which none was given
	Skipped    int       // certificates without a list in force, under [Options.WithoutRevocationUnsafe]
	ThisUpdate time.Time // of the oldest list in use; zero without one
}

// verifyChain verifies the certificate of key, first in ders, up to an anchor
// that the caller names.
func verifyChain(ders [][]byte, key crypto.PublicKey, e *Endorsements, o *Options, at time.Time) (*Certificate, error) {
	leaf, err := parseLeaf(ders[0], key)
	if err != nil {
		return nil, err
	}
	candidates := slices.Clone(e.set.Certs)
	for _, der := range ders[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, inputAt(StepEvidence, "a certificate above the first cannot be read")
		}
		candidates = append(candidates, c)
	}
	path, err := buildPath(leaf, candidates, o)
	if err != nil {
		return nil, err
	}
	anchor := path[len(path)-1]
	c := &Certificate{
		Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(), Serial: leaf.SerialNumber.String(),
		Digest: sha256.Sum256(leaf.Raw), DER: clone(leaf.Raw), Root: sha256.Sum256(anchor.Raw),
	}
	c.Simulated = slices.Contains(o.SimulatedRoots, c.Root)
	for _, x := range path {
		what := fmt.Sprintf("certificate of %q", x.Subject)
		if err := c.narrow(StepValidity, what, x.NotBefore, x.NotAfter, at); err != nil {
			return nil, err
		}
	}
	if err := checkPath(path, at); err != nil {
		return nil, falseAt(StepChain, "%w", err)
	}
	for i, x := range path[:len(path)-1] {
		if err := c.checkRevocation(x, path[i+1], e, o, at); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// buildPath finds the certificates from leaf to the first one that the caller
// names.
func buildPath(leaf *x509.Certificate, candidates []*x509.Certificate, o *Options) ([]*x509.Certificate, error) {
	path := []*x509.Certificate{leaf}
	for len(path) < maxDepth {
		last := path[len(path)-1]
		next, err := findIssuer(last, candidates)
		if err != nil {
			return nil, err
		}
		path = append(path, next)
		fp := sha256.Sum256(next.Raw)
		if slices.Contains(o.Roots, fp) || slices.Contains(o.SimulatedRoots, fp) {
			return path, nil
		}
		if bytes.Equal(next.RawSubject, next.RawIssuer) {
			return nil, falseAt(StepRoot, "the chain ends at root sha256:%x, which the caller does not name", fp)
		}
	}
	return nil, falseAt(StepChain, "more than %d certificates", maxDepth)
}

// findIssuer returns the certificate among candidates that signed c.
func findIssuer(c *x509.Certificate, candidates []*x509.Certificate) (*x509.Certificate, error) {
	list := issuers(c, candidates)
	if len(list) == 0 {
		return nil, missing(StepChain, fmt.Sprintf("certificate of %q", c.Issuer), "missing", c.IssuingCertificateURL...)
	}
	var last error
	for _, ca := range list {
		if last = signedBy(c, ca); last == nil {
			return ca, nil
		}
	}
	return nil, falseAt(StepChain, "the certificate of %q is not signed by %q: %w", c.Subject, c.Issuer, last)
}

func signedBy(c, ca *x509.Certificate) error {
	if k, ok := ca.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < 2048 {
		return fmt.Errorf("the issuer's RSA key has %d bits, want 2048", k.N.BitLen())
	}
	return c.CheckSignatureFrom(ca)
}

// checkPath has crypto/x509 check what is left: lengths of paths, constraints of
// names, critical extensions.
func checkPath(path []*x509.Certificate, at time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(path[len(path)-1])
	for _, c := range path[1 : len(path)-1] {
		between.AddCert(c)
	}
	_, err := path[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

// narrow checks that at lies in the validity of a document, ends included, and
// narrows the validity of the chain to it.
func (c *Certificate) narrow(s Step, what string, notBefore, notAfter, at time.Time, urls ...string) error {
	if at.Before(notBefore) {
		return missing(s, what, fmt.Sprintf("valid from %s, later than the time of verification %s", day(notBefore), day(at)), urls...)
	}
	if at.After(notAfter) {
		return missing(s, what, fmt.Sprintf("expired at %s, before the time of verification %s", day(notAfter), day(at)), urls...)
	}
	if notBefore.After(c.NotBefore) {
		c.NotBefore = notBefore
	}
	if c.NotAfter.IsZero() || notAfter.Before(c.NotAfter) {
		c.NotAfter = notAfter
	}
	return nil
}
