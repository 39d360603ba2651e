package nvidia

import (
	"crypto/ecdsa"
	"crypto/sha512"
	"crypto/x509"
	"math/big"
	"time"
)

// Nonce says what a report has to answer. The zero value accepts no report.
type Nonce struct {
	want  [32]byte
	given bool
	any   bool
}

// WantNonce accepts reports that answer this nonce.
func WantNonce(n [32]byte) Nonce { return Nonce{want: n, given: true} }

// AnyNonceUnsafe accepts a report whatever it answers, so it may be old. The
// facts then say that no nonce was checked.
func AnyNonceUnsafe() Nonce { return Nonce{any: true} }

// Facts is what a verified report proves. It is a value: changing it changes
// nothing else.
type Facts struct {
	Report Report

	Kind  Kind
	Chip  string // "GH100"
	Model string // "GH100 A01 GSP BROM"

	// DeviceID identifies the device, as switches and GPUs write each other's
	// identities. It is part of the certificate that NVIDIA signed for the
	// device. HasDeviceID is false for certificates of another form.
	DeviceID    [8]byte
	HasDeviceID bool

	UEID       string           // serial number of the attestation key's certificate, hex
	FWID       [DigestSize]byte // digest of the firmware that holds the attestation key
	FWIDBound  bool             // the report repeats FWID; older firmware does not
	NonceBound bool             // the report answers the nonce that was asked

	LeafDigest [32]byte // SHA-256 of the attestation key's certificate, DER
	Root       [32]byte // SHA-256 of the root certificate, DER
	Simulated  bool     // a root is not NVIDIA's

	Revocation Revocation
	At         time.Time // the time of verification
	NotBefore  time.Time // latest start of all documents
	NotAfter   time.Time // earliest end of all documents
}

// Verify verifies the evidence of one device at the given time: its chain, its
// report, and the report's measurements against RIM documents. It judges nothing
// that the report says.
//
// Evidence is in the form of bundles ([Evidence.Encode]). On failure the facts
// are nil and the error wraps a [*StepError].
func Verify(evidence []byte, n Nonce, e *Endorsements, o Options, at time.Time) (*Facts, error) {
	v := &Verifier{o: o}
	return v.Verify(evidence, n, e, at)
}

// Limits of a [Verifier] by default. A device takes about 6 kB.
const (
	DefaultMaxDevices = 16384
	maxAuthorities    = 256
	maxHeld           = 8192
)

// Verifier verifies the evidence of many devices. It keeps chains, and which
// signatures of RIM documents and OCSP responses held, by the digests of the
// bytes: those never change. Times, revocation, and everything of the report
// are checked anew each time. It is safe for concurrent use.
type Verifier struct {
	o           Options
	devices     *cache[*device]
	authorities *cache[*x509.Certificate]
	held        *memo
}

// NewVerifier returns a verifier with the given options that keeps up to max
// devices, or [DefaultMaxDevices] when max is not positive. The oldest goes
// first.
func NewVerifier(o Options, max int) *Verifier {
	if max <= 0 {
		max = DefaultMaxDevices
	}
	return &Verifier{
		o: o.clone(), devices: newCache[*device](max),
		authorities: newCache[*x509.Certificate](maxAuthorities), held: newCache[struct{}](maxHeld),
	}
}

// Len returns the number of devices kept.
func (v *Verifier) Len() int { return v.devices.len() }

// Verify does what the function [Verify] does, and returns the same facts and
// errors.
func (v *Verifier) Verify(evidence []byte, n Nonce, e *Endorsements, at time.Time) (*Facts, error) {
	ev, err := ParseEvidence(evidence)
	if err != nil {
		return nil, err
	}
	r, err := ParseReport(ev.Report)
	if err != nil {
		return nil, err
	}
	switch {
	case !n.given && !n.any:
		return nil, inputAt(StepNonce, "no nonce given")
	case e == nil:
		return nil, inputAt(StepRIM, "no endorsements given")
	case at.IsZero():
		return nil, inputAt(StepValidity, "no time given")
	}
	d, err := v.devices.get(chainDigest(ev.Chain), func() (*device, error) { return v.verifyDevice(ev.Chain) })
	if err != nil {
		return nil, err
	}
	f := &Facts{
		Report: *r, Kind: d.kind, Chip: d.chip, Model: d.model, DeviceID: d.id, HasDeviceID: d.hasID,
		UEID: d.ueid, FWID: d.fwid, FWIDBound: r.Opaque.FWID != nil, NonceBound: n.given,
		LeafDigest: d.leaf, Root: d.root, Simulated: d.simulated, At: at,
	}
	if err := v.check(f, d, r, n); err != nil {
		return nil, err
	}
	return f, nil
}

// check runs the steps after the chain.
func (v *Verifier) check(f *Facts, d *device, r *Report, n Nonce) error {
	var w window
	if err := d.inForce(&w, f.At); err != nil {
		return err
	}
	if !v.o.WithoutRevocationUnsafe {
		return missing(StepRevocation, "OCSP responses", "missing", "")
	}
	if err := d.signed(r); err != nil {
		return err
	}
	if err := d.bind(r); err != nil {
		return err
	}
	if n.given && r.RequestNonce != n.want {
		return falseAt(StepNonce, "the report answers %x, %x was asked", r.RequestNonce, n.want)
	}
	if !v.o.WithoutRIMUnsafe {
		return missing(StepRIM, "RIM documents", "missing", "")
	}
	f.NotBefore, f.NotAfter = w.notBefore, w.notAfter
	return nil
}

// signed checks the device's signature: ECDSA over SHA-384 of request and
// response (DSP0274 1.1, section 15).
func (d *device) signed(r *Report) error {
	h := sha512.Sum384(r.signed)
	x, y := new(big.Int).SetBytes(r.signature[:signatureSize/2]), new(big.Int).SetBytes(r.signature[signatureSize/2:])
	if !ecdsa.Verify(d.key, h[:], x, y) {
		return falseAt(StepSignature, "the device's key did not sign this report")
	}
	return nil
}
