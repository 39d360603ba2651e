package amd

import (
	"fmt"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Step names one step of the verification, in the order in which they run
// (docs/spec/endorsements.md, section 6). A failure at one step means that the earlier ones held
// and that the later ones were not reached.
type Step string

// The steps of [Verify].
const (
	StepReport     Step = "report"     // the report has the right shape and claims to be signed
	StepLeaf       Step = "leaf"       // the endorsement key is there and its certificate is well formed
	StepChain      Step = "chain"      // leaf and intermediate are signed up to an AMD root key
	StepRoot       Step = "root"       // the root is AMD's, or named by the caller
	StepValidity   Step = "validity"   // all certificates are valid at the time of verification
	StepRevocation Step = "revocation" // a fresh list, signed by the root, does not revoke them
	StepBinding    Step = "binding"    // product, chip id and TCB of report and certificate agree
	StepSignature  Step = "signature"  // the endorsement key signed the report
)

// Steps lists the steps in order.
func Steps() []Step {
	return []Step{StepReport, StepLeaf, StepChain, StepRoot, StepValidity, StepRevocation, StepBinding, StepSignature}
}

// StepError is wrapped by every error of a verification and says where it
// ended.
type StepError struct {
	Step Step
	Err  error
}

func (e *StepError) Error() string { return fmt.Sprintf("snp %s: %v", e.Step, e.Err) }
func (e *StepError) Unwrap() error { return e.Err }

// MissingError is wrapped by an error of the family "could not find out" when
// an endorsement is missing or not valid at the time of verification.
type MissingError struct {
	What string   // which endorsement
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
