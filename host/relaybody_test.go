package host

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

// flushes counts what passes, and how often it was flushed.
type flushes struct {
	*httptest.ResponseRecorder
	n int
}

func (f *flushes) FlushError() error { f.n++; return nil }

// Neither the header nor the last piece takes a write of its own; everything in
// between, and what comes before a break, leaves at once.
func TestPieces(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		from io.Reader
		want int
	}{
		{"last piece with the end", iotest.DataErrReader(strings.NewReader("a")), 0},
		{"end by itself", strings.NewReader("a"), 1},
		{"three pieces", io.MultiReader(strings.NewReader("a"), strings.NewReader("b"), iotest.DataErrReader(strings.NewReader("c"))), 2},
		{"break", iotest.DataErrReader(io.MultiReader(strings.NewReader("a"), iotest.ErrReader(broken))), 1},
		{"nothing", strings.NewReader(""), 0},
	} {
		f := &flushes{httptest.NewRecorder(), 0}
		p := &pieces{ResponseWriter: f, from: io.NopCloser(c.from)}
		flush := http.NewResponseController(p).Flush
		_ = flush() // as a proxy does before the first piece
		buf := make([]byte, 8)
		for {
			n, err := p.Read(buf)
			if n > 0 {
				_, _ = p.Write(buf[:n])
				_ = flush()
			}
			if err != nil {
				break
			}
		}
		if f.n != c.want {
			t.Errorf("%s: %d flushes, want %d", c.name, f.n, c.want)
		}
	}
}

// A small request is read before it is passed on, any other is not touched.
func TestReadSmall(t *testing.T) {
	for _, c := range []struct {
		length   int64
		body     io.Reader
		inMemory bool
		fails    bool
	}{
		{3, strings.NewReader("abc"), true, false},
		{maxSmall, bytes.NewReader(make([]byte, maxSmall)), true, false},
		{maxSmall + 1, iotest.ErrReader(errors.New("read")), false, false},
		{-1, iotest.ErrReader(errors.New("read")), false, false},
		{0, http.NoBody, false, false},
		{4, strings.NewReader("abc"), false, true},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", c.body)
		r.ContentLength = c.length
		err := readSmall(r)
		if _, ok := r.Body.(inMemory); ok != c.inMemory || (err != nil) != c.fails {
			t.Errorf("length %d: in memory %v, %v", c.length, ok, err)
		}
	}
}
