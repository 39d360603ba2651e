package sealed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

// gateway opens what it gets and echoes it, with a receipt.
func gateway(t testing.TB, k *Keyring) *httptest.Server {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		rc.EnableFullDuplex() // HTTP/2 needs none, and says so
		w.Header().Set("Content-Type", ResponseType)
		in, err := k.Open(r.Context(), now, r.Body)
		var refused *NotStartedError
		switch {
		case errors.As(err, &refused):
			refused.Reply(w, rc.Flush)
			return
		case err != nil:
			w.Header().Del("Content-Type")
			w.WriteHeader(Status(err))
			return
		}
		if in.Request.URL.Path == "/not" {
			in.NotStarted(w, rc.Flush, "busy")
			return
		}
		reply, err := in.Reply(w, rc.Flush)
		if err != nil {
			t.Error(err)
			return
		}
		defer reply.Abort()
		if err := reply.WriteHeader(http.StatusOK, http.Header{"Content-Type": {"text/plain"}, "Server": {"no"}}); err != nil {
			t.Error(err)
			return
		}
		n, err := io.Copy(struct{ io.Writer }{reply}, in.Request.Body)
		if err != nil || in.Request.URL.Path == "/cut" {
			return // truncated
		}
		reply.Close(http.Header{"Cocoon-Receipt": {fmt.Sprint(n)}})
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// post sends one sealed request.
func post(s *httptest.Server, x *Exchange, path string, body io.Reader) (*http.Response, error) {
	inner, err := http.NewRequest(http.MethodPost, path, body)
	if err != nil {
		return nil, err
	}
	sealed, err := x.Request(inner)
	if err != nil {
		return nil, err
	}
	outer, err := http.NewRequest(http.MethodPost, s.URL, sealed)
	if err != nil {
		return nil, err
	}
	outer.Header.Set("Content-Type", RequestType)
	res, err := s.Client().Do(outer)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != ResponseType {
		res.Body.Close()
		return nil, fmt.Errorf("outer status %d", res.StatusCode)
	}
	return x.Response(res.Body)
}

func TestHTTP(t *testing.T) {
	k := newKeyring(t, KeyringConfig{Window: 20})
	v := verified(t, k)
	s := gateway(t, k)
	next := func() *Exchange {
		t.Helper()
		x, err := NewExchange(v, now)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, n := range []int{0, 10, 300_000} {
		res, err := post(s, next(), "/echo", bytes.NewReader(noise(n)))
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Trailer) != 0 {
			t.Error("a trailer before the end")
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !bytes.Equal(b, noise(n)) || res.Trailer.Get("Cocoon-Receipt") != fmt.Sprint(n) {
			t.Errorf("%d bytes became %d, trailer %v, %v", n, len(b), res.Trailer, err)
		}
		if fmt.Sprint(res.Header) != "map[Content-Type:[text/plain]]" {
			t.Errorf("fields %v", res.Header)
		}
	}
	// Both directions at once over one connection.
	r, w := io.Pipe()
	first := make(chan struct{})
	go func() {
		w.Write([]byte("ping"))
		<-first
		w.Write([]byte("pong"))
		w.Close()
	}()
	res, err := post(s, next(), "/echo", r)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if n, err := res.Body.Read(buf); err != nil || string(buf[:n]) != "ping" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	close(first)
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "pong" {
		t.Fatalf("%q, %v", b, err)
	}
	res.Body.Close()
	// A handler that ends early truncates.
	if res, err = post(s, next(), "/cut", bytes.NewReader([]byte("half"))); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if string(b) != "half" || !isUnknown(err) || !errors.Is(err, io.ErrUnexpectedEOF) || attestation.ExitCode(err) != 3 {
		t.Errorf("%q, %v", b, err)
	}
	res.Body.Close()
	if res, err = post(s, next(), "/not", bytes.NewReader([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if why, ok := NotStarted(res); !ok || why != "busy" {
		t.Errorf("%q, %v", why, ok)
	}
	if _, err := post(s, exchange(t, newKeyring(t, KeyringConfig{})), "/echo", nil); err == nil || err.Error() != "outer status 400" {
		t.Errorf("sealed to another enclave: %v", err)
	}
}

// Many clients at once on one keyring with a window for half of them: each gets
// its own answer, or the word that nothing was started.
func TestConcurrent(t *testing.T) {
	const clients = 64
	k := newKeyring(t, KeyringConfig{Window: clients / 2})
	v := verified(t, k)
	var mu sync.Mutex
	var started, refused int
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			x, err := NewExchange(v, now)
			if err != nil {
				t.Error(err)
				return
			}
			req, _ := http.NewRequest(http.MethodPost, "/echo", bytes.NewReader(noise(1000*i)))
			sealed, err := x.Request(req)
			if err != nil {
				t.Error(err)
				return
			}
			up, upW := io.Pipe()
			down, downW := io.Pipe()
			go func() {
				_, err := io.Copy(upW, sealed)
				upW.CloseWithError(err)
			}()
			go func() {
				err := echo(k, up, downW)
				var no *NotStartedError
				if errors.As(err, &no) {
					err = no.Reply(downW, nil)
				}
				up.CloseWithError(io.ErrClosedPipe)
				downW.CloseWithError(err)
			}()
			res, err := x.Response(down)
			if err != nil {
				t.Error(err)
				return
			}
			b, err := io.ReadAll(res.Body)
			mu.Lock()
			defer mu.Unlock()
			if _, no := NotStarted(res); no {
				refused++
			} else if started++; err != nil || !bytes.Equal(b, noise(1000*i)) {
				t.Errorf("client %d: %d bytes, %v", i, len(b), err)
			}
			k.Expire(now)
			k.Exhausted(now)
			k.Current(now)
		})
	}
	wg.Wait()
	if started != clients/2 || refused != clients/2 {
		t.Errorf("%d started, %d refused", started, refused)
	}
}

// One request sent many times at once is run once.
func TestConcurrentReplay(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	msg := sealRequest(t, exchange(t, k), []byte("once"))
	var wg sync.WaitGroup
	results := make(chan error, 16)
	for range cap(results) {
		wg.Go(func() { results <- openErr(k, now, msg) })
	}
	wg.Wait()
	close(results)
	good := 0
	for err := range results {
		if err == nil {
			good++
		} else if !errors.Is(err, ErrReplay) {
			t.Error(err)
		}
	}
	if good != 1 {
		t.Errorf("run %d times", good)
	}
}
