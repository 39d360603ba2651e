// Package amd verifies AMD SEV-SNP attestation reports with the standard
// library alone: it parses reports (versions 2 to 5), the endorsement keys that
// sign them (VCEK and VLEK) and AMD's revocation lists, and returns facts.
//
// Implemented documents: "SEV Secure Nested Paging Firmware ABI Specification"
// (56860), section 7.3 and table 23; "Versioned Chip Endorsement Key (VCEK)
// Certificate and KDS Interface Specification" (57230), chapters 2 to 4.
// Product lines: Milan, Genoa (with Bergamo and Siena, which use Genoa's keys)
// and Turin. docs/spec/endorsements.md, section 6 lists every check in order.
//
//	report -> VCEK or VLEK (ECDSA P-384) -> ASK or ASVK -> ARK (RSA-4096 PSS)
//
// Use [Verify] for one report, [Verifier] for many: it keeps verified chains by
// digest, so that a report of a known chip costs one P-384 verification.
// [ParseReport] checks shape only; nothing it returns may be trusted.
//
// Everything is a pure function of its arguments. Endorsements and the time come
// from the caller. AMD's three roots are built in; any other root is accepted
// only when the caller names its SHA-256 in [Options.SimulatedRoots], and the
// facts then say so. Revocation is checked unless the caller opts out by name.
//
// What is not decided here: whether a measurement, a policy bit, a TCB or a VMPL
// is acceptable. That is for the caller's policy.
//
// Errors belong to the families of package fault and wrap a [*StepError] that
// says at which step the verification ended.
package amd
