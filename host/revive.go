package host

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

// lastStates keeps in a directory what contracts held when they were read last. A
// contract that is frozen is revived with its last state and with no other.
type lastStates string

// maxState bounds a file, in bytes.
const maxState = 1 << 20

func (d lastStates) file(a attestation.Address) string {
	return filepath.Join(string(d), "state-"+hex.EncodeToString(a.Hash[:])+".boc")
}

func (d lastStates) save(a attestation.Address, data *cell.Cell) error {
	return atomicfile.Write(d.file(a), data.ToBOC(), 0o600)
}

// load returns nil when there is none, or none that can be read: it serves only if
// the chain knows its hash.
func (d lastStates) load(a attestation.Address) (*cell.Cell, error) {
	b, err := os.ReadFile(d.file(a))
	if errors.Is(err, fs.ErrNotExist) || len(b) > maxState {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	data, err := cell.FromBOC(b)
	if err != nil {
		return nil, nil
	}
	return data, nil
}

// revive pays what a frozen Platform owes and has the registry welcome it again. It
// needs the state that the Platform had last.
func (o *Operator) revive(ctx context.Context, log *slog.Logger, platform attestation.Address) error {
	acc, err := o.Client.Account(ctx, platform)
	if err != nil || !acc.Frozen {
		return err
	}
	data, err := o.states.load(platform)
	if err != nil {
		return err
	}
	if data == nil || [32]byte(contracts.LastState(contracts.PlatformCode(), data).Hash()) != acc.State {
		return attestation.Unknown("this machine's platform %v owes storage and is frozen, and its last state is not in %s: whoever has the state, perhaps another operator on this machine, can revive it (docs/spec/contracts-platform.md)",
			platform, string(o.states))
	}
	m, err := renewal(platform, contracts.LastState(contracts.PlatformCode(), data), contracts.ValueRevive)
	if err != nil {
		return err
	}
	log.Info("paying what this machine's platform owes, and reviving it", "platform", platform.String())
	_, err = o.writer.Send(ctx, fmt.Sprintf("revive-%s-%d", platform, acc.LastLT), m)
	return err
}

// remember keeps a Platform's state. It is for worse times: that it can't is no error.
func (o *Operator) remember(ctx context.Context, log *slog.Logger, id [32]byte) {
	p, err := o.reader.Platform(ctx, o.Registry, id)
	if err == nil {
		err = o.states.save(p.Address, p.Data)
	}
	if err != nil {
		log.Debug("the platform's state is not kept", "err", err)
	}
}

// renewal is a message with a StateInit that has the registry welcome a platform.
func renewal(platform attestation.Address, init *cell.Cell, value uint64) (m chain.Message, err error) {
	m = chain.Message{To: platform, Amount: nano(value), StateInit: new(tlb.StateInit)}
	if err := tlb.LoadFromCell(m.StateInit, init.MustBeginParse()); err != nil {
		return m, fmt.Errorf("state of the platform: %w", err)
	}
	m.Body, err = (&contracts.RenewPlatform{}).Body()
	return m, err
}
