package host

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

// HeadFile is where a node's host keeps the newest head of the log that an enclave
// signed, below its directory. With it receipts can be anchored when no enclave
// runs any more; the file is what /log/anchor answers.
const HeadFile = "head.json"

// headInterval is between two looks at the head of a log that grows. Receipts given
// since the last look need another boot for their anchor.
const headInterval = time.Second

// lastHead keeps the newest signed head in a directory.
type lastHead string

func headIn(dir string) lastHead { return lastHead(filepath.Join(dir, HeadFile)) }

// load returns nil when there is none.
func (f lastHead) load() (*contracts.SignedHead, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	h, err := ParseAnchor(data)
	if err != nil {
		return nil, attestation.BadInput("%s: %w", string(f), err)
	}
	return h, nil
}

// save stores a head durably.
func (f lastHead) save(h *contracts.SignedHead) error {
	data, err := json.Marshal(map[string]any{"epoch": h.Epoch, "size": h.Size, "root": h.Root[:], "signature": h.Signature[:]})
	if err != nil {
		return err
	}
	return atomicfile.Write(string(f), append(data, '\n'), 0o600)
}

// head asks the enclave for the newest head of its log, signed now.
func (p *process) head(ctx context.Context) (*contracts.SignedHead, error) {
	data, err := p.get(ctx, "/log/anchor", 1<<12)
	if err != nil {
		return nil, err
	}
	return ParseAnchor(data)
}

// keepHeads stores the heads of an enclave's log as it grows, until ctx ends.
func (n *node) keepHeads(ctx context.Context, proc *process, e registry.Epoch) {
	tick := time.NewTicker(headInterval)
	defer tick.Stop()
	last := ""
	for {
		err := n.keepHead(ctx, proc, e)
		select {
		case <-ctx.Done():
			return
		case <-proc.done:
			return
		case <-tick.C:
		}
		if err != nil && err.Error() != last {
			last = err.Error()
			n.Log.Error("the newest head of the log is not stored; without it a challenge may need another boot", "err", err)
		}
	}
}

// keepHead stores the newest head, when it is newer than the one that is stored.
func (n *node) keepHead(ctx context.Context, proc *process, e registry.Epoch) error {
	h, err := proc.head(ctx)
	if err != nil {
		return err
	}
	if n.kept != nil && n.kept.Epoch == h.Epoch && n.kept.Size >= h.Size {
		return nil
	}
	id, err := n.op.Client.ChainID(ctx)
	if err != nil {
		return err
	}
	digest := h.Digest(id, n.op.Node)
	if h.Epoch != e.Number || !ed25519.Verify(e.LogKey[:], digest[:], h.Signature[:]) {
		return attestation.False("the enclave's head is not signed by the log key of epoch %d", e.Number)
	}
	if err := headIn(n.Dir).save(h); err != nil {
		return err
	}
	n.kept = h
	return nil
}
