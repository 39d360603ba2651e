// Package p256test holds what tests of the P-256 construction share
// (docs/spec/p256.md): a model of chain/contracts/p256.tolk line by line, plain
// arithmetic on curves, and cases that ought to be accepted or refused.
//
// The model runs on numbers of any size. On P-256 it is compared with the
// contract itself; on curves of a few points every possible input is tried.
// Nothing here is constant in time, and nothing but tests may use it.
package p256test
