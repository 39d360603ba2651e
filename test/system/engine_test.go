package system

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/enclave/engine"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
)

// Most enclaves here front an inference server that repeats what it is told:
// under the race detector a model, even a tiny one, takes too long. It goes by
// the name and digest of the embedded model, which is the one that the registry
// lists. TestHonest uses the model itself.

// pieceSize is how many bytes of an answer come at a time.
const pieceSize = 8

// Prompts that ask for an answer that fits no buffer, and for one that takes
// longer than a request may.
const (
	flood  = "tell me everything"
	slowly = "take your time"
)

// repeat is the inference server.
func repeat(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/v1/models" {
		fmt.Fprintf(w, `{"object":"list","data":[{"id":%q}]}`, tinylm.ModelName)
		return
	}
	if strings.Contains(string(body), flood) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 1 << 10 {
			if _, err := fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", strings.Repeat("z", 16<<10)); err != nil {
				return
			}
		}
		return
	}
	if strings.Contains(string(body), slowly) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range 10 {
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"tick \"}}]}\n\n")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(short.Total / 8)
		}
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		return
	}
	text := "you said: " + gjson.GetBytes(body, "messages.0.content").String()
	if len(text) > 200 {
		text = text[:200]
	}
	tokens := (len(text) + pieceSize - 1) / pieceSize
	usage := fmt.Sprintf(`{"prompt_tokens":7,"completion_tokens":%d,"total_tokens":%d}`, tokens, tokens+7)
	if !gjson.GetBytes(body, "stream").Bool() {
		fmt.Fprintf(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":%s},"finish_reason":"stop"}],"usage":%s}`, quote(text), usage)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	for ; len(text) > 0; text = text[min(pieceSize, len(text)):] {
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%s}}]}\n\n", quote(text[:min(pieceSize, len(text))]))
		_ = flush()
	}
	fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n")
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":%s}\n\ndata: [DONE]\n\n", usage)
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// repeater is the engine in front of that server.
type repeater struct{ *engine.Upstream }

func newRepeater() (*repeater, func(), error) {
	s := httptest.NewServer(http.HandlerFunc(repeat))
	u, err := engine.NewUpstream(engine.UpstreamConfig{
		URL: s.URL, Profile: engine.LlamaCpp, Version: "1",
		Models: []engine.Model{{Name: tinylm.ModelName, Digest: tinylm.Digest()}},
		Probes: []engine.Probe{{Model: tinylm.ModelName, Question: "ready?", Want: "you said: ready?"}},
	})
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	return &repeater{u}, func() { u.Close(); s.Close() }, nil
}

// RoundTripper lets answers come in small pieces: how many frames one takes does
// not depend on the speed of the machine.
func (e *repeater) RoundTripper() http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := e.Upstream.RoundTripper().RoundTrip(req)
		if err == nil {
			resp.Body = smallReads{resp.Body}
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

type smallReads struct{ io.ReadCloser }

func (r smallReads) Read(p []byte) (int, error) { return r.ReadCloser.Read(p[:min(len(p), 100)]) }

// withModel runs the embedded model in an enclave.
func withModel(t testing.TB) func(*enclave.Options) {
	t.Helper()
	e, err := tinylm.New(tinylm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *enclave.Options) { o.Engine = e }
}
