package bhttp

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Field is one field line of a header or trailer section. The name is in lower
// case.
type Field struct{ Name, Value string }

// Get returns the value of the first field of that name, which must be in
// lower case, and how many lines have the name.
func Get(fields []Field, name string) (value string, count int) {
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Name == name {
			value = fields[i].Value
			count++
		}
	}
	return value, count
}

// Fields returns the fields of h for which keep, called with the name in lower
// case, says yes; all of them when keep is nil. They are sorted by name, values
// of one name stay in order.
func Fields(h http.Header, keep func(name string) bool) []Field {
	if len(h) == 0 {
		return nil
	}
	out := make([]Field, 0, len(h))
	for k, vs := range h {
		k = strings.ToLower(k)
		if keep != nil && !keep(k) {
			continue
		}
		for _, v := range vs {
			out = append(out, Field{k, v})
		}
	}
	slices.SortStableFunc(out, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// header maps fields to a net/http header, without the names in drop. All
// values share one backing array.
func header(fields []Field, drop ...string) http.Header {
	h := make(http.Header, len(fields))
	values := make([]string, len(fields))
	for _, f := range fields {
		if slices.Contains(drop, f.Name) {
			continue
		}
		k := http.CanonicalHeaderKey(f.Name)
		if old, ok := h[k]; ok {
			h[k] = append(old, f.Value)
			continue
		}
		values[0] = f.Value
		h[k], values = values[:1:1], values[1:]
	}
	return h
}

// connection lists the fields that speak of a connection, which has no meaning
// in a stored message: "An endpoint MUST NOT generate an HTTP/2 message
// containing connection-specific header fields" (RFC 9113, section 8.2.2).
var connection = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-connection": true,
	"transfer-encoding": true, "upgrade": true, "te": true, "http2-settings": true,
}

// checkField enforces RFC 9113, section 8.2.1, and that no field speaks of a
// connection.
func checkField(f Field) error {
	if !isToken(f.Name, true) {
		return fmt.Errorf("%w: field name %.40q", ErrInvalid, f.Name)
	}
	if connection[f.Name] && (f.Name != "te" || f.Value != "trailers") {
		return fmt.Errorf("%w: field %s belongs to a connection", ErrInvalid, f.Name)
	}
	v := f.Value
	if v == "" {
		return nil
	}
	if a, z := v[0], v[len(v)-1]; a == ' ' || a == '\t' || z == ' ' || z == '\t' {
		return fmt.Errorf("%w: value of %s starts or ends with white space", ErrInvalid, f.Name)
	}
	for i := 0; i < len(v); i++ {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("%w: control character in the value of %s", ErrInvalid, f.Name)
		}
	}
	return nil
}

func checkFields(fields []Field) error {
	if len(fields) > MaxFields {
		return fmt.Errorf("%w: more than %d fields", ErrTooLarge, MaxFields)
	}
	for _, f := range fields {
		if err := checkField(f); err != nil {
			return err
		}
	}
	return nil
}

// contentLength returns the value of the content-length field, -1 when there
// is none. Only one line with plain digits is accepted.
func contentLength(fields []Field) (int64, error) {
	v, n := Get(fields, "content-length")
	if n == 0 {
		return -1, nil
	}
	l, err := strconv.ParseUint(v, 10, 63)
	if n > 1 || err != nil || v[0] == '+' {
		return 0, fmt.Errorf("%w: content-length is not one decimal number", ErrInvalid)
	}
	return int64(l), nil
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2; in lower
// case, if lower is set.
func isToken(s string, lower bool) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case 'A' <= c && c <= 'Z':
			if lower {
				return false
			}
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
