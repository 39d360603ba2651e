package chain

import (
	"time"

	"github.com/cocoon-go/cocoon/attestation"
)

// Option changes how a [Client] works.
type Option func(*Client) error

// WithClock replaces the clock that the age of the head is judged by.
func WithClock(now func() time.Time) Option {
	return func(c *Client) error { c.now = now; return nil }
}

// WithTimeout sets how long one query to one liteserver may take; default 5 s.
func WithTimeout(d time.Duration) Option {
	return func(c *Client) error {
		if d <= 0 {
			return attestation.BadInput("liteserver timeout %v", d)
		}
		c.timeout = d
		return nil
	}
}

// WithOldTrustUnsafe accepts a trusted block older than [MaxTrustAge]. Who holds
// two thirds of the keys of validators of that time, who have nothing at stake
// any more, can then show any chain.
func WithOldTrustUnsafe() Option {
	return func(c *Client) error { c.oldTrust = true; return nil }
}
