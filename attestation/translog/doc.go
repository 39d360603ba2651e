// Package translog implements what a reader of a node's log needs: checkpoints
// with their two signatures, inclusion and consistency proofs, and tiles that
// are verified against a checkpoint. The format is docs/spec/log.md.
//
// A log is one append-only Merkle tree (RFC 9162) per node, for the node's whole
// life. A leaf is the head of a receipt; public tiles hold leaf hashes only. The
// log key of an epoch signs a checkpoint twice: as a C2SP note (tlog-checkpoint)
// for transparency tools, and as the 32-byte anchor digest, which also binds the
// chain and the epoch, for the contract on TON.
//
// The server of a log is never trusted: every hash that [TileReader] returns
// was checked against the root of the checkpoint it was made with.
//
// The package is pure; [TileReader] reads through a function of the caller.
package translog
