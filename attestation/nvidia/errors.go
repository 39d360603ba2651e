package nvidia

import (
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Step names one step of a verification, in the order in which they run
// (docs/spec/nvidia.md).
type Step string

// The steps.
const (
	StepReport     Step = "report"     // the report has the right shape
	StepChain      Step = "chain"      // the device's certificates are signed up to the root
	StepRoot       Step = "root"       // the root is NVIDIA's, or named by the caller
	StepValidity   Step = "validity"   // all certificates are valid at the time of verification
	StepRevocation Step = "revocation" // fresh OCSP responses say good
	StepSignature  Step = "signature"  // the device key signed the report
	StepBinding    Step = "binding"    // firmware id and kind of device of report and certificate agree
	StepNonce      Step = "nonce"      // the report answers the nonce that was asked
	StepRIM        Step = "rim"        // the RIM documents are signed, and are for this driver and VBIOS
	StepGolden     Step = "golden"     // RIMs and report can be compared
	StepTopology   Step = "topology"   // GPUs and switches list each other
	StepToken      Step = "token"      // tokens of the remote service
)

// Steps lists the steps of [Verify] in order. [CheckTopology] and [VerifyNRAS]
// have one each of their own.
func Steps() []Step {
	return []Step{StepReport, StepChain, StepRoot, StepValidity, StepRevocation, StepSignature, StepBinding, StepNonce, StepRIM, StepGolden}
}

// StepError is wrapped by every error of a verification and says where it
// ended.
type StepError struct {
	Step Step
	Err  error
}

func (e *StepError) Error() string { return fmt.Sprintf("nvidia %s: %v", e.Step, e.Err) }
func (e *StepError) Unwrap() error { return e.Err }

// MissingError is wrapped by an error of the family "could not find out" when
// an endorsement is missing or not valid at the time of verification.
type MissingError struct {
	What string // which endorsement
	Why  string // "missing", or what is wrong with the one that is there
	URL  string // where to get it; may be empty

	// Request is an OCSP request, to send to URL by POST (RFC 6960, appendix
	// A.1); nil means that the document lies there.
	Request []byte
}

func (e *MissingError) Error() string {
	s := fmt.Sprintf("%s: %s", e.What, e.Why)
	if e.URL != "" {
		s += "; get it from " + e.URL
	}
	return s
}

func inputAt(s Step, format string, a ...any) error {
	return fault.BadInput("%w", &StepError{s, fmt.Errorf(format, a...)})
}

func falseAt(s Step, format string, a ...any) error {
	return fault.False("%w", &StepError{s, fmt.Errorf(format, a...)})
}

func missing(s Step, what, why, url string) error {
	return fault.Unknown("%w", &StepError{s, &MissingError{What: what, Why: why, URL: url}})
}

// lacks collects what is missing, so that all of it is named at once. Checks go on
// meanwhile: what is false is false, whatever is missing beside it.
type lacks []error

// note keeps err when something could not be found out, and returns every other
// error.
func (l *lacks) note(err error) error {
	if fault.FamilyOf(err) != fault.FamilyUnknown {
		return err
	}
	*l = append(*l, err)
	return nil
}

// all is nil when nothing is missing.
func (l lacks) all() error { return fault.JoinUnknown(l...) }
