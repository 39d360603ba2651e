package devnet

import (
	"crypto/sha256"
	"errors"
	"os"
	"sync"

	"github.com/cocoon-go/cocoon/chain/filelock"
)

// A directory holds:
//
//	chain.json   format, seed, chain id, number of validators
//	lock         held by the process that has the chain open
//	blocks       one record a step: length, CRC-32C, masterchain block,
//	             basechain block, signatures, transaction list
//	state-N.boc  both states after block N
//
// A record is written before its block is served. The file is not flushed to
// disk for each: after a crash of the process nothing is lost, after a crash of
// the machine the newest blocks may be. A torn tail is cut off at start; damage
// before good records is an error, unless the options say repair.
//
// States are written now and then; blocks after the newest good one are applied
// again from their Merkle updates, without execution.

const (
	storeFormat   = "cocoon/devnet/v1"
	snapshotEvery = 2000     // blocks
	maxRecord     = 64 << 20 // bytes
	recordHeader  = 8
)

func fileHash(boc []byte) []byte { h := sha256.Sum256(boc); return h[:] }

// store keeps blocks: in a file, or in memory when it has none.
type store struct {
	dir  string
	lock *filelock.Lock

	mu      sync.Mutex
	f       *os.File
	offsets []int64 // of the record of block i+1
	end     int64
	records [][]byte // in memory
	snap    uint32   // newest snapshot
}

// open loads the chain from the directory of the options, or makes a new one.
func (c *Chain) open() error {
	c.store = &store{dir: c.opts.Dir}
	fresh := true
	if c.opts.Dir != "" {
		var err error
		if fresh, err = c.store.openDir(&c.opts); err != nil {
			return err
		}
	}
	var err error
	if c.vals, err = newValidators(c.opts.Seed, c.opts.Validators); err != nil {
		return err
	}
	if err := c.faucet.init(c.opts.Seed, c.opts.GlobalID); err != nil {
		return err
	}
	if !fresh {
		return c.restore()
	}
	if err := c.create(); err != nil {
		return err
	}
	if err := c.store.snapshot(c.hist.head()); err != nil {
		return err
	}
	return c.Mine(firstBlocks)
}

// append stores the next block, and now and then its states.
func (s *store) append(b *Block) error {
	rec := encodeRecord(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		s.records = append(s.records, rec)
		return nil
	}
	if _, err := s.f.WriteAt(rec, s.end); err != nil {
		return err
	}
	s.offsets = append(s.offsets, s.end)
	s.end += int64(len(rec))
	if b.ID.SeqNo-s.snap >= snapshotEvery {
		return s.snapshotLocked(b)
	}
	return nil
}

// read returns a stored block, without its states.
func (s *store) read(seqno uint32) (*Block, error) {
	s.mu.Lock()
	var rec []byte
	var err error
	switch i := int(seqno) - 1; {
	case s.f == nil && i >= 0 && i < len(s.records):
		rec = s.records[i]
	case s.f != nil && i >= 0 && i < len(s.offsets):
		end := s.end
		if i+1 < len(s.offsets) {
			end = s.offsets[i+1]
		}
		rec = make([]byte, end-s.offsets[i])
		_, err = s.f.ReadAt(rec, s.offsets[i])
	default:
		err = errNoBlock
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	r, err := decodeRecord(rec[recordHeader:])
	if err != nil {
		return nil, err
	}
	return r.block()
}

// close writes the newest states and closes the files.
func (s *store) close(h *history) error {
	if s == nil {
		return nil
	}
	var errs []error
	if s.f != nil {
		if h != nil && h.head().State != nil && h.head().ID.SeqNo != s.snap {
			errs = append(errs, s.f.Sync(), s.snapshot(h.head()))
		}
		errs = append(errs, s.f.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}
