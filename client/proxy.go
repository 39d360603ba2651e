package client

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
)

// Proxy returns a handler that gives any OpenAI client on this machine what
// RoundTrip gives a Go program: point its base URL at the handler's /v1. It
// edits no byte of a body. Errors that happen before the answer has begun are
// in OpenAI's shape; an answer that turns out to be false or cut off after it
// has begun ends in a broken connection, never in a clean end.
//
// It should listen on loopback: whoever reaches it speaks with the user's policy.
// A request that a web page makes a browser send is refused, and one that names
// another host than this machine: so a page can't reach it by a name of its own
// that leads here. hosts are names and addresses, without port, by which it may be
// reached beside those of loopback.
func (c *Client) Proxy(hosts ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/v1/") {
			proxyError(w, http.StatusNotFound, "unknown_url", "this proxy serves /v1/ only")
			return
		}
		if r.Header.Get("Origin") != "" {
			proxyError(w, http.StatusForbidden, "forbidden", "requests of web pages are refused")
			return
		}
		if !localHost(r.Host) && !namedHost(r.Host, hosts) {
			proxyError(w, http.StatusForbidden, "forbidden", "requests to this host are refused; --allow-host of the proxy allows names beside those of loopback")
			return
		}
		out := r.Clone(r.Context())
		out.RequestURI = ""
		resp, err := c.RoundTrip(out)
		if err != nil {
			c.cfg.Log.Warn("request refused", "err", err)
			proxyFailed(w, err)
			return
		}
		defer resp.Body.Close()
		for _, k := range []string{"Content-Type", "Retry-After"} {
			if v := resp.Header.Get(k); v != "" {
				w.Header().Set(k, v)
			}
		}
		if NodeOf(resp).verified.Simulated() {
			w.Header().Set("Cocoon-Simulated", "true")
		}
		w.Header().Set("Trailer", "Cocoon-Receipt")
		w.WriteHeader(resp.StatusCode)
		rc := http.NewResponseController(w)
		buf := make([]byte, 16<<10)
		for {
			n, err := resp.Body.Read(buf)
			if n > 0 {
				if _, werr := w.Write(buf[:n]); werr != nil {
					return
				}
				_ = rc.Flush()
			}
			if err == io.EOF {
				w.Header().Set("Cocoon-Receipt", resp.Trailer.Get("Cocoon-Receipt"))
				return
			}
			if err != nil {
				c.cfg.Log.Warn("answer broken off", "err", err)
				panic(http.ErrAbortHandler) // the only way to end a response that is not complete
			}
		}
	})
}

// localHost says whether a Host header names this machine: what a page that
// rebinds its own name to loopback can't send.
func localHost(host string) bool {
	name := withoutPort(host)
	if name == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback()
}

func withoutPort(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	return strings.Trim(host, "[]")
}

// namedHost says whether a Host header is one of the names that the user allows.
func namedHost(host string, names []string) bool {
	host = withoutPort(host)
	return host != "" && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) })
}

// proxyFailed answers a request that no node answered.
func proxyFailed(w http.ResponseWriter, err error) {
	if errors.Is(err, ErrMayHaveRun) {
		w.Header().Set("X-Should-Retry", "false") // OpenAI's clients try again by themselves
	}
	code := "cocoon_" + familyName(err)
	if errors.Is(err, ErrTooLarge) {
		code = "cocoon_too_large"
	}
	proxyError(w, proxyStatus(err), code, err.Error())
}

func proxyStatus(err error) int {
	if errors.Is(err, ErrTooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	switch familyName(err) {
	case "bad_input":
		return http.StatusBadRequest
	case "unknown":
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

func familyName(err error) string {
	switch attestation.ExitCode(err) {
	case 2:
		return "false"
	case 3:
		return "unknown"
	case 4:
		return "refused"
	case 5:
		return "chain"
	}
	return "bad_input"
}

// proxyError answers in OpenAI's shape. Clients that retry 5xx by themselves
// are told not to where trying again can't help.
func proxyError(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusBadGateway {
		w.Header().Set("X-Should-Retry", "false")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"message": message, "type": "cocoon_error", "param": nil, "code": code,
	}})
}
