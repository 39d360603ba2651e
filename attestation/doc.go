// Package attestation turns evidence into a verdict: it proves that a claim
// was signed by genuine confidential hardware, and judges it under an explicit
// policy. It is pure: no network, disk, clock, logger or global state. Time,
// endorsements, policy and what was read from the chain come in as arguments.
//
// The way through it:
//
//	policy, err := attestation.ParsePolicy(toml)       // explicit, never empty
//	verifier, err := attestation.NewVerifier(policy)   // share it: it caches
//	bundle, err := attestation.ParseBundle(bytes)      // shape only
//	verified, err := verifier.Verify(attestation.Input{...})
//
// A [*Verified] is the only thing that package client seals a request to, and
// only [Verifier.Verify] makes one. It can't be forged or edited: its fields
// are unexported and its methods return copies.
//
// Expected values come from the policy, the caller or the chain
// ([Registered]), never from the bundle under test.
//
// Errors belong to four families, and to the chain's ([fault]); [ExitCode] maps
// them. An error of Verify carries the [*Verdict] with every check, see
// [VerdictOf].
//
// Formats: docs/spec/claims.md, docs/spec/bundle.md, docs/spec/policy.md,
// docs/spec/verdict.md, docs/spec/endorsements.md, docs/spec/exit-codes.md.
package attestation
