package registry

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Reader reads the registry's contracts with proofs. It adds no trust of its
// own to the chain.Reader it wraps, and is as safe for concurrent use.
type Reader struct{ chain.Reader }

// Node returns the proved record of the node at addr. That the account runs
// the node's code, and that its address follows from the registry, operator and
// index in its data, is checked: another contract that claims to be a node is
// an [attestation.ChainError], and so is what can't be read. [ErrNoContract]: nobody has
// deployed it yet; [ErrFrozen]: it owes storage.
func (r Reader) Node(ctx context.Context, addr attestation.Address) (*Node, error) {
	acc, err := r.Account(ctx, addr)
	if err != nil {
		return nil, err
	}
	return NodeOf(acc)
}

// Root returns the proved record of the registry at addr. Which registry to believe
// is for the caller to know: anybody may deploy one. Errors are those of [Reader.Node].
func (r Reader) Root(ctx context.Context, addr attestation.Address) (*Root, error) {
	acc, err := r.Account(ctx, addr)
	if err != nil {
		return nil, err
	}
	return RootOf(acc)
}

// NodeOf reads the record of a node out of a proved account; see [Reader.Node].
func NodeOf(acc *chain.Account) (*Node, error) {
	if err := runs(acc, contracts.NodeCode(), "node"); err != nil {
		return nil, err
	}
	s, err := contracts.ParseNode(acc.Data)
	if err != nil {
		return nil, attestation.ChainDisagrees("node %v: its state can't be read: %w", acc.Address, err)
	}
	want, _, err := contracts.NodeAddress(s.Key.Root, s.Key.Operator, s.Key.Index)
	if err != nil || want != acc.Address {
		return nil, attestation.ChainDisagrees("account %v says that it is node %d of %v, which is at %v", acc.Address, s.Key.Index, s.Key.Operator, want)
	}
	return record(acc, s), nil
}

// record makes the record of a node of its state.
func record(acc *chain.Account, s *contracts.NodeState) *Node {
	n := &Node{
		Address: acc.Address, Root: s.Key.Root, Operator: s.Key.Operator, Index: s.Key.Index,
		Endpoint: s.Profile.Endpoint, PromptPrice: s.Profile.PromptPrice, CompletionPrice: s.Profile.CompletionPrice,
		Stake: s.Stake, Status: s.Status.String(), Current: s.Epoch,
		Epochs: map[uint32]Epoch{}, State: s, At: acc.Block,
		Anchor: Anchor{s.Epoch, s.Anchor.Size, s.Anchor.Root, when(s.AnchorTime)},
	}
	if s.Params != nil {
		n.AnchorInterval = seconds(s.Params.AnchorInterval)
	}
	if s.Current != nil {
		e := epoch(s.Epoch, s.Current)
		// A registration that ended early has an earlier end than its record.
		e.Expires = when(min(s.Current.NotAfter, s.Expires))
		e.Active = s.Status == contracts.StatusActive
		n.Epochs[s.Epoch] = e
	}
	for number, p := range s.Past {
		e := epoch(number, &p.Record)
		e.Expires = when(min(p.Record.NotAfter, p.ClosedAt))
		e.Final = Anchor{number, p.FinalSize, p.FinalRoot, when(p.ClosedAt)}
		n.Epochs[number] = e
	}
	return n
}

// RootOf reads the record of a registry out of a proved account; see [Reader.Root].
func RootOf(acc *chain.Account) (*Root, error) {
	if err := runs(acc, contracts.RootCode(), "registry"); err != nil {
		return nil, err
	}
	s, err := contracts.ParseRoot(acc.Data)
	if err != nil {
		return nil, attestation.ChainDisagrees("registry %v: its state can't be read: %w", acc.Address, err)
	}
	r := &Root{Address: acc.Address, Paused: s.Paused, MergeDelay: seconds(s.Params.MergeDelay), MinStake: s.Params.MinStake, State: s, At: acc.Block}
	for d, m := range s.Measurements {
		if m.Flags&contracts.MeasurementAccepted != 0 {
			r.Measurements = append(r.Measurements, d)
		}
	}
	for d := range s.Models {
		r.Models = append(r.Models, d)
	}
	byBytes := func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) }
	r.Nodes = slices.SortedFunc(maps.Keys(s.Nodes), func(a, b attestation.Address) int { return byBytes(a.Hash, b.Hash) })
	slices.SortFunc(r.Measurements, byBytes)
	slices.SortFunc(r.Models, byBytes)
	return r, nil
}

// ErrNoContract says that there is no contract at an address yet.
var ErrNoContract = errors.New("there is no contract at this address")

// ErrFrozen says that a contract owes so much storage that the chain keeps only
// the hash of its state. Whoever sends coins with its last state revives it
// ([contracts.LastState]).
var ErrFrozen = errors.New("the contract owes storage and is frozen")

func runs(acc *chain.Account, code *cell.Cell, what string) error {
	switch {
	case acc.Frozen:
		return attestation.ChainDisagrees("%s %v: %w (block %d)", what, acc.Address, ErrFrozen, acc.Block.Seqno)
	case !acc.Active():
		return attestation.ChainDisagrees("%s %v: %w (block %d)", what, acc.Address, ErrNoContract, acc.Block.Seqno)
	case string(acc.Code.Hash()) != string(code.Hash()):
		return attestation.ChainDisagrees("account %v runs other code than a %s of this version", acc.Address, what)
	}
	return nil
}

func epoch(number uint32, r *contracts.EpochRecord) Epoch {
	return Epoch{
		Number: number, ClaimsDigest: r.ClaimsDigest, Measurement: r.Check.Measurement, PlatformID: r.Check.PlatformID,
		ByQuorum:   r.Check.Kind != contracts.KindTDX,
		ReceiptKey: r.ReceiptKey, LogKey: r.LogKey, IdentityKey: r.IdentityKey,
		StartBlock: r.BlockSeqno, RegisteredAt: when(r.RegisteredAt), Expires: when(r.NotAfter),
	}
}

func when(unix uint32) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(int64(unix), 0).UTC()
}

func seconds(s uint32) time.Duration { return time.Duration(s) * time.Second }
