package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Purposes of a [CheckCurrent].
const (
	PurposeRecheck uint8 = 1
	PurposeRetire  uint8 = 2
)

// CheckRegistration is Node's question to Root, whether its policy holds for a
// registration.
type CheckRegistration struct {
	LT       uint64 // logical time of the transaction that asks: names the registration
	NotAfter uint32 // of the evidence
	Stake    uint64
	Key      NodeKey
	Check    Check
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
	return build().MustStoreUInt(opCheckRegistration, 32).MustStoreUInt(m.LT, 64).
		MustStoreUInt(uint64(m.NotAfter), 32).MustStoreUInt(m.Stake, 64).
		MustStoreRef(m.Key.Cell()).MustStoreRef(m.Check.Cell()).EndCell()
}

// ParseCheckRegistration reads a [CheckRegistration] message.
func ParseCheckRegistration(body *cell.Cell) (*CheckRegistration, error) {
	r := read(body, "question to the registry")
	r.tag(32, opCheckRegistration)
	m := &CheckRegistration{LT: r.u64(), NotAfter: r.u32(), Stake: r.u64()}
	var err error
	m.Key, m.Check, err = parseKeyAndCheck(r)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// parseKeyAndCheck reads the two references that end a question to Root.
func parseKeyAndCheck(r *reader) (k NodeKey, c Check, err error) {
	key, check := r.ref(), r.ref()
	if r.end(); r.err != nil {
		return k, c, r.err
	}
	if k, err = parseNodeKey(key); err != nil {
		return k, c, err
	}
	c, err = parseCheck(check)
	return k, c, err
}

// RegistrationAnswer is the answer to a registration: Root's where it says no or
// where there are no Platforms, else the Platform's. Code 0 means that it is
// confirmed until Expires; see [ErrorName] for others.
type RegistrationAnswer struct {
	LT      uint64 // of the [CheckRegistration]
	Code    uint16
	Expires uint32
	Params  Params
}

// Body returns the message body.
func (m *RegistrationAnswer) Body() *cell.Cell {
	return build().MustStoreUInt(opRegistrationAnswer, 32).MustStoreUInt(m.LT, 64).
		MustStoreUInt(uint64(m.Code), 16).MustStoreUInt(uint64(m.Expires), 32).MustStoreRef(m.Params.Cell()).EndCell()
}

// ParseRegistrationAnswer reads a [RegistrationAnswer] message.
func ParseRegistrationAnswer(body *cell.Cell) (*RegistrationAnswer, error) {
	r := read(body, "answer to a registration")
	r.tag(32, opRegistrationAnswer)
	m := &RegistrationAnswer{LT: r.u64(), Code: r.u16(), Expires: r.u32()}
	if err := m.Params.last(r); err != nil {
		return nil, err
	}
	return m, nil
}

// last reads parameters in the last reference of a message.
func (p *Params) last(r *reader) (err error) {
	c := r.ref()
	if r.end(); r.err != nil {
		return r.err
	}
	*p, err = ParseParams(c)
	return err
}

// CheckCurrent has Root judge the current registration again, or forget it.
type CheckCurrent struct {
	LT        uint64 // recheck: of the registration; retire: of the transaction that asks
	Purpose   uint8
	QueryID   uint64
	Stake     uint64
	Requester attestation.Address // gets the rest of the value at the end
	Key       NodeKey
	Check     Check
}

// Body returns the message body.
func (m *CheckCurrent) Body() *cell.Cell {
	b := build().MustStoreUInt(opCheckCurrent, 32).MustStoreUInt(m.LT, 64).
		MustStoreUInt(uint64(m.Purpose), 8).MustStoreUInt(m.QueryID, 64).MustStoreUInt(m.Stake, 64)
	return storeAddr(b, m.Requester).MustStoreRef(m.Key.Cell()).MustStoreRef(m.Check.Cell()).EndCell()
}

// ParseCheckCurrent reads a [CheckCurrent] message.
func ParseCheckCurrent(body *cell.Cell) (*CheckCurrent, error) {
	r := read(body, "question to the registry")
	r.tag(32, opCheckCurrent)
	m := &CheckCurrent{LT: r.u64(), Purpose: r.u8(), QueryID: r.u64(), Stake: r.u64(), Requester: r.addr()}
	var err error
	if m.Key, m.Check, err = parseKeyAndCheck(r); err != nil {
		return nil, err
	}
	return m, nil
}

// CurrentChecked is Root's answer to [CheckCurrent]. Code 0 means yes.
type CurrentChecked struct {
	LT        uint64 // of the [CheckCurrent]
	Purpose   uint8
	QueryID   uint64
	Code      uint16
	Requester attestation.Address
	Platform  *attestation.Address // that holds the slot; nil: this generation has no Platforms
	Params    Params
}

// Body returns the message body.
func (m *CurrentChecked) Body() *cell.Cell {
	b := build().MustStoreUInt(opCurrentChecked, 32).MustStoreUInt(m.LT, 64).
		MustStoreUInt(uint64(m.Purpose), 8).MustStoreUInt(m.QueryID, 64).MustStoreUInt(uint64(m.Code), 16)
	return storeMaybeAddr(storeAddr(b, m.Requester), m.Platform).MustStoreRef(m.Params.Cell()).EndCell()
}

// ParseCurrentChecked reads a [CurrentChecked] message.
func ParseCurrentChecked(body *cell.Cell) (*CurrentChecked, error) {
	r := read(body, "answer of the registry")
	r.tag(32, opCurrentChecked)
	m := &CurrentChecked{LT: r.u64(), Purpose: r.u8(), QueryID: r.u64(), Code: r.u16(), Requester: r.addr(), Platform: r.maybeAddr()}
	if err := m.Params.last(r); err != nil {
		return nil, err
	}
	return m, nil
}

// Unlist is the word of a Node that is not registered: Root takes it off the list
// and tells the requester with [Done].
type Unlist struct {
	QueryID   uint64
	Code      uint16 // what Done says
	Requester attestation.Address
	Key       NodeKey
}

// Body returns the message body.
func (m *Unlist) Body() *cell.Cell {
	b := build().MustStoreUInt(opUnlist, 32).MustStoreUInt(m.QueryID, 64).MustStoreUInt(uint64(m.Code), 16)
	return storeAddr(b, m.Requester).MustStoreRef(m.Key.Cell()).EndCell()
}

// ParseUnlist reads an [Unlist] message.
func ParseUnlist(body *cell.Cell) (*Unlist, error) {
	r := read(body, "word of a node that is not registered")
	r.tag(32, opUnlist)
	m := &Unlist{QueryID: r.u64(), Code: r.u16(), Requester: r.addr()}
	key := r.ref()
	if r.end(); r.err != nil {
		return nil, r.err
	}
	var err error
	if m.Key, err = parseNodeKey(key); err != nil {
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
