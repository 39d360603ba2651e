package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/ocsp"
)

// NVIDIAOCSP describes an OCSP response. The zero value of all but the times is
// "good", from a responder that the issuer delegated to.
type NVIDIAOCSP struct {
	ThisUpdate, NextUpdate time.Time // required

	Status    int         // ocsp.Good, ocsp.Revoked or ocsp.Unknown
	Reason    int         // of a revocation, such as ocsp.CertificateHold
	RevokedAt time.Time   // default ThisUpdate
	Hash      crypto.Hash // of the certificate's id; default SHA-1
	Serial    *big.Int    // default the certificate's

	ByIssuer bool // the issuer signs itself
	// By signs with the responder of another issuer.
	By *x509.Certificate
}

// OCSP signs a response for a certificate of this vendor.
func (n *NVIDIA) OCSP(cert, issuer *x509.Certificate, o NVIDIAOCSP) ([]byte, error) {
	by := issuer
	if o.By != nil {
		by = o.By
	}
	ca, ok := n.find(by)
	if !ok {
		return nil, fmt.Errorf("simulated OCSP: %q is no authority of this vendor", by.Subject.CommonName)
	}
	t := ocsp.Response{
		Status: o.Status, SerialNumber: cert.SerialNumber, ThisUpdate: o.ThisUpdate, NextUpdate: o.NextUpdate, IssuerHash: o.Hash,
		ExtraExtensions: []pkix.Extension{},
	}
	if o.Serial != nil {
		t.SerialNumber = o.Serial
	}
	if o.Hash == 0 {
		t.IssuerHash = crypto.SHA1
	}
	if o.Status == ocsp.Revoked {
		t.RevokedAt, t.RevocationReason = o.RevokedAt, o.Reason
		if o.RevokedAt.IsZero() {
			t.RevokedAt = o.ThisUpdate
		}
	}
	if o.ByIssuer {
		return ocsp.CreateResponse(issuer, ca.cert, t, deterministic{ca.key})
	}
	r, err := n.responder(ca)
	if err != nil {
		return nil, err
	}
	t.Certificate = r.cert
	return ocsp.CreateResponse(issuer, r.cert, t, deterministic{r.key})
}

// responder returns the responder that an authority delegated to (RFC 6960,
// section 4.2.2.2), made on first use.
func (n *NVIDIA) responder(ca nvidiaCA) (nvidiaCA, error) {
	name := ca.cert.Subject.CommonName
	if r, ok := n.responders[name]; ok {
		return r, nil
	}
	t := n.template("NVIDIA OCSP Responder " + name)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
	t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}}}
	r, err := n.issue("ocsp", t, &ca)
	if err == nil {
		n.responders[name] = r
	}
	return r, err
}

// find returns the key of an authority.
func (n *NVIDIA) find(c *x509.Certificate) (nvidiaCA, bool) {
	all := []nvidiaCA{n.root, n.rim[1], n.rim[2], n.rim[3]}
	for _, m := range []map[string]nvidiaCA{n.identities, n.provisioners} {
		for _, ca := range m {
			all = append(all, ca)
		}
	}
	for _, ca := range all {
		if ca.cert.Equal(c) {
			return ca, true
		}
	}
	return nvidiaCA{}, false
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
