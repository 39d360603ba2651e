package vendors

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// Limits of one call of [Client.Fetch].
const (
	maxRequests    = 128
	maxRounds      = 16
	requestTimeout = 30 * time.Second
	maxAnswer      = attestation.MaxEndorsementSize
	maxChainHeader = 64 << 10
)

// hosts are the services of the vendors. Documents are fetched from no others.
var hosts = map[string]bool{
	"api.trustedservices.intel.com":          true,
	"certificates.trustedservices.intel.com": true,
	"kdsintf.amd.com":                        true,
	"rim.attestation.nvidia.com":             true,
	"ocsp.ndis.nvidia.com":                   true,
	"nras.attestation.nvidia.com":            true,
}

// Client gets documents. The zero value uses the vendors' services. It is safe
// for concurrent use.
type Client struct {
	// Mirror, when set, is asked instead of every vendor: a service that answers
	// the vendors' paths below this address, such as a caching server in one's
	// own network.
	Mirror *url.URL
	// HTTP is used for requests; nil means a client of its own. Redirects are
	// not followed.
	HTTP *http.Client
	// Wait is the longest pause before a refused request is repeated; zero means
	// 5 seconds.
	Wait time.Duration
}

// Fetched is the outcome of [Client.Fetch].
type Fetched struct {
	Files    []endorse.File // what was fetched, each file with a name that says what it is
	Requests int
}

// Fetch gets what is missing to verify evidence at a time, beside what is in
// have. Both together then verify it: when they do not, nothing is returned, and
// the error says why. What is in have and speaks against the evidence is left
// out, and fetched anew. An empty kind is detected.
//
// The error is an [*attestation.UnknownError] when a service can't be reached or
// does not have a document.
func (c *Client) Fetch(ctx context.Context, v *attestation.Verifier, kind string, evidence []byte, have []endorse.File, at time.Time) (*Fetched, error) {
	got, err := c.fetch(ctx, v, kind, evidence, have, at)
	var wrong *attestation.FalseError
	if errors.As(err, &wrong) && len(have) > 0 {
		return c.fetch(ctx, v, kind, evidence, nil, at)
	}
	return got, err
}

func (c *Client) fetch(ctx context.Context, v *attestation.Verifier, kind string, evidence []byte, have []endorse.File, at time.Time) (*Fetched, error) {
	set := attestation.NewEndorsements()
	for _, f := range have {
		if err := set.AddFile(f.Name, f.Data); err != nil {
			return nil, err
		}
	}
	r := &run{c: c, ctx: ctx, seen: map[string]bool{}, got: &Fetched{}}
	for range maxRounds {
		_, err := v.VerifyEvidence(kind, evidence, set, at)
		if err == nil {
			return r.got, nil
		}
		fresh, ferr := r.round(attestation.MissingDocuments(err))
		if ferr != nil {
			return nil, ferr
		}
		if len(fresh) == 0 {
			return nil, err // nothing more to get: this is the answer
		}
		for _, f := range fresh {
			if err := set.AddFile(f.Name, f.Data); err != nil {
				return nil, attestation.Unknown("what the service answers is of no use: %w", err)
			}
		}
	}
	return nil, attestation.Unknown("endorsements: still incomplete after %d rounds", maxRounds)
}

// run is one call of Fetch.
type run struct {
	c    *Client
	ctx  context.Context
	seen map[string]bool // addresses that were asked, with the digest of what was sent
	got  *Fetched
}

// round gets the documents that were not asked for before.
func (r *run) round(missing []attestation.Missing) ([]endorse.File, error) {
	var fresh []endorse.File
	for _, m := range missing {
		if len(m.URLs) == 0 || r.seen[asked(m.URLs[0], m.Request)] {
			continue
		}
		files, err := r.any(m)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, files...)
	}
	r.got.Files = append(r.got.Files, fresh...)
	return fresh, nil
}

// any gets a document from the first of its addresses that has it.
func (r *run) any(m attestation.Missing) ([]endorse.File, error) {
	var errs []error
	for _, u := range m.URLs {
		r.seen[asked(u, m.Request)] = true
		files, err := r.document(u, m)
		if err == nil {
			return files, nil
		}
		errs = append(errs, err)
		if r.ctx.Err() != nil {
			break
		}
	}
	return nil, attestation.Unknown("%s: %w", m.What, errors.Join(errs...))
}

// asked names a question: an address, and what is sent to it.
func asked(address string, request []byte) string {
	if request == nil {
		return address
	}
	return fmt.Sprintf("%s?request=%x", address, sha256.Sum256(request))
}

func (r *run) document(address string, m attestation.Missing) ([]endorse.File, error) {
	u, err := r.c.address(address)
	if err != nil {
		return nil, err
	}
	body, header, err := r.get(u, m.Request)
	if err != nil {
		return nil, err
	}
	files := []endorse.File{{Name: fileName(asked(address, m.Request), body), Data: body}}
	if m.ChainHeader == "" {
		return files, nil
	}
	chain, err := chainOf(header, m.ChainHeader)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.Redacted(), err)
	}
	if chain != nil {
		files = append(files, endorse.File{Name: fileName(address, nil) + ".issuer.pem", Data: chain})
	}
	return files, nil
}

// address returns where a vendor's document is asked for.
func (c *Client) address(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || !hosts[u.Host] || u.User != nil {
		return nil, attestation.Unknown("%q is not an address of a vendor's service that is known here", s)
	}
	u.Scheme = "https" // certificates name responders without
	if c.Mirror == nil {
		return u, nil
	}
	m := c.Mirror.JoinPath(u.EscapedPath())
	m.RawQuery = u.RawQuery
	return m, nil
}
