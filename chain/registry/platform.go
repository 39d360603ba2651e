package registry

import (
	"context"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Platform is the proved record of one machine under a registry: who holds its
// slots (docs/spec/contracts-platform.md).
type Platform struct {
	Address attestation.Address // of its contract
	// Welcomed says that the registry has answered it. Before, no node gets a
	// slot.
	Welcomed bool
	Limit    int                      // nodes that may hold a slot
	Held     int                      // slots that are not free at the time of At
	State    *contracts.PlatformState // everything else
	Data     *cell.Cell               // the state as it is; see [contracts.LastState]
	LastLT   uint64                   // of its last transaction
	At       chain.Block              // the block that proves all this
}

// Platform returns the proved record of the machine with an id
// ([attestation.PlatformID]) under the registry at root. [ErrNoContract]:
// nobody has deployed it yet; [ErrFrozen]: it owes storage.
func (r Reader) Platform(ctx context.Context, root attestation.Address, id [32]byte) (*Platform, error) {
	addr, _, err := contracts.PlatformAddress(root, id)
	if err != nil {
		return nil, err
	}
	acc, err := r.Account(ctx, addr)
	if err != nil {
		return nil, err
	}
	return PlatformOf(acc)
}

// PlatformOf reads the record of a machine out of a proved account. That the
// account runs the platform's code, and that its address follows from the
// registry and the id in its data, is checked.
func PlatformOf(acc *chain.Account) (*Platform, error) {
	if err := runs(acc, contracts.PlatformCode(), "platform"); err != nil {
		return nil, err
	}
	s, err := contracts.ParsePlatform(acc.Data)
	if err != nil {
		return nil, attestation.ChainDisagrees("platform %v: its state can't be read: %w", acc.Address, err)
	}
	if want, _, err := contracts.PlatformAddress(s.Key.Root, s.Key.ID); err != nil || want != acc.Address {
		return nil, attestation.ChainDisagrees("account %v says that it is platform %x, which is at %v", acc.Address, s.Key.ID, want)
	}
	p := &Platform{
		Address: acc.Address, Welcomed: s.Node != contracts.CodeID{}, Limit: min(int(s.Slots), contracts.MaxSlots), State: s, Data: acc.Data, LastLT: acc.LastLT, At: acc.Block,
	}
	for _, h := range s.Holders {
		if p.live(h) {
			p.Held++
		}
	}
	return p, nil
}

func (p *Platform) live(s contracts.Slot) bool { return int64(s.Expires) > p.At.Time.Unix() }

// Slot returns until when a node holds a slot of this machine, and whether it
// does.
func (p *Platform) Slot(node attestation.Address) (until time.Time, ok bool) {
	s, ok := p.State.Holders[node]
	if !ok || !p.live(s) {
		return time.Time{}, false
	}
	return when(s.Expires), true
}

// NextFree returns when the first of the held slots ends by itself; zero when
// none is held.
func (p *Platform) NextFree() time.Time {
	var first uint32
	for _, h := range p.State.Holders {
		if p.live(h) && (first == 0 || h.Expires < first) {
			first = h.Expires
		}
	}
	return when(first)
}
