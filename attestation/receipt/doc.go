// Package receipt implements receipts: an enclave's signed statements about
// single answers, the salted commitments in them, and the two files that carry
// them, X.receipt and X.proof. The format is docs/spec/receipt.md.
//
// A receipt is a fixed head of 124 bytes, which a contract on TON can parse and
// whose Ed25519 signature it can check, and a body in deterministic CBOR, bound
// by its SHA-256 in the head. Every receipt has one encoding: decoding refuses
// unknown, duplicate and missing keys, longer integers than needed, trailing
// bytes and anything above the limits.
//
// Parse functions check shape only. [Receipt.Verify] checks the signature and
// the binding of head and body under a key that the caller took from verified
// claims or from the chain. Whether the receipt is in the node's log is a
// question for package translog.
//
// The package is pure: it reads no file, clock or randomness.
package receipt
