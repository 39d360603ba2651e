package contracts

import (
	"crypto/ed25519"
	"math/big"
	"slices"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// MaxQuorum is the largest number of keys in a quorum.
const MaxQuorum = 32

// Quorum is k-of-n Ed25519 keys: governance, or the verifiers of mode B.
type Quorum struct {
	Threshold uint8
	Keys      map[uint8][32]byte
}

// NewQuorum numbers the keys in order.
func NewQuorum(threshold int, keys ...ed25519.PublicKey) (Quorum, error) {
	q := Quorum{Keys: map[uint8][32]byte{}}
	if threshold < 1 || threshold > len(keys) || len(keys) > MaxQuorum {
		return q, attestation.BadInput("quorum of %d out of %d keys", threshold, len(keys))
	}
	q.Threshold = uint8(threshold)
	for i, k := range keys {
		if len(k) != ed25519.PublicKeySize {
			return q, attestation.BadInput("quorum: key %d has %d bytes", i, len(k))
		}
		q.Keys[uint8(i)] = [32]byte(k)
	}
	return q, q.Check()
}

// Check reports why the contracts would not take q.
func (q Quorum) Check() error {
	if q.Threshold == 0 || int(q.Threshold) > len(q.Keys) || len(q.Keys) > MaxQuorum {
		return attestation.BadInput("quorum of %d out of %d keys", q.Threshold, len(q.Keys))
	}
	seen := map[[32]byte]bool{}
	for i, k := range q.Keys {
		if k == ([32]byte{}) || seen[k] {
			return attestation.BadInput("quorum: key %d is zero or listed twice", i)
		}
		seen[k] = true
	}
	return nil
}

func (q Quorum) store(b *cell.Builder) *cell.Builder {
	b.MustStoreUInt(uint64(q.Threshold), 8)
	vals := map[uint8]*cell.Cell{}
	for i, k := range q.Keys {
		vals[i] = build().MustStoreSlice(k[:], 256).EndCell()
	}
	return storeDict(b, makeDict(8, vals, func(i uint8) *big.Int { return big.NewInt(int64(i)) }))
}

// Cell returns the encoding of q.
func (q Quorum) Cell() *cell.Cell { return q.store(build()).EndCell() }

func (r *reader) quorum() Quorum {
	q := Quorum{Threshold: r.u8(), Keys: map[uint8][32]byte{}}
	r.dict(8, func(k, v *reader) { q.Keys[k.u8()] = v.b32() })
	return q
}

func parseQuorum(c *cell.Cell, what string) (Quorum, error) {
	r := read(c, what)
	q := r.quorum()
	r.end()
	return q, r.err
}

// Approvals collects signatures of a quorum's members over one digest, by
// index of the key.
type Approvals map[uint8][64]byte

// Sign adds the signature of the member that holds key. It fails if the key is
// not in the quorum.
func (a Approvals) Sign(q Quorum, key ed25519.PrivateKey, digest [32]byte) error {
	pub := [32]byte(key.Public().(ed25519.PublicKey))
	for i, k := range q.Keys {
		if k == pub {
			a[i] = [64]byte(ed25519.Sign(key, digest[:]))
			return nil
		}
	}
	return attestation.BadInput("key is not a member of the quorum")
}

// Check reports why the contracts would not take these approvals.
func (a Approvals) Check(q Quorum, digest [32]byte) error {
	for i, s := range a {
		k, ok := q.Keys[i]
		if !ok {
			return attestation.BadInput("approval by member %d, which the quorum does not have", i)
		}
		if !ed25519.Verify(k[:], digest[:], s[:]) {
			return attestation.False("approval of member %d does not hold", i)
		}
	}
	if len(a) < int(q.Threshold) || q.Threshold == 0 {
		return attestation.Refused("%d approvals, want %d", len(a), q.Threshold)
	}
	return nil
}

// Cell returns the list in the contracts' order; nil if there is none.
func (a Approvals) Cell() *cell.Cell {
	var next *cell.Cell
	indexes := make([]uint8, 0, len(a))
	for i := range a {
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	slices.Reverse(indexes)
	for _, i := range indexes {
		s := a[i]
		next = build().MustStoreUInt(uint64(i), 8).MustStoreSlice(s[:], 512).MustStoreMaybeRef(next).EndCell()
	}
	return next
}
