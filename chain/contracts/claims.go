package contracts

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

const tagClaimsKeys = 0x43434b31 // "CCK1"

// headCells returns the two claims heads as the two cells that Node reads.
func headCells(h *attestation.Heads) (head, keys *cell.Cell) {
	b := h.AppendTo(nil)
	head = build().MustStoreSlice(b[:attestation.ClaimsHeadSize], 8*attestation.ClaimsHeadSize).EndCell()
	keys = build().MustStoreSlice(b[attestation.ClaimsHeadSize:], 8*attestation.ClaimsKeysSize).EndCell()
	return head, keys
}

// Anchor is a log head as the log key signs it for the contract.
type Anchor struct {
	Epoch uint32
	Size  uint64   // leaves
	Root  [32]byte // RFC 9162 tree hash
}

// Digest returns the 32 bytes that the log key signs, for one chain and node.
func (a Anchor) Digest(chainID int32, node attestation.Address) [32]byte {
	b := []byte("cocoon/anchor/v1\n")
	b = binary.BigEndian.AppendUint32(b, uint32(chainID))
	b = node.AppendTo(b)
	b = binary.BigEndian.AppendUint32(b, a.Epoch)
	b = binary.BigEndian.AppendUint64(b, a.Size)
	b = append(b, a.Root[:]...)
	return sha256.Sum256(b)
}

func (a Anchor) store(b *cell.Builder) *cell.Builder {
	return b.MustStoreUInt(uint64(a.Epoch), 32).MustStoreUInt(a.Size, 64).MustStoreSlice(a.Root[:], 256)
}
