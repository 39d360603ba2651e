package sealed

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/internal/bhttp"
	"github.com/cocoon-go/cocoon/internal/bhttp/varint"
	"github.com/cocoon-go/cocoon/internal/ohttp"
)

// ReplyWriter seals an answer: WriteHeader, any number of Writes, Close. Every
// Write is sent at once as a frame (several when it is over 16 KiB), unless
// Coalesce was called. An answer that is not closed is a truncated one, which
// the client notices. Errors are sticky. Close or Abort must be called before
// the writer below is gone; they wait for a Write that is under way, so a writer
// to a peer that may stop reading needs a deadline. Safe for concurrent use.
type ReplyWriter struct {
	w     io.Writer
	flush func() error
	delay time.Duration

	mu     sync.Mutex
	sealer *ohttp.Sealer
	buf    *scratch // nil after the end
	frame  []byte   // the frame that is being made
	headed bool
	timer  *time.Timer // set when pending bytes wait for it
	err    error
}

var errEnded = errors.New("sealed: the answer has ended")

// Reply starts the answer, which is the body of the outer response, of type
// [ResponseType]. flush, which may be nil, is called after every frame
// but the last, which goes out when the caller ends the outer answer. A request
// has one answer: a second call is an error.
func (in *Inbound) Reply(w io.Writer, flush func() error) (*ReplyWriter, error) {
	if in.answered.Swap(true) {
		return nil, errors.New("sealed: the request has its answer")
	}
	s, err := in.server.Response()
	if err != nil {
		return nil, err
	}
	r := &ReplyWriter{w: w, flush: flush, sealer: s, buf: scratches.Get().(*scratch)}
	r.frame = r.buf.frame[:lengthSize]
	return r, nil
}

// Coalesce makes Writes wait up to d for more, so that fewer frames tell less
// about the pace of the answer and cost less. Without it, or with zero, nothing
// waits. To be called before the first Write.
func (r *ReplyWriter) Coalesce(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = d
}

// WriteHeader sets status (200 to 599) and the fields that pass (see
// [ResponseField], and not [FieldNotStarted], which only [Inbound.NotStarted]
// may say); they travel with the first Write, Flush or Close. It must be called
// once, first. An encoded content is refused, since the field that says so would
// not pass.
func (r *ReplyWriter) WriteHeader(status int, h http.Header) error {
	if err := identity(h); err != nil {
		return err
	}
	return r.writeHeader(status, bhttp.Fields(h, func(name string) bool {
		return name != FieldNotStarted && ResponseField(name)
	}))
}

func (r *ReplyWriter) writeHeader(status int, fields []bhttp.Field) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		return r.err
	case r.headed:
		return errors.New("sealed: the answer has a header")
	}
	head, err := bhttp.AppendResponse(nil, status, fields)
	if err != nil {
		return err
	}
	if len(head) > MaxHeader {
		return fmt.Errorf("sealed: the header takes %d bytes, at most %d", len(head), MaxHeader)
	}
	r.headed = true
	return r.raw(head)
}

// Write sends p as content.
func (r *ReplyWriter) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ready(); err != nil {
		return 0, err
	}
	n := 0
	for n < len(p) {
		room := MaxFrame - len(r.frame) - 2
		if room < 1 {
			if err := r.send(false); err != nil {
				return n, err
			}
			continue
		}
		m := min(room, len(p)-n)
		r.frame = append(varint.Append(r.frame, uint64(m)), p[n:n+m]...)
		n += m
	}
	if r.delay <= 0 {
		return n, r.sendPending()
	}
	if r.timer == nil && len(r.frame) > lengthSize {
		r.timer = time.AfterFunc(r.delay, func() { r.Flush() })
	}
	return n, nil
}

// Flush sends what waits: the header, or coalesced content.
func (r *ReplyWriter) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ready(); err != nil {
		return err
	}
	return r.sendPending()
}

// Close ends the answer with the trailer fields that pass, and authenticates
// the end. It does not close the writer below.
func (r *ReplyWriter) Close(trailer http.Header) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ready(); err != nil {
		return err
	}
	end, err := bhttp.AppendEnd(nil, bhttp.Fields(trailer, ResponseField))
	if err != nil {
		return err
	}
	if n := len(end) - 1; n > MaxHeader {
		return fmt.Errorf("sealed: the trailer takes %d bytes, at most %d", n, MaxHeader)
	}
	if err := r.raw(end); err != nil {
		return err
	}
	if err := r.send(true); err != nil {
		return err
	}
	r.end(errEnded)
	return nil
}

// Abort gives up: nothing more is sent, and the answer stays truncated if it
// was not closed.
func (r *ReplyWriter) Abort() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(errEnded)
}

// end lets go of buffer and timer. The mutex is held, as in all below.
func (r *ReplyWriter) end(err error) {
	if r.err == nil {
		r.err = err
	}
	r.stop()
	if r.buf != nil {
		r.buf.release()
		r.buf, r.frame = nil, nil
	}
}

func (r *ReplyWriter) stop() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

func (r *ReplyWriter) ready() error {
	if r.err == nil && !r.headed {
		return errors.New("sealed: the answer has no header yet")
	}
	return r.err
}

// raw adds encoded bytes, and sends the frames that they fill.
func (r *ReplyWriter) raw(b []byte) error {
	for {
		n := min(len(b), MaxFrame-len(r.frame))
		r.frame = append(r.frame, b[:n]...)
		if b = b[n:]; len(b) == 0 {
			return nil
		}
		if err := r.send(false); err != nil {
			return err
		}
	}
}

func (r *ReplyWriter) sendPending() error {
	if len(r.frame) == lengthSize {
		return nil
	}
	return r.send(false)
}

// send sends the frame as it is.
func (r *ReplyWriter) send(last bool) error {
	r.stop()
	out, err := r.sealer.Append(r.buf.sealed[:0], pad(r.frame), last)
	if err == nil {
		_, err = r.w.Write(out)
	}
	if err == nil && r.flush != nil && !last { // the last goes with the end of the outer answer
		err = r.flush()
	}
	if err != nil {
		r.end(err)
		return err
	}
	r.frame = r.buf.frame[:lengthSize]
	return nil
}
