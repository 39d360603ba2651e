package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Purposes of a question that Node puts to Root.
const (
	PurposeRegister uint8 = 0
	PurposeRecheck  uint8 = 1
	PurposeRetire   uint8 = 2
)

// CheckRegistration is Node's question to Root.
type CheckRegistration struct {
	ClaimsDigest [32]byte
	Purpose      uint8
	QueryID      uint64
	Stake        uint64
	Requester    attestation.Address // gets the rest of the value at the end
	Operator     attestation.Address
	Index        uint32
	Check        Check
}

// Cell returns the encoding of c.
func (c *Check) Cell() *cell.Cell {
	b := build().MustStoreUInt(uint64(c.Kind), 8).MustStoreSlice(c.Measurement[:], 256).
		MustStoreSlice(c.PlatformID[:], 256).MustStoreSlice(c.Authority[:], 256)
	if c.TDX == nil {
		return b.MustStoreBoolBit(false).EndCell()
	}
	tdx := build().MustStoreSlice(c.TDX.FMSPC[:], 48).MustStoreBuilder(c.TDX.TCB.Cell().ToBuilder()).EndCell()
	return b.MustStoreMaybeRef(tdx).EndCell()
}

// Body returns the message body.
func (m *CheckRegistration) Body() *cell.Cell {
	b := build().MustStoreUInt(opCheckRegistration, 32).MustStoreSlice(m.ClaimsDigest[:], 256).
		MustStoreUInt(uint64(m.Purpose), 8).MustStoreUInt(m.QueryID, 64).MustStoreUInt(m.Stake, 64)
	return storeAddr(storeAddr(b, m.Requester), m.Operator).MustStoreUInt(uint64(m.Index), 32).MustStoreRef(m.Check.Cell()).EndCell()
}

// ParseCheckRegistration reads a [CheckRegistration] message.
func ParseCheckRegistration(body *cell.Cell) (*CheckRegistration, error) {
	r := read(body, "question to the registry")
	r.tag(32, opCheckRegistration)
	m := &CheckRegistration{ClaimsDigest: r.b32(), Purpose: r.u8(), QueryID: r.u64(), Stake: r.u64(),
		Requester: r.addr(), Operator: r.addr(), Index: r.u32()}
	check := r.ref()
	if r.end(); r.err != nil {
		return nil, r.err
	}
	var err error
	if m.Check, err = parseCheck(check); err != nil {
		return nil, err
	}
	return m, nil
}

// RegistrationChecked is Root's answer to Node. Code 0 means yes; see
// [ErrorName] for others.
type RegistrationChecked struct {
	ClaimsDigest [32]byte
	Purpose      uint8
	QueryID      uint64
	Code         uint16
	Requester    attestation.Address
	Platform     *attestation.Address // whom to ask for a slot; nil: nobody
	Params       Params
}

// Body returns the message body.
func (m *RegistrationChecked) Body() *cell.Cell {
	b := build().MustStoreUInt(opRegistrationChecked, 32).MustStoreSlice(m.ClaimsDigest[:], 256).
		MustStoreUInt(uint64(m.Purpose), 8).MustStoreUInt(m.QueryID, 64).MustStoreUInt(uint64(m.Code), 16)
	return storeMaybeAddr(storeAddr(b, m.Requester), m.Platform).MustStoreRef(m.Params.Cell()).EndCell()
}

// ParseRegistrationChecked reads a [RegistrationChecked] message.
func ParseRegistrationChecked(body *cell.Cell) (*RegistrationChecked, error) {
	r := read(body, "answer of the registry")
	r.tag(32, opRegistrationChecked)
	m := &RegistrationChecked{ClaimsDigest: r.b32(), Purpose: r.u8(), QueryID: r.u64(), Code: r.u16(), Requester: r.addr(), Platform: r.maybeAddr()}
	params := r.ref()
	if r.end(); r.err != nil {
		return nil, r.err
	}
	var err error
	if m.Params, err = ParseParams(params); err != nil {
		return nil, err
	}
	return m, nil
}

func storeMaybeAddr(b *cell.Builder, a *attestation.Address) *cell.Builder {
	if a == nil {
		return b.MustStoreUInt(0, 2)
	}
	return storeAddr(b, *a)
}
