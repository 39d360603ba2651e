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
// Missing or outdated responses and certificates are "could not find out", joined; a
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
	var l lacks
	if err := l.note(r.inForce(&v.o, at, &own)); err != nil {
		return nil, err
	}
	k := &ocspCheck{set: set, o: &v.o, at: at, held: v.held, w: &own}
	r.facts.Revocation, err = k.chain(d.signed.certs, 0)
	if err := l.note(err); err != nil {
		return nil, err
	}
	if err := l.all(); err != nil {
		return nil, err
	}
	r.facts.NotBefore, r.facts.NotAfter = own.notBefore, own.notAfter
	return r, w.narrow(StepRIM, r.what(), own.notBefore, own.notAfter, at, RIMServiceURL)
}

// signedRIM verifies the signature and the chain; time plays no part in it.
func (v *Verifier) signedRIM(d *RIMDocument) (*RIM, error) {
	chain := d.signed.certs
	signer, root := chain[0], chain[rimChainLength-1]
	r := &RIM{doc: d, facts: RIMFacts{
		Version: d.Version, Edition: d.Edition, Product: d.Product, TagID: d.TagID, Digest: d.digest,
		Signer: sha256.Sum256(signer.Raw), Root: sha256.Sum256(root.Raw),
	}}
	if !d.signed.intact {
		return nil, falseAt(StepRIM, "%s: it was changed after it was signed: its digest differs", r.what())
	}
	if err := verifyLinks(chain, v.held); err != nil {
		return nil, falseAt(StepRIM, "%s: %w", r.what(), err)
	}
	var err error
	if r.facts.Simulated, err = rimRole.trust(root, &v.o); err != nil {
		return nil, err
	}
	if err := once(v.held, digestOf("rim", d.digest[:]), d.signed.verify); err != nil {
		return nil, falseAt(StepRIM, "%s: %w", r.what(), err)
	}
	return r, nil
}

// verify checks that the first certificate is for signing documents, and that its
// key signed this one.
func (s *signedXML) verify() error {
	signer := s.certs[0]
	if signer.IsCA || signer.KeyUsage&x509.KeyUsageDigitalSignature == 0 || slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return fmt.Errorf("%q may not sign documents", signer.Subject.CommonName)
	}
	key, err := p384(signer)
	if err != nil {
		return err
	}
	if !s.signedBy(key) {
		return fmt.Errorf("%q did not sign it", signer.Subject.CommonName)
	}
	return nil
}

func (r *RIM) what() string { return "RIM document of " + r.facts.Edition + " " + r.facts.Version }

// inForce narrows w to the validity of the signer's chain.
func (r *RIM) inForce(o *Options, at time.Time, w *window) error {
	chain := r.doc.signed.certs
	for i, c := range chain {
		end := c.NotAfter
		if i == 0 && o.ExpiredRIMSignersUnsafe {
			end = chain[1].NotAfter
		}
		what := fmt.Sprintf("%s: certificate %q", r.what(), c.Subject.CommonName)
		if err := w.narrow(StepRIM, what, c.NotBefore, end, at, RIMServiceURL); err != nil {
			return err
		}
	}
	return nil
}
