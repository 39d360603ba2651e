package tinylm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/cocoon-go/cocoon/enclave/engine"
)

// Recorded is an answer to be made again: the request from the opening of its
// receipt, and what the receipt's body states of sampling.
type Recorded struct {
	Request     []byte // as the client sent it
	Seed        uint64 // of the receipt, as all below
	MaxTokens   uint64
	Temperature string // decimal, as receipts have it
	TopP        string // likewise

	// Created is the time that the answer shows, in unix seconds. It is in no
	// receipt; CreatedIn takes it from the answer.
	Created int64

	// Cancelled and CompletionTokens say where a cancelled answer ends. The bytes
	// that were sent are then the start of Replayed.Response.
	Cancelled        bool
	CompletionTokens uint64
}

// Replayed is an answer that was made again.
type Replayed struct {
	Response         []byte   // the content, byte for byte
	TokenIDs         [32]byte // engine.TokenIDsDigest
	PromptTokens     uint64
	CompletionTokens uint64
	Finish           engine.Finish
}

// ErrContradiction says that a request and what its receipt states about
// sampling cannot both be true of this engine.
var ErrContradiction = errors.New("tinylm: the receipt contradicts the request")

// Replay makes an answer again. It trusts nothing: the caller compares the
// result with the receipt and the answer it holds. The errors are *engine.Error
// when this engine refuses the request, ErrContradiction, and the context's.
func Replay(ctx context.Context, a Recorded) (*Replayed, error) {
	w, err := load()
	if err != nil {
		return nil, err
	}
	shaped, p, err := a.shape(limits(w))
	if err != nil {
		return nil, err
	}
	r := engine.NewReport(p)
	r.Created = a.Created
	j, err := parse(shaped, r)
	if err != nil {
		return nil, err
	}
	if err := w.tokenize(j); err != nil {
		return nil, err
	}
	if a.Cancelled {
		j.cut = int(min(a.CompletionTokens, uint64(j.choices*w.Context())))
	}
	var out bytes.Buffer
	o := w.run(ctx, j, &out)
	if o.err != nil && !errors.Is(o.err, errCut) {
		return nil, o.err
	}
	o.fill(r)
	if a.Cancelled {
		r.Finish = engine.FinishCancelled
	}
	return &Replayed{Response: out.Bytes(), TokenIDs: *r.TokenIDs, PromptTokens: r.PromptTokens,
		CompletionTokens: r.CompletionTokens, Finish: r.Finish}, nil
}

// shape makes of the request what the engine ran, under the limits that make it
// answer as it did: what the request leaves open is as the receipt says.
func (a *Recorded) shape(l engine.Limits) (shaped []byte, p engine.Params, err error) {
	if a.MaxTokens < 1 || a.MaxTokens > l.MaxTokens {
		return nil, p, fmt.Errorf("%w: max_tokens of %d", ErrContradiction, a.MaxTokens)
	}
	l.MaxTokens, l.DefaultMaxTokens = a.MaxTokens, a.MaxTokens
	l.DefaultTemperature, l.DefaultTopP = a.Temperature, a.TopP
	if err := l.Validate(); err != nil {
		return nil, p, fmt.Errorf("%w: %w", ErrContradiction, err)
	}
	l.Seed = func() (uint64, error) { return a.Seed, nil }
	// The receipt does not name the call: the two have different fields.
	path := "/v1/chat/completions"
	if gjson.GetBytes(a.Request, "prompt").Exists() {
		path = "/v1/completions"
	}
	shaped, p, err = engine.Shape(http.MethodPost, path, http.Header{"Content-Type": {"application/json"}}, a.Request, l)
	if err != nil {
		return nil, p, err
	}
	for _, d := range []struct {
		name              string
		request, recorded any
	}{
		{"seed", p.Seed, a.Seed}, {"max_tokens", p.MaxTokens, a.MaxTokens},
		{"temperature", p.Temperature, a.Temperature}, {"top_p", p.TopP, a.TopP},
	} {
		if d.request != d.recorded {
			return nil, p, fmt.Errorf("%w: %s is %v in the request, %v in the receipt", ErrContradiction, d.name, d.request, d.recorded)
		}
	}
	return shaped, p, nil
}

// CreatedIn returns the time that an answer of this engine shows, streamed or
// not, or false if it shows none.
func CreatedIn(response []byte) (int64, bool) {
	s := string(response)
	if rest, ok := strings.CutPrefix(s, "data: "); ok {
		s, _, _ = strings.Cut(rest, "\n")
	}
	if !gjson.Valid(s) {
		return 0, false
	}
	v := gjson.Get(s, "created")
	return v.Int(), v.Type == gjson.Number
}
