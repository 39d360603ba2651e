package contracts

import (
	"bytes"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// maxPiece is how many bytes one cell holds.
const maxPiece = 127

// sgxOIDHead is the head of the SGX Extensions after its SEQUENCE: the object
// identifier 1.2.840.113741.1.13.1 and an octet string of two length bytes.
var sgxOIDHead = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01, 0x04, 0x82}

// derWalk walks DER values without copying; like [reader], it turns bad and
// stays bad.
type derWalk struct {
	b   []byte
	at  int
	bad bool
}

// head returns the sizes of the head and of the content of the value at the
// current place.
func (w *derWalk) head() (head, content int) {
	rest := w.b[w.at:]
	switch {
	case len(rest) >= 2 && rest[1] < 0x80:
		head, content = 2, int(rest[1])
	case len(rest) >= 3 && rest[1] == 0x81:
		head, content = 3, int(rest[2])
	case len(rest) >= 4 && rest[1] == 0x82:
		head, content = 4, int(rest[2])<<8|int(rest[3])
	default:
		w.bad = true
		return 0, 0
	}
	if head+content > len(rest) {
		w.bad = true
		return 0, 0
	}
	return head, content
}

// skip moves behind the value at the current place.
func (w *derWalk) skip() {
	h, c := w.head()
	w.at += h + c
}

// enter moves to the first value inside the value at the current place, and
// returns where that one ends.
func (w *derWalk) enter() (end int) {
	h, c := w.head()
	w.at += h
	return w.at + c
}

// cutTBS returns the sizes of the cells that the to-be-signed part of a PCK
// certificate goes into (readPck in quote.tolk). It looks only as closely as it
// needs to cut; the contract checks the form.
func cutTBS(tbs []byte) ([]int, error) {
	w := &derWalk{b: tbs}
	var ends []int
	cut := func() { ends = append(ends, w.at) }

	w.enter()
	w.skip() // version
	w.skip() // serial number
	w.skip() // signature algorithm
	cut()
	for range 3 { // issuer, validity, subject
		w.skip()
		cut()
	}
	w.skip()  // subjectPublicKeyInfo
	w.enter() // [3]
	w.enter() // extensions
	cut()
	for !w.bad && w.at < len(tbs) && !(tbs[w.at+1] == 0x82 && bytes.HasPrefix(tbs[w.at+4:], sgxOIDHead)) {
		w.skip()
		cut()
	}
	w.enter() // SGX extension
	w.skip()  // its identifier
	w.enter() // octet string
	w.enter() // list of fields
	w.skip()  // PPID
	w.enter() // TCB
	w.skip()  // its identifier
	w.enter() // list of security versions
	cut()
	for _, n := range []int{6, 6, 5, 4} { // components, PCESVN, CPUSVN, PCE id, FMSPC, SGX type
		for range n {
			w.skip()
		}
		cut()
	}
	if !w.bad && w.at < len(tbs) {
		w.at = len(tbs)
		cut()
	}
	if w.bad || w.at != len(tbs) {
		return nil, fault.BadInput("quote: the PCK certificate has a form that contracts don't read")
	}
	sizes := make([]int, len(ends))
	for i, end := range ends {
		sizes[i] = end
		if i > 0 {
			sizes[i] -= ends[i-1]
		}
		if sizes[i] <= 0 || sizes[i] > maxPiece {
			return nil, fault.BadInput("quote: the PCK certificate has a part of %d bytes, contracts read at most %d", sizes[i], maxPiece)
		}
	}
	return sizes, nil
}
