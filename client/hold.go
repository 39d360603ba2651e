package client

import (
	"bytes"
	"mime"

	"github.com/cocoon-go/cocoon/attestation"
)

// maxHeld bounds what may follow the end of a stream of events.
const maxHeld = 64 << 10

// hold keeps the end of an answer back until its receipt is there and right.
// Programs stop reading where a document or a stream of events is complete, not
// at io.EOF: they must not get so far before. Of a stream of events it keeps the
// event [DONE] and what follows, and no other event waits for the next one. Of
// any other content it keeps the last byte.
type hold struct {
	events bool   // the content is text/event-stream
	inLine bool   // what is not free does not begin where a line begins
	buf    []byte // what was read; the first off bytes are taken
	off    int
	free   int // bytes from off that may be taken
}

func newHold(contentType string) *hold {
	t, _, _ := mime.ParseMediaType(contentType)
	return &hold{events: t == "text/event-stream"}
}

// add appends what was read. Everything that is free must have been taken.
func (h *hold) add(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	h.buf = append(h.buf[:copy(h.buf, h.buf[h.off:])], p...)
	h.off = 0
	if !h.events {
		h.free = len(h.buf) - 1
		return nil
	}
	h.freeEvents()
	if len(h.buf)-h.free > maxHeld {
		return attestation.False("the answer goes on after its end")
	}
	return nil
}

var done = []byte("data: [DONE]")

// freeEvents frees whole lines up to the last event, and the part of a line that
// is not the beginning of that event.
func (h *hold) freeEvents() {
	for at := 0; ; {
		line := h.buf[at:]
		end := bytes.IndexByte(line, '\n')
		whole := end >= 0
		if whole {
			line = line[:end]
		}
		if !h.inLine && isDone(line, whole) {
			h.free = at
			return
		}
		if !whole {
			h.free, h.inLine = len(h.buf), h.inLine || len(line) > 0
			return
		}
		at += end + 1
		h.inLine = false
	}
}

// isDone says whether a line is the event [DONE], or may become it.
func isDone(line []byte, whole bool) bool {
	line = bytes.TrimSuffix(line, []byte("\r"))
	for _, d := range [][]byte{done, []byte("data:[DONE]")} {
		if bytes.Equal(line, d) || !whole && len(line) > 0 && bytes.HasPrefix(d, line) {
			return true
		}
	}
	return false
}

// take moves to p what may be taken.
func (h *hold) take(p []byte) int {
	n := copy(p, h.buf[h.off:h.off+h.free])
	h.off, h.free = h.off+n, h.free-n
	return n
}

// release frees everything.
func (h *hold) release() { h.free = len(h.buf) - h.off }
