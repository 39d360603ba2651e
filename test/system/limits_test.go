package system

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/internal/endorse"
	"github.com/cocoon-go/cocoon/internal/sealed"
)

const (
	huge   = 100 << 20
	maxRun = huge / 2 // what may be taken of it: the limit of 16 MiB and what buffers of sockets hold
)

// endless gives up to left bytes and counts them.
type endless struct {
	left  int64
	given atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	n := int(min(int64(len(p)), int64(len(exes)), e.left-e.given.Load()))
	if n == 0 {
		return 0, io.EOF
	}
	copy(p[:n], exes)
	e.given.Add(int64(n))
	return n, nil
}

var exes = bytes.Repeat([]byte{'x'}, 64<<10)

// A prompt of 100 MB is refused before anything of it leaves, and read no
// further than needed to know.
func TestHugePrompt(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	l := r.newRelay(t)
	u := r.newUser(t, l)
	body := &endless{left: huge}
	_, err := u.send(testContext(t), body)
	wantError(t, err, badInput, "", "the request is too large: at most 16 MiB")
	if n := body.given.Load(); n > maxRun {
		t.Errorf("%d MB of it were read", n>>20)
	}
	l.heardNoRequest(t, "xxxxxxxx")

	// through the local proxy
	proxy := httptest.NewServer(u.Proxy())
	defer proxy.Close()
	body = &endless{left: huge}
	status, text := postRaw(t, proxy.URL, "/v1/chat/completions", "application/json", body)
	if status != http.StatusRequestEntityTooLarge || !strings.Contains(text, `"code":"cocoon_too_large"`) {
		t.Errorf("the proxy answers %d: %s", status, text)
	}
	if n := body.given.Load(); n > maxRun {
		t.Errorf("the proxy read %d MB of it", n>>20)
	}
	l.heardNoRequest(t, "xxxxxxxx")
	u.mustAsk(t, newSecret())
}

// postRaw posts a body of 100 MB over a connection of its own, as far as it is
// taken, and returns the answer.
func postRaw(t testing.TB, base, path, contentType string, body io.Reader) (int, string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(longest))
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", path, contentType, huge)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(c, body) // ends with an error when the server has had enough
	}()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	c.Close()
	<-sent
	return resp.StatusCode, string(text)
}

// An enclave that gets 100 MB: of junk, and sealed by somebody who verified it.
func TestHugeRequest(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	u := r.newUser(t, r.newRelay(t))
	junk := &endless{left: huge}
	status, _ := postRaw(t, r.url, "/.well-known/ohttp-gateway", sealed.RequestType, junk)
	if status != http.StatusBadRequest {
		t.Errorf("junk: status %d", status)
	}
	if n := junk.given.Load(); n > maxRun {
		t.Errorf("%d MB of junk were taken", n>>20)
	}

	node, err := u.Node(testContext(t), r.node)
	if err != nil {
		t.Fatal(err)
	}
	x, err := sealed.NewExchange(node.Verified(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	content := &endless{left: huge}
	inner, err := http.NewRequest(http.MethodPost, "https://cocoon.invalid/v1/chat/completions", content)
	if err != nil {
		t.Fatal(err)
	}
	inner.Header.Set("Content-Type", "application/json")
	body, err := x.Request(inner)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(r.url+"/.well-known/ohttp-gateway", sealed.RequestType, body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := x.Response(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if reason, ok := sealed.NotStarted(answer); !ok || reason != "too large" {
		t.Errorf("status %d, %q, not started %v", answer.StatusCode, reason, ok)
	}
	if n := content.given.Load(); n > maxRun {
		t.Errorf("%d MB of a sealed request were taken", n>>20)
	}
	if n := r.size(t); n != 0 {
		t.Errorf("the log has %d leaves", n)
	}
	u.mustAsk(t, newSecret())
}

// A relay whose public files have no end.
func TestHugeFiles(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	for _, c := range []struct {
		path string
		want family
		says string
	}{
		{"/.well-known/cocoon/bundle", badInput, "is larger than 4194304 bytes"},
		{endorse.Path, unknown, "missing"},
	} {
		var sent atomic.Int64
		l := r.newRelay(t, func(l *relay) {
			l.public = map[string]http.HandlerFunc{c.path: func(w http.ResponseWriter, _ *http.Request) {
				for buf := make([]byte, 64<<10); sent.Load() < huge; {
					n, err := w.Write(buf)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			}}
		})
		secret := newSecret()
		_, err := r.newUser(t, l).ask(t, secret, false)
		wantError(t, err, c.want, secret, c.says)
		if n := sent.Load(); n > maxRun {
			t.Errorf("%s: %d MB were taken", c.path, n>>20)
		}
		l.server.Close()
		if l.posts.Load() != 0 {
			t.Errorf("%s: a request was sent", c.path)
		}
	}
}

// short are waits for tests, long enough for peers that do as they should.
var short = enclave.Waits{Header: 2 * time.Second, Idle: 2 * time.Second, Total: 5 * time.Second}

// A request that comes in drops: header, sealed head, content. Each ends when
// its time is over, holds nothing, and leaves nothing.
func TestTrickle(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t, func(o *enclave.Options) { o.Waits = short })
	u := r.newUser(t, r.newRelay(t))
	node, err := u.Node(testContext(t), r.node)
	if err != nil {
		t.Fatal(err)
	}
	const head = "POST /.well-known/ohttp-gateway HTTP/1.1\r\nHost: enclave\r\nContent-Type: " + sealed.RequestType + "\r\nContent-Length: 100000\r\n\r\n"
	genuine := func(secret string) string { // the first frames of a request, and no end
		x, err := sealed.NewExchange(node.Verified(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		half := io.MultiReader(bytes.NewReader(prompt(t, secret, false)), &stuck{t.Context()})
		inner, err := http.NewRequest(http.MethodPost, "https://cocoon.invalid/v1/chat/completions", half)
		if err != nil {
			t.Fatal(err)
		}
		body, err := x.Request(inner)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1<<10)
		n, err := io.ReadFull(body, buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	var group sync.WaitGroup
	for _, c := range []struct {
		name  string
		first string // sent at once
		drops bool   // then a byte every now and then, within the idle time
		least time.Duration
		want  string // how the answer starts, if there is one
	}{
		{"nothing", "", false, short.Header, ""},
		{"a header in drops", "POST /.well-known/ohttp-gateway HTTP/1.1\r\nHost: enclave\r\nX-Slow: ", true, short.Header, ""},
		{"no body", head, false, short.Idle, "HTTP/1.1 408"},
		{"junk in drops", head, true, 0, "HTTP/1.1 40"}, // known for junk after a few
		{"half of a sealed request", head + genuine(newSecret()), false, short.Idle, "HTTP/1.1 408"},
		{"half of a sealed request, the rest in drops", head + genuine(newSecret()), true, short.Total, "HTTP/1.1 408"},
		{"a body where none belongs", "GET /.well-known/cocoon/bundle HTTP/1.1\r\nHost: enclave\r\nContent-Length: 100000\r\n\r\n", false, short.Idle, ""},
	} {
		group.Go(func() {
			answer, took, err := r.drip(c.first, c.drops)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			// what the enclave said may be lost with a connection that still sends
			if took < c.least/2 || len(answer) > 0 && !strings.HasPrefix(string(answer), c.want) {
				t.Errorf("%s: after %s the answer is %.60q, want %q", c.name, took, answer, c.want)
			}
		})
	}
	group.Wait()
	if n := r.size(t); n != 0 {
		t.Errorf("the log has %d leaves for requests that were never whole", n)
	}
	u.mustAsk(t, newSecret())
}

// drip sends something to the enclave, then perhaps a byte every now and then,
// until the enclave closes the connection.
func (r *runtime) drip(first string, drops bool) (answer []byte, took time.Duration, err error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close()
	begun := time.Now()
	_ = conn.SetReadDeadline(begun.Add(longest))
	if _, err := io.WriteString(conn, first); err != nil {
		return nil, 0, err
	}
	ended := make(chan struct{})
	var drip sync.WaitGroup
	defer drip.Wait()
	defer close(ended)
	if drops {
		drip.Go(func() {
			for tick := time.NewTicker(short.Idle / 10); ; {
				select {
				case <-ended:
					return
				case <-tick.C:
					_, _ = conn.Write([]byte{'a'})
				}
			}
		})
	}
	answer, err = io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return nil, 0, errors.New("the enclave holds the connection")
	}
	return answer, time.Since(begun), nil // a reset is an end too
}

// stuck is a reader that gives nothing until its test ends.
type stuck struct{ ctx context.Context }

func (s *stuck) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// A client that stops taking its answer does not keep the engine for itself, and
// a client that goes away in the midst of it leaves a receipt in the log.
func TestAnswerNotTaken(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]bool{"stops reading": false, "goes away": true} {
		t.Run(name, func(t *testing.T) {
			r := shared.bootFresh(t, func(o *enclave.Options) { o.Waits = short })
			u := r.newUser(t, r.newRelay(t))
			node, err := u.Node(testContext(t), r.node)
			if err != nil {
				t.Fatal(err)
			}
			x, err := sealed.NewExchange(node.Verified(), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			inner, err := http.NewRequest(http.MethodPost, "https://cocoon.invalid/v1/chat/completions", bytes.NewReader(prompt(t, flood, true)))
			if err != nil {
				t.Fatal(err)
			}
			inner.Header.Set("Content-Type", "application/json")
			body, err := x.Request(inner)
			if err != nil {
				t.Fatal(err)
			}
			request, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST /.well-known/ohttp-gateway HTTP/1.1\r\nHost: enclave\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", sealed.RequestType, len(request))
			if _, err := conn.Write(request); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil { // it has begun
				t.Fatal(err)
			}
			if leave {
				conn.Close()
			}
			for until := time.Now().Add(longest); r.size(t) != 1; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(until) {
					t.Fatal("the enclave still waits for a client that takes nothing")
				}
			}
			if f := u.mustAsk(t, newSecret()); f.Receipt.Head.Index != 1 {
				t.Errorf("the next receipt has index %d", f.Receipt.Head.Index)
			}
		})
	}
}

// An answer that takes longer than any of the waits is not cut off, as long as
// it goes on.
func TestLongAnswer(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t, func(o *enclave.Options) { o.Waits = short })
	u := r.newUser(t, r.newRelay(t))
	begun := time.Now()
	a, err := u.ask(t, slowly, true)
	if err != nil || streamed(t, a.body) != strings.Repeat("tick ", 10) {
		t.Errorf("%q, %v", a.body, err)
	}
	if took := time.Since(begun); took < short.Total {
		t.Errorf("the answer took only %s", took)
	}
	u.mustAsk(t, newSecret()) // over the same connections
}

// A relay that gives its files, or an answer, one byte now and then: the caller's
// patience decides, and nothing was sent that was not verified.
func TestSlowRelay(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	var stop chan struct{}
	slow := func(w http.ResponseWriter, req *http.Request) {
		for tick := time.NewTicker(200 * time.Millisecond); ; { // too few bytes to see what they are
			select {
			case <-stop: // what the client still reads for others ends with the test
				return
			case <-req.Context().Done():
				return
			case <-tick.C:
			}
			_, _ = w.Write([]byte{0xa5})
			_ = http.NewResponseController(w).Flush()
		}
	}
	for name, c := range map[string]struct {
		change func(*relay)
		posts  int64
	}{
		"the bundle": {func(l *relay) { l.public = map[string]http.HandlerFunc{"/.well-known/cocoon/bundle": slow} }, 0},
		"the answer": {func(l *relay) {
			l.gateway = func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				w.Header().Set("Content-Type", sealed.ResponseType)
				slow(w, req)
			}
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := r.newRelay(t, c.change)
			stop = make(chan struct{})
			t.Cleanup(func() { close(stop) })
			u := r.newUser(t, l, func(cfg *client.Config) { cfg.HTTP = &http.Transport{DisableKeepAlives: true} })
			secret := newSecret()
			if c.posts > 0 { // verifying is not what takes long
				if _, err := u.Node(testContext(t), r.node); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // the request must be with the relay by then
			defer cancel()
			begun := time.Now()
			resp, err := u.send(ctx, bytes.NewReader(prompt(t, secret, false)))
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			wantError(t, err, unknown, secret, "deadline exceeded")
			if took := time.Since(begun); took > time.Minute {
				t.Errorf("it took %s", took)
			}
			if n := l.posts.Load(); n != c.posts || len(u.receipts()) != 0 {
				t.Errorf("%d requests, %d receipts", n, len(u.receipts()))
			}
			l.heardNothingOf(t, secret)
		})
	}
}
