package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Amounts in nano that concern Platform.
const (
	ValueRenew      uint64 = 60_000_000    // what a renewal must carry
	ValueRevive     uint64 = 1_100_000_000 // what a renewal with [LastState] needs at most; the rest comes back
	PlatformReserve uint64 = 50_000_000    // stays in a Platform for its storage; renewals and claims fill it up
	RenewFee        uint64 = 20_000_000    // what a renewal adds to a reserve that is not full, at most
	SlotFee         uint64 = 2_000_000     // the same for a claim
)

// MaxSlots is how many nodes a platform can hold, whatever the parameters say.
const MaxSlots = 16

// Operations of Platform.
const (
	opPlatformHello   = 0xc0c00202
	opPlatformWelcome = 0xc0c00301
	opPlatformRevoke  = 0xc0c00302
	opClaimSlot       = 0xc0c00303
	opReleaseSlot     = 0xc0c00304
	opRenewPlatform   = 0xc0c00310
)

var platformCode = loadCode("platform")

// PlatformCode returns the code of Platform.
func PlatformCode() *cell.Cell { return platformCode() }

// PlatformCodeID returns the identity of [PlatformCode], for [RootState].
func PlatformCodeID() CodeID { return CodeIDOf(PlatformCode()) }

// PlatformKey is the initial data of a Platform: what its address depends on.
type PlatformKey struct {
	Root attestation.Address
	ID   [32]byte // [attestation.PlatformID] of kind and hardware id
}

// Cell returns the initial data.
func (k PlatformKey) Cell() *cell.Cell {
	return storeAddr(build(), k.Root).MustStoreSlice(k.ID[:], 256).EndCell()
}

// PlatformAddress returns the address of a machine's Platform under a Root, and
// the StateInit that deploys it.
func PlatformAddress(root attestation.Address, id [32]byte) (attestation.Address, *cell.Cell, error) {
	if err := checkPlace("root", root); err != nil {
		return attestation.Address{}, nil, err
	}
	if id == ([32]byte{}) {
		return attestation.Address{}, nil, attestation.BadInput("platform id is zero")
	}
	a, si := place(PlatformCode(), PlatformKey{root, id}.Cell())
	return a, si, nil
}

// RenewPlatform has Root renew a platform's copy of the node code, of the number
// of slots and of its revocation. Anybody may send it, with [ValueRenew]; the
// rest comes back with [Done]. With a StateInit it also deploys the platform,
// which has to happen once before the first node on it registers.
type RenewPlatform struct{ QueryID uint64 }

// Body returns the message body. It can't fail.
func (m *RenewPlatform) Body() (*cell.Cell, error) {
	return plain(opRenewPlatform, m.QueryID).EndCell(), nil
}

// PlatformState is the state of a Platform.
type PlatformState struct {
	Key     PlatformKey
	Node    CodeID // zero: Root has not answered yet, and no node gets a slot
	Slots   uint8  // [MaxSlots] at most count
	Revoked bool
	Holders map[attestation.Address]Slot
}

// Slot is held by a node.
type Slot struct {
	LT      uint64 // of the node's registration that claimed it last: see [EpochRecord]
	Expires uint32 // unix seconds; later another node may have it
}

// ParsePlatform reads the state of a Platform. A platform that was deployed and
// has not written yet holds its initial data, which is read too.
func ParsePlatform(data *cell.Cell) (*PlatformState, error) {
	r := read(data, "platform state")
	s := &PlatformState{Key: PlatformKey{Root: r.addr(), ID: r.b32()}, Holders: map[attestation.Address]Slot{}}
	if r.err == nil && r.s.BitsLeft() == 0 {
		return parsed(r, s)
	}
	s.Node = CodeID{Hash: r.b32(), Depth: r.u16()}
	s.Slots, s.Revoked = r.u8(), r.bool()
	r.dict(256, func(k, v *reader) {
		s.Holders[attestation.Address{Workchain: Workchain, Hash: k.b32()}] = Slot{LT: v.u64(), Expires: v.u32()}
	})
	return parsed(r, s)
}

// SlotFor reports why a node would get no slot at a time: nil if it would.
func (s *PlatformState) SlotFor(node attestation.Address, now uint32) error {
	switch {
	case s.Node == (CodeID{}):
		return attestation.Refused("platform has not been welcomed by its registry: renew it")
	case s.Revoked:
		return attestation.Refused("platform is revoked")
	}
	if _, ok := s.Holders[node]; ok {
		return nil
	}
	live := 0
	for _, h := range s.Holders {
		if h.Expires > now {
			live++
		}
	}
	if limit := min(int(s.Slots), MaxSlots); live >= limit {
		return attestation.Refused("all %d slots of the platform are held by other nodes", limit)
	}
	return nil
}
