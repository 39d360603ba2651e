// Package fault defines the four families of failure that this module tells apart
// (and the chain's), and how commands turn them into exit codes. Package
// attestation re-exports everything here; only the packages below attestation
// import fault itself.
package fault

import (
	"errors"
	"fmt"
)

// The four families of failure. Every error that crosses a package boundary of
// this module and that a caller may branch on is (or wraps) one of them; tell
// them apart with errors.As or with [FamilyOf]. Commands map them to exit codes.

// InputError says that what the caller gave has the wrong shape: a malformed
// file, an unknown version, a contradiction in a policy.
type InputError struct{ Err error }

// FalseError says that the evidence is false: a signature, digest, chain or
// binding does not hold.
type FalseError struct{ Err error }

// UnknownError says that the question could not be answered: something needed
// is missing, expired or unreachable. It is never reported as false and never
// treated as good.
type UnknownError struct{ Err error }

// RefusedError says that the evidence is true, and that the caller's policy
// does not accept it.
type RefusedError struct{ Err error }

// ChainError says that what the chain holds contradicts what was presented.
// It belongs to the family of false evidence and has an exit code of its own.
type ChainError struct{ Err error }

func (e *InputError) Error() string   { return e.Err.Error() }
func (e *FalseError) Error() string   { return e.Err.Error() }
func (e *UnknownError) Error() string { return e.Err.Error() }
func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *ChainError) Error() string   { return e.Err.Error() }

func (e *InputError) Unwrap() error   { return e.Err }
func (e *FalseError) Unwrap() error   { return e.Err }
func (e *UnknownError) Unwrap() error { return e.Err }
func (e *RefusedError) Unwrap() error { return e.Err }
func (e *ChainError) Unwrap() error   { return e.Err }

// BadInput returns an [*InputError] with a formatted message; %w wraps.
func BadInput(format string, a ...any) error { return &InputError{fmt.Errorf(format, a...)} }

// False returns a [*FalseError] with a formatted message; %w wraps.
func False(format string, a ...any) error { return &FalseError{fmt.Errorf(format, a...)} }

// Unknown returns an [*UnknownError] with a formatted message; %w wraps.
func Unknown(format string, a ...any) error { return &UnknownError{fmt.Errorf(format, a...)} }

// Refused returns a [*RefusedError] with a formatted message; %w wraps.
func Refused(format string, a ...any) error { return &RefusedError{fmt.Errorf(format, a...)} }

// ChainDisagrees returns a [*ChainError] with a formatted message; %w wraps.
func ChainDisagrees(format string, a ...any) error { return &ChainError{fmt.Errorf(format, a...)} }

// Family is the family of an error, in the order in which it wins when an
// error wraps several: the most damning first.
type Family int

// The families, and the exit code of a command that ends with one.
const (
	FamilyNone    Family = 0 // no error
	FamilyInput   Family = 1 // bad input, usage, or internal
	FamilyFalse   Family = 2 // evidence is false
	FamilyUnknown Family = 3 // could not find out
	FamilyRefused Family = 4 // refused by policy
	FamilyChain   Family = 5 // chain disagrees
)

// FamilyOf returns the family of err. When err joins several (errors.Join),
// false evidence wins over chain, policy, unknown and input, in this order, so
// that a proof of misbehaviour is never hidden behind a time-out. An error of
// no family is [FamilyInput], which is also the family of internal errors.
func FamilyOf(err error) Family {
	if err == nil {
		return FamilyNone
	}
	var (
		f *FalseError
		c *ChainError
		r *RefusedError
		u *UnknownError
	)
	switch {
	case errors.As(err, &f):
		return FamilyFalse
	case errors.As(err, &c):
		return FamilyChain
	case errors.As(err, &r):
		return FamilyRefused
	case errors.As(err, &u):
		return FamilyUnknown
	}
	return FamilyInput
}

// ExitCode returns the process exit code for err (docs/spec/exit-codes.md).
func ExitCode(err error) int { return int(FamilyOf(err)) }
