package chain

import "fmt"

// way is how far a proof has led, link by link, from a masterchain block that is
// trusted or proved.
type way struct {
	at BlockID
	// key is the newest key block up to the block that the way starts at. Validators
	// of older ones have taken their stakes back: a way that goes back to one of them
	// must not go forward from there. Zero: the start's header was not seen yet.
	key uint32
}

// step takes the next link, and returns the header of the block that it leads to.
func (w *way) step(l link) (blockHeader, error) {
	to, from, err := l.verify(w.at)
	if err != nil {
		return to, err
	}
	if w.key == 0 {
		w.key = from.lastKey(w.at.Seqno)
	}
	if !l.backward && w.at.Seqno < w.key {
		return to, fmt.Errorf("from block %d to %d: signed by the validators of an older key block than %d", w.at.Seqno, l.to.Seqno, w.key)
	}
	w.at = l.to
	return to, nil
}
