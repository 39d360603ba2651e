package devnet

import "github.com/xssnick/tonutils-go/tvm/cell"

// stateUpdate builds the Merkle update from one state to the next. Subtrees
// that both states share are pruned, so its size follows the change and not
// the state.
//
// It walks both trees in step. Where a dictionary grew or lost a node the trees
// are shifted against each other by one level; [differ.pair] looks one level up
// and down for the best partner. A wrong partner makes the update larger, never
// wrong: a cell is pruned on the new side only when the walk saw it on the old.
func stateUpdate(old, new *cell.Cell) (*cell.Cell, error) {
	d := differ{
		shared:  map[cell.Hash]bool{},
		visited: map[cell.Hash]bool{},
		seen:    map[[2]cell.Hash]bool{},
		pruned:  map[cell.Hash]*cell.Cell{},
	}
	if err := d.walk(old, new); err != nil {
		return nil, err
	}
	from, err := d.prune(old, func(h cell.Hash) bool { return !d.visited[h] })
	if err != nil {
		return nil, err
	}
	d.built = nil
	to, err := d.prune(new, func(h cell.Hash) bool { return d.shared[h] })
	if err != nil {
		return nil, err
	}
	return cell.CreateMerkleUpdate(from, to)
}

type differ struct {
	shared  map[cell.Hash]bool // subtrees of both states: pruned on the new side
	visited map[cell.Hash]bool // old cells above shared ones: kept on the old side
	seen    map[[2]cell.Hash]bool
	pruned  map[cell.Hash]*cell.Cell
	built   map[cell.Hash]*cell.Cell
}

func refs(c *cell.Cell) ([]*cell.Cell, error) {
	out := make([]*cell.Cell, c.RefsNum())
	for i := range out {
		r, err := c.PeekRef(i)
		if err != nil {
			return nil, err
		}
		out[i] = r
	}
	return out, nil
}

// walk marks what old and new share. The cells differ, or old is the root.
func (d *differ) walk(old, new *cell.Cell) error {
	oh, nh := old.HashKey(), new.HashKey()
	if oh == nh {
		d.shared[nh] = true
		return nil
	}
	if k := [2]cell.Hash{oh, nh}; d.seen[k] {
		return nil
	} else {
		d.seen[k] = true
	}
	d.visited[oh] = true
	if old.IsSpecial() || new.IsSpecial() {
		return nil // exotic cells count their own levels: kept whole
	}
	olds, err := refs(old)
	if err != nil {
		return err
	}
	news, err := refs(new)
	if err != nil {
		return err
	}
	at := make(map[cell.Hash]bool, len(olds))
	for _, o := range olds {
		at[o.HashKey()] = true
	}
	for i, n := range news {
		h := n.HashKey()
		if n.RefsNum() == 0 || d.shared[h] {
			continue // a leaf is not larger than its pruned form
		}
		if at[h] {
			d.shared[h] = true
			continue
		}
		partner, err := d.pair(old, olds, i, n)
		if err != nil {
			return err
		}
		if partner == nil {
			continue
		}
		if err := d.walk(partner, n); err != nil {
			return err
		}
	}
	return nil
}

// pair returns the old cell to compare the new cell n, child i of its parent,
// with: the one that shares most children with it, else the child at the same
// place.
func (d *differ) pair(old *cell.Cell, olds []*cell.Cell, i int, n *cell.Cell) (*cell.Cell, error) {
	ns, err := refs(n)
	if err != nil {
		return nil, err
	}
	want := make(map[cell.Hash]bool, len(ns))
	for _, c := range ns {
		want[c.HashKey()] = true
	}
	score := func(c *cell.Cell) (s int, err error) {
		cs, err := refs(c)
		for _, x := range cs {
			if want[x.HashKey()] {
				s++
			}
		}
		return s, err
	}
	var best *cell.Cell
	top := 0
	if i < len(olds) {
		best = olds[i]
	}
	for j := range olds {
		c := olds[(i+j)%len(olds)] // the same place first, so that it wins a tie
		h := c.HashKey()
		if h == n.HashKey() {
			continue
		}
		s, err := score(c)
		if err != nil {
			return nil, err
		}
		if s > top {
			best, top = c, s
		}
		// a removed fork: n was a grandchild
		cs, err := refs(c)
		if err != nil {
			return nil, err
		}
		for _, g := range cs {
			if g.HashKey() == n.HashKey() {
				d.visited[h] = true
				return g, nil
			}
		}
	}
	s, err := score(old) // an added fork: n is the old parent under a shorter label
	if err != nil {
		return nil, err
	}
	if s > top {
		best = old
	}
	return best, nil
}

// prune copies c with every subtree that stop names replaced by a pruned branch.
func (d *differ) prune(c *cell.Cell, stop func(cell.Hash) bool) (*cell.Cell, error) {
	if c.RefsNum() == 0 || c.IsSpecial() {
		return c, nil
	}
	h := c.HashKey()
	if stop(h) {
		if p := d.pruned[h]; p != nil {
			return p, nil
		}
		p, err := cell.CreatePrunedBranch(c, 1, 0)
		d.pruned[h] = p
		return p, err
	}
	if b := d.built[h]; b != nil {
		return b, nil
	}
	rs, err := refs(c)
	if err != nil {
		return nil, err
	}
	for i, r := range rs {
		if rs[i], err = d.prune(r, stop); err != nil {
			return nil, err
		}
	}
	b, err := c.RebuildWithRefs(rs)
	if d.built == nil {
		d.built = map[cell.Hash]*cell.Cell{}
	}
	d.built[h] = b
	return b, err
}
