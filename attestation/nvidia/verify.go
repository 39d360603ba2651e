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

	// Golden compares the measurements with those that NVIDIA published for the
	// driver and VBIOS that the report names. Nil when nothing was compared, which
	// only [Options.WithoutRIMUnsafe] allows.
	Golden *Golden

	// NRAS is set where tokens of the remote attestation service stand in for
	// documents that are missing; only [Verifier.VerifyVouched] sets it.
	NRAS *NRASFacts

	Revocation Revocation // of the device's chain; those of RIM documents are in Golden
	At         time.Time  // the time of verification
	NotBefore  time.Time  // latest start of all documents
	NotAfter   time.Time  // earliest end of all documents
}

// Verify verifies the evidence of one device at the given time: its chain, its
// report, and the report's measurements against RIM documents. It proves that
// a device that NVIDIA certified signed the report; it judges nothing that the
// report says.
//
// Missing and outdated documents are "could not find out" (a [*MissingError] for
// each, joined); a signature or binding that does not hold, an untrusted root and
// a revoked certificate are false evidence. On failure the facts are nil and the error
// wraps a [*StepError].
func Verify(ev *Evidence, n Nonce, e *Endorsements, o Options, at time.Time) (*Facts, error) {
	v := &Verifier{o: o}
	return v.Verify(ev, n, e, at)
}

// Limits of a [Verifier] by default. A device takes about 5 kB.
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
func (v *Verifier) Verify(ev *Evidence, n Nonce, e *Endorsements, at time.Time) (*Facts, error) {
	switch {
	case ev == nil:
		return nil, inputAt(StepReport, "no evidence given")
	case e == nil:
		return nil, inputAt(StepRIM, "no endorsements given")
	case !n.given && !n.any:
		return nil, inputAt(StepNonce, "no nonce given")
	case at.IsZero():
		return nil, inputAt(StepValidity, "no time given")
	}
	r, err := ParseReport(ev.Report)
	if err != nil {
		return nil, err
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
	if err := v.check(f, d, r, n, e); err != nil {
		return nil, err
	}
	return f, nil
}

// check runs the steps after the chain. Missing documents do not end it: they are
// named together, unless something is false.
func (v *Verifier) check(f *Facts, d *device, r *Report, n Nonce, e *Endorsements) error {
	var w window
	var l lacks
	if err := l.note(d.inForce(&w, f.At)); err != nil {
		return err
	}
	revocation := &ocspCheck{set: &e.responses, o: &v.o, at: f.At, held: v.held, w: &w}
	var err error
	f.Revocation, err = revocation.chain(d.above, 0)
	if err := l.note(err); err != nil {
		return err
	}
	if !r.signedBy(d.key) {
		return falseAt(StepSignature, "the device's key did not sign this report")
	}
	if err := d.bind(r); err != nil {
		return err
	}
	if n.given && r.RequestNonce != n.want {
		return falseAt(StepNonce, "the report answers %x, %x was asked", r.RequestNonce, n.want)
	}
	rims := &rimCheck{v: v, kind: d.kind, chip: d.chip, documents: e.rims, responses: &e.responses, at: f.At, w: &w}
	f.Golden, err = rims.golden(r)
	if err := l.note(err); err != nil {
		return err
	}
	if err := l.all(); err != nil {
		return err
	}
	f.Simulated = f.Simulated || f.Golden.simulated()
	f.NotBefore, f.NotAfter = w.notBefore, w.notAfter
	return nil
}

// signedBy checks the device's signature: ECDSA over SHA-384 of request and
// response (DSP0274 1.1, section 15).
func (r *Report) signedBy(key *ecdsa.PublicKey) bool {
	h := sha512.Sum384(r.signed)
	x, y := new(big.Int).SetBytes(r.signature[:signatureSize/2]), new(big.Int).SetBytes(r.signature[signatureSize/2:])
	return ecdsa.Verify(key, h[:], x, y)
}

// simulated reports whether one of the documents is not NVIDIA's.
func (g *Golden) simulated() bool {
	return g != nil && (g.VBIOS != nil && g.VBIOS.Simulated || g.Driver != nil && g.Driver.Simulated)
}
