package sealed

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/cocoon-go/cocoon/internal/bhttp"
	"github.com/cocoon-go/cocoon/internal/ohttp"
)

// Errors of [Keyring.Open] and of the body of [Inbound]. Others are
// ohttp.ErrTruncated, ohttp.ErrAuthentication, [*NotStartedError], and those of
// the reader below.
var (
	ErrUnknownKey = errors.New("request is sealed to no key that is valid now")
	ErrReplay     = errors.New("request was sent before")
	ErrTooLarge   = errors.New("request is too large")
	ErrMalformed  = errors.New("request is not well formed")
)

// Status returns the status code of the outer, unauthenticated answer to a
// request that was not opened, or not read to its end. The body of that answer
// should be empty: who sent the request is not known.
func Status(err error) int {
	var tooMany *http.MaxBytesError // of the reader below
	switch {
	case errors.Is(err, ErrTooLarge), errors.As(err, &tooMany):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrReplay):
		return http.StatusConflict
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}

// NotStartedError says that the request was opened and must not be run, and
// that its sender can be told so with authentication.
type NotStartedError struct {
	Reason string
	in     *Inbound
}

func (e *NotStartedError) Error() string { return "request not started: " + e.Reason }

// Reply tells the sender; see [Inbound.NotStarted].
func (e *NotStartedError) Reply(w io.Writer, flush func() error) error {
	return e.in.NotStarted(w, flush, e.Reason)
}

// Inbound is a request that was opened.
type Inbound struct {
	// Request has method, URL with path and query, and the header fields that
	// pass (see [RequestField]), without those that the fields below hold. Its
	// context is that of Open. The body streams; io.EOF means that the client
	// itself ended the request. A prompt must be read to io.EOF before the
	// engine sees it. Host is empty, ContentLength is -1.
	Request *http.Request
	// ClaimsDigest is what the client believes to talk to. A server with other
	// claims answers NotStarted.
	ClaimsDigest [32]byte
	// Holder is the client's one-time key, for the receipt.
	Holder ed25519.PublicKey
	// RequestSalt and ResponseSalt are for the commitments.
	RequestSalt, ResponseSalt [32]byte

	server   *ohttp.Server
	answered atomic.Bool
}

// Open reads a sealed request, the body of an outer POST of type [RequestType],
// as far as its head. The first frame proves that the request is for this
// keyring, and that it was not seen before, before anything in it is looked at.
// When the window of its key is full the error is a [*NotStartedError].
//
// Open and the body read from body as far as they need and no further; when ctx
// is over reading fails, but a read that blocks ends by body's own deadline.
func (k *Keyring) Open(ctx context.Context, now time.Time, body io.Reader) (*Inbound, error) {
	in, err := k.open(ctx, now, ctxReader{ctx.Err, body})
	if err != nil {
		return nil, requestError(err)
	}
	return in, nil
}

func (k *Keyring) open(ctx context.Context, now time.Time, body io.Reader) (*Inbound, error) {
	h, err := ohttp.ReadRequestHeader(body)
	if err != nil {
		return nil, err
	}
	slot, key, err := k.find(h.KeyID(), now)
	if err != nil {
		return nil, err
	}
	server, err := key.Accept(h, ohttp.Labels{Request: labels.request, Response: labels.response})
	if err != nil {
		return nil, err
	}
	frames := &frameReader{r: server.Request(body)}
	// A junk encapsulation must not fill the window, so it is remembered only
	// now that the first frame has shown that somebody sealed to this key.
	if err := frames.next(); err != nil {
		if err == io.EOF {
			err = fmt.Errorf("%w: no request in it", ErrMalformed)
		}
		return nil, err
	}
	in := &Inbound{server: server}
	if err := k.remember(slot, h.Enc()); errors.Is(err, errExhausted) {
		return nil, &NotStartedError{Reason: err.Error(), in: in}
	} else if err != nil {
		return nil, err
	}
	salts, err := exportSalts(server.Export)
	if err != nil {
		return nil, err
	}
	in.RequestSalt, in.ResponseSalt = salts[0], salts[1]
	if err := in.read(ctx, frames, k.maxRequest); err != nil {
		return nil, err
	}
	return in, nil
}

// read reads the head of the request.
func (in *Inbound) read(ctx context.Context, r io.Reader, maxRequest int64) error {
	req, err := bhttp.ReadRequest(r, bhttp.Limits{Header: MaxHeader, Content: maxRequest})
	if err != nil {
		return err
	}
	if in.ClaimsDigest, err = digits(req.Fields, FieldClaims); err != nil {
		return err
	}
	holder, err := digits(req.Fields, FieldHolder)
	if err != nil {
		return err
	}
	in.Holder = holder[:]
	req.Authority = ""
	req.Fields = filter(req.Fields, func(name string) bool {
		return name != FieldClaims && name != FieldHolder && RequestField(name)
	})
	if in.Request, err = req.HTTP(ctx); err != nil {
		return err
	}
	in.Request.Body = requestBody{in.Request.Body, in.Request.Trailer}
	in.Request.Trailer = nil
	return nil
}

// requestBody refuses a trailer, which could carry fields past the list.
type requestBody struct {
	io.ReadCloser
	trailer http.Header
}

func (b requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && len(b.trailer) > 0 {
		return n, fmt.Errorf("%w: it has a trailer", ErrMalformed)
	}
	return n, requestError(err)
}

// requestError adds the error of this package that an error stands for.
func requestError(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.Is(err, bhttp.ErrTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, ohttp.ErrMalformed), errors.Is(err, ohttp.ErrUnsupported), errors.Is(err, errFrame), errors.Is(err, bhttp.ErrInvalid):
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return err
}

// NotStarted answers that nothing was or will be done with the request, so that
// the client may send it elsewhere. The reason is for people, in a few plain
// words.
func (in *Inbound) NotStarted(w io.Writer, flush func() error, reason string) error {
	r, err := in.Reply(w, flush)
	if err != nil {
		return err
	}
	defer r.Abort()
	if err := r.writeHeader(http.StatusMisdirectedRequest, []bhttp.Field{{Name: FieldNotStarted, Value: reason}}); err != nil {
		return err
	}
	return r.Close(nil)
}
