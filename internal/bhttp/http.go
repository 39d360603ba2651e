package bhttp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// FromRequest returns the head that says what r says, with the fields that
// keep lets through (see [Fields]). The authority is r.Host or the host of the
// URL; the scheme, when the URL has none, is https.
func FromRequest(r *http.Request, keep func(name string) bool) (*RequestHead, error) {
	h := &RequestHead{Method: r.Method, Scheme: r.URL.Scheme, Authority: r.Host, Path: r.URL.RequestURI()}
	if h.Method == "" {
		h.Method = http.MethodGet
	}
	if h.Scheme == "" {
		h.Scheme = "https"
	}
	if h.Authority == "" {
		h.Authority = r.URL.Host
	}
	h.Fields = Fields(r.Header, keep)
	if err := h.check(); err != nil {
		return nil, err
	}
	return h, nil
}

// HTTP returns r as a server would get it: URL holds path and query, Host the
// authority or the host field, ContentLength is -1 for an indeterminate length,
// and Trailer is filled when the body has returned io.EOF.
func (r *Request) HTTP(ctx context.Context) (*http.Request, error) {
	u, err := url.ParseRequestURI(r.Path)
	if err != nil {
		return nil, fmt.Errorf("%w: path does not parse", ErrInvalid)
	}
	host, n := Get(r.Fields, "host")
	if n > 1 || n == 1 && r.Authority != "" && r.Authority != host {
		return nil, fmt.Errorf("%w: host and authority differ", ErrInvalid)
	}
	if r.Authority != "" {
		host = r.Authority
	}
	req := &http.Request{
		Method: r.Method, URL: u, RequestURI: r.Path, Host: host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        header(r.Fields, "host", "content-length"),
		ContentLength: r.Body.Length(),
		Trailer:       http.Header{},
	}
	req.Body = &httpBody{r.Body, req.Trailer}
	return req.WithContext(ctx), nil
}

// HTTP returns r as a client would get it, as the answer to req (may be nil).
// Trailer is filled when the body has returned io.EOF.
func (r *Response) HTTP(req *http.Request) *http.Response {
	res := &http.Response{
		Status:     strconv.Itoa(r.Status) + " " + http.StatusText(r.Status),
		StatusCode: r.Status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        header(r.Fields, "content-length"),
		ContentLength: r.Body.Length(),
		Trailer:       http.Header{},
		Request:       req,
	}
	res.Body = &httpBody{r.Body, res.Trailer}
	return res
}

// httpBody fills a trailer when the body has ended.
type httpBody struct {
	*Body
	trailer http.Header
}

func (b *httpBody) Read(p []byte) (int, error) {
	n, err := b.Body.Read(p)
	if err == io.EOF {
		for k, v := range header(b.Body.trailer) {
			b.trailer[k] = v
		}
	}
	return n, err
}

func (b *httpBody) Close() error { return nil }
