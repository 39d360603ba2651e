package tpm

import (
	"bytes"
	"crypto/sha256"
	"time"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// Facts is what verified quotes prove. The caller owns it.
type Facts struct {
	KeyDigest [32]byte     // SHA-256 of the attestation key, as a DER SubjectPublicKeyInfo
	Name      []byte       // of the key's public area; nil when it was not given
	Public    [32]byte     // SHA-256 of the public area, by which a caller names a key; zero when it was not given
	Hierarchy Hierarchy    // when the key is a primary key and its public area was given
	Scheme    Scheme       // how the key signs
	Hash      eventlog.Alg // of the scheme

	// Who vouches for the key: at least one of HCL, Certificate and Development.

	HCL         *HCLFacts    // the key is bound to verified hardware evidence
	Certificate *Certificate // the key has a certificate up to a root of the caller's
	Simulated   bool         // that root is a simulated one, and there is no HCL report

	// Development: nobody but the caller vouches for the key, by naming it in
	// [Options.UnsafeDevelopmentKeys] or its root in [Options.SimulatedRoots]. The
	// host may emulate this TPM, so its quotes prove nothing against the host. A
	// production policy must refuse it.
	Development bool

	Quotes    []Attest // in the order of the evidence; all of one boot and one nonce
	ExtraData []byte   // the nonce
	PCRs      PCRs     // every quoted register, and no other

	At time.Time // the time of verification

	// NotBefore and NotAfter bound the documents of Certificate; zero without
	// one. The hardware evidence of HCL has bounds of its own.
	NotBefore time.Time
	NotAfter  time.Time
}

// HCLFacts is what an HCL report proves once its hardware report is verified.
type HCLFacts struct {
	Kind        HardwareKind
	UserData    []byte // that the guest chose, at most 64 bytes
	VM          VMConfiguration
	RuntimeData []byte // the JSON that all of this comes from
}

func (h *HCL) facts() *HCLFacts {
	return &HCLFacts{Kind: h.Kind, UserData: clone(h.Runtime.UserData), VM: h.Runtime.Configuration, RuntimeData: clone(h.raw)}
}

// Confidential reports whether the TPM is part of a confidential VM, as verified
// hardware evidence says. A certificate alone does not say so: the owner of the
// host has genuine TPMs too. Nil facts are of no TPM at all.
func (f *Facts) Confidential() bool { return f != nil && f.HCL != nil }

// CheckExtraData compares the nonce of the quotes with the wanted one, which
// must not be empty. A difference is false evidence: the quote answers somebody
// else, or an earlier question.
func (f *Facts) CheckExtraData(want []byte) error {
	if len(want) == 0 || len(want) > MaxExtraData {
		return inputAt(StepSignature, "a nonce of %d bytes was asked for, from 1 to %d are possible", len(want), MaxExtraData)
	}
	if !bytes.Equal(f.ExtraData, want) {
		return falseAt(StepSignature, "the quote has another nonce than the wanted one")
	}
	return nil
}

const domainExtraData = "cocoon/tpm/v1\n"

// ExtraData returns the nonce of a quote over claims: SHA-256 of a domain, the
// claims digest and the caller's live nonce, or 32 zero bytes without one.
func ExtraData(claimsDigest [32]byte, nonce *[32]byte) [32]byte {
	b := append([]byte(domainExtraData), claimsDigest[:]...)
	if nonce == nil {
		nonce = new([32]byte)
	}
	return sha256.Sum256(append(b, nonce[:]...))
}

// Hardware returns the hardware evidence that the HCL report of e stands on, for
// the caller to verify with package amd or intel: the SEV-SNP report inside it,
// or the TDX quote beside it. The kind is zero without an HCL report; the bytes
// are nil when the TDX quote travels apart. Errors are bad input.
func (e *Evidence) Hardware() (HardwareKind, []byte, error) {
	if len(e.HCL) == 0 {
		return 0, nil, nil
	}
	h, err := ParseHCL(e.HCL)
	if err != nil {
		return 0, nil, err
	}
	if h.Kind == SNP {
		if len(e.TDQuote) != 0 {
			return 0, nil, inputAt(StepEvidence, "a TDX quote beside an HCL report of SNP")
		}
		return SNP, h.Report, nil
	}
	return TDX, e.TDQuote, nil
}
