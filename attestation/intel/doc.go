// Package intel parses and verifies Intel SGX and TDX quotes with the standard
// library alone: SGX quotes of version 3 and 4, TDX quotes of version 4 and 5,
// and the remote reports of Open Enclave and EGo, which wrap an SGX quote.
//
// The work has two steps. [ParseQuote] and [Endorsements] look at shape and
// trust nothing. [Verifier.Verify] proves authenticity at a given time and
// returns [Facts]: who signed, what was measured, and how Intel rates the
// platform. It judges nothing: a debug TD or a platform that is out of date is
// authentic, and it is the policy of package attestation that refuses it.
//
// The rating follows Intel's quote verification library (release of July 2026,
// EvaluateTcb.cpp, TcbLevelCheck.cpp, TDRelaunchCheck.cpp); docs/spec/endorsements.md
// lists the steps. Every document is checked on both sides of its validity
// window, with no allowance for clock skew.
//
// Errors belong to the families of package fault. A signature, chain, binding
// or revocation that speaks against the quote is [fault.FalseError]; a
// document that is missing, expired or not valid yet is [fault.UnknownError]
// and names the document and where Intel publishes it; bytes of the wrong shape
// are [fault.InputError].
package intel
