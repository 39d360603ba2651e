package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// seekSlot makes sure that the machine's Platform contract is there and says what
// the registry says, and that it has a slot for the node. It pays for a
// deployment once, whatever happens, and for nothing that is there. No slot, or a
// revoked machine, is a refusal that wraps a [*RefusalError].
func (o *Operator) seekSlot(ctx context.Context, id [32]byte, log *slog.Logger) error {
	root, err := o.reader.Root(ctx, o.Registry)
	if err != nil {
		return fmt.Errorf("reading the registry: %w", err)
	}
	if counts, err := countsSlots(root, id); err != nil || !counts {
		return err
	}
	p, err := o.platform(ctx, log, root, id)
	if err != nil {
		return err
	}
	return slotFor(p, o.Node)
}

// countsSlots says whether the registry wants a slot for a node on a machine.
func countsSlots(root *registry.Root, id [32]byte) (bool, error) {
	switch s := root.State; {
	case s.Platform == contracts.CodeID{}:
		return false, nil
	case s.Platform != contracts.PlatformCodeID():
		return false, attestation.ChainDisagrees("registry %v has platforms of another version than this program: update it", root.Address)
	case s.Revoked[id]:
		return false, foreseen(contracts.CodeRevoked, "machine %x is revoked by the registry", id)
	}
	return true, nil
}

// platform returns the machine's record once it says what the registry says.
func (o *Operator) platform(ctx context.Context, log *slog.Logger, root *registry.Root, id [32]byte) (*registry.Platform, error) {
	addr, init, err := contracts.PlatformAddress(o.Registry, id)
	if err != nil {
		return nil, err
	}
	p, err := o.reader.Platform(ctx, o.Registry, id)
	if errors.Is(err, registry.ErrFrozen) {
		if err := o.revive(ctx, log, addr); err != nil {
			return nil, err
		}
		return o.awaitPlatform(ctx, root, id)
	}
	if err != nil && !errors.Is(err, registry.ErrNoContract) {
		return nil, fmt.Errorf("reading the platform's record: %w", err)
	}
	if err == nil && upToDate(p, root) {
		return p, nil
	}
	m, err := renewal(addr, init, contracts.ValueRenew)
	if err != nil {
		return nil, err
	}
	payment := "platform-" + addr.String()
	if p != nil && p.Welcomed {
		payment = fmt.Sprintf("renew-%s-%d", addr, p.LastLT)
	}
	log.Info("asking the registry to welcome this machine", "platform", addr.String())
	if _, err := o.writer.Send(ctx, payment, m); err != nil {
		return nil, err
	}
	return o.awaitPlatform(ctx, root, id)
}

func (o *Operator) awaitPlatform(ctx context.Context, root *registry.Root, id [32]byte) (*registry.Platform, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var looks chain.Looks
	for {
		p, err := o.reader.Platform(ctx, o.Registry, id)
		if err == nil && upToDate(p, root) {
			return p, nil
		}
		select {
		case <-ctx.Done():
			return nil, attestation.Unknown("waiting for the registry's answer to platform %x: %w", id, errors.Join(ctx.Err(), err))
		case <-time.After(looks.Next()):
		}
	}
}

// upToDate says whether a platform holds what the registry says of it.
func upToDate(p *registry.Platform, root *registry.Root) bool {
	s, r := p.State, root.State
	return s.Node == r.Node && s.Slots == r.Params.PlatformSlots && s.Revoked == r.Revoked[s.Key.ID]
}

// slotFor foresees whether the platform would give a node a slot.
func slotFor(p *registry.Platform, node attestation.Address) error {
	if _, ok := p.State.Holders[node]; ok || p.Held < p.Limit {
		return nil
	}
	return foreseen(contracts.CodeNoSlot, "all %d slots of platform %v, this machine's, are held by other nodes: unregister one of them, or wait until %s",
		p.Limit, p.Address, p.NextFree().Format(time.RFC3339))
}

// foreseen is a refusal that costs nothing, since nothing was sent.
func foreseen(code int, format string, args ...any) error {
	return attestation.Refused("%w: %s", &RefusalError{Code: code, Foreseen: true}, fmt.Sprintf(format, args...))
}
