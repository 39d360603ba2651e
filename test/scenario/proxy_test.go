package scenario

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/receipt"
)

// answer is what a plain HTTP client got through the proxy.
type answer struct {
	request, response []byte
	pieces            int // reads that brought something
	receipt           *receipt.Receipt
	file              string // X.receipt, which the proxy kept
}

// post sends one request as any program would, and reads the answer to its end.
func (s *stage) post(body string) (*http.Response, *answer) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodPost, s.demo.BaseURL+"/chat/completions", strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer sk-not-for-the-enclave")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	a := &answer{request: []byte(body)}
	for buf := make([]byte, 32<<10); ; {
		n, err := resp.Body.Read(buf)
		a.response = append(a.response, buf[:n]...)
		if n > 0 {
			a.pieces++
		}
		if err == io.EOF {
			return resp, a
		}
		if err != nil {
			s.Fatal(err)
		}
	}
}

// chatThroughProxy asks, streamed and not, and checks that the receipts which
// the proxy keeps commit to the very bytes that this client sent and got.
func (s *stage) chatThroughProxy() *answer {
	s.Helper()
	const question = `{"messages":[{"role":"user","content":"What does a receipt prove?"}],"max_tokens":40`
	resp, a := s.post(question + `}`)
	s.checkAnswer(resp, a)
	var v struct {
		Choices []struct {
			Message struct{ Content string }
		}
		Usage struct {
			Prompt     uint64 `json:"prompt_tokens"`
			Completion uint64 `json:"completion_tokens"`
		}
	}
	if err := json.Unmarshal(a.response, &v); err != nil || len(v.Choices) != 1 || v.Choices[0].Message.Content == "" {
		s.Fatalf("the answer is %q (%v)", a.response, err)
	}
	if b := a.receipt.Body; v.Usage.Prompt != b.PromptTokens || v.Usage.Completion != b.CompletionTokens {
		s.Errorf("usage %+v, the receipt has %d and %d tokens", v.Usage, b.PromptTokens, b.CompletionTokens)
	}

	resp, streamed := s.post(question + `,"stream":true}`)
	s.checkAnswer(resp, streamed)
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/event-stream") {
		s.Errorf("content type %q", ct)
	}
	if !bytes.HasSuffix(streamed.response, []byte("data: [DONE]\n\n")) || streamed.pieces < 5 {
		s.Errorf("%d pieces of a stream, which ends in %q", streamed.pieces, streamed.response[max(0, len(streamed.response)-40):])
	}
	s.refusals()
	return a
}

// checkAnswer opens the receipt's commitments over the bytes on the wire.
func (s *stage) checkAnswer(resp *http.Response, a *answer) {
	s.Helper()
	if resp.StatusCode != http.StatusOK {
		s.Fatalf("status %d: %s\n%s", resp.StatusCode, a.response, s.demo.Stderr())
	}
	if resp.Header.Get("Cocoon-Simulated") != "true" {
		s.Error("the answer does not say that it is simulated")
	}
	r, err := receipt.ParseTrailer(resp.Trailer.Get("Cocoon-Receipt"))
	if err != nil {
		s.Fatalf("trailer: %v", err)
	}
	a.receipt = r
	var kept *receipt.File
	a.file, kept = s.kept(r)
	if err := r.Body.VerifyRequest(kept.RequestSalt, a.request); err != nil {
		s.Errorf("the request was edited on its way: %v", err)
	}
	if err := r.Body.VerifyResponse(kept.ResponseSalt, a.response); err != nil {
		s.Errorf("the response was edited on its way: %v", err)
	}
}

// kept finds the file in which the proxy kept a receipt, and demands that only
// its owner can read it.
func (s *stage) kept(r *receipt.Receipt) (string, *receipt.File) {
	s.Helper()
	names, err := filepath.Glob(filepath.Join(s.demo.Work, s.demo.Receipts, "*.receipt"))
	if err != nil {
		s.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			s.Fatal(err)
		}
		f, err := receipt.ParseFile(data)
		if err != nil {
			s.Fatalf("%s: %v", name, err)
		}
		if f.Receipt.Head != r.Head {
			continue
		}
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
			s.Errorf("%s: mode %v (%v), want 0600", name, fi.Mode(), err)
		}
		return name, f
	}
	s.Fatalf("none of %d receipts is the one of the answer", len(names))
	return "", nil
}

// refusals: what is wrong comes in OpenAI's shape.
func (s *stage) refusals() {
	s.Helper()
	for _, tt := range []struct {
		body   string
		status int
	}{
		{`{"model":"no-such-model","messages":[{"role":"user","content":"x"}]}`, http.StatusNotFound},
		{`{`, http.StatusBadRequest},
	} {
		resp, a := s.post(tt.body)
		var v struct {
			Error struct{ Message, Type string }
		}
		if err := json.Unmarshal(a.response, &v); err != nil || resp.StatusCode != tt.status || v.Error.Message == "" || v.Error.Type == "" {
			s.Errorf("%s: status %d, %s (%v), want %d and an error", tt.body, resp.StatusCode, a.response, err, tt.status)
		}
	}
}
