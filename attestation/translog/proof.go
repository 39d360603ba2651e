package translog

import (
	"crypto/sha256"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation"
)

// EmptyRoot is the root of the tree without leaves: SHA-256 of nothing.
var EmptyRoot = sha256.Sum256(nil)

// VerifyInclusion checks that leafHash is leaf number index of the tree of size
// leaves with the given root (RFC 9162 section 2.1.3.2). Numbers that cannot be
// are bad input; a proof that does not hold is false evidence.
func VerifyInclusion(leafHash [32]byte, index, size uint64, root [32]byte, proof [][32]byte) error {
	if err := checkSize(size, proof); err != nil {
		return err
	}
	if index >= size {
		return attestation.BadInput("inclusion proof: leaf %d of a tree of %d", index, size)
	}
	if tlog.CheckRecord(toHashes(proof), int64(size), tlog.Hash(root), int64(index), tlog.Hash(leafHash)) != nil {
		return attestation.False("leaf %d is not in the tree of %d leaves with root %x", index, size, root)
	}
	return nil
}

// VerifyConsistency checks that the tree of newSize leaves starts with the tree
// of oldSize leaves (RFC 9162 section 2.1.4.2). Two roots for one size are two
// trees. Numbers that cannot be are bad input; trees that are not consistent are
// false evidence, and both signed checkpoints together prove misbehaviour.
func VerifyConsistency(oldSize uint64, oldRoot [32]byte, newSize uint64, newRoot [32]byte, proof [][32]byte) error {
	if err := checkSize(newSize, proof); err != nil {
		return err
	}
	if oldSize > newSize {
		return attestation.BadInput("consistency proof: from %d leaves to %d", oldSize, newSize)
	}
	fork := attestation.False("the tree of %d leaves with root %x does not continue the tree of %d leaves with root %x", newSize, newRoot, oldSize, oldRoot)
	switch oldSize {
	case newSize:
		if len(proof) != 0 || oldRoot != newRoot {
			return fork
		}
		return nil
	case 0:
		if len(proof) != 0 || oldRoot != EmptyRoot {
			return fork
		}
		return nil
	}
	if tlog.CheckTree(tlog.TreeProof(toHashes(proof)), int64(newSize), tlog.Hash(newRoot), int64(oldSize), tlog.Hash(oldRoot)) != nil {
		return fork
	}
	return nil
}

func checkSize(size uint64, proof [][32]byte) error {
	if size > MaxSize {
		return attestation.BadInput("log proof: tree of %d leaves, limit %d", size, uint64(MaxSize))
	}
	if len(proof) > MaxProof {
		return attestation.BadInput("log proof: %d hashes, limit %d", len(proof), MaxProof)
	}
	return nil
}

func toHashes(p [][32]byte) []tlog.Hash {
	out := make([]tlog.Hash, len(p))
	for i := range p {
		out[i] = p[i]
	}
	return out
}

func fromHashes(p []tlog.Hash) [][32]byte {
	out := make([][32]byte, len(p))
	for i := range p {
		out[i] = p[i]
	}
	return out
}
