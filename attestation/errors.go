package attestation

import "github.com/cocoon-go/cocoon/attestation/fault"

// The families of failure; see package fault.
type (
	// InputError says that what the caller gave has the wrong shape.
	InputError = fault.InputError
	// FalseError says that the evidence is false.
	FalseError = fault.FalseError
	// UnknownError says that the question could not be answered. It is never
	// reported as false and never treated as good.
	UnknownError = fault.UnknownError
	// RefusedError says that the evidence is true, and refused by policy.
	RefusedError = fault.RefusedError
	// ChainError says that the chain contradicts what was presented.
	ChainError = fault.ChainError
)

// BadInput returns an [*InputError] with a formatted message; %w wraps.
func BadInput(format string, a ...any) error { return fault.BadInput(format, a...) }

// False returns a [*FalseError] with a formatted message; %w wraps.
func False(format string, a ...any) error { return fault.False(format, a...) }

// Unknown returns an [*UnknownError] with a formatted message; %w wraps.
func Unknown(format string, a ...any) error { return fault.Unknown(format, a...) }

// Refused returns a [*RefusedError] with a formatted message; %w wraps.
func Refused(format string, a ...any) error { return fault.Refused(format, a...) }

// ChainDisagrees returns a [*ChainError] with a formatted message; %w wraps.
func ChainDisagrees(format string, a ...any) error { return fault.ChainDisagrees(format, a...) }

// ExitCode returns the process exit code for err (docs/spec/exit-codes.md).
func ExitCode(err error) int { return fault.ExitCode(err) }
