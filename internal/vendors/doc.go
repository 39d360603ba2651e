// Package vendors gets endorsements for a piece of evidence from the services of
// the hardware vendors, or from a mirror of them (docs/spec/endorsements.md).
//
// It asks the verifier what is missing, gets that, and asks again, so that only
// what is needed is fetched, and what is at hand and still valid is not. Where
// documents lie is known from the evidence, which may be false: addresses of
// other hosts than the vendors' are refused. Neither service, mirror nor network
// is trusted: nothing is kept unless the evidence verifies with it.
//
// Everything is bounded: the size of an answer, the number and the time of
// requests.
package vendors
