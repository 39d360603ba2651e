package ledger

import (
	"io"
	"path/filepath"
	"sync"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/internal/leaffile"
)

// Genesis is what the chain says when an enclave boots, from a proved state
// that holds this boot's own registration.
type Genesis struct {
	ChainID   int32
	Node      attestation.Address
	Epoch     uint32   // of this boot
	ChainSize uint64   // last anchored head of the log; 0 when there is none
	ChainRoot [32]byte // its root; not looked at when ChainSize is 0

	// ReceiptKeys holds the receipt key of every epoch whose leaves may come
	// after the anchored head, and of this boot.
	ReceiptKeys map[uint32][32]byte
}

func (g *Genesis) check() error {
	if g.Node.IsZero() || g.Epoch == 0 {
		return fault.BadInput("ledger: node address or epoch is missing")
	}
	if _, ok := g.ReceiptKeys[g.Epoch]; !ok {
		return fault.BadInput("ledger: the receipt key of this boot's epoch %d is missing", g.Epoch)
	}
	if g.ChainSize > translog.MaxSize {
		return fault.BadInput("ledger: anchored size %d is above the limit %d", g.ChainSize, uint64(translog.MaxSize))
	}
	return nil
}

// Ledger is an open log. All methods are safe for concurrent use.
type Ledger struct {
	genesis Genesis
	key     [32]byte // receipt key of this boot
	lock    io.Closer
	file    file
	cut     int64 // bytes removed at start

	// writing is held by the goroutine that writes a batch. It is taken before
	// mu when both are needed.
	writing sync.Mutex

	mu     sync.Mutex // guards what follows
	next   uint64     // index of the next leaf to sign
	batch  *batch     // leaves that wait to be written; nil for none
	err    error      // first failure; appends are refused after it
	closed bool
	tree   tree // durable leaves only
}

// batch is a group of leaves that are written and synced together.
type batch struct {
	first   uint64 // index of its first leaf
	records []byte
	hashes  [][32]byte
	done    bool // guarded by Ledger.writing, as is err
	err     error
}

// Open opens the log in dir, which is created when it is missing, and checks it
// against g. The caller must not use one epoch for two calls.
//
// Damage, a directory in use, and one of another node are bad input. A directory
// that does not fit the chain is a [*attestation.ChainError].
func Open(dir string, g Genesis) (*Ledger, error) { return open(osFS{}, dir, g) }

func open(fs fsys, dir string, g Genesis) (_ *Ledger, err error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	if err := fs.mkdir(dir); err != nil {
		return nil, err
	}
	l := &Ledger{genesis: g, key: g.ReceiptKeys[g.Epoch]}
	if l.lock, err = fs.lock(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.release()
		}
	}()
	if l.file, err = fs.open(filepath.Join(dir, leaffile.Name)); err != nil {
		return nil, err
	}
	if err = l.load(); err != nil {
		return nil, err
	}
	// What was read may still be in the page cache only, left by a process that
	// died between write and sync. The name may be new.
	if err = l.file.Sync(); err != nil {
		return nil, err
	}
	if err = fs.syncDir(dir); err != nil {
		return nil, err
	}
	l.next = l.tree.size
	return l, nil
}

// Err returns why no receipt can be appended any more, nil when one can. What
// broke a ledger stays: only opening it again helps.
func (l *Ledger) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close releases the directory. Appends that are being written finish first.
func (l *Ledger) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.err == nil {
		l.err = fault.Unknown("the ledger is closed")
	}
	return l.release()
}

func (l *Ledger) release() error {
	var err error
	if l.file != nil {
		err = l.file.Close()
	}
	if e := l.lock.Close(); err == nil {
		err = e
	}
	return err
}

// Truncated returns how many bytes of a record that was never finished were
// removed at start.
func (l *Ledger) Truncated() int64 { return l.cut }

// Size returns the number of durable leaves.
func (l *Ledger) Size() uint64 { return l.snapshot().size }

func (l *Ledger) snapshot() tree {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tree
}

// Checkpoint returns the head of the durable log, to be signed with the log key
// of this boot.
func (l *Ledger) Checkpoint() (translog.Checkpoint, error) {
	t := l.snapshot()
	root, err := t.root()
	if err != nil {
		return translog.Checkpoint{}, err
	}
	g := &l.genesis
	return translog.Checkpoint{ChainID: g.ChainID, Node: g.Node, Epoch: g.Epoch, Size: t.size, Root: root}, nil
}

// Append gives out the next index, lets sign make the receipt for it, and
// returns the receipt when its leaf is durable.
//
// sign runs under the ledger's lock: it must be quick and must not call the
// ledger. It must sign the receipt with this boot's receipt key, and return an
// error only when it did not sign: the index is then given to the next caller.
// It must keep the receipt to itself; until Append returns without an error,
// nothing that it signed may leave the enclave.
//
// After any other failure the ledger refuses further appends.
func (l *Ledger) Append(sign func(index uint64) (*receipt.Receipt, error)) (*receipt.Receipt, error) {
	r, b, err := l.enqueue(sign)
	if err != nil {
		return nil, err
	}
	// Whoever gets here first writes the batch for all who are in it.
	l.writing.Lock()
	defer l.writing.Unlock()
	if !b.done {
		l.write(b)
	}
	if b.err != nil {
		return nil, b.err
	}
	return r, nil
}

func (l *Ledger) enqueue(sign func(index uint64) (*receipt.Receipt, error)) (*receipt.Receipt, *batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, nil, l.err
	}
	if l.next >= translog.MaxSize {
		return nil, nil, fault.Refused("the log is full: it holds %d receipts", l.next)
	}
	r, err := sign(l.next)
	if err != nil {
		return nil, nil, err
	}
	if err := l.checkNew(r); err != nil {
		// Something was signed that is not in the log. Never use this key again.
		l.err = fault.BadInput("ledger: a receipt that does not belong at index %d was signed: %w", l.next, err)
		return nil, nil, l.err
	}
	if l.batch == nil {
		l.batch = &batch{first: l.next}
	}
	b := l.batch
	b.records = leaffile.Append(b.records, &r.Head, &r.Signature)
	b.hashes = append(b.hashes, r.Head.LeafHash())
	l.next++
	return r, b, nil
}

func (l *Ledger) checkNew(r *receipt.Receipt) error {
	h, g := &r.Head, &l.genesis
	if h.Index != l.next || h.Node != g.Node || h.Epoch != g.Epoch {
		return fault.BadInput("its head says node %s, epoch %d, index %d", h.Node, h.Epoch, h.Index)
	}
	return r.Verify(l.key)
}

// write makes b durable and then part of the tree. The caller holds l.writing,
// so batches are written in order, and b is the waiting batch.
func (l *Ledger) write(b *batch) {
	l.mu.Lock()
	l.batch = nil
	err := l.err
	l.mu.Unlock()
	if err == nil {
		err = l.store(b)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b.done, b.err = true, err
	if err != nil {
		l.err = err
		return
	}
	for _, h := range b.hashes {
		l.tree = l.tree.add(h)
	}
}

func (l *Ledger) store(b *batch) error {
	off := int64(b.first+1) * leaffile.RecordSize
	n, err := l.file.WriteAt(b.records, off)
	if err == nil && n != len(b.records) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return fault.Unknown("the log's disk failed, so no further answer can be given before the enclave boots again: %w", err)
	}
	return nil
}
