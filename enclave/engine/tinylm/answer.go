package tinylm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/cocoon-go/cocoon/enclave/engine"
)

// answer is the body of a response: the maker writes, the client reads. What is
// made and not read yet is bounded by the model's context.
type answer struct {
	report *engine.Report // the maker's until ended is closed
	cancel context.CancelCauseFunc
	ended  chan struct{}

	mu     sync.Mutex
	more   *sync.Cond // something below has changed
	buf    bytes.Buffer
	done   bool  // nothing more will be written
	err    error // why it is not complete
	closed bool
}

func newAnswer(r *engine.Report, cancel context.CancelCauseFunc) *answer {
	a := &answer{report: r, cancel: cancel, ended: make(chan struct{})}
	a.more = sync.NewCond(&a.mu)
	return a
}

// Write adds to the answer; it never fails and never waits.
func (a *answer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.buf.Write(p)
	a.more.Broadcast()
	return len(p), nil
}

// end says that the maker has finished, with the report too.
func (a *answer) end(err error) {
	a.mu.Lock()
	a.done, a.err = true, err
	a.more.Broadcast()
	a.mu.Unlock()
	close(a.ended)
}

var errBodyClosed = errors.New("tinylm: read from a closed answer")

// Read waits for the next bytes. The maker ends when the context does, and wakes
// it.
func (a *answer) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		switch {
		case a.closed:
			return 0, errBodyClosed
		case a.buf.Len() > 0:
			return a.buf.Read(p)
		case a.done && a.err != nil:
			return 0, a.err
		case a.done:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		}
		a.more.Wait()
	}
}

// Close stops the maker and waits for it; afterwards the report is valid. An
// answer that was not read to its end is cancelled.
func (a *answer) Close() error {
	a.cancel(context.Canceled)
	<-a.ended
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	if a.buf.Len() > 0 && a.report.Finish != engine.FinishFailed {
		a.report.Finish = engine.FinishCancelled
	}
	clear(a.buf.Bytes())
	a.buf = bytes.Buffer{}
	a.more.Broadcast()
	return nil
}
