package nvidia

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// ocspCheck looks up certificates in a set of responses.
type ocspCheck struct {
	set  *ocspSet
	o    *Options
	at   time.Time
	held *memo
	w    *window // narrowed to the responses in use
}

// chain checks a verified chain, leaf first, root last: every certificate from
// index first on, but not the root. It narrows the window to the responses. The
// error names all responses that are missing.
func (k *ocspCheck) chain(chain []*x509.Certificate, first int) (Revocation, error) {
	rev := Revocation{Checked: true}
	var l lacks
	for i := first; i < len(chain)-1; i++ {
		r, err := k.good(chain[i], chain[i+1])
		if err := l.note(err); err != nil {
			return Revocation{}, err
		}
		if r == nil {
			rev.Checked = false
			continue
		}
		if rev.ThisUpdate.IsZero() || r.ThisUpdate.Before(rev.ThisUpdate) {
			rev.ThisUpdate = r.ThisUpdate
		}
		if u := r.until(); rev.NextUpdate.IsZero() || u.Before(rev.NextUpdate) {
			rev.NextUpdate = u
		}
	}
	if err := l.all(); err != nil {
		return Revocation{}, err
	}
	return rev, nil
}

// good returns the response that says good, or nothing when there is none and
// the caller opted out. An error that one is missing says what to ask for.
func (k *ocspCheck) good(c, issuer *x509.Certificate) (*ocspResponse, error) {
	r, err := k.response(c, issuer)
	var m *MissingError
	if errors.As(err, &m) {
		// The hash only names the issuer; NVIDIA's own verifiers ask with it too.
		m.Request, _ = ocsp.CreateRequest(c, issuer, &ocsp.RequestOptions{Hash: crypto.SHA384})
	}
	return r, err
}

// response finds the response: what the newest one of an authorized responder
// says counts, and every revocation for good, however old.
func (k *ocspCheck) response(c, issuer *x509.Certificate) (*ocspResponse, error) {
	what := fmt.Sprintf("OCSP response for %q", c.Subject.CommonName)
	url := OCSPURL
	if len(c.OCSPServer) != 0 {
		url = c.OCSPServer[0]
	}
	newest, refused := k.newest(c, issuer)
	if newest == nil && k.o.WithoutRevocationUnsafe {
		return nil, nil
	}
	if newest == nil && refused != nil {
		return nil, missing(StepRevocation, what, refused.Error(), url)
	}
	if newest == nil {
		return nil, missing(StepRevocation, what, "missing", url)
	}
	switch newest.Status {
	case ocsp.Good:
	case ocsp.Revoked:
		return nil, falseAt(StepRevocation, "%q with serial number %x was revoked at %s (reason %d)",
			c.Subject.CommonName, c.SerialNumber, stamp(newest.RevokedAt), newest.RevocationReason)
	default:
		return nil, missing(StepRevocation, what, "the responder does not know the certificate", url)
	}
	if err := k.inForce(newest, what, url); err != nil {
		if k.o.WithoutRevocationUnsafe {
			return nil, nil
		}
		return nil, err
	}
	return newest, nil
}

// maxOCSPTries bounds the responses that are looked at for one certificate.
const maxOCSPTries = 16

// newest returns the response that counts, or why the last one seen does not.
func (k *ocspCheck) newest(c, issuer *x509.Certificate) (newest *ocspResponse, refused error) {
	tries := 0
	for _, r := range k.set.bySerial[c.SerialNumber.String()] {
		if tries == maxOCSPTries || !r.isFor(c, issuer) {
			continue
		}
		tries++
		if err := k.authorized(r, issuer); err != nil {
			refused = err
			continue
		}
		if r.Status == ocsp.Revoked && r.RevocationReason != ocsp.CertificateHold && !r.RevokedAt.After(k.at) {
			return r, nil
		}
		if r.ThisUpdate.After(k.at) {
			refused = errors.New("valid from " + stamp(r.ThisUpdate) + ", later than the time of verification " + stamp(k.at))
			continue
		}
		if newest == nil || r.ThisUpdate.After(newest.ThisUpdate) {
			newest = r
		}
	}
	return newest, refused
}

// inForce narrows the window to the response and to its responder.
func (k *ocspCheck) inForce(r *ocspResponse, what, url string) error {
	if err := k.w.narrow(StepRevocation, what, r.ThisUpdate, r.until(), k.at, url); err != nil {
		return err
	}
	if r.Certificate == nil {
		return nil
	}
	return k.w.narrow(StepRevocation, what+": its responder's certificate", r.Certificate.NotBefore, r.Certificate.NotAfter, k.at, url)
}

// authorized checks who signed the response: the issuer itself, or a responder
// to which this very issuer gave a certificate for OCSP signing (RFC 6960,
// section 4.2.2.2).
func (k *ocspCheck) authorized(r *ocspResponse, issuer *x509.Certificate) error {
	signer, who := r.Certificate, "its responder"
	if signer == nil {
		signer, who = issuer, "the issuer"
	} else if !signer.Equal(issuer) {
		if err := once(k.held, linkKey(signer, issuer), func() error { return signedBy(signer, issuer) }); err != nil {
			return fmt.Errorf("its responder is not of the issuer: %w", err)
		}
		if !slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
			return errors.New("its responder's certificate is not for OCSP signing")
		}
	}
	if k, ok := signer.PublicKey.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P384() && k.Curve != elliptic.P256() {
		return errors.New("its responder's key is not on P-384 or P-256")
	}
	if err := k.signed(r, signer); err != nil {
		return errors.New("it is not signed by " + who)
	}
	return named(r, signer)
}

// signed checks the signature of a response. That it held is remembered by the
// digests of the whole response and of the signer's certificate.
func (k *ocspCheck) signed(r *ocspResponse, signer *x509.Certificate) error {
	by := sha256.Sum256(signer.Raw)
	return once(k.held, digestOf("ocsp", r.digest[:], by[:]), func() error { return r.CheckSignatureFrom(signer) })
}

// named checks that the response names its signer as the responder (RFC 6960,
// section 4.2.2.3).
func named(r *ocspResponse, signer *x509.Certificate) error {
	if r.RawResponderName != nil && bytes.Equal(r.RawResponderName, signer.RawSubject) {
		return nil
	}
	// SHA-1 is only a name here.
	if d := sha1.Sum(keyBits(signer)); bytes.Equal(r.ResponderKeyHash, d[:]) {
		return nil
	}
	return errors.New("it names another responder")
}
