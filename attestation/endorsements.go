package attestation

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/intel"
)

// MaxEndorsementSize is the largest file that [Endorsements.AddFile] reads.
const MaxEndorsementSize = 4 << 20

// Endorsements is a set of what vendors sign so that evidence can be judged:
// certificates, revocation lists, TCB infos, identities. Adding trusts nothing;
// the verifier picks what it needs, verifies it, and prefers the newest
// document that is valid at the time of the check.
//
// Build a set first, then share it: after the last Add it is safe for
// concurrent use. Keep it: a set that was parsed once makes the next
// verification cheap.
type Endorsements struct {
	intel intel.Endorsements
	amd   amd.Endorsements
}

// NewEndorsements returns an empty set.
func NewEndorsements() *Endorsements { return new(Endorsements) }

// Len returns the number of documents in the set.
func (e *Endorsements) Len() int { return e.intel.Len() + e.amd.Len() }

// AddFile adds the documents of one file. The content decides what it is; name
// only appears in errors. Known forms (docs/spec/endorsements.md):
//
//   - certificates and revocation lists of Intel and AMD, PEM (several in one
//     file) or DER
//   - collateral JSON of the dcap-qvl form
//   - answers of Intel's provisioning service with a TCB info or QE identity
//
// A file of another form is an [*InputError].
func (e *Endorsements) AddFile(name string, data []byte) error {
	if len(data) > MaxEndorsementSize {
		return BadInput("endorsement %s: %d bytes, the limit is %d", name, len(data), MaxEndorsementSize)
	}
	known, err := e.addFile(data)
	if err != nil {
		return BadInput("endorsement %s: %w", name, err)
	}
	if !known {
		return BadInput("endorsement %s: not a form that is known here (certificates, revocation lists, collateral)", name)
	}
	return nil
}

func (e *Endorsements) addFile(data []byte) (bool, error) {
	t := bytes.TrimSpace(data)
	switch {
	case bytes.HasPrefix(t, []byte("{")):
		return e.addJSON(t)
	case bytes.Contains(t, []byte("-----BEGIN ")):
		return e.addPEM(t)
	case len(data) > 0 && data[0] == 0x30:
		return true, e.addDER(data)
	}
	return false, nil
}

func (e *Endorsements) addJSON(data []byte) (bool, error) {
	if known, err := e.intel.AddServiceAnswer(data); known || err != nil {
		return known, err
	}
	var probe struct {
		TCBInfo json.RawMessage `json:"tcb_info"`
		PCKCRL  json.RawMessage `json:"pck_crl"`
	}
	if err := json.Unmarshal(data, &probe); err != nil || (probe.TCBInfo == nil && probe.PCKCRL == nil) {
		return false, err
	}
	c, err := intel.ParseCollateral(data)
	if err != nil {
		return true, err
	}
	return true, e.intel.AddCollateral(c)
}

func (e *Endorsements) addPEM(data []byte) (bool, error) {
	found := 0
	for {
		b, rest := pem.Decode(data)
		if b == nil {
			return found > 0, nil
		}
		data = rest
		switch b.Type {
		case "CERTIFICATE", "X509 CRL":
			if err := e.addDER(b.Bytes); err != nil {
				return true, err
			}
			found++
		default:
			return true, BadInput("unexpected PEM block %q", b.Type)
		}
	}
}

// addDER adds a certificate or a revocation list.
func (e *Endorsements) addDER(der []byte) error {
	if c, err := x509.ParseCertificate(der); err == nil {
		if amd.IsCertificate(c) {
			return e.amd.AddCertificate(c)
		}
		return e.intel.AddCertificate(c)
	}
	if l, ok := amd.ParseCRL(der); ok {
		return e.amd.AddCRL(l)
	}
	return e.intel.AddCRL(der)
}

// AddBundle adds what travels with a bundle: its attachments of kind
// [AttachEndorsements].
func (e *Endorsements) AddBundle(b *Bundle) error {
	for _, a := range b.Attachments {
		if a.Kind != AttachEndorsements {
			continue
		}
		if err := e.AddFile("attached to the bundle", a.Data); err != nil {
			return err
		}
	}
	return nil
}
