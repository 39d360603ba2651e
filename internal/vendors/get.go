package vendors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
)

// attempts bounds how often one document is asked for: services limit the rate
// (AMD's to one certificate of a chip in ten seconds) and fail for moments.
const attempts = 3

// get gets a document, or the answer to an OCSP request, and repeats what was
// refused for the moment.
func (r *run) get(u *url.URL, request []byte) ([]byte, http.Header, error) {
	for n := 1; ; n++ {
		if r.got.Requests == maxRequests {
			return nil, nil, attestation.Unknown("endorsements: more than %d requests", maxRequests)
		}
		r.got.Requests++
		body, header, err := r.once(u, request)
		var again *tryAgain
		if err == nil || n == attempts || !errors.As(err, &again) {
			return body, header, err
		}
		if err := pause(r.ctx, min(again.after, r.c.wait())); err != nil {
			return nil, nil, err
		}
	}
}

// tryAgain is a refusal for the moment.
type tryAgain struct {
	err   error
	after time.Duration
}

func (e *tryAgain) Error() string { return e.err.Error() }
func (e *tryAgain) Unwrap() error { return e.err }

func (c *Client) wait() time.Duration {
	if c.Wait > 0 {
		return c.Wait
	}
	return 5 * time.Second
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return attestation.Unknown("endorsements: %w", context.Cause(ctx))
	case <-t.C:
		return nil
	}
}

// once makes one request. Errors are [*attestation.UnknownError]s.
func (r *run) once(u *url.URL, request []byte) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(r.ctx, requestTimeout)
	defer cancel()
	method := http.MethodGet
	if request != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(request))
	if err != nil {
		return nil, nil, attestation.Unknown("%w", err)
	}
	if request != nil {
		req.Header.Set("Content-Type", "application/ocsp-request")
	}
	resp, err := r.c.client().Do(req)
	if err != nil {
		return nil, nil, attestation.Unknown("%w", &tryAgain{err, time.Second})
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		err := fmt.Errorf("%s answers %s", u.Redacted(), resp.Status)
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 {
			return nil, nil, attestation.Unknown("%w", &tryAgain{err, retryAfter(resp.Header)})
		}
		return nil, nil, attestation.Unknown("%w", err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, nil, attestation.Unknown("%s: %w", u.Redacted(), &tryAgain{err, time.Second})
	case len(body) > maxAnswer:
		return nil, nil, attestation.Unknown("%s answers more than %d bytes", u.Redacted(), maxAnswer)
	case len(body) == 0:
		return nil, nil, attestation.Unknown("%s answers nothing", u.Redacted())
	}
	return body, resp.Header, nil
}

// retryAfter reads the pause that a service asks for, in seconds.
func retryAfter(h http.Header) time.Duration {
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil && n >= 0 && n < 1<<20 {
		return time.Duration(n) * time.Second
	}
	return time.Second
}

// client returns the client to use. Redirects are not followed: they could lead
// to a host that was not named.
func (c *Client) client() *http.Client {
	base := http.Client{Timeout: requestTimeout}
	if c.HTTP != nil {
		base = *c.HTTP
	}
	base.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &base
}
