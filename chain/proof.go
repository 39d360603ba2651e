package chain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/fxamacker/cbor/v2"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// The account proof of docs/spec/light-client.md: everything that shows the
// state of an account after a masterchain block, from an older masterchain block
// on, in one deterministic CBOR item.

const accountProofType = "cocoon/account-proof/v1"

// Limits of an account proof.
const (
	MaxAccountProof = 16 << 20 // bytes
	maxLinks        = 512
	maxSignatures   = 1024 // of one link
	maxShardIDSize  = 4 + 8 + 4 + 64
)

type proofCBOR struct {
	Type       string     `cbor:"0,keyasint"`
	Address    []byte     `cbor:"1,keyasint"`           // 36 bytes
	Start      []byte     `cbor:"2,keyasint"`           // 68 bytes: the block that the first link starts at
	Links      []linkCBOR `cbor:"3,keyasint"`           //
	Shard      []byte     `cbor:"4,keyasint,omitempty"` // 80 bytes: the block that holds the account
	ShardProof []byte     `cbor:"5,keyasint,omitempty"` // two roots
	Proof      []byte     `cbor:"6,keyasint"`           // two roots
	State      []byte     `cbor:"7,keyasint,omitempty"` // absent: no such account
	Config     []byte     `cbor:"8,keyasint"`           // two roots
}

type linkCBOR struct {
	To       []byte    `cbor:"1,keyasint"` // 68 bytes
	ToKey    bool      `cbor:"2,keyasint"`
	Dest     []byte    `cbor:"3,keyasint"`
	Source   []byte    `cbor:"4,keyasint"`
	State    []byte    `cbor:"5,keyasint,omitempty"` // backward links
	Sigs     *sigsCBOR `cbor:"6,keyasint,omitempty"` // forward links
	Backward bool      `cbor:"7,keyasint"`
}

type sigsCBOR struct {
	ValidatorHash uint32   `cbor:"1,keyasint"`
	Session       uint32   `cbor:"2,keyasint"` // catchain sequence number
	Signatures    [][]byte `cbor:"3,keyasint"` // 96 bytes: node id, signature; ascending
	// the other consensus protocol signs a candidate in place of the block
	SessionID []byte  `cbor:"4,keyasint,omitempty"`
	Slot      *uint32 `cbor:"5,keyasint,omitempty"`
	Candidate []byte  `cbor:"6,keyasint,omitempty"`
}

var (
	proofEnc = must(cbor.CoreDetEncOptions().EncMode())
	proofDec = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, MaxArrayElements: maxSignatures, MaxNestedLevels: 8,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // constant options
	}
	return v
}

// boc is the one serialisation of roots in a proof.
func boc(roots ...*cell.Cell) ([]byte, error) {
	return cell.ToBOCWithOptionsErr(roots, cell.BOCSerializeOptions{})
}

// parseCell reads the one root that came from outside.
func parseCell(b []byte) (*cell.Cell, error) {
	roots, err := parseRoots(b)
	if err != nil {
		return nil, err
	}
	if len(roots) != 1 {
		return nil, fmt.Errorf("%d roots, want one", len(roots))
	}
	return roots[0], nil
}

// unboc reads n roots and refuses any serialisation but the one of boc.
func unboc(b []byte, n int) ([]*cell.Cell, error) {
	roots, err := parseRoots(b)
	if err != nil {
		return nil, err
	}
	if len(roots) != n {
		return nil, fmt.Errorf("%d roots, want %d", len(roots), n)
	}
	again, err := boc(roots...)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, errors.New("cells are not in the canonical serialisation")
	}
	return roots, nil
}

// maxProofCells bounds the cells of one proof.
const maxProofCells = 1 << 20

// checkLevels refuses cells whose level is not what they contain. tonutils-go
// takes the level of an ordinary cell from its serialisation and computes the
// hash with it: with a wrong one a cell over pruned cells has the hash of the
// whole tree, and passes for it.
func checkLevels(roots ...*cell.Cell) error { return checkCells(maxProofCells, roots...) }

// checkCells is checkLevels of at most limit cells.
func checkCells(limit int, roots ...*cell.Cell) error {
	seen := map[*cell.Cell]bool{}
	var walk func(c *cell.Cell) error
	walk = func(c *cell.Cell) error {
		if c == nil {
			return errors.New("no cell")
		}
		if seen[c] {
			return nil
		}
		if len(seen) >= limit {
			return fmt.Errorf("more than %d cells", limit)
		}
		seen[c] = true
		var below byte
		for i := range int(c.RefsNum()) {
			r, err := c.PeekRef(i)
			if err != nil {
				return err
			}
			if err := walk(r); err != nil {
				return err
			}
			below |= r.LevelMask().Mask
		}
		want := below
		switch c.GetType() {
		case cell.OrdinaryCellType:
		case cell.MerkleProofCellType, cell.MerkleUpdateCellType:
			want = below >> 1
		case cell.PrunedCellType:
			s, err := c.BeginParseWithoutTrace()
			if err != nil {
				return err
			}
			d, err := s.LoadSlice(16) // type, level mask
			if err != nil {
				return err
			}
			want = d[1]
		default: // library
			want = 0
		}
		if got := c.LevelMask().Mask; got != want {
			return fmt.Errorf("a cell of level mask %d, its content makes it %d", got, want)
		}
		return nil
	}
	for _, c := range roots {
		if err := walk(c); err != nil {
			return err
		}
	}
	return nil
}

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

// encodeProof writes the container.
func encodeProof(addr attestation.Address, start BlockID, links []link, p *accountParts) ([]byte, error) {
	out := proofCBOR{Type: accountProofType, Address: addr.AppendTo(nil), Start: start.encode(), Links: []linkCBOR{}}
	var errs []error
	put := func(dst *[]byte, roots ...*cell.Cell) {
		var err error
		*dst, err = boc(roots...)
		errs = append(errs, err)
	}
	for _, l := range links {
		w := linkCBOR{To: l.to.encode(), ToKey: l.toKey, Backward: l.backward}
		put(&w.Dest, l.dest)
		put(&w.Source, l.source)
		if l.backward {
			put(&w.State, l.state)
		} else {
			s, err := encodeSigs(l.sigs)
			errs = append(errs, err)
			w.Sigs = s
		}
		out.Links = append(out.Links, w)
	}
	if p.shard != nil {
		out.Shard = encodeShardID(p.shard)
		put(&out.ShardProof, p.shardProof...)
	}
	put(&out.Proof, p.proof...)
	if p.state != nil {
		put(&out.State, p.state)
	}
	put(&out.Config, p.config...)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("account proof: %w", err)
	}
	b, err := proofEnc.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("account proof: %w", err)
	}
	if len(b) > MaxAccountProof {
		return nil, attestation.Unknown("account proof of %d bytes, at most %d: renew the trusted block", len(b), MaxAccountProof)
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

// decodeProof reads the container. Errors say what is malformed; nothing is
// verified yet.
func decodeProof(proof []byte) (addr attestation.Address, start BlockID, links []link, p *accountParts, err error) {
	fail := func(format string, a ...any) (attestation.Address, BlockID, []link, *accountParts, error) {
		return attestation.Address{}, BlockID{}, nil, nil, attestation.BadInput("account proof: "+format, a...)
	}
	if len(proof) > MaxAccountProof {
		return fail("%d bytes, at most %d", len(proof), MaxAccountProof)
	}
	var w proofCBOR
	if err := proofDec.Unmarshal(proof, &w); err != nil {
		return fail("%v", err)
	}
	if again, err := proofEnc.Marshal(w); err != nil || !bytes.Equal(again, proof) {
		return fail("not in deterministic encoding")
	}
	if w.Type != accountProofType {
		return fail("type %q, want %q", w.Type, accountProofType)
	}
	if len(w.Links) > maxLinks {
		return fail("%d links, at most %d", len(w.Links), maxLinks)
	}
	if addr, err = attestation.DecodeAddress(w.Address); err != nil {
		return fail("%v", err)
	}
	if start, err = decodeBlockID(w.Start); err != nil {
		return fail("%v", err)
	}
	var errs []error
	one := func(what string, b []byte) *cell.Cell {
		roots, err := unboc(b, 1)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
			return nil
		}
		return roots[0]
	}
	two := func(what string, b []byte) []*cell.Cell {
		roots, err := unboc(b, 2)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
		return roots
	}
	for i, x := range w.Links {
		l := link{toKey: x.ToKey, backward: x.Backward}
		if l.to, err = decodeBlockID(x.To); err != nil {
			return fail("link %d: %v", i, err)
		}
		if x.Backward != (x.State != nil) || x.Backward != (x.Sigs == nil) {
			return fail("link %d has the parts of both directions, or of none", i)
		}
		l.dest, l.source = one("header", x.Dest), one("source header", x.Source)
		if x.Backward {
			l.state = one("old blocks", x.State)
		} else if l.sigs, err = x.Sigs.decode(); err != nil {
			return fail("link %d: %v", i, err)
		}
		links = append(links, l)
	}
	p = &accountParts{}
	if w.Shard != nil {
		if p.shard, err = decodeShardID(w.Shard); err != nil {
			return fail("%v", err)
		}
		p.shardProof = two("shard proof", w.ShardProof)
	} else if w.ShardProof != nil {
		return fail("shard proof without a shard block")
	}
	p.proof, p.config = two("state proof", w.Proof), two("configuration proof", w.Config)
	if w.State != nil {
		p.state = one("state", w.State)
	}
	if err := errors.Join(errs...); err != nil {
		return fail("%v", err)
	}
	return addr, start, links, p, nil
}

// VerifyAccountProof checks an [Account.Proof] and returns the account as it
// was after the block that the proof leads to. It opens no socket and reads no
// clock: with the same arguments it says the same in ten years.
//
// trusted are masterchain blocks that the caller trusts, for example the one of
// a TON global config from that time, or one that a [Client] proved today. One
// of them must be on the proof's way; when none is, the answer is not known
// ([attestation.UnknownError]). A malformed proof is bad input, one for another
// account too; a proof that does not hold is false ([attestation.FalseError]).
func VerifyAccountProof(proof []byte, addr attestation.Address, trusted ...BlockID) (*Account, error) {
	if len(trusted) == 0 {
		return nil, attestation.BadInput("account proof: no trusted block given")
	}
	of, start, links, parts, err := decodeProof(proof)
	if err != nil {
		return nil, err
	}
	if of != addr {
		return nil, attestation.BadInput("account proof: it is about %s, not %s", of, addr)
	}
	w := way{at: start}
	anchored := slices.Contains(trusted, start)
	for i, l := range links {
		if _, err := w.step(l); err != nil {
			return nil, attestation.False("account proof: link %d: %w", i, err)
		}
		if slices.Contains(trusted, w.at) {
			w, anchored = way{at: w.at}, true // what led to it says nothing of it
		}
	}
	if !anchored {
		return nil, attestation.Unknown("account proof: none of the trusted blocks is on its way; it leads from block %s to %s", start, w.at)
	}
	a, err := parts.verify(w.at, addr)
	if err != nil {
		return nil, attestation.False("account proof: %w", err)
	}
	a.Proof = bytes.Clone(proof)
	return a, nil
}

// ProofAddress returns the account that a proof is about, without verifying anything.
func ProofAddress(proof []byte) (attestation.Address, error) {
	addr, _, _, _, err := decodeProof(proof)
	return addr, err
}

// ProofBlocks returns the masterchain blocks on the way of an account proof,
// from the oldest to the one whose state it shows, without verifying anything.
// It is for choosing a trusted block: a [Client] can prove one of them.
func ProofBlocks(proof []byte) ([]BlockID, error) {
	_, start, links, _, err := decodeProof(proof)
	if err != nil {
		return nil, err
	}
	out := []BlockID{start}
	for _, l := range links {
		out = append(out, l.to)
	}
	return out, nil
}
