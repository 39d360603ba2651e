package attestation

import (
	"crypto/sha256"
	"slices"
	"sync"
)

// maxLists bounds how many lists a verifier shares. A registry has two.
const maxLists = 16

// lists keeps one copy of equal lists of digests, so that thousands of nodes of
// one registry do not each hold the registry's. The zero value is empty.
type lists struct {
	mu    sync.Mutex
	known map[[32]byte][][32]byte // guarded by mu
	order [][32]byte              // guarded by mu: keys, oldest first
}

// share returns a list equal to l that nobody changes.
func (s *lists) share(l [][32]byte) [][32]byte {
	if len(l) == 0 {
		return nil
	}
	h := sha256.New()
	for i := range l {
		h.Write(l[i][:])
	}
	var k [32]byte
	h.Sum(k[:0])
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.known[k]; ok {
		return found
	}
	if len(s.order) == maxLists {
		delete(s.known, s.order[0])
		s.order = slices.Delete(s.order, 0, 1)
	}
	if s.known == nil {
		s.known = make(map[[32]byte][][32]byte, maxLists)
	}
	s.known[k], s.order = slices.Clone(l), append(s.order, k)
	return s.known[k]
}
