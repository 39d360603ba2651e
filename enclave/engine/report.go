package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
)

// Finish says how an answer ended.
type Finish string

// The ways in which an answer ends.
const (
	FinishComplete  Finish = "complete"  // the model ended it, or a stop string did
	FinishLength    Finish = "length"    // max_tokens or the context was reached
	FinishCancelled Finish = "cancelled" // the reader went away
	FinishFailed    Finish = "failed"    // the engine failed or refused the request
)

// Report is what an engine measured of one answer. The engine owns it from
// RoundTrip until RoundTrip has failed or the response body has been closed;
// reading it before is a data race.
type Report struct {
	Model       string
	Seed        uint64 // as applied: the client's, or the one that Shape drew
	Temperature string // decimal, as applied
	TopP        string // decimal, as applied
	MaxTokens   uint64 // as applied, for each choice

	// Created is the time in the answer, in unix seconds. A caller may set it
	// before RoundTrip; if it is 0 an engine that writes answers itself takes its
	// clock's. It stays 0 when the answer comes from an upstream engine.
	Created int64

	PromptTokens     uint64
	CompletionTokens uint64 // of all choices together
	Finish           Finish // "" until the answer has ended

	// Exact says that the token counts are the engine's own. An upstream engine
	// that was stopped early does not tell; then CompletionTokens is a lower
	// bound, the number of events with text, and PromptTokens is 0.
	Exact bool

	// TokenIDs is the digest of the output token ids, nil where they are unknown;
	// see TokenIDsDigest.
	TokenIDs *[32]byte

	params Params
}

// NewReport returns the report of a request that Shape has accepted.
func NewReport(p Params) *Report {
	return &Report{Model: p.Model, Seed: p.Seed, Temperature: p.Temperature, TopP: p.TopP, MaxTokens: p.MaxTokens, params: p}
}

// Params returns what Shape found in the request.
func (r *Report) Params() Params { return r.params }

type reportKey struct{}

// WithReport returns a context that carries the report of one request.
func WithReport(ctx context.Context, r *Report) context.Context {
	return context.WithValue(ctx, reportKey{}, r)
}

// ReportOf returns the report of a request, for implementations of Engine. It
// refuses a request that did not pass Shape, or not for this path.
func ReportOf(req *http.Request) (*Report, error) {
	r, _ := req.Context().Value(reportKey{}).(*Report)
	if r == nil || r.params.Path == "" || r.params.Path != req.URL.Path || r.params.Method != req.Method {
		return nil, refuse(http.StatusInternalServerError, "server_error", "not_shaped", "request did not pass the request policy")
	}
	return r, nil
}

// TokenIDsDigest is the digest of the output token ids of an answer in receipts:
// SHA-256 over "cocoon/token-ids/v1\n" and for each choice, in order, the number
// of its tokens and each id as big-endian uint32 values.
func TokenIDsDigest(choices [][]int) [32]byte {
	b := []byte("cocoon/token-ids/v1\n")
	for _, ids := range choices {
		b = binary.BigEndian.AppendUint32(b, uint32(len(ids)))
		for _, id := range ids {
			b = binary.BigEndian.AppendUint32(b, uint32(id))
		}
	}
	return sha256.Sum256(b)
}

// AnswersDigest is the digest of the answers of a self-test in claims: SHA-256
// over "cocoon/self-test/v1\n" and for each answer its length as a big-endian
// uint32 and its bytes.
func AnswersDigest(answers []string) [32]byte {
	b := []byte("cocoon/self-test/v1\n")
	for _, a := range answers {
		b = binary.BigEndian.AppendUint32(b, uint32(len(a)))
		b = append(b, a...)
	}
	return sha256.Sum256(b)
}
