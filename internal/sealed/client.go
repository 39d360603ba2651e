package sealed

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/bhttp"
	"github.com/cocoon-go/cocoon/internal/ohttp"
)

// Exchange is the client's side of one request and its answer. Not safe for
// concurrent use, except that the request may still be sent while the answer
// is read.
type Exchange struct {
	config *ohttp.KeyConfig
	client *ohttp.Client
	claims [32]byte
	holder ed25519.PrivateKey
	salts  [2][32]byte
}

// NewExchange prepares an exchange with the enclave that v verified, under the
// key configuration of its claims for that time. Nothing of the request needs
// to be known yet. It is an *attestation.UnknownError when v is too old or has
// no configuration for the time.
func NewExchange(v *attestation.Verified, at time.Time) (*Exchange, error) {
	config, err := v.KeyConfig(at)
	if err != nil {
		return nil, err
	}
	return newExchange(config, v.Digest())
}

// Next prepares an exchange as [NewExchange] does, with fresh keys. It saves reading
// the key configuration when that is still the one of x.
func (x *Exchange) Next(v *attestation.Verified, at time.Time) (*Exchange, error) {
	config, err := v.KeyConfig(at)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(config, x.config.Bytes()) {
		return newExchange(config, v.Digest())
	}
	return encapsulate(x.config, v.Digest())
}

func newExchange(config []byte, claims [32]byte) (*Exchange, error) {
	c, err := ohttp.ParseKeyConfig(config)
	if err != nil {
		return nil, attestation.BadInput("key configuration in the claims: %w", err)
	}
	return encapsulate(c, claims)
}

func encapsulate(c *ohttp.KeyConfig, claims [32]byte) (*Exchange, error) {
	client, err := ohttp.NewClient(c, ohttp.Labels{Request: labels.request, Response: labels.response})
	if err != nil {
		return nil, err
	}
	x := &Exchange{config: c, client: client, claims: claims}
	if _, x.holder, err = ed25519.GenerateKey(nil); err != nil {
		return nil, err
	}
	x.salts, err = exportSalts(client.Export)
	return x, err
}

func exportSalts(export func(string, int) ([]byte, error)) (salts [2][32]byte, err error) {
	for i, label := range []string{labels.requestSalt, labels.responseSalt} {
		b, err := export(label, 32)
		if err != nil {
			return salts, err
		}
		salts[i] = [32]byte(b)
	}
	return salts, nil
}

// ClaimsDigest returns the claims digest that the request will name, and that
// the receipt must.
func (x *Exchange) ClaimsDigest() [32]byte { return x.claims }

// HolderSeed returns the seed of the one-time Ed25519 key. It is a secret:
// whoever has it can act as the holder of the receipt.
func (x *Exchange) HolderSeed() [32]byte { return [32]byte(x.holder.Seed()) }

// Holder returns the public one-time key.
func (x *Exchange) Holder() ed25519.PublicKey { return x.holder.Public().(ed25519.PublicKey) }

// RequestSalt returns the salt of the commitment to the request.
func (x *Exchange) RequestSalt() [32]byte { return x.salts[0] }

// ResponseSalt returns the salt of the commitment to the response.
func (x *Exchange) ResponseSalt() [32]byte { return x.salts[1] }

// Request seals inner: method, path with query, the fields that pass (see
// [RequestField]), and the body as it comes. Host and scheme stay behind. What
// is returned is the body of the outer POST, of type [RequestType]. Closing it
// closes the body of inner. Request can be called once. A request with
// trailers, with an encoded body, with a header over [MaxHeader], or that Binary
// HTTP can't express is an *attestation.InputError.
func (x *Exchange) Request(inner *http.Request) (io.ReadCloser, error) {
	if len(inner.Trailer) > 0 {
		return nil, attestation.BadInput("a sealed request has no trailers")
	}
	if err := identity(inner.Header); err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	head, err := bhttp.FromRequest(inner, func(name string) bool {
		return name != FieldClaims && name != FieldHolder && RequestField(name)
	})
	if err != nil {
		return nil, attestation.BadInput("request: %w", err)
	}
	head.Authority, head.Scheme = "", "https"
	head.Fields = append(head.Fields,
		bhttp.Field{Name: FieldClaims, Value: hex.EncodeToString(x.claims[:])},
		bhttp.Field{Name: FieldHolder, Value: hex.EncodeToString(x.Holder())})
	encoded, err := bhttp.AppendRequest(nil, head)
	if err != nil {
		return nil, attestation.BadInput("request: %w", err)
	}
	if len(encoded) > MaxHeader {
		return nil, attestation.BadInput("request: the header takes %d bytes, at most %d", len(encoded), MaxHeader)
	}
	s, err := x.client.Request()
	if err != nil {
		return nil, err
	}
	r := &requestReader{sealer: s, rest: encoded, body: inner.Body, left: -1}
	// To a client, a length of 0 with a body means that it is not known.
	if inner.ContentLength > 0 {
		r.left = inner.ContentLength
	}
	if inner.Body == nil || inner.Body == http.NoBody {
		r.body, r.left = http.NoBody, 0
	}
	return r, nil
}

// Response opens the answer, the body of the outer response of type
// [ResponseType], as far as its head; the body streams. io.EOF of the body
// means that the enclave itself ended the answer, and the trailer is then
// there: whether it holds a receipt is for the caller to check. Closing the
// body closes sealed, if that can be closed.
//
// An answer that was changed is an *attestation.FalseError; one that stops
// early, or whose reading fails, is an *attestation.UnknownError, which wraps
// io.ErrUnexpectedEOF or the cause; one that the enclave made badly is an
// *attestation.InputError. Bytes before the fault are authentic, and nothing
// of the frame with the fault is handed out.
func (x *Exchange) Response(sealed io.Reader) (*http.Response, error) {
	r, err := x.client.Response(sealed)
	if err != nil {
		return nil, err
	}
	res, err := bhttp.ReadResponse(&frameReader{r: r}, bhttp.Limits{Header: MaxHeader, Content: math.MaxInt64})
	if err != nil {
		return nil, answerError(err)
	}
	res.Fields = filter(res.Fields, ResponseField)
	out := res.HTTP(nil)
	c, _ := sealed.(io.Closer)
	out.Body = &answer{out.Body, c, out.Trailer}
	return out, nil
}

// answer is the body of an answer.
type answer struct {
	io.Reader
	closer  io.Closer
	trailer http.Header
}

func (a *answer) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if err == io.EOF {
		for name := range a.trailer {
			if !ResponseField(strings.ToLower(name)) {
				delete(a.trailer, name)
			}
		}
	}
	return n, answerError(err)
}

func (a *answer) Close() error {
	if a.closer == nil {
		return nil
	}
	return a.closer.Close()
}

// answerError puts an error into its family.
func answerError(err error) error {
	var final *ohttp.FinalError
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.As(err, &final) && !isBucket(final.Size):
		return attestation.Unknown("the sealed answer was not received to its end: %w", ohttp.ErrTruncated)
	case errors.Is(err, ohttp.ErrAuthentication), errors.Is(err, ohttp.ErrMalformed):
		return attestation.False("the sealed answer was changed on the way: %w", err)
	case errors.Is(err, errFrame), errors.Is(err, bhttp.ErrInvalid), errors.Is(err, bhttp.ErrTooLarge):
		return attestation.BadInput("the sealed answer is not well formed: %w", err)
	}
	return attestation.Unknown("the sealed answer was not received to its end: %w", err)
}

// NotStarted reports whether an answer says, authenticated, that the enclave
// did not start on the request, and why: the only answer after which a request
// may be sent again elsewhere.
func NotStarted(res *http.Response) (reason string, ok bool) {
	reason = res.Header.Get(FieldNotStarted)
	return reason, res.StatusCode == http.StatusMisdirectedRequest && reason != ""
}
