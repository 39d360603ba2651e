// Package sim mints simulated vendors: throw-away roots, endorsements and
// evidence that are genuine in form. All verification code runs over them
// unchanged; there is no mock path. They are for development, demonstrations
// and tests, and protect nothing: whoever holds the platform's keys can sign
// any statement about any machine.
//
// No simulated root is built into any program. A verifier accepts one only when
// its policy names the root's fingerprint, and then says SIMULATED.
//
// The package touches no disk and no network. Randomness and time come from
// the caller, so a fixed source of randomness gives a reproducible platform.
package sim
