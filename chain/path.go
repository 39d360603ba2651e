package chain

import "slices"

// Limits of what is kept of the way to a block, in bytes.
const (
	// maxLink is how large the cells of one link may be: those of 1000 validators
	// have some 200 KB. A server could show more of a block than is asked for.
	maxLink = 512 << 10
	// maxPath leaves a proof room for the account.
	maxPath = 12 << 20
)

// path is the proof that leads from the trusted block of the config to another
// masterchain block, as account proofs hold it. It is a value: a longer one leaves
// it as it is.
type path struct {
	links []linkCBOR
	size  int  // bytes
	far   bool // longer than a proof may be; there are no links then
}

// add appends a link that was verified. A client runs for as long as it likes: the
// path gets too long for a proof some day, and what it reads is proved all the same.
func (p path) add(l link) (path, error) {
	if p.far {
		return p, nil
	}
	e, err := l.encode()
	if err != nil {
		return p, err
	}
	size := p.size + e.size()
	if len(p.links) == maxLinks || size > maxPath {
		return path{far: true}, nil
	}
	return path{links: append(slices.Clip(p.links), *e), size: size}, nil
}

// reached is a masterchain block, and the proof of it.
type reached struct {
	at   BlockID
	path path
}

// follow verifies links that a server has shown, from w on. One is read when those
// before it are good: cells take much more memory than their bytes.
func (r *reached) follow(w *way, steps []any) (h blockHeader, key *reached, err error) {
	for _, step := range steps {
		l, err := newLink(step, w.at)
		if err != nil {
			return h, nil, err
		}
		if h, err = w.step(l); err != nil {
			return h, nil, err
		}
		if r.path, err = r.path.add(l); err != nil {
			return h, nil, err
		}
		r.at = w.at
		if l.toKey {
			k := *r
			key = &k
		}
	}
	return h, key, nil
}
