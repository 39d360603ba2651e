package contracts

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
)

// Message values in nano of challenges.
const (
	ValueChallenge uint64 = 40_000_000  // a challenge, beside [Params.ChallengeBond]
	ValueAnswer    uint64 = 120_000_000 // a proof, in the largest book; the rest comes back
)

// Operations of challenges.
const (
	opChallengeReceipt = 0xc0c0011b
	opChallengeLog     = 0xc0c0011c
	opAnswer           = 0xc0c0011d
	opSettle           = 0xc0c0011e
)

const challengeDomain = "cocoon/challenge/v1\n"

// ChallengeDigest returns the 32 bytes that the holder of a receipt signs:
//
//	SHA-256("cocoon/challenge/v1\n" || chain id int32 || leaf hash[32] ||
//	        payout workchain int32 || payout account id[32])
func ChallengeDigest(chainID int32, leaf [32]byte, payout attestation.Address) [32]byte {
	b := []byte(challengeDomain)
	b = binary.BigEndian.AppendUint32(b, uint32(chainID))
	b = append(b, leaf[:]...)
	return sha256.Sum256(payout.AppendTo(b))
}

// ChallengeReceipt says that a receipt is not in its node's log although the
// merge delay is over. Anybody may send it, with [Params.ChallengeBond] and
// [ValueChallenge]; the holder signs where the money goes. The id of the
// challenge is the receipt's leaf hash.
type ChallengeReceipt struct {
	QueryID     uint64
	ChainID     int32 // for the check in Body
	Payout      attestation.Address
	Head        receipt.Head
	SignReceipt [64]byte // by the receipt key over the head
	HolderKey   [32]byte
	SignHolder  [64]byte // by the holder key over [ChallengeDigest]
}

// ID returns the id of the challenge.
func (m *ChallengeReceipt) ID() [32]byte { return m.Head.LeafHash() }

// Sign signs as the holder.
func (m *ChallengeReceipt) Sign(holder ed25519.PrivateKey) {
	m.HolderKey = [32]byte(holder.Public().(ed25519.PublicKey))
	d := ChallengeDigest(m.ChainID, m.Head.LeafHash(), m.Payout)
	m.SignHolder = [64]byte(ed25519.Sign(holder, d[:]))
}

// Body returns the message body, after checking the holder's part.
func (m *ChallengeReceipt) Body() (*cell.Cell, error) {
	if m.Payout.IsZero() {
		return nil, attestation.BadInput("challenge: no address to pay to")
	}
	if receipt.Holder(m.HolderKey) != m.Head.Holder {
		return nil, attestation.BadInput("challenge: the key is not the one that the receipt's holder sent with the request")
	}
	d := ChallengeDigest(m.ChainID, m.Head.LeafHash(), m.Payout)
	if !ed25519.Verify(m.HolderKey[:], d[:], m.SignHolder[:]) {
		return nil, attestation.False("challenge: the holder's signature does not hold")
	}
	head := build().MustStoreSlice(m.Head.AppendTo(nil), 8*receipt.HeadSize).EndCell()
	return storeAddr(plain(opChallengeReceipt, m.QueryID), m.Payout).MustStoreSlice(m.HolderKey[:], 256).
		MustStoreRef(head).MustStoreRef(twoSignatures(m.SignReceipt, m.SignHolder)).EndCell(), nil
}

// SignedHead is a log head with the signature of its epoch's log key over
// [Anchor.Digest].
type SignedHead struct {
	Anchor
	Signature [64]byte
}

func (h *SignedHead) cell() *cell.Cell {
	return h.store(build()).MustStoreSlice(h.Signature[:], 512).EndCell()
}

// ChallengeLog says that two heads are not of one log that only grew. Anybody
// may send it, with [Params.ChallengeBond] and [ValueChallenge].
type ChallengeLog struct {
	QueryID uint64
	Head    SignedHead
	Other   *SignedHead // nil: the node's newest anchor
}

// Body returns the message body.
func (m *ChallengeLog) Body() (*cell.Cell, error) {
	b := plain(opChallengeLog, m.QueryID).MustStoreRef(m.Head.cell())
	if m.Other == nil {
		return b.MustStoreBoolBit(false).EndCell(), nil
	}
	if m.Head.Size == m.Other.Size && m.Head.Root == m.Other.Root || m.Head.Size == 0 || m.Other.Size == 0 {
		return nil, attestation.BadInput("challenge: these two heads are of one log")
	}
	return b.MustStoreMaybeRef(m.Other.cell()).EndCell(), nil
}

// Answer ends a challenge by a proof. Anybody may send it, with [ValueAnswer].
// [Done] says CodeBadProof when the first anchor that covers a late receipt was
// only fixed by this message: read the challenge again and prove against that.
type Answer struct {
	QueryID   uint64
	Challenge [32]byte
	Proof     [][32]byte // RFC 9162, inclusion or consistency; see [Challenge.Verify]
}

// Body returns the message body.
func (m *Answer) Body() (*cell.Cell, error) {
	if len(m.Proof) > translog.MaxProof {
		return nil, attestation.BadInput("answer: a proof of %d hashes, at most %d", len(m.Proof), translog.MaxProof)
	}
	return plain(opAnswer, m.QueryID).MustStoreSlice(m.Challenge[:], 256).MustStoreRef(proofCell(m.Proof)).EndCell(), nil
}

// proofCell stores hashes in order, three in a cell.
func proofCell(proof [][32]byte) *cell.Cell {
	b := build()
	for i, h := range proof {
		if i == 3 {
			return b.MustStoreRef(proofCell(proof[3:])).EndCell()
		}
		b.MustStoreSlice(h[:], 256)
	}
	return b.EndCell()
}

// Settle ends a challenge that nobody answered until its deadline: the node
// loses. Anybody may send it, with [ValueReport].
type Settle struct {
	QueryID   uint64
	Challenge [32]byte
}

// Body returns the message body. It can't fail.
func (m *Settle) Body() (*cell.Cell, error) {
	return plain(opSettle, m.QueryID).MustStoreSlice(m.Challenge[:], 256).EndCell(), nil
}

// Challenge is one that is open.
type Challenge struct {
	Payout   attestation.Address
	Bond     uint64
	Loss     uint64 // of silence
	Deadline uint32 // until when an answer counts
	Log      bool   // false: about a receipt
	Late     bool   // about a receipt that no anchor covered when it was challenged
	// The claim that an answer proves. About a receipt: leaf Hash has index
	// Number in the tree {Size, Root}; Size 0 says that no anchor covers it yet.
	// About the log: the tree {Number, Hash} is the start of the tree {Size, Root}.
	Number uint64
	Hash   [32]byte
	Size   uint64
	Root   [32]byte
}

// Verify reports whether a proof answers the challenge.
func (c *Challenge) Verify(proof [][32]byte) error {
	switch {
	case c.Log:
		return translog.VerifyConsistency(c.Number, c.Hash, c.Size, c.Root, proof)
	case c.Size == 0:
		return attestation.Unknown("no anchor covers leaf %d yet; anchor first", c.Number)
	}
	return translog.VerifyInclusion(c.Hash, c.Number, c.Size, c.Root, proof)
}

// Kinds of claims, as the contract numbers them.
const (
	claimMissing = 3
	claimLog     = 4
)

func parseChallenge(c *cell.Cell) (Challenge, error) {
	r := read(c, "challenge")
	v := Challenge{Payout: r.addr(), Bond: r.u64(), Loss: r.u64(), Deadline: r.u32()}
	claim := read(r.ref(), "claim of a challenge")
	if r.end(); r.err != nil {
		return v, r.err
	}
	switch claim.u8() {
	case claimMissing:
	case claimLog:
		v.Log = true
	default:
		claim.fail(errors.New("unknown kind"))
	}
	v.Late, v.Number, v.Hash, v.Size, v.Root = claim.bool(), claim.u64(), claim.b32(), claim.u64(), claim.b32()
	claim.end()
	return v, claim.err
}
