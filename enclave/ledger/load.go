package ledger

import (
	"bytes"
	"io"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/internal/leaffile"
)

// load reads the whole file, removes a torn end, and checks every leaf.
func (l *Ledger) load() error {
	size, err := l.file.size()
	if err != nil {
		return err
	}
	if size < leaffile.RecordSize {
		// New, or the very first write was cut off.
		l.cut = size
		if err := l.create(); err != nil {
			return err
		}
		return l.fitsChain()
	}
	head := make([]byte, leaffile.RecordSize)
	if _, err := l.file.ReadAt(head, 0); err != nil {
		return err
	}
	if err := leaffile.CheckHeader(head, l.genesis.Node); err != nil {
		return err
	}
	if err := l.loadLeaves(size); err != nil {
		return err
	}
	return l.fitsChain()
}

func (l *Ledger) create() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	n, err := l.file.WriteAt(leaffile.Header(l.genesis.Node), 0)
	if err == nil && n != leaffile.RecordSize {
		err = io.ErrShortWrite
	}
	return err
}

func (l *Ledger) loadLeaves(size int64) error {
	last := uint32(1) // epochs never fall
	r := io.NewSectionReader(l.file, leaffile.RecordSize, size-leaffile.RecordSize)
	buf := make([]byte, tileWidth*leaffile.RecordSize)
	for off := int64(leaffile.RecordSize); off < size; {
		n, err := io.ReadFull(r, buf[:min(int64(len(buf)), size-off)])
		if err != nil {
			return err
		}
		for rec := buf[:n]; len(rec) > 0; rec = rec[leaffile.RecordSize:] {
			if len(rec) < leaffile.RecordSize || !leaffile.Sealed(rec[:leaffile.RecordSize]) {
				return l.truncate(off, size)
			}
			if err := l.loadLeaf(rec[:leaffile.RecordSize], &last); err != nil {
				return err
			}
			off += leaffile.RecordSize
		}
	}
	return nil
}

// truncate removes a record at the end of the file, from off, whose writing was
// cut off: it is too short, or its checksum was never written and nothing
// follows. Anything else that does not parse is damage, and dropping it could
// drop a promise.
func (l *Ledger) truncate(off, size int64) error {
	if size-off >= leaffile.RecordSize {
		buf := make([]byte, 64<<10)
		for at := off + leaffile.PayloadSize; at < size; {
			n, err := l.file.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
			if err != nil {
				return err
			}
			if len(bytes.Trim(buf[:n], "\x00")) > 0 {
				return fault.BadInput("the leaf file is damaged at leaf %d of about %d: restore it from a copy; it cannot be repaired by dropping leaves", l.tree.size, size/leaffile.RecordSize-1)
			}
			at += int64(n)
		}
	}
	l.cut = size - off
	return l.file.Truncate(off)
}

func (l *Ledger) loadLeaf(rec []byte, last *uint32) error {
	i, g := l.tree.size, &l.genesis
	h, sig, err := leaffile.Parse(rec)
	if err != nil {
		return fault.BadInput("the leaf file is damaged at leaf %d: %w", i, err)
	}
	switch {
	case h.Index != i || h.Node != g.Node:
		return fault.ChainDisagrees("leaf %d of this data directory was signed as leaf %d of node %s", i, h.Index, h.Node)
	case h.Epoch < *last:
		return fault.ChainDisagrees("leaf %d of this data directory is of epoch %d, after one of epoch %d", i, h.Epoch, *last)
	case h.Epoch >= g.Epoch:
		return fault.ChainDisagrees("this data directory already holds leaves of epoch %d, and this boot is epoch %d: every boot needs a new epoch", h.Epoch, g.Epoch)
	}
	*last = h.Epoch
	if i >= g.ChainSize {
		// Not covered by the anchored root: only a signature can vouch for it.
		key, ok := g.ReceiptKeys[h.Epoch]
		if !ok {
			return fault.ChainDisagrees("leaf %d of this data directory is of epoch %d, for which the chain has no receipt key", i, h.Epoch)
		}
		if err := receipt.VerifyHead(&h, sig, key); err != nil {
			return fault.ChainDisagrees("leaf %d of this data directory was not signed by the enclave of epoch %d", i, h.Epoch)
		}
	}
	l.tree = l.tree.add(h.LeafHash())
	if l.tree.size == g.ChainSize {
		return l.anchored()
	}
	return nil
}

// anchored compares the first ChainSize leaves with the chain.
func (l *Ledger) anchored() error {
	root, err := l.tree.root()
	if err != nil {
		return err
	}
	if root != l.genesis.ChainRoot {
		return fault.ChainDisagrees("this data directory is not the log that is anchored: its first %d receipts have root %x, the chain has %x", l.tree.size, root, l.genesis.ChainRoot)
	}
	return nil
}

func (l *Ledger) fitsChain() error {
	if have, want := l.tree.size, l.genesis.ChainSize; have < want {
		return fault.ChainDisagrees("this data directory is older than what is anchored: it holds %d receipts, the chain has %d; bring back the newest copy, no other can be continued", have, want)
	}
	return nil
}
