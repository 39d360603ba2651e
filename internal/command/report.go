package command

import (
	"errors"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// ReportedError wraps an error whose explanation the command already printed, in
// JSON too when that was asked for: only its exit code is left to say.
type ReportedError struct{ Err error }

func (e *ReportedError) Error() string { return e.Err.Error() }
func (e *ReportedError) Unwrap() error { return e.Err }

// errInterrupted replaces whatever a command says about its cancelled context.
var errInterrupted = errors.New("interrupted")

// Failure is what standard output gets, as the value of the key "error", when a
// command that was asked for JSON fails.
type Failure struct {
	Family   string `json:"family"` // of [FamilyName]
	ExitCode int    `json:"exit_code"`
	Message  string `json:"message"` // for people; not stable
}

// FailureOf describes err, which must not be nil.
func FailureOf(err error) Failure {
	return Failure{FamilyName(err), fault.ExitCode(err), err.Error()}
}

// FamilyName returns the stable name of an error's family: "false", "unknown",
// "refused", "chain", "usage" (what the caller gave is wrong) or "internal".
func FamilyName(err error) string {
	switch fault.FamilyOf(err) {
	case fault.FamilyFalse:
		return "false"
	case fault.FamilyUnknown:
		return "unknown"
	case fault.FamilyRefused:
		return "refused"
	case fault.FamilyChain:
		return "chain"
	}
	var input *fault.InputError
	if errors.As(err, &input) {
		return "usage"
	}
	return "internal"
}

// report tells the user how a command ended, and returns its exit code.
func (e *Env) report(err error) int {
	var reported *ReportedError
	if err == nil || errors.As(err, &reported) {
		return fault.ExitCode(err)
	}
	if e.JSON {
		_ = e.PrintJSON(map[string]Failure{"error": FailureOf(err)})
	}
	e.Logf("%v", err)
	return fault.ExitCode(err)
}
