package chain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

func (b BlockID) encode() []byte {
	out := binary.BigEndian.AppendUint32(nil, b.Seqno)
	return append(append(out, b.RootHash[:]...), b.FileHash[:]...)
}

func decodeBlockID(b []byte) (BlockID, error) {
	if len(b) != 68 {
		return BlockID{}, fmt.Errorf("block identifier of %d bytes, want 68", len(b))
	}
	return BlockID{binary.BigEndian.Uint32(b), [32]byte(b[4:36]), [32]byte(b[36:])}, nil
}

func encodeShardID(e *ton.BlockIDExt) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(e.Workchain))
	out = binary.BigEndian.AppendUint64(out, uint64(e.Shard))
	out = binary.BigEndian.AppendUint32(out, e.SeqNo)
	return append(append(out, e.RootHash...), e.FileHash...)
}

func decodeShardID(b []byte) (*ton.BlockIDExt, error) {
	if len(b) != maxShardIDSize {
		return nil, fmt.Errorf("shard block identifier of %d bytes, want %d", len(b), maxShardIDSize)
	}
	return &ton.BlockIDExt{
		Workchain: int32(binary.BigEndian.Uint32(b)), Shard: int64(binary.BigEndian.Uint64(b[4:])), SeqNo: binary.BigEndian.Uint32(b[12:]),
		RootHash: bytes.Clone(b[16:48]), FileHash: bytes.Clone(b[48:]),
	}, nil
}

// partsCBOR are the members of an account proof that show an account at its block.
type partsCBOR struct{ shard, shardProof, proof, state, config []byte }

func (p *partsCBOR) size() int {
	return len(p.shard) + len(p.shardProof) + len(p.proof) + len(p.state) + len(p.config)
}

// bocs serialises cells, and keeps what went wrong.
type bocs struct{ err error }

func (b *bocs) put(dst *[]byte, roots ...*cell.Cell) {
	out, err := boc(roots...)
	*dst, b.err = out, errors.Join(b.err, err)
}

func (p *accountParts) encode() (*partsCBOR, error) {
	var out partsCBOR
	var b bocs
	if p.shard != nil {
		out.shard = encodeShardID(p.shard)
		b.put(&out.shardProof, p.shardProof...)
	}
	b.put(&out.proof, p.proof...)
	if p.state != nil {
		b.put(&out.state, p.state)
	}
	b.put(&out.config, p.config...)
	return &out, b.err
}

func (l link) encode() (*linkCBOR, error) {
	out := linkCBOR{To: l.to.encode(), ToKey: l.toKey, Backward: l.backward}
	var b bocs
	b.put(&out.Dest, l.dest)
	b.put(&out.Source, l.source)
	if l.backward {
		b.put(&out.State, l.state)
		return &out, b.err
	}
	var err error
	out.Sigs, err = encodeSigs(l.sigs)
	return &out, errors.Join(b.err, err)
}

// encodeProof writes the container; nil when it is longer than it may be.
func encodeProof(addr attestation.Address, start BlockID, p path, parts *partsCBOR) ([]byte, error) {
	if p.far || p.size+parts.size() > MaxAccountProof {
		return nil, nil
	}
	out := proofCBOR{
		Type: accountProofType, Address: addr.AppendTo(nil), Start: start.encode(), Links: p.links,
		Shard: parts.shard, ShardProof: parts.shardProof, Proof: parts.proof, State: parts.state, Config: parts.config,
	}
	if out.Links == nil {
		out.Links = []linkCBOR{}
	}
	b, err := proofEnc.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("account proof: %w", err)
	}
	if len(b) > MaxAccountProof {
		return nil, nil
	}
	return b, nil
}

func encodeSigs(set any) (*sigsCBOR, error) {
	var out sigsCBOR
	var list []ton.Signature
	switch s := set.(type) {
	case ton.SignatureSetOrdinary:
		out.ValidatorHash, out.Session, list = uint32(s.ValidatorSetHash), uint32(s.CatchainSeqno), s.Signatures
	case ton.SignatureSetSimplex:
		slot := uint32(s.Slot)
		out.ValidatorHash, out.Session, list = uint32(s.ValidatorSetHash), uint32(s.CCSeqno), s.Signatures
		out.SessionID, out.Slot, out.Candidate = s.SessionID, &slot, s.Candidate
	default:
		return nil, fmt.Errorf("signature set of type %T", set)
	}
	for _, s := range list {
		if len(s.NodeIDShort) != 32 || len(s.Signature) != 64 {
			return nil, errors.New("signature of a wrong size")
		}
		out.Signatures = append(out.Signatures, append(bytes.Clone(s.NodeIDShort), s.Signature...))
	}
	slices.SortFunc(out.Signatures, bytes.Compare)
	return &out, nil
}

func (s *sigsCBOR) decode() (any, error) {
	var list []ton.Signature
	for i, b := range s.Signatures {
		if len(b) != 96 {
			return nil, errors.New("signature of a wrong size")
		}
		if i > 0 && bytes.Compare(s.Signatures[i-1], b) >= 0 {
			return nil, errors.New("signatures are not in order")
		}
		list = append(list, ton.Signature{NodeIDShort: b[:32:32], Signature: b[32:]})
	}
	if s.Slot == nil {
		if s.SessionID != nil || s.Candidate != nil {
			return nil, errors.New("signature set is of two kinds")
		}
		return ton.SignatureSetOrdinary{ValidatorSetHash: int32(s.ValidatorHash), CatchainSeqno: int32(s.Session), Signatures: list}, nil
	}
	return ton.SignatureSetSimplex{
		ValidatorSetHash: int32(s.ValidatorHash), CCSeqno: int32(s.Session), Signatures: list,
		SessionID: s.SessionID, Slot: int32(*s.Slot), Candidate: s.Candidate,
	}, nil
}
