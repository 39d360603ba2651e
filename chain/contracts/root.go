package contracts

import (
	"crypto/sha256"
	"errors"
	"math/big"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Kinds of Intel CA keys.
const (
	CAPlatform  uint8 = 1 // Intel SGX PCK Platform CA
	CAProcessor uint8 = 2 // Intel SGX PCK Processor CA
)

// RootState is the state of a Root. Its initial data has the same form, so a
// Root's address commits to its first governance, parameters and lists.
type RootState struct {
	Nonce        uint64 // tells equal registries apart
	Paused       bool   // no registrations
	NextProposal uint32
	Governance   Quorum
	Params       Params
	Measurements map[[32]byte]Measurement
	Models       map[[32]byte]Model
	Floors       map[[6]byte]TDXFloor // by FMSPC
	CAKeys       map[[32]byte]CAKey   // by SHA-256(x || y)
	LastSet      uint32               // number of the newest verifier set ever
	Verifiers    *VerifierSet         // those of Listed that have a stake: they certify
	Listed       *VerifierSet         // whom governance named
	Verifier     CodeID               // zero: no Verifiers in this generation, so nobody certifies
	Node         CodeID
	Platform     CodeID // zero: no Platforms in this generation
	Proposals    map[uint32]Proposal
	Nodes        map[attestation.Address]ListedNode
	Revoked      map[[32]byte]bool // platforms, by id
}

// Measurement is a listed measurement digest.
type Measurement struct {
	Flags uint8 // bit 0: accepted for registration
	Since uint32
}

// MeasurementAccepted is the flag of a measurement that may register.
const MeasurementAccepted uint8 = 1

// Model is a listed model, keyed by its root digest.
type Model struct {
	Licence string // SPDX expression
	URL     string
}

// CAKey is a listed Intel CA key.
type CAKey struct {
	Kind uint8
	Key  PublicKey
}

// Digest returns SHA-256(x || y), the name of the key in lists.
func (k PublicKey) Digest() [32]byte {
	return sha256.Sum256(append(append([]byte(nil), k.X[:]...), k.Y[:]...))
}

// Proposal is an approved action that waits for its delay.
type Proposal struct {
	ExecuteAfter  uint32
	ExecuteBefore uint32 // later it does nothing
	Action        *cell.Cell
}

// ListedNode is an entry of the list by which clients find nodes. It is a hint:
// the node's own state decides whether it is registered.
type ListedNode struct {
	Expires uint32 // later anybody may remove the entry
}

// MaxNodes is how many nodes a registry lists.
const MaxNodes = 16384

// NewRoot returns the state to start a registry from, with empty lists and this
// package's contracts.
func NewRoot(governance Quorum, params Params) *RootState {
	return &RootState{
		NextProposal: 1, Governance: governance, Params: params,
		Measurements: map[[32]byte]Measurement{}, Models: map[[32]byte]Model{},
		Floors: map[[6]byte]TDXFloor{}, CAKeys: map[[32]byte]CAKey{},
		Node: NodeCodeID(), Verifier: VerifierCodeID(), Proposals: map[uint32]Proposal{},
		Nodes: map[attestation.Address]ListedNode{}, Revoked: map[[32]byte]bool{},
	}
}

// AddCAKey lists an Intel CA key.
func (s *RootState) AddCAKey(kind uint8, key PublicKey) {
	s.CAKeys[key.Digest()] = CAKey{Kind: kind, Key: key}
}

// Check reports what makes s no state to start or trust a registry with.
func (s *RootState) Check() error {
	if err := s.Params.Check(); err != nil {
		return err
	}
	if err := s.Governance.Check(); err != nil {
		return err
	}
	for a := range s.Nodes {
		if a.Workchain != Workchain {
			return attestation.BadInput("registry lists node %v outside workchain %d", a, Workchain)
		}
	}
	if len(s.Nodes) > MaxNodes {
		return attestation.BadInput("registry lists %d nodes, at most %d", len(s.Nodes), MaxNodes)
	}
	if s.Node == (CodeID{}) {
		return attestation.BadInput("registry without node code")
	}
	if s.Node == NodeCodeID() && s.Platform != (CodeID{}) && s.Platform != PlatformCodeID() {
		return attestation.BadInput("registry with other platforms than its nodes know: none of them would ever be confirmed")
	}
	return s.checkVerifiers()
}

// checkVerifiers wants those who certify to be some of those who are listed.
func (s *RootState) checkVerifiers() error {
	if (s.Listed == nil) != (s.Verifiers == nil) {
		return attestation.BadInput("registry: of the verifier sets, one is missing")
	}
	if s.Listed == nil {
		return nil
	}
	if s.LastSet < s.Listed.Number {
		return attestation.BadInput("registry: verifier set %d is newer than the newest, %d", s.Listed.Number, s.LastSet)
	}
	if s.Verifiers.Number != s.Listed.Number || s.Verifiers.Quorum.Threshold != s.Listed.Quorum.Threshold {
		return attestation.BadInput("registry: number or threshold of the two verifier sets differ")
	}
	for i, k := range s.Verifiers.Quorum.Keys {
		if listed, ok := s.Listed.Quorum.Keys[i]; !ok || listed != k {
			return attestation.BadInput("registry: verifier %d certifies and is not listed", i)
		}
	}
	return s.Listed.Quorum.Check()
}

// List lists verifiers of whom none has a stake yet: nobody certifies until
// their contracts have told Root ([StakeVerifier]).
func (s *RootState) List(v VerifierSet) {
	s.Listed, s.LastSet = &v, v.Number
	s.Verifiers = &VerifierSet{Number: v.Number, Quorum: Quorum{Threshold: v.Quorum.Threshold, Keys: map[uint8][32]byte{}}}
}

// Cell returns the encoding of s. It fails where a text does not fit.
func (s *RootState) Cell() (*cell.Cell, error) {
	more, err := s.moreCell()
	if err != nil {
		return nil, err
	}
	b := build().MustStoreUInt(s.Nonce, 64).MustStoreBoolBit(s.Paused).MustStoreUInt(uint64(s.NextProposal), 32)
	for _, id := range []CodeID{s.Node, s.Platform} {
		b.MustStoreSlice(id.Hash[:], 256).MustStoreUInt(uint64(id.Depth), 16)
	}
	nodes := map[[32]byte]*cell.Cell{}
	for k, v := range s.Nodes {
		nodes[k.Hash] = build().MustStoreUInt(uint64(v.Expires), 32).EndCell()
	}
	storeDict(b.MustStoreUInt(uint64(len(nodes)), 32), makeDict(256, nodes, hashKey))
	return b.MustStoreRef(s.Params.Cell()).MustStoreRef(s.listsCell()).MustStoreRef(more).EndCell(), nil
}

func (s *RootState) listsCell() *cell.Cell {
	measurements := map[[32]byte]*cell.Cell{}
	for k, v := range s.Measurements {
		measurements[k] = build().MustStoreUInt(uint64(v.Flags), 8).MustStoreUInt(uint64(v.Since), 32).EndCell()
	}
	revoked := map[[32]byte]*cell.Cell{}
	for k := range s.Revoked {
		revoked[k] = build().MustStoreBoolBit(true).EndCell()
	}
	floors := map[[6]byte]*cell.Cell{}
	for k, v := range s.Floors {
		floors[k] = build().MustStoreRef(v.Cell()).EndCell()
	}
	keys := map[[32]byte]*cell.Cell{}
	for k, v := range s.CAKeys {
		keys[k] = v.store(build()).EndCell()
	}
	trust := storeDict(build(), makeDict(256, keys, hashKey)).MustStoreUInt(uint64(s.LastSet), 32)
	for _, set := range []*VerifierSet{s.Verifiers, s.Listed} {
		if set != nil {
			trust.MustStoreMaybeRef(set.Cell())
		} else {
			trust.MustStoreBoolBit(false)
		}
	}
	trust.MustStoreSlice(s.Verifier.Hash[:], 256).MustStoreUInt(uint64(s.Verifier.Depth), 16)
	b := storeDict(build(), makeDict(256, measurements, hashKey))
	storeDict(b, makeDict(256, revoked, hashKey))
	storeDict(b, makeDict(48, floors, func(k [6]byte) *big.Int { return new(big.Int).SetBytes(k[:]) }))
	return b.MustStoreRef(trust.EndCell()).EndCell()
}

func (m Model) cell() (*cell.Cell, error) {
	licence, err := textCell(m.Licence)
	if err != nil {
		return nil, err
	}
	url, err := textCell(m.URL)
	if err != nil {
		return nil, err
	}
	return build().MustStoreRef(licence).MustStoreRef(url).EndCell(), nil
}

func (k CAKey) store(b *cell.Builder) *cell.Builder {
	return b.MustStoreUInt(uint64(k.Kind), 8).MustStoreSlice(k.Key.X[:], 256).MustStoreSlice(k.Key.Y[:], 256)
}

func (s *RootState) moreCell() (*cell.Cell, error) {
	models := map[[32]byte]*cell.Cell{}
	for k, v := range s.Models {
		c, err := v.cell()
		if err != nil {
			return nil, err
		}
		models[k] = build().MustStoreRef(c).EndCell()
	}
	proposals := map[uint32]*cell.Cell{}
	for k, p := range s.Proposals {
		proposals[k] = build().MustStoreRef(build().MustStoreUInt(uint64(p.ExecuteAfter), 32).
			MustStoreUInt(uint64(p.ExecuteBefore), 32).MustStoreRef(p.Action).EndCell()).EndCell()
	}
	b := storeDict(build().MustStoreRef(s.Governance.Cell()), makeDict(256, models, hashKey))
	return storeDict(b, makeDict(32, proposals, func(k uint32) *big.Int { return new(big.Int).SetUint64(uint64(k)) })).EndCell(), nil
}

// RootAddress returns the address of the registry that starts from s, and the
// StateInit that deploys it.
func RootAddress(s *RootState) (attestation.Address, *cell.Cell, error) {
	if err := s.Check(); err != nil {
		return attestation.Address{}, nil, err
	}
	data, err := s.Cell()
	if err != nil {
		return attestation.Address{}, nil, err
	}
	a, si := place(RootCode(), data)
	return a, si, nil
}

// ParseRoot reads the state of a Root.
func ParseRoot(data *cell.Cell) (*RootState, error) {
	r := read(data, "root state")
	s := NewRoot(Quorum{}, Params{})
	s.Nonce, s.Paused, s.NextProposal = r.u64(), r.bool(), r.u32()
	s.Node = CodeID{Hash: r.b32(), Depth: r.u16()}
	s.Platform = CodeID{Hash: r.b32(), Depth: r.u16()}
	count := r.u32()
	r.dict(256, func(k, v *reader) {
		s.Nodes[attestation.Address{Workchain: Workchain, Hash: k.b32()}] = ListedNode{Expires: v.u32()}
	})
	params, lists, more := r.ref(), r.ref(), r.ref()
	if r.end(); r.err == nil && int(count) != len(s.Nodes) {
		r.fail(errors.New("the list of nodes is not as long as it says"))
	}
	if r.err != nil {
		return nil, r.err
	}
	var err error
	if s.Params, err = ParseParams(params); err != nil {
		return nil, err
	}
	if err := s.parseLists(lists); err != nil {
		return nil, err
	}
	if err := s.parseMore(more); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *RootState) parseLists(c *cell.Cell) error {
	r := read(c, "root lists")
	r.dict(256, func(k, v *reader) { s.Measurements[k.b32()] = Measurement{Flags: v.u8(), Since: v.u32()} })
	r.dict(256, func(k, v *reader) { s.Revoked[k.b32()] = v.bool() })
	r.dict(48, func(k, v *reader) {
		var key [6]byte
		k.bytes(key[:])
		f, err := parseFloor(v.ref())
		if err != nil {
			v.fail(err)
			return
		}
		s.Floors[key] = f
	})
	trust := read(r.ref(), "root trust")
	r.end()
	if r.err != nil {
		return r.err
	}
	trust.dict(256, func(k, v *reader) {
		key := k.b32()
		ca := CAKey{Kind: v.u8(), Key: PublicKey{X: v.b32(), Y: v.b32()}}
		if v.err == nil && ca.Key.Digest() != key {
			v.fail(errors.New("CA key is listed under another digest"))
		}
		s.CAKeys[key] = ca
	})
	s.LastSet = trust.u32()
	verifiers, listed := trust.maybeRef(), trust.maybeRef()
	s.Verifier = CodeID{Hash: trust.b32(), Depth: trust.u16()}
	trust.end()
	if trust.err != nil {
		return trust.err
	}
	var err error
	if verifiers != nil {
		if s.Verifiers, err = parseVerifierSet(verifiers); err != nil {
			return err
		}
	}
	if listed != nil {
		s.Listed, err = parseVerifierSet(listed)
	}
	return err
}

func (s *RootState) parseMore(c *cell.Cell) error {
	r := read(c, "root state, second part")
	governance := r.ref()
	r.dict(256, func(k, v *reader) {
		key := k.b32()
		m := read(v.ref(), "model")
		s.Models[key] = Model{Licence: m.text(), URL: m.text()}
		if m.end(); m.err != nil {
			v.fail(m.err)
		}
	})
	r.dict(32, func(k, v *reader) {
		n := k.u32()
		p := read(v.ref(), "proposal")
		s.Proposals[n] = Proposal{ExecuteAfter: p.u32(), ExecuteBefore: p.u32(), Action: p.ref()}
		if p.end(); p.err != nil {
			v.fail(p.err)
		}
	})
	if r.end(); r.err != nil {
		return r.err
	}
	var err error
	s.Governance, err = parseQuorum(governance, "governance")
	return err
}
