package intel

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Addresses of Intel's provisioning certification service (PCS, version 4).
const (
	serviceURL = "https://api.trustedservices.intel.com"
	rootCRLURL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
)

// source says where a document is published, and in which field of the answer's
// header the chain of its issuer stands, as URL-encoded PEM.
type source struct{ url, chainHeader string }

func tcbSource(t TEE, fmspc [6]byte) source {
	return source{fmt.Sprintf("%s/%s/certification/v4/tcb?fmspc=%x", serviceURL, t, fmspc), "TCB-Info-Issuer-Chain"}
}

func identitySource(t TEE) source {
	return source{fmt.Sprintf("%s/%s/certification/v4/qe/identity", serviceURL, t), "SGX-Enclave-Identity-Issuer-Chain"}
}

// crlSource is where the list that an authority signs is published.
func crlSource(issuer string) source {
	ca := ""
	switch issuer {
	case namePlatformCA:
		ca = "platform"
	case nameProcessorCA:
		ca = "processor"
	default:
		return source{rootCRLURL, ""}
	}
	return source{fmt.Sprintf("%s/sgx/certification/v4/pckcrl?ca=%s&encoding=der", serviceURL, ca), "SGX-PCK-CRL-Issuer-Chain"}
}

// MissingError is wrapped by an error of the family "could not find out" when a
// document that Intel publishes is missing or not valid at the time of the
// check.
type MissingError struct {
	What        string // which document
	Why         string // what is wrong with the one that is there; empty when none is
	URL         string // where to get it
	ChainHeader string // field of the answer's header with the chain of its issuer, as URL-encoded PEM; may be empty
}

func (e *MissingError) Error() string {
	if e.Why == "" {
		return fmt.Sprintf("%s is missing (%s)", e.What, e.URL)
	}
	return fmt.Sprintf("%s: %s; get another from %s", e.What, e.Why, e.URL)
}

func (s source) missing(what, why string) error {
	return fault.Unknown("%w", &MissingError{What: what, Why: why, URL: s.url, ChainHeader: s.chainHeader})
}

// errMissing says that no document of the kind is in the set.
var errMissing = errors.New("missing")

// explain says of a document that can't be used which one it is. An error of
// another family keeps it.
func (s source) explain(what string, err error) error {
	switch {
	case errors.Is(err, errMissing):
		return s.missing(what, "")
	case fault.FamilyOf(err) == fault.FamilyUnknown:
		return s.missing(what, err.Error())
	}
	return fmt.Errorf("%s: %w", what, err)
}

func missingCRL(issuer *x509.Certificate, why string) error {
	name := issuer.Subject.CommonName
	return crlSource(name).missing(fmt.Sprintf("revocation list of %q", name), why)
}
