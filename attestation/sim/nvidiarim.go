package sim

import (
	"crypto/ecdsa"
	"crypto/sha512"
	"crypto/x509"
	"fmt"
)

// SignRIM signs bytes with the key that signs RIM documents, and returns r || s.
// It is for documents whose SignedInfo is not the usual one.
func (n *NVIDIA) SignRIM(signedInfo []byte) ([]byte, error) {
	h := sha512.Sum384(signedInfo)
	return signP384(n.rim[0].key, h[:])
}

// NewResponder certifies a responder of OCSP for an authority of this vendor,
// beside its usual one. The key is made when it is nil; edit, which may be nil,
// changes the template of the certificate.
func (n *NVIDIA) NewResponder(issuer *x509.Certificate, key *ecdsa.PrivateKey, edit func(*x509.Certificate)) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	ca, ok := n.find(issuer)
	if !ok {
		return nil, nil, fmt.Errorf("simulated OCSP: %q is no authority of this vendor", issuer.Subject.CommonName)
	}
	if key == nil {
		var err error
		if key, err = n.key(); err != nil {
			return nil, nil, err
		}
	}
	t := n.template("NVIDIA OCSP Responder")
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	if edit != nil {
		edit(t)
	}
	r, err := n.certify("ocsp", t, key, &ca)
	return r.cert, key, err
}
