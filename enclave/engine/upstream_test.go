package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/cocoon-go/cocoon/internal/memnet"
)

// server is an inference server that misbehaves on demand.
type server struct {
	*httptest.Server
	answer   atomic.Pointer[http.HandlerFunc] // to clients; probes are answered well
	dumb     atomic.Bool                      // answers probes wrongly
	probes   atomic.Int64
	mu       sync.Mutex
	requests []string // what came, head and body
	gone     chan struct{}

	dial func(context.Context, string, string) (net.Conn, error) // nil: that of the system
}

const probeWord = "speak friend"

func newServer(t *testing.T) *server {
	s := &server{gone: make(chan struct{}, 16)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// newMemoryServer is newServer for tests of what waits, which run in a bubble: their
// clock goes on when all wait.
func newMemoryServer(t *testing.T) *server {
	s, l := &server{gone: make(chan struct{}, 16)}, memnet.Listen()
	s.dial = l.Dial
	s.Server = &httptest.Server{Listener: l, Config: &http.Server{Handler: s}}
	s.Start()
	s.URL = "http://127.0.0.1:1" // an upstream takes no other names
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/v1/models" {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"object":"list","data":[{"id":"m","root":"/secret/path"}]}`)
		return
	}
	if strings.Contains(string(b), probeWord) {
		s.probes.Add(1)
		text := "Enter!"
		if s.dumb.Load() {
			text = "!!!!!!"
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"choices":[{"index":0,"message":{"content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`, text)
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, fmt.Sprint(r.Method, r.RequestURI, r.Host, r.Header, string(b)))
	s.mu.Unlock()
	(*s.answer.Load())(w, r)
}

// count returns how many requests came that are no probes.
func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func (s *server) set(h http.HandlerFunc) { s.answer.Store(&h) }

// text answers with a fixed status, type and body.
func (s *server) text(status int, contentType, body string) {
	s.set(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("X-Request-Id", "1")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

func testUpstream(t *testing.T, s *server, edit func(*UpstreamConfig)) *Upstream {
	t.Helper()
	c := UpstreamConfig{URL: s.URL, Profile: VLLM, Version: "1.2", Models: []Model{{Name: "m", Digest: [32]byte{1}}},
		Probes: []Probe{{Model: "m", Question: probeWord, Want: "enter"}}}
	if edit != nil {
		edit(&c)
	}
	u, err := NewUpstream(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Close() })
	if s.dial != nil {
		u.http.DialContext = s.dial
	}
	if st, err := u.SelfTest(t.Context()); err != nil || !st.Passed || st.Answers != AnswersDigest([]string{"Enter!"}) {
		t.Fatalf("self-test: %+v, %v", st, err)
	}
	return u
}

const (
	chatBody   = `{"messages":[{"role":"user","content":"x"}],"max_tokens":10}`
	streamBody = `{"messages":[{"role":"user","content":"x"}],"max_tokens":10,"stream":true}`
	wholeGood  = `{"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}`
)

func sendUp(t *testing.T, ctx context.Context, u *Upstream, path, body string) (*http.Response, *Report, error) {
	t.Helper()
	method := "POST"
	if body == "" {
		method = "GET"
	}
	shaped, p, err := Shape(method, path, jsonHeader, []byte(body), u.Limits())
	if err != nil {
		t.Fatal(err)
	}
	r := NewReport(p)
	req, _ := http.NewRequestWithContext(WithReport(ctx, r), method, "http://engine"+path, bytes.NewReader(shaped))
	req.Header = http.Header{"Content-Type": {"application/json"}, "X-Conversation-Id": {"1"}, "Authorization": {"SECRET"}, "Cookie": {"a"}, "User-Agent": {"me"}}
	resp, err := u.RoundTripper().RoundTrip(req)
	return resp, r, err
}

// askUp reads an answer to its end.
func askUp(t *testing.T, u *Upstream, body string) (*http.Response, string, *Report, error) {
	t.Helper()
	resp, r, err := sendUp(t, t.Context(), u, chatPath, body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return resp, string(b), r, err
}

func TestUpstreamConfig(t *testing.T) {
	ok := func() UpstreamConfig {
		return UpstreamConfig{URL: "http://127.0.0.1:8000", Profile: LlamaCpp, Models: []Model{{Name: "b", Digest: [32]byte{1}}, {Name: "a", Digest: [32]byte{2}}},
			Probes: DefaultProbes("a", "b")}
	}
	u, err := NewUpstream(ok())
	if err != nil {
		t.Fatal(err)
	}
	if id := u.Identity(); id.String() != "llamacpp/unknown" || id.Exact || id.Models[0].Name != "a" || u.Limits().Models[0] != "a" || u.Limits().MaxSeed != 1<<32-2 {
		t.Errorf("identity %+v, limits %+v", id, u.Limits())
	}
	for _, good := range []string{"http://127.1.2.3:1", "http://[::1]:8000", "http://127.0.0.1:80/", "unix:/run/engine.sock"} {
		c := ok()
		c.URL = good
		if _, err := NewUpstream(c); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "http://localhost:8000", "http://127.0.0.1", "http://127.0.0.1:0", "https://127.0.0.1:8000", "http://10.0.0.1:8000",
		"http://[::1%25lo]:80", "http://[::ffff:10.0.0.1]:80", "http://0.0.0.0:80", "http://user@127.0.0.1:80", "http://127.0.0.1:80/v1", "http://127.0.0.1:80?x", "http://127.0.0.1:80/?x=1",
		"http://127.0.0.1:80#x", "http://127.0.0.1.example.com:80", "http://2130706433:80", "unix:engine.sock", "unix:/run/../x", "unix://run/x", "file:///x", "http:127.0.0.1:80"} {
		c := ok()
		c.URL = bad
		if _, err := NewUpstream(c); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for name, edit := range map[string]func(*UpstreamConfig){
		"profile":       func(c *UpstreamConfig) { c.Profile = "" },
		"embedded":      func(c *UpstreamConfig) { c.Profile = Embedded },
		"no model":      func(c *UpstreamConfig) { c.Models = nil },
		"model twice":   func(c *UpstreamConfig) { c.Models[1] = c.Models[0] },
		"model name":    func(c *UpstreamConfig) { c.Models[1].Name = "a/../b" },
		"no digest":     func(c *UpstreamConfig) { c.Models[0].Digest = [32]byte{} },
		"no probes":     func(c *UpstreamConfig) { c.Probes = nil },
		"a model more":  func(c *UpstreamConfig) { c.Probes = DefaultProbes("a") },
		"other model":   func(c *UpstreamConfig) { c.Probes = DefaultProbes("a", "b", "c") },
		"empty answer":  func(c *UpstreamConfig) { c.Probes[0].Want = " " },
		"name":          func(c *UpstreamConfig) { c.Name = "é" },
		"long version":  func(c *UpstreamConfig) { c.Version = strings.Repeat("1", 128) },
		"time":          func(c *UpstreamConfig) { c.IdleGap = -1 },
		"zero limits":   func(c *UpstreamConfig) { c.Limits = &Limits{} },
		"other profile": func(c *UpstreamConfig) { l := DefaultLimits(VLLM, "a"); c.Limits = &l },
		"other limits":  func(c *UpstreamConfig) { l := DefaultLimits(LlamaCpp, "x"); c.Limits = &l },
	} {
		c := ok()
		edit(&c)
		if _, err := NewUpstream(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestUpstreamAnswer(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	s := newServer(t)
	u := testUpstream(t, s, nil)
	s.text(200, "application/json; charset=utf-8", " "+wholeGood+"\n")
	resp, body, r, err := askUp(t, u, chatBody)
	if err != nil || resp.StatusCode != 200 || body != " "+wholeGood+"\n" {
		t.Errorf("%v %v: %s", err, resp.Status, body)
	}
	if len(resp.Header) != 2 || resp.Header.Get("Content-Type") != "application/json" { // and the length
		t.Errorf("header %v", resp.Header)
	}
	if r.PromptTokens != 7 || r.CompletionTokens != 3 || !r.Exact || r.Finish != FinishComplete || r.TokenIDs != nil || r.Created != 0 {
		t.Errorf("report %+v", r)
	}
	got := s.requests[0]
	head := "POST" + chatPath + strings.TrimPrefix(s.URL, "http://") + `map[Accept:[application/json] Content-Length:[`
	if !strings.HasPrefix(got, head) || !strings.Contains(got, `] Content-Type:[application/json]]{"messages"`) || strings.Contains(got, "SECRET") || !strings.Contains(got, "cache_salt") {
		t.Errorf("the server got %s", got)
	}
	// Who closes before the end is gone.
	resp, r, err = sendUp(t, t.Context(), u, chatPath, chatBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); r.Finish != FinishCancelled {
		t.Errorf("unread answer: %+v", r)
	}
}

func TestUpstreamStream(t *testing.T) {
	s := newServer(t)
	u := testUpstream(t, s, nil)
	s.text(200, "text/event-stream", good)
	resp, body, r, err := askUp(t, u, streamBody)
	if err != nil || body != strings.Replace(good, event(evUsage), "", 1) {
		t.Errorf("%v: %s", err, body)
	}
	if len(resp.Header) != 2 || resp.Header.Get("Content-Type") != "text/event-stream; charset=utf-8" {
		t.Errorf("header %v", resp.Header)
	}
	if r.PromptTokens != 7 || r.CompletionTokens != 3 || !r.Exact || r.Finish != FinishComplete {
		t.Errorf("report %+v", r)
	}
	if !strings.Contains(s.requests[0], "Accept:[text/event-stream]") {
		t.Errorf("the server got %s", s.requests[0])
	}
}

func TestUpstreamModels(t *testing.T) {
	u := testUpstream(t, newServer(t), nil)
	resp, r, err := sendUp(t, t.Context(), u, "/v1/models", "")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	if gjson.GetBytes(b, "data.0.id").Str != "m" || bytes.Contains(b, []byte("secret")) || r.Finish != FinishComplete {
		t.Errorf("%s %+v", b, r)
	}
}

func TestUpstreamUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "e")
	if len(path) > 100 {
		t.Skip("the temporary folder has too long a name for a socket")
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{}
	s.text(200, "application/json", wholeGood)
	srv := &http.Server{Handler: s}
	go func() { _ = srv.Serve(l) }()
	defer srv.Close()
	s.Server = &httptest.Server{URL: "unix:" + path}
	u := testUpstream(t, s, nil)
	if _, body, _, err := askUp(t, u, chatBody); err != nil || body != wholeGood {
		t.Errorf("%v: %s", err, body)
	}
}

// Everything a server can answer instead of an answer.
func TestUpstreamMisbehaves(t *testing.T) {
	s := newServer(t)
	u := testUpstream(t, s, nil)
	for name, c := range map[string]struct {
		status            int
		contentType, body string
		wantStatus        int
		wantCode          string
		wantText          string // in the message
	}{
		"refused":         {400, "application/json", `{"error":{"message":"too hot","code":"x_y","param":"temperature"}}`, 400, "x_y", "too hot"},
		"refused, number": {400, "application/json", `{"error":{"message":"too hot","code":400}}`, 400, "engine_refused", "too hot"},
		"refused, old":    {400, "application/json", `{"object":"error","message":"too hot"}`, 400, "engine_refused", "too hot"},
		"refused, detail": {422, "application/json", `{"detail":"too hot"}`, 422, "engine_refused", "too hot"},
		"refused, HTML":   {400, "text/html", `<SECRET>`, 400, "engine_refused", ""},
		"refused, long":   {413, "application/json", `{"error":"` + strings.Repeat("x", 5000) + `"}`, 413, "engine_refused", strings.Repeat("x", 2048)},
		"busy":            {429, "application/json", `{"error":"SECRET"}`, 429, "engine_busy", ""},
		"loading":         {503, "application/json", `{"error":"SECRET"}`, 503, "engine_busy", ""},
		"failure":         {500, "application/json", `{"error":{"message":"SECRET"}}`, 502, "engine_failed", ""},
		"not found":       {404, "application/json", `{"error":{"message":"SECRET"}}`, 502, "engine_failed", ""},
		"unauthorized":    {401, "application/json", `{"error":{"message":"SECRET"}}`, 502, "engine_failed", ""},
		"redirect":        {302, "application/json", `SECRET`, 502, "engine_failed", ""},
		"no content":      {204, "application/json", ``, 502, "engine_failed", ""},
		"HTML":            {200, "text/html", `SECRET`, 502, "engine_failed", ""},
		"no type":         {200, "", wholeGood, 502, "engine_failed", ""},
		"stream":          {200, "text/event-stream", good, 502, "engine_failed", ""},
		"not JSON":        {200, "application/json", `SECRET`, 502, "engine_failed", ""},
		"two values":      {200, "application/json", wholeGood + wholeGood, 502, "engine_failed", ""},
		"error as answer": {200, "application/json", `{"error":{"message":"SECRET"}}`, 502, "engine_failed", ""},
		"no choice":       {200, "application/json", `{"choices":[]}`, 502, "engine_failed", ""},
		"no reason":       {200, "application/json", strings.Replace(wholeGood, `"stop"`, "null", 1), 502, "engine_failed", ""},
		"too many tokens": {200, "application/json", strings.Replace(wholeGood, `"completion_tokens":3`, `"completion_tokens":11`, 1), 502, "engine_failed", ""},
	} {
		s.text(c.status, c.contentType, c.body)
		if c.status == 302 {
			s.set(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/v1/models", http.StatusFound) })
		}
		resp, body, r, err := askUp(t, u, chatBody)
		if err != nil || resp.StatusCode != c.wantStatus || gjson.Get(body, "error.code").Str != c.wantCode || !strings.Contains(body, c.wantText) {
			t.Errorf("%s: %v %d %.300s", name, err, resp.StatusCode, body)
		}
		if strings.Contains(body, "SECRET") || len(body) > 3000 || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: answer %v %s", name, resp.Header, body)
		}
		if r.Finish != FinishFailed || r.CompletionTokens != 0 {
			t.Errorf("%s: report %+v", name, r)
		}
	}
}

func TestUpstreamTruncated(t *testing.T) {
	s := newServer(t)
	u := testUpstream(t, s, nil)
	for name, cut := range map[string]http.HandlerFunc{
		"clean end": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, event(evText)) },
		"broken connection": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, event(evText))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		s.set(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			cut(w, r)
		})
		before := s.probes.Load()
		_, body, r, err := askUp(t, u, streamBody)
		if err == nil || body != event(evText)+failure {
			t.Errorf("%s: %v: %s", name, err, body)
		}
		if r.Finish != FinishFailed || r.CompletionTokens != 1 || r.Exact {
			t.Errorf("%s: report %+v", name, r)
		}
		// It may have crashed: the next request tests it first.
		s.text(200, "application/json", wholeGood)
		if _, _, r, _ := askUp(t, u, chatBody); r.Finish != FinishComplete || s.probes.Load() != before+1 {
			t.Errorf("%s: %d probes, then %+v", name, s.probes.Load()-before, r)
		}
	}
	s.set(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, wholeGood)
	})
	if resp, _, r, _ := askUp(t, u, chatBody); resp.StatusCode != 503 || r.Finish != FinishFailed {
		t.Errorf("short answer: %s, %+v", resp.Status, r)
	}
}

// A server that gives garbage after a restart answers no clients.
func TestUpstreamRetest(t *testing.T) {
	s := newServer(t)
	u := testUpstream(t, s, nil)
	s.set(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if resp, body, _, _ := askUp(t, u, chatBody); resp.StatusCode != 503 || gjson.Get(body, "error.code").Str != "engine_unavailable" {
		t.Errorf("crash: %s", body)
	}
	s.dumb.Store(true)
	s.text(200, "application/json", wholeGood)
	n := s.count()
	for range 3 {
		resp, body, r, _ := askUp(t, u, chatBody)
		if resp.StatusCode != 503 || gjson.Get(body, "error.code").Str != "engine_untested" || r.Finish != FinishFailed || s.count() != n {
			t.Errorf("garbage: %s", body)
		}
	}
	if s.probes.Load() != 2 {
		t.Errorf("%d probes, want one at the start and one after the crash", s.probes.Load())
	}
	s.dumb.Store(false)
	u.next = time.Time{}
	if _, body, r, _ := askUp(t, u, chatBody); r.Finish != FinishComplete {
		t.Errorf("recovered: %s", body)
	}
	s.dumb.Store(true)
	if st, err := u.SelfTest(t.Context()); err == nil || st.Passed {
		t.Errorf("self-test of garbage: %+v, %v", st, err)
	}
	if resp, _, _, _ := askUp(t, u, chatBody); resp.StatusCode != 503 {
		t.Errorf("after a failed self-test: %s", resp.Status)
	}
}

func TestUpstreamUntested(t *testing.T) {
	s := newServer(t)
	u, err := NewUpstream(UpstreamConfig{URL: s.URL, Profile: VLLM, Models: []Model{{Name: "m", Digest: [32]byte{1}}}, Probes: DefaultProbes("m")})
	if err != nil {
		t.Fatal(err)
	}
	if resp, body, _, _ := askUp(t, u, chatBody); resp.StatusCode != 503 || gjson.Get(body, "error.code").Str != "engine_untested" || s.count() != 0 {
		t.Errorf("%s", body)
	}
}

func TestUpstreamCancel(t *testing.T) { synctest.Test(t, testUpstreamCancel) }

func testUpstreamCancel(t *testing.T) {
	s := newMemoryServer(t)
	u := testUpstream(t, s, nil)
	s.set(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, event(evText)+event(evText))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		s.gone <- struct{}{}
	})
	gone := func(name string) {
		t.Helper()
		select {
		case <-s.gone:
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: the server works on", name)
		}
	}
	// Closed by the reader, also while another goroutine waits in Read.
	resp, r, err := sendUp(t, t.Context(), u, chatPath, streamBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, len(event(evText)+event(evText)))); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, resp.Body)
		close(waiting)
	}()
	resp.Body.Close()
	<-waiting
	gone("close")
	if r.Finish != FinishCancelled || r.CompletionTokens != 2 || r.Exact {
		t.Errorf("report %+v", r)
	}
	// Ended by the context.
	ctx, cancel := context.WithCancel(t.Context())
	resp, r, err = sendUp(t, ctx, u, chatPath, streamBody)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("the answer ends with %v", err)
	}
	resp.Body.Close()
	gone("context")
	if r.Finish != FinishCancelled || r.CompletionTokens != 2 {
		t.Errorf("report %+v", r)
	}
	// Before there is an answer.
	s.set(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); s.gone <- struct{}{} })
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	resp, r, err = sendUp(t, ctx, u, chatPath, chatBody)
	if !errors.Is(err, context.DeadlineExceeded) || resp != nil || r.Finish != FinishCancelled {
		t.Errorf("%v, %v, report %+v", resp, err, r)
	}
	gone("deadline")
	if !u.tested.Load() {
		t.Error("readers who leave make the engine untested")
	}
}

func TestUpstreamTimeouts(t *testing.T) { synctest.Test(t, testUpstreamTimeouts) }

func testUpstreamTimeouts(t *testing.T) {
	s := newMemoryServer(t)
	const short = 50 * time.Millisecond
	u := testUpstream(t, s, func(c *UpstreamConfig) { c.FirstByte, c.IdleGap, c.Whole = short, short, short })
	silent := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	s.set(silent)
	for _, body := range []string{chatBody, streamBody} {
		resp, text, r, _ := askUp(t, u, body)
		if resp.StatusCode != 504 || gjson.Get(text, "error.code").Str != "engine_timeout" || r.Finish != FinishFailed {
			t.Errorf("silent server: %s", text)
		}
	}
	for name, first := range map[string]string{"no first event": "", "gap": event(evText)} {
		s.set(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, first)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		_, text, r, err := askUp(t, u, streamBody)
		if !errors.Is(err, errSlow) || text != first+failure || r.Finish != FinishFailed {
			t.Errorf("%s: %v, %q, %+v", name, err, text, r)
		}
	}
	// A steady stream may take longer than a gap, and so may its reader.
	s.set(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for e := range strings.SplitAfterSeq(good, "\n\n") {
			fmt.Fprint(w, e)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(short / 3)
		}
	})
	resp, r, err := sendUp(t, t.Context(), u, chatPath, streamBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * short)
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("steady stream: %v", err)
	}
	resp.Body.Close()
	if r.Finish != FinishComplete {
		t.Errorf("steady stream: %+v", r)
	}
}

func TestUpstreamClose(t *testing.T) { synctest.Test(t, testUpstreamClose) }

func testUpstreamClose(t *testing.T) {
	s := newMemoryServer(t)
	u := testUpstream(t, s, nil)
	s.set(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, event(evText))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	resp, r, err := sendUp(t, t.Context(), u, chatPath, streamBody)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, errUpstreamClosed) {
		t.Errorf("the answer ends with %v", err)
	}
	if resp.Body.Close(); r.Finish != FinishFailed {
		t.Errorf("report %+v", r)
	}
	if resp, body, _, _ := askUp(t, u, chatBody); resp.StatusCode != 503 || gjson.Get(body, "error.code").Str != "engine_closed" {
		t.Errorf("after Close: %s", body)
	}
}

// The reason is the last that the server gave, also when the wait ends in the midst
// of a try.
func TestWaitUnhealthy(t *testing.T) {
	for name, delay := range map[string]time.Duration{"between tries": 0, "in a try": 200 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMemoryServer(t)
				handler := s.Config.Handler
				s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(delay)
					handler.ServeHTTP(w, r)
				})
				u, err := NewUpstream(UpstreamConfig{URL: s.URL, Profile: VLLM, Models: []Model{{Name: "other", Digest: [32]byte{1}}}, Probes: DefaultProbes("other")})
				if err != nil {
					t.Fatal(err)
				}
				u.http.DialContext = s.dial
				ctx, cancel := context.WithTimeout(t.Context(), 450*time.Millisecond) // of the second try, if it takes 200 ms
				defer cancel()
				if err := u.WaitHealthy(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), `"other"`) {
					t.Errorf("missing model: %v", err)
				}
			})
		})
	}
}

// TestWaitHealthy: a server may start late.
func TestWaitHealthy(t *testing.T) {
	s, path := newServer(t), filepath.Join(t.TempDir(), "e")
	u, err := NewUpstream(UpstreamConfig{URL: "unix:" + path, Profile: VLLM, Models: []Model{{Name: "m", Digest: [32]byte{1}}}, Probes: DefaultProbes("m")})
	if err != nil {
		t.Skip(err)
	}
	srv := &http.Server{Handler: s}
	defer srv.Close()
	time.AfterFunc(150*time.Millisecond, func() {
		if l, err := net.Listen("unix", path); err == nil {
			_ = srv.Serve(l)
		}
	})
	if err := u.WaitHealthy(t.Context()); err != nil {
		t.Error(err)
	}
	_ = u.Close()
	_ = os.Remove(path)
	if err := u.WaitHealthy(t.Context()); err == nil {
		t.Error("a closed upstream is healthy")
	}
}
