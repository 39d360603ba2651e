package sealed

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// framesOf counts the chunks that were written, one Write each.
type framesOf struct {
	mu sync.Mutex
	n  int
	b  bytes.Buffer
}

func (f *framesOf) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	return f.b.Write(p)
}

func (f *framesOf) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

func newReply(t testing.TB, w io.Writer, flush func() error) (*ReplyWriter, *Exchange) {
	t.Helper()
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	r, err := open(t, k, sealRequest(t, x, nil)).Reply(w, flush)
	if err != nil {
		t.Fatal(err)
	}
	return r, x
}

func TestReplyOrder(t *testing.T) {
	var f framesOf
	flushed := 0
	r, x := newReply(t, &f, func() error { flushed++; return nil })
	if _, err := r.Write([]byte("a")); err == nil {
		t.Error("wrote before the header")
	}
	if err := r.Flush(); err == nil {
		t.Error("flushed before the header")
	}
	if err := r.Close(nil); err == nil {
		t.Error("closed before the header")
	}
	for _, status := range []int{0, 100, 199, 600} {
		if err := r.WriteHeader(status, nil); err == nil {
			t.Errorf("status %d", status)
		}
	}
	if err := r.WriteHeader(200, http.Header{"Content-Encoding": {"gzip"}}); err == nil {
		t.Error("encoded content")
	}
	if err := r.WriteHeader(200, http.Header{"Content-Type": {strings.Repeat("a", MaxHeader)}}); err == nil {
		t.Error("header over the limit")
	}
	if f.count() != 0 {
		t.Error("something was sent")
	}
	if err := r.WriteHeader(200, http.Header{"Content-Encoding": {"identity"}}); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteHeader(200, nil); err == nil {
		t.Error("a second header")
	}
	for i, s := range []string{"a", "", "b", strings.Repeat("c", MaxFrame)} {
		if n, err := r.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatal(n, err)
		}
		if want := []int{1, 1, 2, 4}[i]; f.count() != want || flushed != want {
			t.Errorf("after write %d: %d frames, %d flushes, want %d", i, f.count(), flushed, want)
		}
	}
	if err := r.Flush(); err != nil || f.count() != 4 {
		t.Errorf("a flush of nothing: %v, %d frames", err, f.count())
	}
	if err := r.Close(http.Header{"Cocoon-Receipt": {"a\nb"}}); err == nil {
		t.Error("bad trailer")
	}
	if err := r.Close(http.Header{"Cocoon-Receipt": {strings.Repeat("a", MaxHeader)}}); err == nil {
		t.Error("trailer over the limit")
	}
	if err := r.Close(nil); err != nil || f.count() != 5 || flushed != 4 {
		t.Errorf("%v, %d frames, %d flushes: the last leaves with the end of the outer answer", err, f.count(), flushed)
	}
	if _, err := r.Write([]byte("x")); err == nil {
		t.Error("wrote after the end")
	}
	if err := r.Close(nil); err == nil {
		t.Error("closed twice")
	}
	r.Abort()
	if f.count() != 5 {
		t.Errorf("%d frames after the end", f.count())
	}
	if _, text, err := readAnswer(x, f.b.Bytes()); err != nil || text != "ab"+strings.Repeat("c", MaxFrame) {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// Heads and trailers that end near the end of a frame.
func TestReplyFrameEdges(t *testing.T) {
	for n := MaxData - 40; n < MaxData+10; n++ {
		var b bytes.Buffer
		r, x := newReply(t, &b, nil)
		v := strings.Repeat("v", n)
		if err := r.WriteHeader(200, http.Header{"Content-Type": {v}}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Write([]byte("content")); err != nil {
			t.Fatal(err)
		}
		if err := r.Close(http.Header{"Cocoon-Receipt": {v}}); err != nil {
			t.Fatal(err)
		}
		res, text, err := readAnswer(x, b.Bytes())
		if err != nil || text != "content" || res.Header.Get("Content-Type") != v || res.Trailer.Get("Cocoon-Receipt") != v {
			t.Fatalf("%d: %q, %v", n, text, err)
		}
	}
	k := newKeyring(t, KeyringConfig{})
	for n := MaxData - 240; n < MaxData-180; n++ {
		req, _ := http.NewRequest(http.MethodPost, "/", strings.NewReader("content"))
		req.Header.Set("Accept", strings.Repeat("v", n))
		s, err := exchange(t, k).Request(req)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := io.ReadAll(s)
		if err != nil {
			t.Fatal(err)
		}
		in := open(t, k, msg)
		if b, err := io.ReadAll(in.Request.Body); err != nil || string(b) != "content" || len(in.Request.Header.Get("Accept")) != n {
			t.Fatalf("%d: %q, %v", n, b, err)
		}
	}
}

func TestAbort(t *testing.T) {
	var f framesOf
	r, x := newReply(t, &f, nil)
	r.Coalesce(time.Hour)
	if err := r.WriteHeader(200, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Write([]byte("waits")); err != nil || f.count() != 0 {
		t.Fatal(err, f.count())
	}
	r.Abort()
	if r.timer != nil || r.buf != nil {
		t.Error("timer or buffer is left")
	}
	for _, err := range []error{r.Flush(), r.Close(nil), r.WriteHeader(200, nil)} {
		if !errors.Is(err, errEnded) {
			t.Errorf("after Abort: %v", err)
		}
	}
	if _, err := r.Write([]byte("x")); !errors.Is(err, errEnded) || f.count() != 0 {
		t.Errorf("after Abort: %v, %d frames", err, f.count())
	}
	if _, _, err := readAnswer(x, f.b.Bytes()); !isUnknown(err) {
		t.Errorf("%v", err)
	}
}

func TestCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f framesOf
		r, x := newReply(t, &f, nil)
		r.Coalesce(10 * time.Millisecond)
		if err := r.WriteHeader(200, nil); err != nil {
			t.Fatal(err)
		}
		write := func(s string) {
			if _, err := io.WriteString(r, s); err != nil {
				t.Fatal(err)
			}
		}
		wait := func(d time.Duration, want int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if f.count() != want {
				t.Errorf("%d frames, want %d", f.count(), want)
			}
		}
		write("a")
		wait(6*time.Millisecond, 0)
		write("b") // does not extend the wait
		wait(5*time.Millisecond, 1)
		wait(time.Second, 1)
		write("c")
		if err := r.Flush(); err != nil {
			t.Fatal(err)
		}
		wait(0, 2)
		write("d")
		wait(9*time.Millisecond, 2)
		write(strings.Repeat("e", MaxFrame)) // fills a frame, which does not wait
		wait(0, 3)
		wait(10*time.Millisecond, 4)
		write("f")
		if err := r.Close(nil); err != nil {
			t.Fatal(err)
		}
		wait(time.Second, 5)
		if _, text, err := readAnswer(x, f.b.Bytes()); err != nil || text != "abcd"+strings.Repeat("e", MaxFrame)+"f" {
			t.Errorf("%d bytes, %v", len(text), err)
		}
	})
}

// A peer that stops reading holds its writer, and nobody, once the writer
// below gives up: also not with a timer and an Abort at the same time.
func TestPeerStopsReading(t *testing.T) {
	for _, delay := range []time.Duration{0, time.Millisecond} {
		pr, pw := io.Pipe()
		r, _ := newReply(t, pw, nil)
		r.Coalesce(delay)
		if err := r.WriteHeader(200, nil); err != nil {
			t.Fatal(err)
		}
		lost := errors.New("deadline")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					if _, err := r.Write([]byte("a")); err != nil {
						if !errors.Is(err, lost) {
							t.Errorf("%v", err)
						}
						return
					}
				}
			})
		}
		time.Sleep(5 * time.Millisecond)
		pr.CloseWithError(lost)
		wg.Wait()
		r.Abort()
		if err := r.Close(nil); !errors.Is(err, lost) {
			t.Errorf("%v", err)
		}
	}
}

func TestReplyErrorsStick(t *testing.T) {
	cause := errors.New("gone")
	for name, fail := range map[string]struct{ write, flush error }{"write": {cause, nil}, "flush": {nil, cause}} {
		calls := 0
		w := writerFunc(func(p []byte) (int, error) { calls++; return len(p), fail.write })
		r, _ := newReply(t, w, func() error { return fail.flush })
		if err := r.WriteHeader(200, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Write([]byte("a")); !errors.Is(err, cause) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.Write([]byte("b")); !errors.Is(err, cause) {
			t.Errorf("%s: %v", name, err)
		}
		if err := r.Close(nil); !errors.Is(err, cause) || calls != 1 {
			t.Errorf("%s: %v, %d writes", name, err, calls)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
