package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Action is something that governance can do. Those that tighten happen at
// once; those that loosen, and changes of keys, wait for the governance delay.
//
// The types are [RemoveMeasurement] to [CancelProposal], which tighten, and
// [AddMeasurement] to [Sweep], which wait.
type Action interface {
	tag() uint8
	store(*cell.Builder) error
}

// firstLoosening is the least tag of an action that waits.
const firstLoosening = 0x80

// Tightens reports whether a happens at once.
func Tightens(a Action) bool { return a.tag() < firstLoosening }

// ActionCell returns the encoding of a: what approvals name by its hash.
func ActionCell(a Action) (*cell.Cell, error) {
	if a == nil {
		return nil, attestation.BadInput("governance: no action")
	}
	b := build().MustStoreUInt(uint64(a.tag()), 8)
	if err := a.store(b); err != nil {
		return nil, err
	}
	return b.EndCell(), nil
}

// Actions that tighten.
type (
	// RemoveMeasurement takes a measurement off the list.
	RemoveMeasurement struct{ Digest [32]byte }
	// RemoveModel takes a model off the list.
	RemoveModel struct{ Digest [32]byte }
	// RemoveFloor refuses quotes of an FMSPC.
	RemoveFloor struct{ FMSPC [6]byte }
	// RaiseFloor replaces a floor by one that accepts nothing more.
	RaiseFloor struct {
		FMSPC [6]byte
		Floor TDXFloor
	}
	// RemoveCAKey refuses certificates of an Intel CA key, by [PublicKey.Digest].
	RemoveCAKey struct{ Digest [32]byte }
	// RemoveVerifiers ends mode B, also for nodes that are registered.
	RemoveVerifiers struct{}
	// Pause refuses new registrations.
	Pause struct{}
	// RevokePlatform takes a platform's slots away.
	RevokePlatform struct{ PlatformID [32]byte }
	// CancelProposal withdraws a proposal that waits.
	CancelProposal struct{ Number uint32 }
)

// Actions that wait for the governance delay.
type (
	// AddMeasurement lists a measurement; [MeasurementAccepted] lets it register.
	AddMeasurement struct {
		Digest [32]byte
		Flags  uint8
	}
	// AddModel lists a model.
	AddModel struct {
		Digest [32]byte
		Model  Model
	}
	// SetFloor sets any floor for an FMSPC.
	SetFloor struct {
		FMSPC [6]byte
		Floor TDXFloor
	}
	// AddCAKey lists an Intel CA key.
	AddCAKey struct{ Key CAKey }
	// SetVerifiers replaces the verifier set by one with a higher number.
	SetVerifiers struct{ Verifiers VerifierSet }
	// Resume accepts registrations again.
	Resume struct{}
	// RestorePlatform undoes RevokePlatform.
	RestorePlatform struct{ PlatformID [32]byte }
	// SetParams replaces the parameters.
	SetParams struct{ Params Params }
	// SetGovernance replaces the quorum that decides.
	SetGovernance struct{ Governance Quorum }
	// Sweep sends all of Root's coins above Keep to an account, which is not asked.
	Sweep struct {
		To   attestation.Address
		Keep uint64 // nano, [MinKept] or more: what Root's storage needs
	}
)

// MinSwept is the least that a [Sweep] takes out, in nano: less would not pay for
// its way everywhere.
const MinSwept = 100_000_000

// MinKept is what a [Sweep] leaves to Root at least, in nano. A list of 100 nodes
// takes a tenth of it a year.
const MinKept uint64 = 1_000_000_000

func (RemoveMeasurement) tag() uint8 { return 0x01 }
func (RemoveModel) tag() uint8       { return 0x02 }
func (RemoveFloor) tag() uint8       { return 0x03 }
func (RaiseFloor) tag() uint8        { return 0x04 }
func (RemoveCAKey) tag() uint8       { return 0x05 }
func (RemoveVerifiers) tag() uint8   { return 0x06 }
func (Pause) tag() uint8             { return 0x07 }
func (RevokePlatform) tag() uint8    { return 0x08 }
func (CancelProposal) tag() uint8    { return 0x09 }
func (AddMeasurement) tag() uint8    { return 0x81 }
func (AddModel) tag() uint8          { return 0x82 }
func (SetFloor) tag() uint8          { return 0x83 }
func (AddCAKey) tag() uint8          { return 0x84 }
func (SetVerifiers) tag() uint8      { return 0x85 }
func (Resume) tag() uint8            { return 0x86 }
func (RestorePlatform) tag() uint8   { return 0x87 }
func (SetParams) tag() uint8         { return 0x88 }
func (SetGovernance) tag() uint8     { return 0x89 }
func (Sweep) tag() uint8             { return 0x8a }

func (a RemoveMeasurement) store(b *cell.Builder) error { return storeHash(b, a.Digest) }
func (a RemoveModel) store(b *cell.Builder) error       { return storeHash(b, a.Digest) }
func (a RemoveFloor) store(b *cell.Builder) error       { return b.StoreSlice(a.FMSPC[:], 48) }
func (a RaiseFloor) store(b *cell.Builder) error        { return storeFloor(b, a.FMSPC, a.Floor) }
func (a RemoveCAKey) store(b *cell.Builder) error       { return storeHash(b, a.Digest) }
func (RemoveVerifiers) store(*cell.Builder) error       { return nil }
func (Pause) store(*cell.Builder) error                 { return nil }
func (a RevokePlatform) store(b *cell.Builder) error    { return storeHash(b, a.PlatformID) }
func (a CancelProposal) store(b *cell.Builder) error    { return b.StoreUInt(uint64(a.Number), 32) }
func (a SetFloor) store(b *cell.Builder) error          { return storeFloor(b, a.FMSPC, a.Floor) }
func (Resume) store(*cell.Builder) error                { return nil }
func (a RestorePlatform) store(b *cell.Builder) error   { return storeHash(b, a.PlatformID) }

func (a AddMeasurement) store(b *cell.Builder) error {
	b.MustStoreSlice(a.Digest[:], 256).MustStoreUInt(uint64(a.Flags), 8)
	return nil
}

func (a AddModel) store(b *cell.Builder) error {
	c, err := a.Model.cell()
	if err != nil {
		return err
	}
	b.MustStoreSlice(a.Digest[:], 256).MustStoreRef(c)
	return nil
}

func (a AddCAKey) store(b *cell.Builder) error {
	if a.Key.Kind != CAPlatform && a.Key.Kind != CAProcessor {
		return attestation.BadInput("governance: CA key of unknown kind %d", a.Key.Kind)
	}
	a.Key.store(b)
	return nil
}

func (a SetVerifiers) store(b *cell.Builder) error {
	if err := a.Verifiers.Quorum.Check(); err != nil {
		return err
	}
	b.MustStoreRef(a.Verifiers.Cell())
	return nil
}

func (a SetParams) store(b *cell.Builder) error {
	if err := a.Params.Check(); err != nil {
		return err
	}
	b.MustStoreRef(a.Params.Cell())
	return nil
}

func (a SetGovernance) store(b *cell.Builder) error {
	if err := a.Governance.Check(); err != nil {
		return err
	}
	b.MustStoreRef(a.Governance.Cell())
	return nil
}

func (a Sweep) store(b *cell.Builder) error {
	if a.To.Workchain != Workchain && a.To.Workchain != -1 {
		return attestation.BadInput("governance: nobody can be paid in workchain %d", a.To.Workchain)
	}
	if a.To.Hash == ([32]byte{}) {
		return attestation.BadInput("governance: a sweep to nobody")
	}
	if a.Keep < MinKept {
		return attestation.BadInput("governance: a sweep must keep %d nano or more, not %d", MinKept, a.Keep)
	}
	storeAddr(b, a.To).MustStoreUInt(a.Keep, 64)
	return nil
}

func storeHash(b *cell.Builder, h [32]byte) error { return b.StoreSlice(h[:], 256) }

func storeFloor(b *cell.Builder, fmspc [6]byte, f TDXFloor) error {
	b.MustStoreSlice(fmspc[:], 48).MustStoreRef(f.Cell())
	return nil
}

// ParseAction reads an action strictly.
func ParseAction(c *cell.Cell) (Action, error) {
	r := read(c, "governance action")
	tag := r.u8()
	if r.err != nil {
		return nil, r.err
	}
	a, err := r.action(tag)
	if err != nil {
		return nil, err
	}
	if r.end(); r.err != nil {
		return nil, r.err
	}
	return a, nil
}

func (r *reader) action(tag uint8) (Action, error) {
	switch tag {
	case 0x01:
		return RemoveMeasurement{r.b32()}, nil
	case 0x02:
		return RemoveModel{r.b32()}, nil
	case 0x03:
		return RemoveFloor{r.b6()}, nil
	case 0x04:
		k, f, err := r.floor()
		return RaiseFloor{k, f}, err
	case 0x05:
		return RemoveCAKey{r.b32()}, nil
	case 0x06:
		return RemoveVerifiers{}, nil
	case 0x07:
		return Pause{}, nil
	case 0x08:
		return RevokePlatform{r.b32()}, nil
	case 0x09:
		return CancelProposal{r.u32()}, nil
	case 0x81:
		return AddMeasurement{r.b32(), r.u8()}, nil
	case 0x82:
		return r.addModel()
	case 0x83:
		k, f, err := r.floor()
		return SetFloor{k, f}, err
	case 0x84:
		return AddCAKey{CAKey{Kind: r.u8(), Key: PublicKey{X: r.b32(), Y: r.b32()}}}, nil
	case 0x85:
		return r.setVerifiers()
	case 0x86:
		return Resume{}, nil
	case 0x87:
		return RestorePlatform{r.b32()}, nil
	case 0x88:
		p, err := ParseParams(r.ref())
		return SetParams{p}, err
	case 0x89:
		q, err := parseQuorum(r.ref(), "governance")
		return SetGovernance{q}, err
	case 0x8a:
		return Sweep{r.addr(), r.u64()}, nil
	}
	return nil, attestation.BadInput("governance: unknown action %#x", tag)
}

func (r *reader) b6() (v [6]byte) { r.bytes(v[:]); return v }

func (r *reader) floor() (fmspc [6]byte, f TDXFloor, err error) {
	fmspc = r.b6()
	f, err = parseFloor(r.ref())
	return fmspc, f, err
}

func (r *reader) addModel() (Action, error) {
	a := AddModel{Digest: r.b32()}
	m := read(r.ref(), "model")
	a.Model = Model{Licence: m.text(), URL: m.text()}
	m.end()
	return a, m.err
}

func (r *reader) setVerifiers() (Action, error) {
	v, err := parseVerifierSet(r.ref())
	if err != nil {
		return nil, err
	}
	return SetVerifiers{*v}, nil
}
