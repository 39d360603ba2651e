package tinylm

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"

	"github.com/tidwall/gjson"

	"github.com/cocoon-go/cocoon/enclave/engine"
)

// The known answers: docs/spec/engine.md section 8. They pass through everything
// that a request passes but the queue, greedy and sampled.
var questions = []job{
	{messages: []message{{"user", "What is remote attestation?"}}},
	{messages: []message{{"system", "Be brief."}, {"user", "Count from 11 to 16."}}},
	{messages: []message{{"user", "Tell me a story about an owl and a lamp."}}, temperature: 0.8, seed: 7},
}

// knownAnswers is engine.AnswersDigest of the right answers.
const knownAnswers = "0d156d2e228b62e8230663de288efba6ceb5d3db0ce3ba1d5db6a245874a2b45"

// SelfTest implements engine.Engine. It computes, every time, about a hundred
// tokens.
func (e *Engine) SelfTest(ctx context.Context) (engine.SelfTest, error) {
	end, ok := e.begin()
	if !ok {
		return engine.SelfTest{}, errClosed
	}
	defer end()
	answers, err := e.model.knownAnswers(ctx)
	if err != nil {
		return engine.SelfTest{}, err
	}
	d := engine.AnswersDigest(answers)
	if hex.EncodeToString(d[:]) != knownAnswers {
		e.tested.Store(false)
		return engine.SelfTest{}, errors.New("tinylm: the model gave a wrong answer to a known question")
	}
	e.tested.Store(true)
	return engine.SelfTest{Passed: true, Answers: d}, nil
}

func (w *weights) knownAnswers(ctx context.Context) (answers []string, err error) {
	for _, j := range questions { // a copy: tokenize changes it
		j.chat, j.choices, j.limit, j.topP, j.logprobs, j.cut = true, 1, 32, 0.95, -1, -1
		if err := w.tokenize(&j); err != nil {
			return nil, err
		}
		var out bytes.Buffer
		if o := w.run(ctx, &j, &out); o.err != nil {
			return nil, o.err
		}
		answers = append(answers, gjson.GetBytes(out.Bytes(), "choices.0.message.content").Str)
	}
	return answers, nil
}
