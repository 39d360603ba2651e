package tinylm

import (
	"strings"
	"unicode/utf8"
)

// text turns the bytes of tokens into text that can be sent: whole characters
// only, and nothing that may still turn out to be the start of a stop string.
type text struct {
	stops []string
	bytes []byte // of a character that is not complete
	held  string // text that may be the start of a stop string
}

// push adds the bytes of a token and returns the text that is certain. Stopped
// says that a stop string was found; the text before it is the last one.
func (x *text) push(piece []byte) (out string, stopped bool) {
	x.bytes = append(x.bytes, piece...)
	n := 0
	for n < len(x.bytes) && utf8.FullRune(x.bytes[n:]) {
		r, w := utf8.DecodeRune(x.bytes[n:])
		x.held += string(r) // U+FFFD for a byte that starts no character
		n += w
	}
	x.bytes = append(x.bytes[:0], x.bytes[n:]...)
	return x.release()
}

// finish returns what is left at the end: an incomplete character is U+FFFD.
func (x *text) finish() (out string) {
	if len(x.bytes) > 0 {
		x.held, x.bytes = x.held+string(utf8.RuneError), nil
	}
	out, stopped := x.release()
	if !stopped {
		out, x.held = out+x.held, ""
	}
	return out
}

// release cuts held text at the first stop string, or at the longest end that is
// the start of one.
func (x *text) release() (out string, stopped bool) {
	cut := -1
	for _, s := range x.stops {
		if i := strings.Index(x.held, s); i >= 0 && (cut < 0 || i < cut) {
			cut = i
		}
	}
	if cut >= 0 {
		out, x.held, x.bytes = x.held[:cut], "", nil
		return out, true
	}
	keep := 0
	for _, s := range x.stops {
		for n := min(len(s)-1, len(x.held)); n > keep; n-- {
			if strings.HasSuffix(x.held, s[:n]) {
				keep = n
			}
		}
	}
	out, x.held = x.held[:len(x.held)-keep], x.held[len(x.held)-keep:]
	return out, false
}
