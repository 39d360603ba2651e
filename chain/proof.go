package chain

import (
	"bytes"
	"slices"

	"github.com/fxamacker/cbor/v2"

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

// size is how many bytes a link has in a proof, but for a few.
func (l *linkCBOR) size() int {
	n := len(l.To) + len(l.Dest) + len(l.Source) + len(l.State)
	if l.Sigs != nil {
		n += 96*len(l.Sigs.Signatures) + len(l.Sigs.Candidate)
	}
	return n
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
	p, err := decodeProof(proof)
	if err != nil {
		return nil, err
	}
	if p.addr != addr {
		return nil, attestation.BadInput("account proof: it is about %s, not %s", p.addr, addr)
	}
	at, err := p.lead(trusted)
	if err != nil {
		return nil, err
	}
	a, err := p.parts.verify(at, addr)
	if err != nil {
		return nil, attestation.False("account proof: %w", err)
	}
	a.Proof = bytes.Clone(proof)
	return a, nil
}

// lead verifies the links, and returns the block that they lead to. A trusted block
// must be on the way: what led to it does not matter then.
func (p *accountProof) lead(trusted []BlockID) (BlockID, error) {
	w := way{at: p.start}
	anchored := slices.Contains(trusted, w.at)
	for i, l := range p.links {
		if _, err := w.step(l); err != nil {
			return w.at, attestation.False("account proof: link %d: %w", i, err)
		}
		if slices.Contains(trusted, w.at) {
			w, anchored = way{at: w.at}, true
		}
	}
	if !anchored {
		return w.at, attestation.Unknown("account proof: none of the trusted blocks is on its way; it leads from block %s to %s", p.start, w.at)
	}
	return w.at, nil
}

// ProofAddress returns the account that a proof is about, without verifying anything.
func ProofAddress(proof []byte) (attestation.Address, error) {
	p, err := decodeProof(proof)
	if err != nil {
		return attestation.Address{}, err
	}
	return p.addr, nil
}

// ProofBlocks returns the masterchain blocks on the way of an account proof,
// from the oldest to the one whose state it shows, without verifying anything.
// It is for choosing a trusted block: a [Client] can prove one of them.
func ProofBlocks(proof []byte) ([]BlockID, error) {
	p, err := decodeProof(proof)
	if err != nil {
		return nil, err
	}
	out := []BlockID{p.start}
	for _, l := range p.links {
		out = append(out, l.to)
	}
	return out, nil
}
