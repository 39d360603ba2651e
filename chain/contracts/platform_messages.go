package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// The messages between Platform, Root and Node. People send none of them.

// PlatformHello is Platform's question to Root.
type PlatformHello struct {
	ID        [32]byte
	QueryID   uint64
	Requester attestation.Address // gets the rest of the value at the end
}

// Body returns the message body.
func (m *PlatformHello) Body() *cell.Cell {
	b := build().MustStoreUInt(opPlatformHello, 32).MustStoreSlice(m.ID[:], 256).MustStoreUInt(m.QueryID, 64)
	return storeAddr(b, m.Requester).EndCell()
}

// ParsePlatformHello reads a [PlatformHello] message.
func ParsePlatformHello(body *cell.Cell) (*PlatformHello, error) {
	r := read(body, "question of a platform")
	r.tag(32, opPlatformHello)
	return parsed(r, &PlatformHello{ID: r.b32(), QueryID: r.u64(), Requester: r.addr()})
}

// PlatformWelcome is Root's answer to Platform.
type PlatformWelcome struct {
	Node      CodeID
	Slots     uint8
	Revoked   bool
	QueryID   uint64
	Requester attestation.Address
}

// Body returns the message body.
func (m *PlatformWelcome) Body() *cell.Cell {
	b := build().MustStoreUInt(opPlatformWelcome, 32).MustStoreSlice(m.Node.Hash[:], 256).MustStoreUInt(uint64(m.Node.Depth), 16).
		MustStoreUInt(uint64(m.Slots), 8).MustStoreBoolBit(m.Revoked).MustStoreUInt(m.QueryID, 64)
	return storeAddr(b, m.Requester).EndCell()
}

// ParsePlatformWelcome reads a [PlatformWelcome] message.
func ParsePlatformWelcome(body *cell.Cell) (*PlatformWelcome, error) {
	r := read(body, "answer to a platform")
	r.tag(32, opPlatformWelcome)
	return parsed(r, &PlatformWelcome{Node: CodeID{Hash: r.b32(), Depth: r.u16()}, Slots: r.u8(), Revoked: r.bool(), QueryID: r.u64(), Requester: r.addr()})
}

// PlatformRevoke is what Root tells a platform that governance revoked or restored.
type PlatformRevoke struct{ Revoked bool }

// Body returns the message body.
func (m *PlatformRevoke) Body() *cell.Cell {
	return build().MustStoreUInt(opPlatformRevoke, 32).MustStoreBoolBit(m.Revoked).EndCell()
}

// ParsePlatformRevoke reads a [PlatformRevoke] message.
func ParsePlatformRevoke(body *cell.Cell) (*PlatformRevoke, error) {
	r := read(body, "revocation of a platform")
	r.tag(32, opPlatformRevoke)
	return parsed(r, &PlatformRevoke{Revoked: r.bool()})
}

// ClaimSlot is Root's question to Platform, in the name of a node.
type ClaimSlot struct {
	LT      uint64   // names the registration: see [CheckRegistration]
	Node    [32]byte // account id
	Expires uint32
	Params  Params // for the node
}

// Body returns the message body.
func (m *ClaimSlot) Body() *cell.Cell {
	return build().MustStoreUInt(opClaimSlot, 32).MustStoreUInt(m.LT, 64).MustStoreSlice(m.Node[:], 256).
		MustStoreUInt(uint64(m.Expires), 32).MustStoreRef(m.Params.Cell()).EndCell()
}

// ParseClaimSlot reads a [ClaimSlot] message.
func ParseClaimSlot(body *cell.Cell) (*ClaimSlot, error) {
	r := read(body, "claim of a slot")
	r.tag(32, opClaimSlot)
	m := &ClaimSlot{LT: r.u64(), Node: r.b32(), Expires: r.u32()}
	if err := m.Params.last(r); err != nil {
		return nil, err
	}
	return m, nil
}

// ReleaseSlot gives a node's slot back, if it is that of a registration that it
// asked for at LT or before.
type ReleaseSlot struct {
	LT        uint64
	Operator  attestation.Address
	Index     uint32
	QueryID   uint64
	Code      uint16 // for the requester
	Requester attestation.Address
}

// Body returns the message body.
func (m *ReleaseSlot) Body() *cell.Cell {
	b := storeAddr(build().MustStoreUInt(opReleaseSlot, 32).MustStoreUInt(m.LT, 64), m.Operator).
		MustStoreUInt(uint64(m.Index), 32).MustStoreUInt(m.QueryID, 64).MustStoreUInt(uint64(m.Code), 16)
	return storeAddr(b, m.Requester).EndCell()
}

// ParseReleaseSlot reads a [ReleaseSlot] message.
func ParseReleaseSlot(body *cell.Cell) (*ReleaseSlot, error) {
	r := read(body, "release of a slot")
	r.tag(32, opReleaseSlot)
	return parsed(r, &ReleaseSlot{LT: r.u64(), Operator: r.addr(), Index: r.u32(), QueryID: r.u64(), Code: r.u16(), Requester: r.addr()})
}

// parsed returns v if r is at its end without an error.
func parsed[T any](r *reader, v *T) (*T, error) {
	if r.end(); r.err != nil {
		return nil, r.err
	}
	return v, nil
}
