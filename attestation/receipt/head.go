package receipt

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
)

// HeadSize is the length of an encoded [Head] in bytes. It fits one TON cell
// (127 bytes).
const HeadSize = 124

const tagHead = "CCR1"

// Head is the fixed part of a receipt and the leaf of the node's log. Layout,
// big-endian (docs/spec/receipt.md, section 2):
//
//	tag "CCR1"[4] node workchain int32[4] hash[32] epoch uint32[4] index uint64[8]
//	time uint32[4] blockSeqno uint32[4] holder[32] bodyDigest[32]
type Head struct {
	Node       attestation.Address // the node's contract
	Epoch      uint32              // boot of the enclave, from 1; says which receipt key signed
	Index      uint64              // place in the node's log, below translog.MaxSize
	Time       uint32              // unix seconds, when the answer was complete
	BlockSeqno uint32              // latest masterchain block the enclave had proved
	Holder     [32]byte            // see Holder; zero when the client sent no key
	BodyDigest [32]byte            // SHA-256 of the encoded body
}

// AppendTo appends the [HeadSize] bytes of the head.
func (h *Head) AppendTo(b []byte) []byte {
	b = append(b, tagHead...)
	b = h.Node.AppendTo(b)
	b = binary.BigEndian.AppendUint32(b, h.Epoch)
	b = binary.BigEndian.AppendUint64(b, h.Index)
	b = binary.BigEndian.AppendUint32(b, h.Time)
	b = binary.BigEndian.AppendUint32(b, h.BlockSeqno)
	b = append(b, h.Holder[:]...)
	return append(b, h.BodyDigest[:]...)
}

// LeafHash returns the hash of the head as a leaf of the log:
// SHA-256(0x00 || head), RFC 9162 section 2.1.1.
func (h *Head) LeafHash() [32]byte {
	b := make([]byte, 1, 1+HeadSize)
	return sha256.Sum256(h.AppendTo(b))
}

// ParseHead reads exactly [HeadSize] bytes. It checks shape only: tag, length,
// an epoch from 1, and an index that a log can hold.
func ParseHead(b []byte) (Head, error) {
	if len(b) != HeadSize {
		return Head{}, attestation.BadInput("receipt head: %d bytes, want %d", len(b), HeadSize)
	}
	if string(b[:4]) != tagHead {
		return Head{}, attestation.BadInput("receipt head: unknown tag %q", b[:4])
	}
	var h Head
	h.Node.Workchain = int32(binary.BigEndian.Uint32(b[4:]))
	copy(h.Node.Hash[:], b[8:40])
	h.Epoch = binary.BigEndian.Uint32(b[40:])
	h.Index = binary.BigEndian.Uint64(b[44:])
	h.Time = binary.BigEndian.Uint32(b[52:])
	h.BlockSeqno = binary.BigEndian.Uint32(b[56:])
	copy(h.Holder[:], b[60:92])
	copy(h.BodyDigest[:], b[92:124])
	if err := h.check(); err != nil {
		return Head{}, err
	}
	return h, nil
}

func (h *Head) check() error {
	if h.Epoch == 0 {
		return attestation.BadInput("receipt head: epoch 0; epochs count from 1")
	}
	if h.Index >= translog.MaxSize {
		return attestation.BadInput("receipt head: index %d is above what a log can hold", h.Index)
	}
	return nil
}

// Holder returns what a head says about the client: the hash of a one-time
// Ed25519 public key that travelled inside the sealed request. Whoever can sign
// with that key holds the receipt.
func Holder(pub [32]byte) [32]byte {
	h := sha256.New()
	h.Write([]byte("cocoon/holder/v1\n"))
	h.Write(pub[:])
	return [32]byte(h.Sum(nil))
}
