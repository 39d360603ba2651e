package nvidia

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// rimChainLength is how many certificates sign a RIM document: signer, authority
// of the product's signers, authority of the product, root.
const rimChainLength = 4

// RIM is a verified RIM document. It is immutable and safe for concurrent use.
type RIM struct {
	doc   *RIMDocument
	chain []*x509.Certificate
	facts RIMFacts
}

// RIMFacts is what a verified RIM document says of itself.
type RIMFacts struct {
	Version string // of the driver or VBIOS
	Edition string // "GPU" or "SWITCH"
	Product string // "GH100"
	TagID   string

	Digest    [32]byte // SHA-256 of the XML document
	Signer    [32]byte // SHA-256 of the signer's certificate, DER
	Root      [32]byte // SHA-256 of the root certificate, DER
	Simulated bool     // the root is not NVIDIA's

	Revocation Revocation
	NotBefore  time.Time // latest start of certificates and OCSP responses
	NotAfter   time.Time // earliest end of them
}

// Facts returns what the document says of itself.
func (r *RIM) Facts() RIMFacts { return r.facts }

// VerifyRIM reads a RIM document with [ParseRIM] and verifies it at the given
// time with OCSP responses in DER form: one for each certificate of the signer's
// chain but the root.
//
// A missing or outdated response or certificate is "could not find out"; a
// signature that does not hold, an untrusted root and a revoked certificate are
// a false document.
func VerifyRIM(doc []byte, responses [][]byte, o Options, at time.Time) (*RIM, error) {
	d, err := ParseRIM(doc)
	if err != nil {
		return nil, err
	}
	if at.IsZero() {
		return nil, inputAt(StepValidity, "no time given")
	}
	var set ocspSet
	for i, der := range responses {
		r, err := parseOCSP(der)
		if err != nil {
			return nil, inputAt(StepRevocation, "response %d: %w", i, err)
		}
		set.add(r)
	}
	v := &Verifier{o: o.clone()}
	var w window
	return v.verifyRIM(d, &set, at, &w)
}

// verifyRIM verifies a document and narrows w to what it rests on.
func (v *Verifier) verifyRIM(d *RIMDocument, set *ocspSet, at time.Time, w *window) (*RIM, error) {
	r, err := v.signedRIM(d)
	if err != nil {
		return nil, err
	}
	var own window
	if err := r.inForce(&v.o, at, &own); err != nil {
		return nil, err
	}
	k := &ocspCheck{set: set, o: &v.o, at: at, held: v.held, w: &own}
	if r.facts.Revocation, err = k.chain(r.chain, 0); err != nil {
		return nil, err
	}
	r.facts.NotBefore, r.facts.NotAfter = own.notBefore, own.notAfter
	return r, w.narrow(StepRIM, r.what(), own.notBefore, own.notAfter, at, RIMServiceURL)
}

// signedRIM verifies the signature and the chain; time plays no part in it.
func (v *Verifier) signedRIM(d *RIMDocument) (*RIM, error) {
	r := &RIM{doc: d, facts: RIMFacts{Version: d.Version, Edition: d.Edition, Product: d.Product, TagID: d.TagID, Digest: d.digest}}
	for i, der := range d.signed.certs {
		c, err := v.rimCertificate(i, der)
		if err != nil {
			return nil, inputAt(StepRIM, "%s: certificate %d: %w", r.what(), i, err)
		}
		r.chain = append(r.chain, c)
	}
	signer, root := r.chain[0], r.chain[rimChainLength-1]
	if err := verifyLinks(r.chain, v.held); err != nil {
		return nil, falseAt(StepRIM, "%s: %w", r.what(), err)
	}
	var err error
	if r.facts.Simulated, err = rimRole.trust(root, &v.o); err != nil {
		return nil, err
	}
	if signer.IsCA || signer.KeyUsage&x509.KeyUsageDigitalSignature == 0 || slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return nil, falseAt(StepRIM, "%s: %q may not sign documents", r.what(), signer.Subject.CommonName)
	}
	key, err := p384(signer)
	if err != nil {
		return nil, falseAt(StepRIM, "%s: %w", r.what(), err)
	}
	if err := once(v.held, digestOf("rim", d.digest[:]), func() error { return d.signed.verify(key) }); err != nil {
		return nil, falseAt(StepRIM, "%s: %w", r.what(), err)
	}
	r.facts.Signer, r.facts.Root = sha256.Sum256(signer.Raw), sha256.Sum256(root.Raw)
	return r, nil
}

// rimCertificate parses certificate i of a signer's chain. Authorities are kept.
func (v *Verifier) rimCertificate(i int, der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificate {
		return nil, fmt.Errorf("%d bytes, limit %d", len(der), maxCertificate)
	}
	if i == 0 {
		return x509.ParseCertificate(der)
	}
	return v.authorities.get(sha256.Sum256(der), func() (*x509.Certificate, error) { return x509.ParseCertificate(der) })
}

func (r *RIM) what() string { return "RIM document of " + r.facts.Edition + " " + r.facts.Version }

// inForce narrows w to the validity of the signer's chain.
func (r *RIM) inForce(o *Options, at time.Time, w *window) error {
	for i, c := range r.chain {
		end := c.NotAfter
		if i == 0 && o.ExpiredRIMSignersUnsafe {
			end = r.chain[1].NotAfter
		}
		what := fmt.Sprintf("%s: certificate %q", r.what(), c.Subject.CommonName)
		if err := w.narrow(StepRIM, what, c.NotBefore, end, at, RIMServiceURL); err != nil {
			return err
		}
	}
	return nil
}
