package tinylm

import (
	"context"
	"errors"

	"github.com/cocoon-go/cocoon/enclave/engine"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm/llama"
)

// outcome is what was made of a job, complete or not.
type outcome struct {
	prompt int
	ids    [][]int // for each choice, the end token included
	finish engine.Finish
	err    error // why it is not complete
}

func (o *outcome) tokens() (n int) {
	for _, ids := range o.ids {
		n += len(ids)
	}
	return n
}

// fill writes the outcome to a report.
func (o *outcome) fill(r *engine.Report) {
	r.PromptTokens, r.CompletionTokens = uint64(o.prompt), uint64(o.tokens())
	r.Finish, r.Exact = o.finish, true
	d := engine.TokenIDsDigest(o.ids)
	r.TokenIDs = &d
}

var errCut = errors.New("tinylm: the answer was cancelled here")

// generate makes an answer and passes it to out, one choice after the other. It
// looks at ctx before every step, which takes about a millisecond.
func (w *weights) generate(ctx context.Context, j *job, out sink) *outcome {
	o := &outcome{prompt: len(j.ids), ids: make([][]int, j.choices), finish: engine.FinishComplete}
	limit := min(j.limit, w.Context()-len(j.ids))
	prompt := w.NewState(len(j.ids) + limit)
	defer prompt.Wipe()
	for i, id := range j.ids {
		if ctx.Err() != nil {
			return o.broken(context.Cause(ctx))
		}
		prompt.Step(id, i == len(j.ids)-1)
	}
	for c := range j.choices {
		st := prompt
		if c < j.choices-1 { // the last one needs no copy
			st = prompt.Clone()
		}
		out.begin(c)
		err := w.choice(ctx, j, c, limit, st, o, out)
		st.Wipe()
		if err != nil {
			return o.broken(err)
		}
	}
	out.finish(o)
	return o
}

func (o *outcome) broken(err error) *outcome {
	o.err, o.finish = err, engine.FinishCancelled
	if errors.Is(err, errClosed) {
		o.finish = engine.FinishFailed
	}
	return o
}

func (w *weights) choice(ctx context.Context, j *job, c, limit int, st *llama.State, o *outcome, out sink) error {
	s := llama.NewSampler(j.temperature, j.topP, j.seed, c)
	x := text{stops: j.stops}
	reason := "length"
	for len(o.ids[c]) < limit {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if j.cut >= 0 && o.tokens() >= j.cut {
			return errCut
		}
		id := s.Pick(st.Logits())
		o.ids[c] = append(o.ids[c], id)
		if w.tokens.IsControl(id) {
			reason = "stop"
			break
		}
		var lp *logprob
		if j.logprobs >= 0 {
			lp = w.logprob(st.Logits(), id, j.logprobs)
		}
		t, stopped := x.push(w.tokens.Piece(id))
		out.token(c, t, lp)
		if stopped {
			reason = "stop"
			break
		}
		if len(o.ids[c]) < limit {
			st.Step(id, true)
		}
	}
	if reason == "length" {
		o.finish = engine.FinishLength
	}
	out.end(c, x.finish(), reason)
	return nil
}
