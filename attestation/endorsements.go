package attestation

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/tpm"
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
	intel  intel.Endorsements
	amd    amd.Endorsements
	nvidia nvidia.Endorsements
	tpm    tpm.Endorsements
}

// NewEndorsements returns an empty set.
func NewEndorsements() *Endorsements { return new(Endorsements) }

// Len returns the number of documents in the set.
func (e *Endorsements) Len() int { return e.intel.Len() + e.amd.Len() + e.nvidia.Len() + e.tpm.Len() }

// AddFile adds the documents of one file. The content decides what it is; name
// only appears in errors. Known forms (docs/spec/endorsements.md):
//
//   - certificates and revocation lists of Intel, AMD, NVIDIA, and those who
//     certify TPMs: PEM (several in one file), DER, or DER in hexadecimal
//   - collateral JSON of the dcap-qvl form
//   - answers of Intel's provisioning service with a TCB info or QE identity
//   - RIM documents of NVIDIA, in XML or as its RIM service answers them
//   - OCSP responses, DER
//   - tokens of NVIDIA's remote attestation service and its key set, JSON
//
// A file of another form is an [*InputError]; see [IsEndorsement].
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

// form is a form of endorsement files.
type form int

const (
	formNone       form = iota
	formService         // answer of Intel's service
	formCollateral      // dcap-qvl
	formPEM
	formDER
	formHex
	formRIM
	formTokens // of NVIDIA's remote attestation service
	formKeys   // its keys
)

// formOf guesses the form of a file from its beginning and its keys.
func formOf(data []byte) form {
	t := bytes.TrimSpace(data)
	switch {
	case nvidia.IsRIM(data):
		return formRIM
	case nvidia.IsNRASTokens(data):
		return formTokens
	case bytes.HasPrefix(t, []byte("{")):
		return formOfJSON(t)
	case bytes.Contains(t, []byte("-----BEGIN CERTIFICATE-----")), bytes.Contains(t, []byte("-----BEGIN X509 CRL-----")):
		return formPEM
	case len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80: // a sequence of more than 127 bytes
		return formDER
	case isHex(t):
		return formHex
	}
	return formNone
}

func formOfJSON(data []byte) form {
	var keys map[string]json.RawMessage
	if json.Unmarshal(data, &keys) != nil {
		return formNone
	}
	has := func(name string) bool { return keys[name] != nil }
	switch {
	case has("tcbInfo") || has("enclaveIdentity"):
		return formService
	case has("keys") && nvidia.IsNRASKeys(data):
		return formKeys
	case has("tcb_info") || has("qe_identity") || has("pck_crl") || has("root_ca_crl"):
		return formCollateral
	}
	return formNone
}

// isHex reports whether t is DER in hexadecimal, as caching services answer
// revocation lists.
func isHex(t []byte) bool {
	if len(t) < 8 || len(t)%2 != 0 || !bytes.EqualFold(t[:3], []byte("308")) {
		return false
	}
	for _, c := range t {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}

// IsEndorsement reports whether data looks like a file that
// [Endorsements.AddFile] reads. It is a guess at the kind of a file, not a check.
func IsEndorsement(data []byte) bool { return formOf(data) != formNone }

func (e *Endorsements) addFile(data []byte) (bool, error) {
	switch t := bytes.TrimSpace(data); formOf(data) {
	case formRIM:
		return true, e.nvidia.AddRIM(data)
	case formTokens:
		return true, e.nvidia.AddNRASTokens(data)
	case formKeys:
		return true, e.nvidia.AddNRASKeys(data)
	case formService:
		return e.intel.AddServiceAnswer(t)
	case formCollateral:
		c, err := intel.ParseCollateral(t)
		if err != nil {
			return true, err
		}
		return true, e.intel.AddCollateral(c)
	case formPEM:
		return e.addPEM(t)
	case formDER:
		return true, e.addDER(data)
	case formHex:
		der, err := hex.DecodeString(string(t))
		if err != nil {
			return true, err
		}
		return true, e.addDER(der)
	}
	return false, nil
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

// addDER adds a certificate, a revocation list or an OCSP response. What is of
// no vendor of processors or GPUs may be of one of TPMs.
func (e *Endorsements) addDER(der []byte) error {
	if c, err := x509.ParseCertificate(der); err == nil {
		switch {
		case amd.IsCertificate(c):
			return e.amd.AddCertificate(c)
		case nvidia.IsCertificate(c):
			return e.nvidia.AddCertificate(c)
		case intel.IsCertificate(c):
			return e.intel.AddCertificate(c)
		}
		return e.tpm.AddCertificate(c)
	}
	if l, ok := amd.ParseCRL(der); ok {
		return e.amd.AddCRL(l)
	}
	if l, err := x509.ParseRevocationList(der); err == nil {
		if intel.IsRevocationList(l) {
			return e.intel.AddCRL(der)
		}
		return e.tpm.AddCRL(l)
	}
	if nvidia.IsOCSP(der) {
		return e.nvidia.AddOCSP(der)
	}
	return e.intel.AddCRL(der) // says what is wrong with it
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
