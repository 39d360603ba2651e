package tinylm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/enclave/engine"
)

// recorded is what a receipt and its opening say of an answer.
func recorded(t testing.TB, request, response string, r *engine.Report) Recorded {
	t.Helper()
	created, ok := CreatedIn([]byte(response))
	if !ok || created != r.Created {
		t.Fatalf("created %d, %v in %q", created, ok, response)
	}
	return Recorded{Request: []byte(request), Seed: r.Seed, MaxTokens: r.MaxTokens, Temperature: r.Temperature, TopP: r.TopP,
		Created: created, Cancelled: r.Finish == engine.FinishCancelled, CompletionTokens: r.CompletionTokens}
}

var replayed = map[string][2]string{
	"drawn seed":    {chat, `{` + story + `}`},
	"own seed":      {chat, `{ "seed": 77, "temperature":7e-1,"user":"x", ` + story + `,"max_tokens":5000}`},
	"stream":        {chat, `{` + story + `,"stream":true,"temperature":1.5}`},
	"usage":         {chat, `{` + fact + `,"stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":9}`},
	"choices":       {chat, `{` + story + `,"n":3,"stream":true,"temperature":1.2,"max_tokens":20}`},
	"probabilities": {chat, `{` + fact + `,"logprobs":true,"top_logprobs":2,"stop":[" the","."]}`},
	"characters":    {completion, `{"prompt":"é日本 €","temperature":2,"max_tokens":60,"stream":true}`},
	"ids":           {completion, `{"prompt":[300,301],"n":2,"max_tokens":12}`},
}

func TestReplay(t *testing.T) {
	e := newEngine(t, Options{})
	for name, c := range replayed {
		_, body, r := ask(t, e, c[0], c[1])
		got, err := Replay(ctx, recorded(t, c[1], body, r))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(got.Response) != body {
			t.Errorf("%s: replayed\n%s, want\n%s", name, got.Response, body)
		}
		if got.TokenIDs != *r.TokenIDs || got.PromptTokens != r.PromptTokens || got.CompletionTokens != r.CompletionTokens || got.Finish != r.Finish {
			t.Errorf("%s: %+v, report %+v", name, got, r)
		}
	}
}

// What was sent of a cancelled answer is the start of what Replay makes, and the
// tokens that are billed are the same.
func TestReplayCancelled(t *testing.T) {
	e := newEngine(t, Options{})
	for _, n := range []int{1, 700, 5000} {
		request := `{` + story + `,"temperature":2,"max_tokens":512,"n":4,"stream":true,"seed":1}`
		resp, r, err := send(t, ctx, e, chat, request)
		if err != nil {
			t.Fatal(err)
		}
		sent := make([]byte, n)
		if _, err := io.ReadFull(resp.Body, sent); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if r.Finish != engine.FinishCancelled {
			t.Fatalf("report %+v", r)
		}
		a := Recorded{Request: []byte(request), Seed: 1, MaxTokens: r.MaxTokens, Temperature: r.Temperature, TopP: r.TopP,
			Created: r.Created, Cancelled: true, CompletionTokens: r.CompletionTokens}
		got, err := Replay(ctx, a)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(got.Response, sent) {
			t.Errorf("%d bytes were sent that the replayed answer does not start with", n)
		}
		if got.TokenIDs != *r.TokenIDs || got.CompletionTokens != r.CompletionTokens || got.Finish != engine.FinishCancelled {
			t.Errorf("%+v, report %+v", got, r)
		}
		a.CompletionTokens--
		if got, err := Replay(ctx, a); err == nil && got.TokenIDs == *r.TokenIDs {
			t.Error("one token less has the same digest")
		}
	}
}

func TestReplayRefuses(t *testing.T) {
	e := newEngine(t, Options{})
	request := `{` + fact + `,"seed":9,"temperature":0.5,"max_tokens":8}`
	_, body, r := ask(t, e, chat, request)
	good := recorded(t, request, body, r)
	for name, edit := range map[string]func(*Recorded){
		"seed":               func(a *Recorded) { a.Seed++ },
		"max_tokens":         func(a *Recorded) { a.MaxTokens++ },
		"more than possible": func(a *Recorded) { a.MaxTokens = 513 },
		"no tokens":          func(a *Recorded) { a.MaxTokens = 0 },
		"temperature":        func(a *Recorded) { a.Temperature = "0.6" },
		"temperature text":   func(a *Recorded) { a.Temperature = "x" },
		"top_p":              func(a *Recorded) { a.TopP = "0" },
	} {
		a := good
		edit(&a)
		if got, err := Replay(ctx, a); !errors.Is(err, ErrContradiction) || got != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, edit := range map[string]func(*Recorded){
		"field": func(a *Recorded) { a.Request = []byte(`{` + fact + `,"x":1}`) },
		"tools": func(a *Recorded) { a.Request = []byte(strings.TrimSuffix(request, "}") + `,"tools":[1]}`) },
		"context": func(a *Recorded) {
			a.Request = []byte(strings.Replace(request, "What", strings.Repeat("What ", 600), 1))
		},
		"empty": func(a *Recorded) { a.Request = nil },
	} {
		a := good
		edit(&a)
		var refused *engine.Error
		if _, err := Replay(ctx, a); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := good
	a.Created++
	if got, err := Replay(ctx, a); err != nil || string(got.Response) == body {
		t.Errorf("another time gives the same answer, %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Replay(cancelled, good); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, s := range []string{"", "data: ", "data: [DONE]\n\n", "{}", `{"created":"x"}`} {
		if _, ok := CreatedIn([]byte(s)); ok {
			t.Errorf("a time in %q", s)
		}
	}
}
