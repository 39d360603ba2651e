package client

import (
	"time"

	"github.com/cocoon-go/cocoon/attestation"
)

// NotChecked is the outcome of a step that was not reached, or for which something
// was not given.
const NotChecked attestation.Outcome = "not checked"

// Step is one step of the way from an answer to the root that its hardware is
// vouched for by (docs/spec/receipt.md, section 8).
type Step struct {
	Name    string              // stable
	Text    string              // what it shows, for a person
	Outcome attestation.Outcome // Pass, Fail, NotSure or NotChecked
	At      time.Time           // the time that it was judged at, or that it proves; zero where there is none
	Detail  string              // what was found, or why it did not pass; may be empty
}

// Trail is all steps, from the answer to the hardware root, whatever came of them.
type Trail []Step

// Names of the steps, in order.
const (
	StepRequest      = "request"
	StepResponse     = "response"
	StepReplay       = "replay" // left to the caller, who has the engine
	StepReceipt      = "receipt"
	StepInclusion    = "inclusion"
	StepCheckpoint   = "checkpoint"
	StepAnchor       = "anchor"
	StepTime         = "time"
	StepChain        = "chain"
	StepNode         = "node"
	StepRegistry     = "registry"
	StepRegistration = "registration"
	StepRoot         = "hardware-root"
	StepEvidence     = "evidence"
	StepModel        = "model"
)

func newTrail() Trail {
	t := Trail{
		{Name: StepRequest, Text: "this request is the one that was answered"},
		{Name: StepResponse, Text: "this answer is the one that was given"},
		{Name: StepReplay, Text: "running the request again gives the same bytes"},
		{Name: StepReceipt, Text: "the receipt is signed by the key that the chain holds for its epoch"},
		{Name: StepInclusion, Text: "the receipt is a leaf of the node's log"},
		{Name: StepCheckpoint, Text: "the head of that log is signed by the log key that the chain holds"},
		{Name: StepAnchor, Text: "a transaction anchored that head on the chain, and none before it covered the receipt"},
		{Name: StepTime, Text: "the receipt's time lies between registration and anchor, and within the registration"},
		{Name: StepChain, Text: "your trusted block leads to the chain's block with validator signatures"},
		{Name: StepNode, Text: "that block's state holds the node's record, under your registry"},
		{Name: StepRegistry, Text: "the registry's lists are read from its proved state at the time of the anchor"},
		{Name: StepRegistration, Text: "the claims behind the receipt are the ones that were registered"},
		{Name: StepRoot, Text: "hardware signed those claims, and its vendor vouches for it"},
		{Name: StepEvidence, Text: "your policy accepts the evidence, as old as it was at the anchor"},
		{Name: StepModel, Text: "the model that answered is one that your policy accepts"},
	}
	for i := range t {
		t[i].Outcome = NotChecked
	}
	return t
}

// Step returns the step with a name, which must be one of the constants.
func (t Trail) Step(name string) *Step {
	for i := range t {
		if t[i].Name == name {
			return &t[i]
		}
	}
	panic("client: no step is called " + name)
}

// Set notes what came of a step: nothing wrong when err is nil.
func (t Trail) Set(name string, at time.Time, detail string, err error) {
	s := t.Step(name)
	s.At, s.Detail, s.Outcome = at, detail, outcomeOf(err)
	if err != nil {
		s.Detail = err.Error()
	}
}

func outcomeOf(err error) attestation.Outcome {
	switch attestation.ExitCode(err) {
	case 0:
		return attestation.Pass
	case exitUnknown:
		return attestation.NotSure
	}
	return attestation.Fail
}

// TrailError is a proof that did not hold, with what was found out before. What
// its steps show is true as far as they passed, and of no use without the others.
type TrailError struct {
	Trail Trail
	Err   error // why, in its family
}

func (e *TrailError) Error() string { return e.Err.Error() }

func (e *TrailError) Unwrap() error { return e.Err }
