package attestation

import (
	"crypto/sha256"
	"crypto/sha512"
	"slices"

	"github.com/cocoon-go/cocoon/attestation/intel"
)

// Limits of a bundle.
const (
	MaxBundleSize   = 4 << 20 // bytes
	MaxEvidence     = 128     // pieces of evidence
	MaxAttachments  = 128
	MaxEventLogSize = 1 << 20 // bytes
	bundleID        = "cocoon/bundle/v1"
)

// Kinds of evidence.
const (
	KindTDX    = "tdx"    // Intel TDX quote
	KindSNP    = "snp"    // AMD SEV-SNP report
	KindNVIDIA = "nvidia" // NVIDIA GPU or switch report with its certificates
	KindTPM    = "tpm"    // TPM 2.0 quote
	KindSGX    = "sgx"    // Intel SGX quote; not part of bundles
	KindNRAS   = "nras"   // tokens of NVIDIA's remote attestation service; in bundles they are endorsements
)

// Kinds of attachments.
const (
	// AttachEndorsements is a file that [Endorsements.AddFile] reads.
	AttachEndorsements = "endorsements"
	// AttachLive, followed by a kind of evidence ("live/tdx"), is evidence over
	// the same claims with a caller's nonce.
	AttachLive = "live/"
)

// Item is a piece of evidence or an attachment.
type Item struct {
	Kind string `cbor:"1,keyasint"` // one of the Kind or Attach constants
	Data []byte `cbor:"2,keyasint"` // as its kind has it
}

// Bundle is claims with the evidence for them. Parsing proves nothing.
type Bundle struct {
	Heads       []byte // [HeadsSize] bytes
	Body        []byte // encoded [Body], at most [MaxBodySize] bytes
	Evidence    []Item // 1 to [MaxEvidence] pieces
	EventLog    []byte // optional
	Attachments []Item // optional; not bound by the claims digest
}

type wireBundle struct {
	ID          string `cbor:"0,keyasint"`
	Heads       []byte `cbor:"1,keyasint"`
	Body        []byte `cbor:"2,keyasint"`
	Evidence    []Item `cbor:"3,keyasint"`
	EventLog    []byte `cbor:"4,keyasint,omitempty"`
	Attachments []Item `cbor:"5,keyasint,omitempty"`
}

// NewBundle makes a bundle of claims and evidence. It sets the body digest of
// the claims.
func NewBundle(c *Claims, evidence ...Item) (*Bundle, error) {
	heads, body, err := c.Encode()
	if err != nil {
		return nil, err
	}
	b := &Bundle{Heads: heads, Body: body, Evidence: evidence}
	if err := b.check(); err != nil {
		return nil, err
	}
	return b, nil
}

// ParseBundle reads a bundle of at most [MaxBundleSize] bytes. The shape of claims
// and evidence list is checked, an [*InputError] if not right, and that the heads
// name the body, a [*FalseError] if not; evidence is not looked into.
func ParseBundle(data []byte) (*Bundle, error) {
	if len(data) > MaxBundleSize {
		return nil, BadInput("bundle: %d bytes, the limit is %d", len(data), MaxBundleSize)
	}
	var w wireBundle
	if err := decodeCBOR("bundle", data, &w); err != nil {
		return nil, err
	}
	if w.ID != bundleID {
		return nil, BadInput("bundle: type %q, want %q", w.ID, bundleID)
	}
	b := &Bundle{Heads: w.Heads, Body: w.Body, Evidence: w.Evidence, EventLog: w.EventLog, Attachments: w.Attachments}
	if err := b.check(); err != nil {
		return nil, err
	}
	return b, nil
}

// Encode returns the deterministic encoding.
func (b *Bundle) Encode() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	out, err := cborEncoder.Marshal(&wireBundle{bundleID, b.Heads, b.Body, b.Evidence, b.EventLog, b.Attachments})
	if err != nil {
		return nil, BadInput("bundle: %v", err)
	}
	if len(out) > MaxBundleSize {
		return nil, BadInput("bundle: %d bytes, the limit is %d", len(out), MaxBundleSize)
	}
	return out, nil
}

func (b *Bundle) check() error {
	if _, err := ParseClaims(b.Heads, b.Body); err != nil {
		return err
	}
	if len(b.Evidence) == 0 || len(b.Evidence) > MaxEvidence {
		return BadInput("bundle: %d pieces of evidence, want 1 to %d", len(b.Evidence), MaxEvidence)
	}
	if len(b.Attachments) > MaxAttachments {
		return BadInput("bundle: %d attachments, the limit is %d", len(b.Attachments), MaxAttachments)
	}
	if len(b.EventLog) > MaxEventLogSize {
		return BadInput("bundle: event log of %d bytes, the limit is %d", len(b.EventLog), MaxEventLogSize)
	}
	for _, i := range slices.Concat(b.Evidence, b.Attachments) {
		if i.Kind == "" || len(i.Kind) > 64 || len(i.Data) == 0 {
			return BadInput("bundle: item of kind %.64q with %d bytes", i.Kind, len(i.Data))
		}
	}
	return nil
}

// Claims returns a copy of the claims. They are not verified.
func (b *Bundle) Claims() (*Claims, error) {
	return ParseClaims(b.Heads, b.Body)
}

// Digest returns the claims digest, the id of the bundle.
func (b *Bundle) Digest() [32]byte { return sha256.Sum256(b.Heads) }

// cpu returns the one piece of evidence of the machine, or a live one over the
// caller's nonce.
func (b *Bundle) cpu(nonce *[32]byte) (*Item, error) {
	var found *Item
	for i := range b.Evidence {
		if k := b.Evidence[i].Kind; k == KindTDX || k == KindSNP {
			if found != nil {
				return nil, BadInput("bundle: evidence of two machines")
			}
			found = &b.Evidence[i]
		}
	}
	if found == nil {
		return nil, Unknown("bundle: no evidence of kind tdx or snp in it")
	}
	if nonce == nil {
		return found, nil
	}
	return b.live(found), nil
}

// live returns the attached evidence of the same kind over a caller's nonce, or
// the evidence itself when there is none.
func (b *Bundle) live(of *Item) *Item {
	for i := range b.Attachments {
		if a := &b.Attachments[i]; a.Kind == AttachLive+of.Kind {
			return &Item{of.Kind, a.Data}
		}
	}
	return of
}

// ReportData returns what the hardware signs for claims: their digest, then
// the caller's nonce or zero.
func ReportData(claimsDigest [32]byte, nonce *[32]byte) (out [64]byte) {
	copy(out[:], claimsDigest[:])
	if nonce != nil {
		copy(out[32:], nonce[:])
	}
	return out
}

// Domains of the digests below.
const (
	domainMeasurementTDX = "cocoon/measurement/tdx/v1\n"
	domainMeasurementSNP = "cocoon/measurement/snp/v1\n"
	domainConfiguration  = "cocoon/configuration/v1\n"
)

// MeasurementTDX returns the measurement digest of a TD, which registries list.
func MeasurementTDX(mrtd, rtmr0, rtmr1, rtmr2 [48]byte) [32]byte {
	b := append([]byte(domainMeasurementTDX), mrtd[:]...)
	b = append(append(append(b, rtmr0[:]...), rtmr1[:]...), rtmr2[:]...)
	return sha256.Sum256(b)
}

// MeasurementSNP returns the measurement digest of an SEV-SNP guest.
func MeasurementSNP(measurement [48]byte) [32]byte {
	return sha256.Sum256(append([]byte(domainMeasurementSNP), measurement[:]...))
}

func measurementOf(td *intel.TDReport) [32]byte {
	return MeasurementTDX(td.MRTD, td.RTMR[0], td.RTMR[1], td.RTMR[2])
}

// ConfigurationEvent returns the digest by which the enclave extends RTMR3 for
// its configuration.
func ConfigurationEvent(configuration [32]byte) [48]byte {
	return sha512.Sum384(append([]byte(domainConfiguration), configuration[:]...))
}

// ConfigurationRTMR3 returns RTMR3 of a TD with this configuration, extended by
// nothing else.
func ConfigurationRTMR3(configuration [32]byte) [48]byte {
	e := ConfigurationEvent(configuration)
	return sha512.Sum384(append(make([]byte, 48), e[:]...))
}

// ConfigurationPCR is the register of a TPM that holds the configuration of an
// enclave whose TPM a paravisor vouches for.
const ConfigurationPCR = 15

// ConfigurationPCRValue returns that register, in the SHA-256 bank: extended once,
// by SHA-256("cocoon/configuration/v1\n" || configuration digest), and by nothing
// else.
func ConfigurationPCRValue(configuration [32]byte) [32]byte {
	e := sha256.Sum256(append([]byte(domainConfiguration), configuration[:]...))
	return sha256.Sum256(append(make([]byte, 32), e[:]...))
}

// PlatformID returns the id of a machine: SHA-256 over the kind of evidence
// ("tdx" or "snp") and the hardware id (PPID, CHIP_ID).
func PlatformID(kind string, hardwareID []byte) [32]byte {
	return sha256.Sum256(append([]byte(kind), hardwareID...))
}
