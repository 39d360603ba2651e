package attestation

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
)

// Sizes of the two fixed heads of the claims, in bytes. Each fits one TON cell
// (127 bytes).
const (
	ClaimsHeadSize = 116 // tag "CCA1" and what is claimed about place and time
	ClaimsKeysSize = 100 // tag "CCK1" and the three public keys
	HeadsSize      = ClaimsHeadSize + ClaimsKeysSize
)

const (
	tagClaimsHead = "CCA1"
	tagClaimsKeys = "CCK1"
)

// Heads is the fixed part of the claims, which the contracts on TON parse.
// All keys are Ed25519. Layout, big-endian (docs/spec/claims.md):
//
//	first head:  tag "CCA1"[4] chainID int32[4] node workchain int32[4] hash[32]
//	             epoch uint32[4] blockSeqno uint32[4] blockRoot[32] bodyDigest[32]
//	second head: tag "CCK1"[4] receiptKey[32] logKey[32] identityKey[32]
type Heads struct {
	ChainID     int32    // TON global_id: -239 mainnet, -3 testnet
	Node        Address  // the node's contract
	Epoch       uint32   // boot counter of the node, from 1
	BlockSeqno  uint32   // masterchain block used as public nonce, a multiple of 100
	BlockRoot   [32]byte // its root hash
	BodyDigest  [32]byte // SHA-256 of the claims body
	ReceiptKey  [32]byte // signs receipts
	LogKey      [32]byte // signs checkpoints
	IdentityKey [32]byte // signs registration and transport messages
}

// AppendTo appends both heads, [HeadsSize] bytes.
func (h *Heads) AppendTo(b []byte) []byte {
	b = append(b, tagClaimsHead...)
	b = binary.BigEndian.AppendUint32(b, uint32(h.ChainID))
	b = h.Node.AppendTo(b)
	b = binary.BigEndian.AppendUint32(b, h.Epoch)
	b = binary.BigEndian.AppendUint32(b, h.BlockSeqno)
	b = append(b, h.BlockRoot[:]...)
	b = append(b, h.BodyDigest[:]...)
	b = append(b, tagClaimsKeys...)
	b = append(b, h.ReceiptKey[:]...)
	b = append(b, h.LogKey[:]...)
	return append(b, h.IdentityKey[:]...)
}

// Digest returns the claims digest: SHA-256 over both heads. It is the id of
// the bundle and the first half of the report data.
func (h *Heads) Digest() [32]byte { return sha256.Sum256(h.AppendTo(nil)) }

// ParseHeads reads exactly [HeadsSize] bytes. It checks shape only: tags,
// length, an epoch from 1, a block seqno that is a positive multiple of 100,
// and three different keys that are not all zero.
func ParseHeads(b []byte) (*Heads, error) {
	if len(b) != HeadsSize {
		return nil, BadInput("claims heads: %d bytes, want %d", len(b), HeadsSize)
	}
	if string(b[:4]) != tagClaimsHead || string(b[ClaimsHeadSize:ClaimsHeadSize+4]) != tagClaimsKeys {
		return nil, BadInput("claims heads: unknown tags %q, %q", b[:4], b[ClaimsHeadSize:ClaimsHeadSize+4])
	}
	h := &Heads{ChainID: int32(binary.BigEndian.Uint32(b[4:]))}
	h.Node.Workchain = int32(binary.BigEndian.Uint32(b[8:]))
	copy(h.Node.Hash[:], b[12:44])
	h.Epoch = binary.BigEndian.Uint32(b[44:])
	h.BlockSeqno = binary.BigEndian.Uint32(b[48:])
	copy(h.BlockRoot[:], b[52:84])
	copy(h.BodyDigest[:], b[84:116])
	k := b[ClaimsHeadSize+4:]
	copy(h.ReceiptKey[:], k)
	copy(h.LogKey[:], k[32:])
	copy(h.IdentityKey[:], k[64:])
	if err := h.check(); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *Heads) check() error {
	if h.Epoch == 0 {
		return BadInput("claims heads: epoch 0; epochs count from 1")
	}
	if h.BlockSeqno == 0 || h.BlockSeqno%100 != 0 {
		return BadInput("claims heads: block %d is not a positive multiple of 100", h.BlockSeqno)
	}
	var zero [ed25519.PublicKeySize]byte
	if h.ReceiptKey == zero || h.LogKey == zero || h.IdentityKey == zero {
		return BadInput("claims heads: a key is all zero")
	}
	if h.ReceiptKey == h.LogKey || h.LogKey == h.IdentityKey || h.ReceiptKey == h.IdentityKey {
		return BadInput("claims heads: one key is used for two purposes")
	}
	return nil
}
