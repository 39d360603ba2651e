package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Error is the refusal of a request or the failure of an engine. It has two
// faces. Error gives a constant text of ours, which may be logged and shown to
// the host. Body gives what the client reads, which can name its fields and
// values, and must leave the enclave inside the sealed answer only.
type Error struct {
	Status int    // HTTP status
	Type   string // OpenAI's error type: "invalid_request_error", "rate_limit_error", "server_error"
	Code   string // stable and machine-readable, for example "context_length_exceeded"

	public string
	detail string // for the client; public if ""
	param  string // the field at fault
}

// refuse returns an Error whose client reads the same text as everybody.
func refuse(status int, kind, code, public string) *Error {
	return &Error{Status: status, Type: kind, Code: code, public: public}
}

// invalid returns an Error about a field of the request. The detail is for the
// client only.
func invalid(code, param, public, detail string, a ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Code: code, public: public,
		param: param, detail: fmt.Sprintf(detail, a...)}
}

// Invalid returns a 400 error of an engine about a field of the request. Public
// must be a constant text; the detail and the field's name go to the client only.
func Invalid(code, param, public, detail string, a ...any) *Error {
	return invalid(code, param, public, detail, a...)
}

// Unavailable returns a 503 or 429 error of an engine with a constant text.
func Unavailable(status int, code, public string) *Error {
	kind := "server_error"
	if status == http.StatusTooManyRequests {
		kind = "rate_limit_error"
	}
	return refuse(status, kind, code, public)
}

// Error returns the public text, with nothing of the request in it.
func (e *Error) Error() string {
	return "engine: " + e.public + " (" + strconv.Itoa(e.Status) + " " + e.Code + ")"
}

// Body returns the error in OpenAI's shape. It can hold parts of the request.
func (e *Error) Body() []byte {
	message := e.detail
	if message == "" {
		message = e.public
	}
	v := struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
	}{message, e.Type, nil, e.Code}
	if e.param != "" {
		v.Param = &e.param
	}
	b, _ := json.Marshal(v) // strings always marshal
	return append(append([]byte(`{"error":`), b...), '}')
}

// Response returns the error as the answer to a request.
func (e *Error) Response(req *http.Request) *http.Response {
	resp := jsonResponse(req, e.Status, e.Body())
	if e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable {
		resp.Header.Set("Retry-After", "1")
	}
	return resp
}

func jsonResponse(req *http.Request, status int, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Status: strconv.Itoa(status) + " " + http.StatusText(status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {"application/json"}, "Content-Length": {strconv.Itoa(len(body))}},
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)), Request: req,
	}
}
