package host

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/internal/pace"
)

// Limits of the relay.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	bodyIdle      = 30 * time.Second // for one piece of a request or of an answer
	bodyTotal     = 3 * time.Minute  // for a whole request
	maxHeader     = 64 << 10
	// maxSealed bounds one sealed request: 16 MiB of request, and what padding
	// and framing can add to it (at most double for tiny frames; a client's
	// frames are large).
	maxSealed = 34 << 20
)

// relay forwards the public paths of the enclave, and nothing else. It sees
// ciphertext and public files only: a relay that lies, drops or delays can
// make a client give up, never believe something.
func relay(enclave *url.URL, own http.Handler, log *slog.Logger) http.Handler {
	return pace.Handler(forward((&net.Dialer{Timeout: 5 * time.Second}).DialContext, enclave, own, log), bodyIdle, bodyTotal)
}

// dialer makes the connections of an http.Transport.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

func forward(dial dialer, enclave *url.URL, own http.Handler, log *slog.Logger) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(enclave)
			r.Out.Header = http.Header{}
			for _, k := range []string{"Content-Type", "Accept"} {
				if v := r.In.Header.Get(k); v != "" {
					r.Out.Header.Set(k, v)
				}
			}
			if whole, ok := r.In.Body.(inMemory); ok {
				r.Out.Body = io.NopCloser(whole.Reader) // goes out together with the header
			}
		},
		FlushInterval: -1, // a stream passes as it comes
		ModifyResponse: func(res *http.Response) error {
			if p, ok := res.Request.Context().Value(piecesKey{}).(*pieces); ok {
				p.from, res.Body = res.Body, p
			}
			return nil
		},
		BufferPool: new(buffers),
		Transport: &http.Transport{
			DialContext:         dial,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			log.Warn("relaying failed", "path", route(r.URL.Path), "err", err)
			status, text := failure(r, err)
			http.Error(w, text, status)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch route(r.URL.Path) {
		case "":
			http.NotFound(w, r)
		case "own":
			own.ServeHTTP(w, r)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxSealed)
			if err := readSmall(r); err != nil {
				proxy.ErrorHandler(w, r, err)
				return
			}
			p := &pieces{ResponseWriter: w}
			proxy.ServeHTTP(p, r.WithContext(context.WithValue(r.Context(), piecesKey{}, p)))
		}
	})
}

// failure tells a client's fault from the enclave's.
func failure(r *http.Request, err error) (status int, text string) {
	var tooMany *http.MaxBytesError
	switch {
	case errors.As(err, &tooMany):
		return http.StatusRequestEntityTooLarge, "the request is too large"
	case pace.Slow(r):
		return http.StatusRequestTimeout, "the request came too slowly"
	}
	return http.StatusBadGateway, "the enclave does not answer"
}

// route names the public path for logs and metrics: bounded values, no
// caller-chosen text. Empty means that the path is not relayed.
func route(path string) string {
	switch {
	case path == "/.well-known/ohttp-gateway":
		return "gateway"
	case path == "/.well-known/cocoon/bundle":
		return "bundle"
	case path == "/.well-known/cocoon/endorsements":
		return "own"
	case path == "/log/checkpoint", path == "/log/anchor":
		return "checkpoint"
	case strings.HasPrefix(path, "/log/tile/"):
		return "tile"
	}
	return ""
}
