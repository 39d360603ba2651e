package contracts

import (
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Status of a node.
type Status uint8

const (
	StatusNone     Status = 0 // never registered
	StatusActive   Status = 1
	StatusInactive Status = 2 // retired, expired, invalidated or found at fault
)

func (s Status) String() string {
	switch s {
	case StatusNone:
		return "none"
	case StatusActive:
		return "active"
	case StatusInactive:
		return "inactive"
	}
	return "unknown"
}

// NodeState is the state of a Node.
type NodeState struct {
	Key            NodeKey
	Status         Status
	Epoch          uint32 // current; 0 before the first registration
	Expires        uint32 // unix seconds; clients count the registration as over from then on
	LogKey         [32]byte
	Anchor         Anchor // newest anchored head; its Epoch is the current one
	AnchorTime     uint32
	AnchorInterval uint32
	Stake          uint64 // nano
	Unbonding      uint64
	Owed           uint64 // credits and bonds, not the operator's
	Current        *EpochRecord
	Pending        *EpochRecord // waits for Root and the Platform
	Past           map[uint32]PastEpoch
	Params         *Params // as Root last confirmed
	Profile        Profile // none where the operator's is not of the form that [Profile.Cell] has
	Book           Book
}

// EpochRecord is one registered boot of the node's enclave.
type EpochRecord struct {
	LT           uint64 // logical time of the transaction that asked Root: names the registration; 0: no answer confirms it
	BlockSeqno   uint32
	RegisteredAt uint32
	NotAfter     uint32
	QueryID      uint64    // of the registration
	Attestation  PublicKey // key that signs the machine's TD reports; mode B: zero
	ReceiptKey   [32]byte
	LogKey       [32]byte
	IdentityKey  [32]byte
	ClaimsDigest [32]byte
	Check        Check // as Root was asked
}

// Check is what Root judges a registration by.
type Check struct {
	Kind        uint8 // [KindTDX], [KindSNP], [KindTDXQuorum]
	Measurement [32]byte
	PlatformID  [32]byte
	Authority   [32]byte  // mode A: [PublicKey.Digest] of the PCK CA; mode B: hash of the verifier set's cell
	TDX         *CheckTDX // mode A
}

// CheckTDX is what the contract read out of a TDX quote.
type CheckTDX struct {
	FMSPC [6]byte
	TCB   TDXTCB
}

// PastEpoch is an epoch that ended.
type PastEpoch struct {
	FinalSize uint64
	FinalRoot [32]byte
	ClosedAt  uint32 // when its registration ended, or the next one came
	Record    EpochRecord
}

// Book holds what the node owes, and what it is asked.
type Book struct {
	UnbondingAt uint32                         // when unbonding stake may be withdrawn
	Credits     map[attestation.Address]uint64 // nano
	Settled     map[[32]byte]bool              // faults that were paid for
	Challenges  map[[32]byte]Challenge         // by id; while there is one, no stake leaves
}

// ParseNode reads the state of a Node. A node that was deployed and has not
// written yet holds its initial data, which is read too.
func ParseNode(data *cell.Cell) (*NodeState, error) {
	if data == nil {
		return nil, attestation.BadInput("node state: no data")
	}
	if data.RefsNum() == 0 {
		k, err := parseNodeKey(data)
		if err != nil {
			return nil, err
		}
		return &NodeState{Key: k}, nil
	}
	r := read(data, "node state")
	s := &NodeState{
		Epoch: r.u32(), LogKey: r.b32(), AnchorInterval: r.u32(),
		Stake: r.u64(), Unbonding: r.u64(), Owed: r.u64(),
		Status: Status(r.u8()), Expires: r.u32(),
		AnchorTime: r.u32(), Anchor: Anchor{Size: r.u64(), Root: r.b32()},
	}
	s.Anchor.Epoch = s.Epoch
	pending, key, epochs, book := r.maybeRef(), r.ref(), r.ref(), r.ref()
	r.end()
	if r.err != nil {
		return nil, r.err
	}
	if s.Status > StatusInactive {
		return nil, attestation.BadInput("node state: unknown status %d", s.Status)
	}
	var err error
	if s.Key, err = parseNodeKey(key); err != nil {
		return nil, err
	}
	if err = s.parseEpochs(epochs); err != nil {
		return nil, err
	}
	if pending != nil {
		if s.Pending, err = parseRecord(pending); err != nil {
			return nil, err
		}
	}
	if s.Book, s.Profile, err = parseBook(book, s.Key.Operator); err != nil {
		return nil, err
	}
	if (s.Epoch == 0) != (s.Current == nil) || s.Current != nil && s.Current.LogKey != s.LogKey {
		return nil, attestation.BadInput("node state: epoch %d and its record contradict each other", s.Epoch)
	}
	return s, nil
}

func (s *NodeState) parseEpochs(c *cell.Cell) error {
	r := read(c, "node epochs")
	current := r.maybeRef()
	s.Past = map[uint32]PastEpoch{}
	r.dict(32, func(k, v *reader) {
		n := k.u32()
		p, err := parsePast(v.ref())
		if err != nil {
			v.fail(err)
			return
		}
		s.Past[n] = p
	})
	params := r.maybeRef()
	r.end()
	if r.err != nil {
		return r.err
	}
	var err error
	if current != nil {
		if s.Current, err = parseRecord(current); err != nil {
			return err
		}
	}
	if params != nil {
		p, err := ParseParams(params)
		if err != nil {
			return err
		}
		s.Params = &p
	}
	return nil
}

func parseRecord(c *cell.Cell) (*EpochRecord, error) {
	r := read(c, "epoch record")
	e := &EpochRecord{LT: r.u64(), ClaimsDigest: r.b32(), BlockSeqno: r.u32(), RegisteredAt: r.u32(), NotAfter: r.u32(), QueryID: r.u64(), Attestation: PublicKey{X: r.b32(), Y: r.b32()}}
	keys, check := read(r.ref(), "epoch keys"), r.ref()
	if r.end(); r.err != nil {
		return nil, r.err
	}
	keys.tag(32, tagClaimsKeys)
	e.ReceiptKey, e.LogKey, e.IdentityKey = keys.b32(), keys.b32(), keys.b32()
	if keys.end(); keys.err != nil {
		return nil, keys.err
	}
	var err error
	e.Check, err = parseCheck(check)
	return e, err
}

// Knows reports whether the record was made from evidence of the machine that a
// quote is of, so that [RegisterTDXAgain] says all that [RegisterTDX] would: the
// same CA, certificate's end and security state, quoting enclave and attestation
// key, before the certificate's end.
func (e *EpochRecord) Knows(q *QuoteInfo, now uint32) bool {
	c := e.Check
	if c.Kind != KindTDX || c.TDX == nil || now > e.NotAfter || e.NotAfter != q.NotAfter {
		return false
	}
	a, b := c.TDX.TCB, q.TCB
	return e.Attestation == q.Attestation && c.Authority == q.CA.Digest() && c.PlatformID == q.PlatformID && c.TDX.FMSPC == q.FMSPC &&
		a.CPUSVN == b.CPUSVN && a.PCESVN == b.PCESVN && a.QESVN == b.QESVN && a.QESigner == b.QESigner
}

func parseCheck(c *cell.Cell) (Check, error) {
	r := read(c, "check subject")
	v := Check{Kind: r.u8(), Measurement: r.b32(), PlatformID: r.b32(), Authority: r.b32()}
	tdx := r.maybeRef()
	r.end()
	if r.err != nil || tdx == nil {
		return v, r.err
	}
	t := read(tdx, "check of a TDX quote")
	v.TDX = new(CheckTDX)
	t.bytes(v.TDX.FMSPC[:])
	v.TDX.TCB = t.tdxTCB()
	t.end()
	return v, t.err
}

func parsePast(c *cell.Cell) (PastEpoch, error) {
	r := read(c, "past epoch")
	p := PastEpoch{FinalSize: r.u64(), FinalRoot: r.b32(), ClosedAt: r.u32()}
	record := r.ref()
	r.end()
	if r.err != nil {
		return p, r.err
	}
	e, err := parseRecord(record)
	if err != nil {
		return p, err
	}
	p.Record = *e
	return p, nil
}

func parseBook(c *cell.Cell, operator attestation.Address) (Book, Profile, error) {
	r := read(c, "node book")
	b := Book{
		UnbondingAt: r.u32(), Credits: map[attestation.Address]uint64{}, Settled: map[[32]byte]bool{},
		Challenges: map[[32]byte]Challenge{},
	}
	if n := r.u64(); n > 0 {
		b.Credits[operator] = n // kept apart from the others'
	}
	r.dict(267, func(k, v *reader) { b.Credits[k.addr()] = v.u64() })
	r.dict(256, func(k, v *reader) { b.Settled[k.b32()] = v.bool() })
	r.dict(256, func(k, v *reader) {
		id := k.b32()
		c, err := parseChallenge(v.ref())
		if err != nil {
			v.fail(err)
		}
		b.Challenges[id] = c
	})
	profile := r.ref()
	if r.end(); r.err != nil {
		return b, Profile{}, r.err
	}
	// The contract takes what an operator says as it is: with a profile that can't be
	// read he hides his endpoint, not his node's faults.
	p, err := parseProfile(profile)
	if err != nil {
		p = Profile{}
	}
	return b, p, nil
}

// Record returns the record of an epoch: the current one or a past one that is
// still kept.
func (s *NodeState) Record(epoch uint32) (*EpochRecord, bool) {
	if epoch != 0 && epoch == s.Epoch {
		return s.Current, true
	}
	p, ok := s.Past[epoch]
	if !ok {
		return nil, false
	}
	return &p.Record, true
}

// Protected returns what the contract's balance may never fall below, beside
// [NodeReserve]: stake, stake on its way out, credits and bonds.
func (s *NodeState) Protected() uint64 { return s.Stake + s.Unbonding + s.Owed }
