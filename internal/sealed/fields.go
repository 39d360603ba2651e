package sealed

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/cocoon-go/cocoon/internal/bhttp"
)

// Media types of the outer messages, and names of inner fields.
const (
	RequestType  = "application/vnd.cocoon.sealed-request"
	ResponseType = "application/vnd.cocoon.sealed-response"

	FieldClaims     = "cocoon-claims"      // request: claims digest, 64 hex digits
	FieldHolder     = "cocoon-holder"      // request: one-time Ed25519 public key, 64 hex digits
	FieldNotStarted = "cocoon-not-started" // response 421: why
	FieldReceipt    = "cocoon-receipt"     // trailer: the receipt, base64url
)

// labels keep sealed exchanges apart from plain Oblivious HTTP: a peer that
// does not know of frames can't open a chunk.
var labels = struct{ request, response, requestSalt, responseSalt string }{
	"cocoon/sealed/v1 chunked request", "cocoon/sealed/v1 chunked response",
	"cocoon/salt/request/v1", "cocoon/salt/response/v1",
}

// ours reports whether a field is of this protocol or one above it.
func ours(name string) bool { return strings.HasPrefix(name, "cocoon-") }

// RequestField reports whether a request field, its name in lower case, passes.
// Not on the list: whatever tells clients apart (user-agent, cookie, ids of
// libraries, languages) and credentials, which an enclave must not see.
func RequestField(name string) bool {
	return name == "accept" || name == "content-type" || ours(name)
}

// ResponseField reports whether a response or trailer field, its name in lower
// case, passes.
func ResponseField(name string) bool {
	return name == "content-type" || name == "retry-after" || ours(name)
}

func filter(fields []bhttp.Field, keep func(string) bool) []bhttp.Field {
	out := fields[:0]
	for _, f := range fields {
		if keep(f.Name) {
			out = append(out, f)
		}
	}
	return out
}

// identity refuses an encoded body: the field that says so would not pass.
func identity(h http.Header) error {
	for _, v := range h.Values("Content-Encoding") {
		if v != "identity" && v != "" {
			return fmt.Errorf("sealed: content-encoding %.20q does not pass; send the content as it is", v)
		}
	}
	return nil
}

// digits reads the one field of that name, 64 lower-case hex digits.
func digits(fields []bhttp.Field, name string) (out [32]byte, err error) {
	v, n := bhttp.Get(fields, name)
	if n != 1 || len(v) != 64 || strings.ToLower(v) != v {
		return out, fmt.Errorf("%w: field %s is not one string of 64 hex digits", ErrMalformed, name)
	}
	if _, err := hex.Decode(out[:], []byte(v)); err != nil {
		return out, fmt.Errorf("%w: field %s is not one string of 64 hex digits", ErrMalformed, name)
	}
	return out, nil
}
