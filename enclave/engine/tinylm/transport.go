package tinylm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/cocoon-go/cocoon/enclave/engine"
)

type transport struct{ e *Engine }

// RoundTrip answers a request that Shape has accepted.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	r, err := engine.ReportOf(req)
	if err != nil {
		return refusal(req, nil, err)
	}
	end, ok := t.e.begin()
	if !ok {
		return refusal(req, r, errClosed)
	}
	defer end()
	if !t.e.tested.Load() {
		return refusal(req, r, engine.Unavailable(http.StatusServiceUnavailable, "engine_untested", "the engine has not passed its self-test"))
	}
	switch r.Params().Endpoint {
	case engine.EndpointModels, engine.EndpointModel:
		return engine.ModelsResponse(req, t.e.identity, r), nil
	case engine.EndpointChat, engine.EndpointCompletions:
	default: // Limits does not let it through
		return refusal(req, r, engine.Unavailable(http.StatusNotImplemented, "unsupported_call", "the engine has no such call"))
	}
	if r.Created == 0 {
		r.Created = t.e.now().Unix()
	}
	body, err := readAll(req.Body, t.e.Limits().MaxBody)
	if err != nil {
		return refusal(req, r, err)
	}
	j, err := parse(body, r)
	if err != nil {
		return refusal(req, r, err)
	}
	return t.e.answer(req, r, j)
}

func readAll(r io.Reader, limit int) ([]byte, error) {
	if r == nil {
		return nil, nil
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(b) > limit {
		err = engine.Unavailable(http.StatusRequestEntityTooLarge, "request_too_large", "request is too large")
	}
	return b, err
}

// answer waits for its turn and starts to make the answer. One that is streamed
// is made while it is read; the other kind is complete when answer returns.
func (e *Engine) answer(req *http.Request, r *engine.Report, j *job) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	unlink := context.AfterFunc(e.base, func() { cancel(errClosed) })
	leave, err := e.enter(ctx)
	if err == nil {
		if err = e.model.tokenize(j); err != nil {
			leave()
		}
	}
	if err != nil {
		unlink()
		cancel(nil)
		return refusal(req, r, err)
	}
	a := newAnswer(r, cancel)
	work := func() error {
		o := e.model.run(ctx, j, a)
		leave()
		unlink()
		o.fill(r)
		a.end(o.err)
		return o.err
	}
	resp := &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}, "Cache-Control": {"no-store"}},
		Body:   a, ContentLength: -1, Request: req}
	if j.stream {
		e.running.Add(1) // RoundTrip holds it above 0
		go func() {
			defer e.running.Done()
			_ = work() // the reader sees it
		}()
		return resp, nil
	}
	if err := work(); err != nil {
		cancel(nil)
		return refusal(req, r, err)
	}
	resp.ContentLength = int64(a.buf.Len())
	resp.Header.Set("Content-Type", "application/json")
	resp.Header.Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	return resp, nil
}

// run makes an answer in the form that the job asks for.
func (w *weights) run(ctx context.Context, j *job, to io.Writer) *outcome {
	if j.stream {
		return w.generate(ctx, j, newEvents(to, w.head(j), j))
	}
	return w.generate(ctx, j, newWhole(to, w.head(j), j))
}

// enter waits until fewer than Running answers are being made. Requests are
// served in the order in which they came.
func (e *Engine) enter(ctx context.Context) (leave func(), err error) {
	if e.inside.Add(1) > e.most {
		e.inside.Add(-1)
		return nil, engine.Unavailable(http.StatusTooManyRequests, "engine_busy", "too many requests are waiting")
	}
	if err := e.slots.Acquire(ctx, 1); err != nil {
		e.inside.Add(-1)
		return nil, context.Cause(ctx)
	}
	return func() {
		e.slots.Release(1)
		e.inside.Add(-1)
	}, nil
}

// refusal completes the report of a request without an answer. When its context
// has ended there is nobody to tell, and it returns the error.
func refusal(req *http.Request, r *engine.Report, err error) (*http.Response, error) {
	if r == nil {
		r = new(engine.Report)
	}
	r.Exact = true
	r.Finish = engine.FinishFailed
	var refused *engine.Error
	switch {
	case errors.As(err, &refused):
	case errors.Is(err, errClosed):
		refused = engine.Unavailable(http.StatusServiceUnavailable, "engine_closed", "the engine was closed")
	case req.Context().Err() != nil:
		r.Finish = engine.FinishCancelled
		return nil, fmt.Errorf("tinylm: %w", err)
	default: // the request's body could not be read
		refused = engine.Unavailable(http.StatusInternalServerError, "engine_failed", "the engine failed")
	}
	return refused.Response(req), nil
}
