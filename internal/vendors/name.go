package vendors

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
)

// maxName bounds the names of files.
const maxName = 120

// fileName makes a name for a document of its address: host, path and query,
// with other characters than letters and digits as dashes, and what its content
// is at the end. The same address always has the same name, so that a newer
// document replaces the older one.
func fileName(address string, body []byte) string {
	u, err := url.Parse(address)
	if err != nil {
		return "document"
	}
	s := u.Host + u.Path
	if u.RawQuery != "" {
		s += "-" + u.RawQuery
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s)
	if len(s) > maxName {
		s = s[:maxName/2] + s[len(s)-maxName/2:]
	}
	return strings.TrimSuffix(s, suffix(body)) + suffix(body)
}

func suffix(body []byte) string {
	t := bytes.TrimSpace(body)
	switch {
	case len(t) == 0:
		return ""
	case t[0] == '{' || t[0] == '[':
		return ".json"
	case t[0] == '<':
		return ".xml"
	case bytes.HasPrefix(t, []byte("-----BEGIN ")):
		return ".pem"
	case t[0] == 0x30:
		return ".der"
	}
	return ".bin"
}

// chainOf returns the chain of a document's issuer in a field of the answer's
// header: URL-encoded PEM. Services have written the name with and without the
// prefix "SGX-". Nil when it is not there.
func chainOf(h http.Header, field string) ([]byte, error) {
	for _, name := range []string{field, "SGX-" + field} {
		v := h.Get(name)
		if v == "" {
			continue
		}
		if len(v) > maxChainHeader {
			return nil, attestation.Unknown("the chain in field %s has %d bytes, the limit is %d", name, len(v), maxChainHeader)
		}
		s, err := url.QueryUnescape(v)
		if err != nil {
			return nil, attestation.Unknown("field %s is not URL-encoded", name)
		}
		if b, _ := pem.Decode([]byte(s)); b == nil {
			return nil, fmt.Errorf("field %s: %w", name, attestation.Unknown("no PEM in it"))
		}
		return []byte(s), nil
	}
	return nil, nil
}
