package devnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/xssnick/tonutils-go/tvm/cell"
)

func (s *store) snapshot(b *Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshotLocked(b)
}

// snapshotLocked writes the states after b and drops the snapshot before the
// last one: the newest may turn out damaged.
func (s *store) snapshotLocked(b *Block) error {
	if s.f == nil {
		return nil
	}
	boc, err := cell.ToBOCWithOptionsErr([]*cell.Cell{b.State, b.shard.State}, cell.BOCSerializeOptions{WithCRC32C: true})
	if err != nil {
		return err
	}
	if err := writeFile(s.statePath(b.ID.SeqNo), boc); err != nil {
		return err
	}
	old := s.snap
	s.snap = b.ID.SeqNo
	for _, n := range s.snapshots() {
		if n != s.snap && n != old && n != 0 {
			os.Remove(s.statePath(n))
		}
	}
	return nil
}

func (s *store) statePath(seqno uint32) string {
	return filepath.Join(s.dir, fmt.Sprintf("state-%d.boc", seqno))
}

// snapshots lists the numbers of the stored states, in no order.
func (s *store) snapshots() (out []uint32) {
	names, _ := filepath.Glob(filepath.Join(s.dir, "state-*.boc"))
	for _, n := range names {
		var seqno uint32
		if _, err := fmt.Sscanf(strings.TrimPrefix(filepath.Base(n), "state-"), "%d.boc", &seqno); err == nil {
			out = append(out, seqno)
		}
	}
	return out
}

// loadSnapshot returns the stored states after a block.
func (s *store) loadSnapshot(seqno uint32) (mc, shard *cell.Cell, err error) {
	raw, err := os.ReadFile(s.statePath(seqno))
	if err != nil {
		return nil, nil, err
	}
	roots, err := cell.FromBOCMultiRoot(raw)
	if err != nil {
		return nil, nil, err
	}
	if len(roots) != 2 {
		return nil, nil, fmt.Errorf("%s: %d states, want 2", s.statePath(seqno), len(roots))
	}
	return roots[0], roots[1], nil
}
