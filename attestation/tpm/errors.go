package tpm

import (
	"fmt"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Step names one step of the verification, in the order in which they run
// (docs/spec/tpm.md). A failure at one step means that the earlier ones held
// and that the later ones were not reached.
type Step string

// The steps of [Verify].
const (
	StepEvidence      Step = "evidence"      // all parts have the right shape
	StepKey           Step = "key"           // the attestation key is one that signs only what the TPM made
	StepHCL           Step = "hcl"           // the hardware report names the runtime data, and that the key
	StepCertificate   Step = "certificate"   // the key's certificate is well formed and for this key
	StepChain         Step = "chain"         // the certificates are signed up to a trust anchor
	StepRoot          Step = "root"          // the caller names the anchor
	StepValidity      Step = "validity"      // all certificates are valid at the time of verification
	StepRevocation    Step = "revocation"    // fresh lists do not revoke them
	StepCertification Step = "certification" // somebody certified the key at all
	StepSignature     Step = "signature"     // the key signed the quote
	StepPCRs          Step = "pcrs"          // the PCR values are the quoted ones
)

// Steps lists the steps in order.
func Steps() []Step {
	return []Step{StepEvidence, StepKey, StepHCL, StepCertificate, StepChain, StepRoot, StepValidity, StepRevocation,
		StepCertification, StepSignature, StepPCRs}
}

// StepError is wrapped by every error of a verification and says where it
// ended.
type StepError struct {
	Step Step
	Err  error
}

func (e *StepError) Error() string { return fmt.Sprintf("tpm %s: %v", e.Step, e.Err) }
func (e *StepError) Unwrap() error { return e.Err }

// MissingError is wrapped by an error of the family "could not find out" when
// something is missing or not valid at the time of verification.
type MissingError struct {
	What string   // what it is
	Why  string   // "missing", or what is wrong with the one that is there
	URLs []string // where to get it; alternatives when several, may be empty
}

func (e *MissingError) Error() string {
	s := fmt.Sprintf("%s: %s", e.What, e.Why)
	if len(e.URLs) != 0 {
		s += "; get it from " + strings.Join(e.URLs, " or ")
	}
	return s
}

func falseAt(s Step, format string, a ...any) error {
	return fault.False("%w", &StepError{s, fmt.Errorf(format, a...)})
}

func inputAt(s Step, format string, a ...any) error {
	return fault.BadInput("%w", &StepError{s, fmt.Errorf(format, a...)})
}

func missing(s Step, what, why string, urls ...string) error {
	return fault.Unknown("%w", &StepError{s, &MissingError{What: what, Why: why, URLs: urls}})
}

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }
