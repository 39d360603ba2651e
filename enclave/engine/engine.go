package engine

import (
	"context"
	"net/http"
)

// Engine runs models. Its methods are safe for concurrent use.
type Engine interface {
	// RoundTripper speaks the OpenAI API. It accepts only requests whose context
	// carries a Report made by NewReport, with the body that Shape returned.
	// Answers that are errors are responses too, in OpenAI's shape; RoundTrip
	// itself fails only when there is no answer to give: the context ended.
	// The caller must close the response body; closing it early, or ending the
	// context, stops the engine at once.
	RoundTripper() http.RoundTripper

	// Identity says what runs. It does not change while the engine lives.
	Identity() Identity

	// Limits are what Shape must apply to requests for this engine.
	Limits() Limits

	// SelfTest asks questions with known answers and fails when one is wrong. An
	// engine that has not passed it answers no requests.
	SelfTest(ctx context.Context) (SelfTest, error)

	// Close stops the engine and every answer that is running.
	Close() error
}

// Identity is what claims and receipts say about an engine.
type Identity struct {
	Name    string  // for example "cocoon-tinylm"
	Version string  // of the engine's software or arithmetic
	Models  []Model // sorted by name
	Exact   bool    // an answer can be re-executed bit by bit
}

// String is the text of an engine in claims and receipts: name/version.
func (i Identity) String() string { return i.Name + "/" + i.Version }

// Model returns the model of a name.
func (i Identity) Model(name string) (Model, bool) {
	for _, m := range i.Models {
		if m.Name == name {
			return m, true
		}
	}
	return Model{}, false
}

// Model is one model that an engine serves.
type Model struct {
	Name    string
	Digest  [32]byte // OMS 1.0 root digest over its files; see RootDigest
	License string   // SPDX identifier, "" if unknown
	Context uint64   // longest sequence in tokens, 0 if unknown
}

// SelfTest is the result of a self-test, for the claims.
type SelfTest struct {
	Passed  bool
	Answers [32]byte // digest of the answers, see AnswersDigest
}
