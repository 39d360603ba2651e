package contracts

import (
	"crypto/sha256"
	"encoding/binary"
)

// Kinds of faults that a report proves, as the contract numbers them.
const (
	faultHeads    = 1
	faultReceipts = 2
)

// faultID returns the name under which a node's book remembers that a fault was
// paid for: SHA-256(kind uint8 || epoch uint32 || number uint64).
func faultID(kind uint8, epoch uint32, number uint64) [32]byte {
	b := binary.BigEndian.AppendUint32([]byte{kind}, epoch)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, number))
}

// ID returns the fault's name in [Book.Settled].
func (m *ReportHeads) ID() [32]byte { return faultID(faultHeads, m.A.Epoch, m.A.Size) }

// ID returns the fault's name in [Book.Settled].
func (m *ReportReceipts) ID() [32]byte {
	return faultID(faultReceipts, binary.BigEndian.Uint32(m.A[40:]), binary.BigEndian.Uint64(m.A[44:]))
}

// ID returns the id that the challenge gets: the hash of the cell of what is
// claimed, with the smaller head first. Without an Other it depends on the anchor
// that the node has when the message arrives.
func (m *ChallengeLog) ID(anchor Anchor) [32]byte {
	older, newer := m.Head.Anchor, anchor
	if m.Other != nil {
		newer = m.Other.Anchor
	}
	if older.Size > newer.Size {
		older, newer = newer, older
	}
	claim := build().MustStoreUInt(claimLog, 8).MustStoreBoolBit(false).MustStoreUInt(older.Size, 64).MustStoreSlice(older.Root[:], 256).
		MustStoreUInt(newer.Size, 64).MustStoreSlice(newer.Root[:], 256).EndCell()
	return [32]byte(claim.Hash())
}
