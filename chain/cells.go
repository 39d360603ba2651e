package chain

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/xssnick/tonutils-go/tvm/cell"
)

// boc is the one serialisation of roots in a proof.
func boc(roots ...*cell.Cell) ([]byte, error) {
	return cell.ToBOCWithOptionsErr(roots, cell.BOCSerializeOptions{})
}

// parseCell reads the one root that came from outside.
func parseCell(b []byte) (*cell.Cell, error) {
	roots, err := parseRoots(b)
	if err != nil {
		return nil, err
	}
	if len(roots) != 1 {
		return nil, fmt.Errorf("%d roots, want one", len(roots))
	}
	return roots[0], nil
}

// unboc reads n roots and refuses any serialisation but the one of boc.
func unboc(b []byte, n int) ([]*cell.Cell, error) {
	roots, err := parseRoots(b)
	if err != nil {
		return nil, err
	}
	if len(roots) != n {
		return nil, fmt.Errorf("%d roots, want %d", len(roots), n)
	}
	again, err := boc(roots...)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, errors.New("cells are not in the canonical serialisation")
	}
	return roots, nil
}

// maxProofCells bounds the cells of one proof.
const maxProofCells = 1 << 20

// checkLevels refuses cells whose level is not what they contain. tonutils-go
// takes the level of an ordinary cell from its serialisation and computes the
// hash with it: with a wrong one a cell over pruned cells has the hash of the
// whole tree, and passes for it.
func checkLevels(roots ...*cell.Cell) error { return checkCells(maxProofCells, roots...) }

// checkCells is checkLevels of at most limit cells.
func checkCells(limit int, roots ...*cell.Cell) error {
	w := cellWalk{limit, map[*cell.Cell]bool{}}
	for _, c := range roots {
		if err := w.check(c); err != nil {
			return err
		}
	}
	return nil
}

// cellWalk goes through cells, each once. They are no more than 1024 deep: a deeper
// tree is not parsed.
type cellWalk struct {
	limit int
	seen  map[*cell.Cell]bool
}

func (w *cellWalk) check(c *cell.Cell) error {
	if c == nil {
		return errors.New("no cell")
	}
	if w.seen[c] {
		return nil
	}
	if len(w.seen) >= w.limit {
		return fmt.Errorf("more than %d cells", w.limit)
	}
	w.seen[c] = true
	var below byte
	for i := range int(c.RefsNum()) {
		r, err := c.PeekRef(i)
		if err != nil {
			return err
		}
		if err := w.check(r); err != nil {
			return err
		}
		below |= r.LevelMask().Mask
	}
	want, err := levelOver(c, below)
	if err != nil {
		return err
	}
	if got := c.LevelMask().Mask; got != want {
		return fmt.Errorf("a cell of level mask %d, its content makes it %d", got, want)
	}
	return nil
}

// levelOver is the level mask of a cell over others whose masks make up below.
func levelOver(c *cell.Cell, below byte) (byte, error) {
	switch c.GetType() {
	case cell.OrdinaryCellType:
		return below, nil
	case cell.MerkleProofCellType, cell.MerkleUpdateCellType:
		return below >> 1, nil
	case cell.PrunedCellType:
		s, err := c.BeginParseWithoutTrace()
		if err != nil {
			return 0, err
		}
		d, err := s.LoadSlice(16) // type, level mask
		if err != nil {
			return 0, err
		}
		return d[1], nil
	}
	return 0, nil // library
}
