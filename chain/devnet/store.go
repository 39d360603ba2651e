package devnet

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

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
// before good records is an error, unless the options say repair. States are written now and then; blocks after the newest good one are
// applied again from their Merkle updates, without execution.

const (
	storeFormat   = "cocoon/devnet/v1"
	snapshotEvery = 2000     // blocks
	maxRecord     = 64 << 20 // bytes
	recordHeader  = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

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

type storeMeta struct {
	Format     string `json:"format"`
	Seed       []byte `json:"seed"`
	GlobalID   int32  `json:"global_id"`
	Validators int    `json:"validators"`
}

// asked is what the caller of Start asked for; zero where he left it open.
type asked struct {
	globalID   int32
	validators int
}

// agrees reports what a stored chain can't be.
func (a asked) agrees(m *storeMeta) error {
	if a.globalID != 0 && a.globalID != m.GlobalID {
		return fmt.Errorf("the stored chain has id %d, not %d: use another directory", m.GlobalID, a.globalID)
	}
	if a.validators != 0 && a.validators != m.Validators {
		return fmt.Errorf("the stored chain has %d validators, not %d: use another directory", m.Validators, a.validators)
	}
	return nil
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

// openDir locks the directory, reads or writes its metadata and opens the block
// file. It reports whether the chain is new.
func (s *store) openDir(o *Options) (fresh bool, err error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return false, err
	}
	if s.lock, err = filelock.Acquire(s.dir); err != nil {
		return false, fmt.Errorf("dev chain directory %w", err)
	}
	path := filepath.Join(s.dir, "chain.json")
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		raw, err = json.Marshal(storeMeta{storeFormat, o.Seed, o.GlobalID, o.Validators})
		if err != nil {
			return false, err
		}
	case err != nil:
		return false, err
	}
	var m storeMeta
	if err := json.Unmarshal(raw, &m); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if m.Format != storeFormat {
		return false, fmt.Errorf("%s: format %q, want %q", path, m.Format, storeFormat)
	}
	if err := o.asked.agrees(&m); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	o.Seed, o.GlobalID, o.Validators = m.Seed, m.GlobalID, m.Validators
	if s.f, err = os.OpenFile(filepath.Join(s.dir, "blocks"), os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return false, err
	}
	if _, err := os.Stat(s.statePath(0)); !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	// A new chain, or a start that died before it had a zerostate. Then there is no
	// block either.
	if st, err := s.f.Stat(); err != nil || st.Size() > 0 {
		return false, errors.Join(err, fmt.Errorf("dev chain directory %s has blocks, and %s is missing: restore it, or use another directory", s.dir, s.statePath(0)))
	}
	return true, writeFile(path, append(raw, '\n'))
}

// writeFile replaces a file so that a crash leaves the old or the new one.
func writeFile(path string, data []byte) error {
	var r [6]byte
	if _, err := rand.Read(r[:]); err != nil {
		return err
	}
	tmp := fmt.Sprintf("%s.%x.tmp", path, r)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

// encodeRecord serialises a masterchain block and its basechain block.
func encodeRecord(b *Block) []byte {
	out := make([]byte, recordHeader, recordHeader+len(b.BoC)+len(b.shard.BoC)+256)
	bytes := func(p []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	bytes(b.BoC)
	bytes(b.shard.BoC)
	out = binary.BigEndian.AppendUint32(out, uint32(len(b.sigs)))
	for _, s := range b.sigs {
		out = append(append(out, s.NodeIDShort...), s.Signature...)
	}
	for _, x := range []*Block{b, b.shard} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(x.txs)))
		for _, t := range x.txs {
			out = binary.BigEndian.AppendUint64(append(out, t.account[:]...), t.lt)
		}
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-recordHeader))
	binary.BigEndian.PutUint32(out[4:], crc32.Checksum(out[recordHeader:], castagnoli))
	return out
}

// record is a decoded record. The blocks are not parsed yet.
type record struct {
	mc, shard       []byte
	sigs            []ton.Signature
	mcTxs, shardTxs []txRef
}

var errRecord = errors.New("damaged record")

func decodeRecord(p []byte) (r record, err error) {
	take := func(n int) []byte {
		if n < 0 || n > len(p) {
			err = errRecord
			return make([]byte, 0)
		}
		x := p[:n]
		p = p[n:]
		return x
	}
	count := func(size int) int {
		x := take(4)
		if err != nil {
			return 0
		}
		n := int64(binary.BigEndian.Uint32(x))
		if n*int64(size) > int64(len(p)) {
			err = errRecord
			return 0
		}
		return int(n)
	}
	r.mc = take(count(1))
	r.shard = take(count(1))
	for range count(96) {
		r.sigs = append(r.sigs, ton.Signature{NodeIDShort: take(32), Signature: take(64)})
	}
	for _, dst := range []*[]txRef{&r.mcTxs, &r.shardTxs} {
		for range count(40) {
			*dst = append(*dst, txRef{[32]byte(take(32)), binary.BigEndian.Uint64(take(8))})
		}
	}
	if err == nil && len(p) > 0 {
		err = errRecord
	}
	return r, err
}

func (r record) block() (*Block, error) {
	mc, err := restored(r.mc)
	if err != nil {
		return nil, err
	}
	if mc.shard, err = restored(r.shard); err != nil {
		return nil, err
	}
	mc.sigs, mc.txs, mc.shard.txs = r.sigs, r.mcTxs, r.shardTxs
	return mc, nil
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

// loadSnapshot returns the states after a block as zerostate-like Blocks.
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

// restore rebuilds the chain from its directory.
func (c *Chain) restore() error {
	txs := map[txKey]uint32{}
	var last uint32
	cut, err := c.store.scan(c.opts.Repair, func(seqno uint32, r record) error {
		for _, t := range r.mcTxs {
			txs[txKey{masterchain, t}] = seqno
		}
		for _, t := range r.shardTxs {
			txs[txKey{basechain, t}] = seqno
		}
		last = seqno
		return nil
	})
	if err != nil {
		return err
	}
	if cut > 0 {
		c.opts.Logger.Warn("the stored chain ended in a block that is not whole or is damaged, which was cut off", "dir", c.store.dir, "goes_on_after", last, "bytes", cut)
	}
	start, mcState, shardState, err := c.newestSnapshot(last)
	if err != nil {
		return err
	}
	head, err := c.blockFromState(start, mcState, shardState)
	if err != nil {
		return err
	}
	c.hist = newHistory(head, c.opts.Keep)
	c.hist.txs = txs
	c.store.snap = start
	if start == 0 {
		c.hist.zero = head.ID
	} else {
		mc, _, err := c.store.loadSnapshot(0)
		if err != nil {
			return fmt.Errorf("dev chain: zerostate: %w", err)
		}
		c.hist.zero = &ton.BlockIDExt{Workchain: masterchain, Shard: fullShard, RootHash: mc.Hash(), FileHash: fileHash(mc.ToBOC())}
	}
	for seqno := start + 1; seqno <= last; seqno++ {
		b, err := c.store.read(seqno)
		if err != nil {
			return err
		}
		if err := c.apply(b); err != nil {
			return fmt.Errorf("dev chain: stored block %d: %w", seqno, err)
		}
	}
	if err := c.adopt(); err != nil {
		return err
	}
	if last < firstBlocks { // the first start was cut short
		return c.Mine(int(firstBlocks - last))
	}
	return nil
}

// newestSnapshot returns the newest states that belong to a stored block.
func (c *Chain) newestSnapshot(last uint32) (seqno uint32, mc, shard *cell.Cell, err error) {
	var best uint32
	found := false
	for _, n := range c.store.snapshots() {
		if n > last || found && n < best {
			continue
		}
		m, s, err := c.store.loadSnapshot(n)
		if err != nil {
			continue
		}
		if n > 0 {
			b, err := c.store.read(n)
			if err != nil || !stateOf(b, m) || !stateOf(b.shard, s) {
				continue
			}
		}
		best, mc, shard, found = n, m, s, true
	}
	if !found {
		return 0, nil, nil, errors.New("dev chain: no usable state in the directory")
	}
	return best, mc, shard, nil
}

// updateOf returns the Merkle update of a block.
func updateOf(b *Block) (*cell.Cell, error) { return b.Root.PeekRef(2) }

// stateOf reports whether state is the one after b.
func stateOf(b *Block, state *cell.Cell) bool {
	u, err := updateOf(b)
	if err != nil {
		return false
	}
	to, err := u.PeekRef(1)
	return err == nil && to.HashKey(0) == state.HashKey()
}

// blockFromState rebuilds the block whose states are given; for number 0 the
// zerostates.
func (c *Chain) blockFromState(seqno uint32, mcState, shardState *cell.Cell) (*Block, error) {
	var mc *Block
	if seqno == 0 {
		zero := func(workchain int32, st *cell.Cell) *Block {
			boc := st.ToBOC()
			return &Block{ID: &ton.BlockIDExt{Workchain: workchain, Shard: fullShard, RootHash: st.Hash(), FileHash: fileHash(boc)}, BoC: boc}
		}
		mc = zero(masterchain, mcState)
		mc.shard = zero(basechain, shardState)
	} else {
		var err error
		if mc, err = c.store.read(seqno); err != nil {
			return nil, err
		}
	}
	mc.State, mc.shard.State = mcState, shardState
	return mc, mc.unpack()
}

// unpack fills the fields of a masterchain block that come from its states.
func (b *Block) unpack() error {
	for _, x := range []*Block{b, b.shard} {
		var st tlb.ShardStateUnsplit
		if err := tlb.Parse(&st, x.State); err != nil {
			return err
		}
		x.accounts = st.Accounts.ShardAccounts
		if x.fees == nil { // a zerostate
			x.fees, x.UTime = must(cell.BeginCell().MustStoreUInt(0, 4).EndCell().MustBeginParse().LoadBigCoins()), st.GenUTime
		}
		if x != b {
			continue
		}
		var ex tlb.McStateExtra
		if err := tlb.Parse(&ex, st.McStateExtra); err != nil {
			return err
		}
		s, err := ex.Info.BeginParse()
		if err != nil {
			return err
		}
		if _, err := s.LoadSlice(16 + 65); err != nil { // flags, validator info
			return err
		}
		if b.blocks, err = s.LoadAugDict(32, oldMcBlocks{}, false); err != nil {
			return err
		}
		if _, err := s.LoadBoolBit(); err != nil {
			return err
		}
		has, err := s.LoadBoolBit()
		if err != nil {
			return err
		}
		if has {
			b.lastKey = &tlb.ExtBlkRef{}
			if err := tlb.LoadFromCell(b.lastKey, s); err != nil {
				return err
			}
		}
		if b.Key {
			ref := extRef(b)
			b.lastKey = &ref
		}
	}
	return nil
}

// apply moves the states on by a stored block.
func (c *Chain) apply(b *Block) error {
	prev := c.hist.head()
	for _, p := range [][2]*Block{{prev, b}, {prev.shard, b.shard}} {
		u, err := updateOf(p[1])
		if err != nil {
			return err
		}
		if p[1].State, _, err = cell.ApplyMerkleUpdate(p[0].State, u); err != nil {
			return err
		}
	}
	if err := b.unpack(); err != nil {
		return err
	}
	txs := c.hist.txs
	c.hist.txs = map[txKey]uint32{} // already indexed
	c.hist.add(b)
	c.hist.txs = txs
	return nil
}

// adopt takes configuration, queues and sums from the states of the head.
func (c *Chain) adopt() error {
	head := c.hist.head()
	for _, b := range []*Block{head, head.shard} {
		var st tlb.ShardStateUnsplit
		if err := tlb.Parse(&st, b.State); err != nil {
			return err
		}
		q, err := loadQueue(st.OutMsgQueueInfo, b.ID.Workchain)
		if err != nil {
			return fmt.Errorf("message queue: %w", err)
		}
		c.queues[b.ID.Workchain] = q
		s, err := st.Stats.BeginParse()
		if err != nil {
			return err
		}
		if _, err := s.LoadSlice(128); err != nil {
			return err
		}
		var balance, fees tlb.CurrencyCollection
		if err := tlb.LoadFromCell(&balance, s); err != nil {
			return err
		}
		if err := tlb.LoadFromCell(&fees, s); err != nil {
			return err
		}
		c.valFees[b.ID.Workchain] = fees.Coins.Nano()
		if b != head {
			continue
		}
		var ex tlb.McStateExtra
		if err := tlb.Parse(&ex, st.McStateExtra); err != nil {
			return err
		}
		c.supply = ex.GlobalBalance.Coins.Nano()
		if c.cfg, err = newConfig(ex.ConfigParams.Config.Params.AsCell()); err != nil {
			return err
		}
	}
	if head.lastKey != nil {
		k, err := c.masterAt(head.lastKey.SeqNo)
		if err != nil {
			return err
		}
		c.hist.lastKeyTime = k.UTime
	}
	return nil
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
