package bhttp

import (
	"errors"
	"fmt"
	"strings"
)

// Limits that no caller can raise.
const (
	MaxFields  = 512      // field lines in one section
	MaxPadding = 64 << 10 // zero bytes after a message
)

// ErrInvalid is wrapped by every error that says that a message breaks
// RFC 9292 or the rules of the package documentation.
var ErrInvalid = errors.New("invalid binary HTTP message")

// ErrTooLarge is wrapped by every error that says that a message is over a
// limit.
var ErrTooLarge = errors.New("binary HTTP message is too large")

// RequestHead is what comes before the content of a request (RFC 9292,
// section 3.4). The authority may be empty.
type RequestHead struct {
	Method, Scheme, Authority, Path string
	Fields                          []Field
}

// Request is a decoded request. Its content is still to be read.
type Request struct {
	RequestHead
	Body *Body
}

// Response is a decoded response. Its content is still to be read.
type Response struct {
	Status int // 200 to 599
	Fields []Field
	Body   *Body
}

func (r *RequestHead) check() error {
	if !isToken(r.Method, false) {
		return fmt.Errorf("%w: method %.40q", ErrInvalid, r.Method)
	}
	if r.Method == "CONNECT" {
		return fmt.Errorf("%w: CONNECT serves no purpose in a stored message", ErrInvalid)
	}
	if !isScheme(r.Scheme) {
		return fmt.Errorf("%w: scheme %.40q", ErrInvalid, r.Scheme)
	}
	// "The ":authority" pseudo-header field MUST NOT include the deprecated
	// userinfo subcomponent" (RFC 9113, section 8.3.1).
	if !isVisible(r.Authority) || strings.ContainsAny(r.Authority, "@/?#") {
		return fmt.Errorf("%w: authority %.40q", ErrInvalid, r.Authority)
	}
	star := r.Path == "*" && r.Method == "OPTIONS"
	if !star && !strings.HasPrefix(r.Path, "/") || !isVisible(r.Path) || strings.IndexByte(r.Path, '#') >= 0 {
		return fmt.Errorf("%w: path", ErrInvalid) // not shown: it may hold a secret
	}
	return checkFields(r.Fields)
}

func isScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || (s[i] < '0' || s[i] > '9') && strings.IndexByte("+-.", s[i]) < 0) {
			return false
		}
	}
	return s != ""
}

// isVisible reports whether s holds visible ASCII only.
func isVisible(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func checkStatus(status int) error {
	if status < 200 || status > 599 {
		return fmt.Errorf("%w: status code %d", ErrInvalid, status)
	}
	return nil
}
