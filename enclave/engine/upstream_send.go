package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

type upstreamTransport struct{ u *Upstream }

// RoundTrip passes a request that Shape has accepted on.
func (t upstreamTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	r, err := ReportOf(req)
	if err != nil {
		return t.u.refusal(req, &Report{}, err)
	}
	if err := t.u.ready(req.Context()); err != nil {
		return t.u.refusal(req, r, err)
	}
	switch r.params.Endpoint {
	case EndpointModels, EndpointModel:
		return ModelsResponse(req, t.u.identity, r), nil
	}
	var body []byte
	if req.Body != nil {
		limit := int64(t.u.limits.MaxBody) + 4096 // Shape adds fields
		if body, err = io.ReadAll(io.LimitReader(req.Body, limit+1)); err == nil && int64(len(body)) > limit {
			err = refuse(http.StatusRequestEntityTooLarge, "invalid_request_error", "request_too_large", "request is too large")
		}
		if err != nil {
			return t.u.refusal(req, r, err)
		}
	}
	resp, err := t.u.send(req, r, body)
	if err != nil {
		return t.u.refusal(req, r, err)
	}
	return resp, nil
}

// The reasons for which we end a request ourselves, and what a server may get
// wrong before its answer begins.
var (
	errSlow       = errors.New("engine: the upstream is silent for too long")
	errReaderGone = fmt.Errorf("engine: the reader went away: %w", context.Canceled)
	errStatus     = errors.New("engine: the upstream answers with an unexpected status")
	errType       = errors.New("engine: the upstream answers with an unexpected content type")
)

// send runs a request. The body of the response owns the report.
func (u *Upstream) send(req *http.Request, r *Report, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	x := &exchange{u: u, req: req, r: r, ctx: ctx, cancel: cancel, gap: u.idleGap}
	x.unlink = context.AfterFunc(u.life, func() { cancel(errUpstreamClosed) })
	up, err := http.NewRequestWithContext(ctx, r.params.Method, u.base+r.params.Path, bytes.NewReader(body))
	if err != nil {
		x.release()
		return nil, err
	}
	// The whole list of headers, the same for everybody; "" keeps Go's own away.
	up.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {""}}
	limit := u.whole
	if r.params.Stream {
		up.Header.Set("Accept", "text/event-stream")
		limit = u.firstByte
	}
	x.clock = time.AfterFunc(limit, func() { cancel(errSlow) })
	resp, err := u.http.RoundTrip(up)
	if err == nil {
		x.body = resp.Body
		if err = checkAnswer(resp, r.params.Stream); err == nil {
			if r.params.Stream {
				return x.stream(), nil
			}
			resp, err = x.whole()
		}
	}
	err = x.reason(err)
	x.release()
	return resp, err
}

// checkAnswer looks at the head of an answer. Errors of the kind that a client
// has made itself are passed on in our form, with the server's words.
func checkAnswer(resp *http.Response, stream bool) error {
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		if err != nil {
			return err
		}
		return clientError(resp.StatusCode, b)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return Unavailable(resp.StatusCode, "engine_busy", "the engine is busy")
	default: // redirects too
		return errStatus
	}
	want := "application/json"
	if stream {
		want = "text/event-stream"
	}
	got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if encoding := resp.Header.Get("Content-Encoding"); err != nil || got != want || encoding != "" && encoding != "identity" {
		return errType
	}
	return nil
}

// clientError turns a server's error into ours. Servers put the text in several
// places.
func clientError(status int, b []byte) error {
	e := invalid("engine_refused", "", "the engine refuses the request", "The engine refuses the request")
	e.Status = status
	if _, err := scanObject(b); err != nil {
		return e
	}
	for _, at := range []string{"error.message", "message", "detail", "error"} {
		if v := gjson.GetBytes(b, at); v.Type == gjson.String && v.Str != "" {
			e.detail = v.Str[:min(len(v.Str), 2048)]
			break
		}
	}
	if v := gjson.GetBytes(b, "error.param"); v.Type == gjson.String && len(v.Str) <= 64 {
		e.param = v.Str
	}
	if v := gjson.GetBytes(b, "error.code"); v.Type == gjson.String && v.Str != "" && len(v.Str) <= 64 {
		e.Code = v.Str
	}
	return e
}

// refusal completes the report of a request without an answer, and says so in
// OpenAI's shape. When its context has ended there is nobody to tell.
func (u *Upstream) refusal(req *http.Request, r *Report, err error) (*http.Response, error) {
	r.Finish = FinishFailed
	var refused *Error
	switch {
	case errors.As(err, &refused):
	case errors.Is(err, errUpstreamClosed):
		refused = Unavailable(http.StatusServiceUnavailable, "engine_closed", "the engine was closed")
	case errors.Is(err, errSlow):
		refused = Unavailable(http.StatusGatewayTimeout, "engine_timeout", "the engine did not answer in time")
	case req.Context().Err() != nil:
		r.Finish = FinishCancelled
		return nil, fmt.Errorf("engine: %w", context.Cause(req.Context()))
	case errors.Is(err, errStatus), errors.Is(err, errType), errors.Is(err, errNotJSON), errors.Is(err, errInStream),
		errors.Is(err, errUsage), errors.Is(err, errChoice), errors.Is(err, errTooLarge):
		refused = Unavailable(http.StatusBadGateway, "engine_failed", "the engine failed")
	default: // no connection, or it broke
		u.tested.Store(false)
		refused = Unavailable(http.StatusServiceUnavailable, "engine_unavailable", "the engine cannot be reached")
	}
	return refused.Response(req), nil
}

// exchange is one request that runs. As an io.ReadCloser it is the body of a
// streamed answer.
type exchange struct {
	u      *Upstream
	req    *http.Request
	r      *Report
	ctx    context.Context
	cancel context.CancelCauseFunc
	unlink func() bool
	clock  *time.Timer
	gap    time.Duration
	body   io.ReadCloser // of the server's answer
	begun  bool          // something of a stream was read

	mu     sync.Mutex // held while reading
	tap    *tap
	closed bool
}

// release ends the request; the server notices by the closed connection.
func (x *exchange) release() {
	x.unlink()
	if x.clock != nil {
		x.clock.Stop()
	}
	x.cancel(errReaderGone)
	if x.body != nil {
		x.body.Close()
	}
}

// reason replaces the transport's error by what made us end the request.
func (x *exchange) reason(err error) error {
	if err != nil && err != io.EOF && x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	return err
}

// whole reads an answer that is not streamed.
func (x *exchange) whole() (*http.Response, error) {
	b, err := io.ReadAll(io.LimitReader(x.body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxAnswer {
		return nil, errTooLarge
	}
	m := newMeter(x.r.params)
	if _, err := m.object(b); err != nil {
		return nil, err
	}
	if err := m.complete(); err != nil {
		return nil, errChoice
	}
	m.fill(x.r, FinishComplete)
	resp := jsonResponse(x.req, http.StatusOK, b)
	resp.Body = &wholeBody{bytes.NewReader(b), x.r}
	return resp, nil
}

// wholeBody notes when its reader leaves before the end.
type wholeBody struct {
	*bytes.Reader
	r *Report
}

func (w *wholeBody) Close() error {
	if w.Len() > 0 {
		w.r.Finish = FinishCancelled
	}
	return nil
}

func (x *exchange) stream() *http.Response {
	x.tap = newTap(timed{x}, newMeter(x.r.params), x.r.params.StripUsage)
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}, "Cache-Control": {"no-store"}},
		Body:   x, ContentLength: -1, Request: x.req}
}

// timed reads from the server. The clock runs while we wait for the server, not
// while the client makes us wait.
type timed struct{ x *exchange }

func (t timed) Read(p []byte) (int, error) {
	x := t.x
	if x.begun {
		x.clock.Reset(x.gap)
	}
	n, err := x.body.Read(p)
	if n > 0 {
		x.begun = true
	}
	if x.begun {
		x.clock.Stop()
	}
	return n, x.reason(err)
}

// Read implements io.Reader.
func (x *exchange) Read(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return 0, errors.New("engine: read from a closed answer")
	}
	return x.tap.Read(p)
}

// Close stops the server's work on the answer if it is not complete, and
// completes the report.
func (x *exchange) Close() error {
	x.release() // a Read that waits returns
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil
	}
	x.closed = true
	x.tap.meter.fill(x.r, x.finish())
	return nil
}

func (x *exchange) finish() Finish {
	switch err := x.tap.err; {
	case x.tap.ended():
		return FinishComplete
	case err == nil, err == io.EOF: // there was more to read
		return FinishCancelled
	case errors.Is(err, errSlow), errors.Is(err, errUpstreamClosed):
		return FinishFailed
	case errors.Is(err, errReaderGone), x.req.Context().Err() != nil && errors.Is(err, context.Cause(x.req.Context())):
		return FinishCancelled
	}
	x.u.tested.Store(false) // perhaps it crashed
	return FinishFailed
}
