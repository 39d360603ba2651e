package nvidia

import (
	"crypto/ecdsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Names of XML Signature 1.1 and RFC 9231. No other algorithms are accepted.
const (
	dsigSpace       = "http://www.w3.org/2000/09/xmldsig#"
	algC14N         = "http://www.w3.org/2006/12/xml-c14n11"
	algEnveloped    = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	algECDSASHA384  = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"
	algDigestSHA384 = "http://www.w3.org/2001/04/xmldsig-more#sha384"
)

// signedXML is a document with one enveloped signature over all of it. Only the
// bytes of content may be read: they are what the digest covers.
type signedXML struct {
	content   []byte           // the document without its signature, in canonical form
	info      []byte           // SignedInfo, in canonical form
	digest    [DigestSize]byte // of the content, as SignedInfo says
	intact    bool             // and so it is
	signature []byte           // r || s
	certs     []*x509.Certificate
}

// parseSignedXML splits a document into its parts. There is exactly one
// signature, a child of the root, and its one reference is the whole document:
// what is signed and what is read later cannot be two things.
func parseSignedXML(b []byte) (*signedXML, error) {
	root, err := parseXML(b)
	if err != nil {
		return nil, err
	}
	sig, err := findSignature(root)
	if err != nil {
		return nil, err
	}
	parts, err := sig.sequence(nil, "SignedInfo", "SignatureValue", "KeyInfo")
	if err != nil {
		return nil, err
	}
	s := &signedXML{content: canonical(root, sig), info: canonical(parts[0], nil)}
	if s.digest, err = readSignedInfo(s.info); err != nil {
		return nil, err
	}
	s.intact = s.digest == sha512.Sum384(s.content)
	if s.signature, err = parts[1].base64(); err != nil {
		return nil, err
	}
	if len(s.signature) != signatureSize {
		return nil, fmt.Errorf("signature of %d bytes, want %d", len(s.signature), signatureSize)
	}
	s.certs, err = readKeyInfo(parts[2])
	return s, err
}

// findSignature returns the signature of a document. Counting all of them
// refuses documents that carry the signed content of another one inside.
func findSignature(root *element) (*element, error) {
	if n := countSignatures(root); n != 1 {
		return nil, fmt.Errorf("%d signatures, want 1", n)
	}
	for _, k := range root.kids {
		if k.el != nil && k.el.is(dsigSpace, "Signature") {
			return k.el, nil
		}
	}
	return nil, errors.New("the signature is not a child of the root element")
}

// countSignatures recurses at most maxXMLDepth times.
func countSignatures(e *element) int {
	n := 0
	if e.is(dsigSpace, "Signature") {
		n++
	}
	for _, k := range e.kids {
		if k.el != nil {
			n += countSignatures(k.el)
		}
	}
	return n
}

// readKeyInfo returns the certificates in order; nothing else may be there.
func readKeyInfo(e *element) ([]*x509.Certificate, error) {
	x, err := e.sequence(nil, "X509Data")
	if err != nil {
		return nil, err
	}
	names := make([]string, rimChainLength)
	for i := range names {
		names[i] = "X509Certificate"
	}
	elements, err := x[0].sequence(nil, names...)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for i, e := range elements {
		der, err := e.base64()
		if err != nil {
			return nil, err
		}
		if len(der) > maxCertificate {
			return nil, fmt.Errorf("certificate %d of %d bytes, limit %d", i, len(der), maxCertificate)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d is malformed", i)
		}
		certs = append(certs, c)
	}
	return certs, nil
}

// signedBy reports whether key signed SignedInfo.
func (s *signedXML) signedBy(key *ecdsa.PublicKey) bool {
	h := sha512.Sum384(s.info)
	return ecdsa.Verify(key, h[:], new(big.Int).SetBytes(s.signature[:DigestSize]), new(big.Int).SetBytes(s.signature[DigestSize:]))
}

// readSignedInfo reads the very bytes that the signature is made over. It checks
// every algorithm, the reference and its transforms, and returns the digest.
func readSignedInfo(b []byte) (digest [DigestSize]byte, err error) {
	info, err := parseXML(b)
	if err != nil {
		return digest, err
	}
	parts, err := info.sequence(nil, "CanonicalizationMethod", "SignatureMethod", "Reference")
	if err != nil {
		return digest, err
	}
	if err := errors.Join(parts[0].algorithm(algC14N), parts[1].algorithm(algECDSASHA384)); err != nil {
		return digest, err
	}
	// The empty URI is the document that holds the signature (section 4.4.3.2).
	ref, err := parts[2].sequence(map[string]string{"URI": ""}, "Transforms", "DigestMethod", "DigestValue")
	if err != nil {
		return digest, err
	}
	transforms, err := ref[0].sequence(nil, "Transform", "Transform")
	if err != nil {
		return digest, err
	}
	if err := errors.Join(transforms[0].algorithm(algEnveloped), transforms[1].algorithm(algC14N), ref[1].algorithm(algDigestSHA384)); err != nil {
		return digest, err
	}
	d, err := ref[2].base64()
	if err != nil {
		return digest, err
	}
	if len(d) != DigestSize {
		return digest, fmt.Errorf("digest of %d bytes, want %d", len(d), DigestSize)
	}
	return [DigestSize]byte(d), nil
}

func (e *element) is(space, local string) bool { return e.space == space && e.name.local == local }

// has checks that an element of the signature has exactly these attributes.
func (e *element) has(attrs map[string]string) error {
	if len(e.attrs) != len(attrs) {
		return fmt.Errorf("%s has %d attributes, want %d", e.name, len(e.attrs), len(attrs))
	}
	for _, a := range e.attrs {
		if want, ok := attrs[a.name.local]; !ok || a.space != "" || a.value != want {
			return fmt.Errorf("%s: %s is %.80q, which is not allowed", e.name, a.name, a.value)
		}
	}
	return nil
}

// sequence returns the children of an element of the signature, which are
// exactly those named, in this order, with white space between them at most.
func (e *element) sequence(attrs map[string]string, names ...string) ([]*element, error) {
	if err := e.has(attrs); err != nil {
		return nil, err
	}
	var out []*element
	for _, k := range e.kids {
		switch {
		case k.el == nil && strings.Trim(k.text, " \t\r\n") == "":
		case k.el != nil && len(out) < len(names) && k.el.is(dsigSpace, names[len(out)]):
			out = append(out, k.el)
		default:
			return nil, fmt.Errorf("%s does not hold just %s", e.name, strings.Join(names, ", "))
		}
	}
	if len(out) != len(names) {
		return nil, fmt.Errorf("%s does not hold all of %s", e.name, strings.Join(names, ", "))
	}
	return out, nil
}

// algorithm checks the algorithm that an empty element names.
func (e *element) algorithm(want string) error {
	_, err := e.sequence(map[string]string{"Algorithm": want})
	return err
}

// base64 decodes the text of an element that holds nothing else.
func (e *element) base64() ([]byte, error) {
	if len(e.attrs) != 0 || len(e.kids) != 1 || e.kids[0].el != nil {
		return nil, fmt.Errorf("%s does not hold base64 alone", e.name)
	}
	text := strings.ReplaceAll(strings.ReplaceAll(e.kids[0].text, "\n", ""), " ", "")
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not base64", e.name)
	}
	return b, nil
}
