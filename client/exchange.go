package client

import (
	"time"

	"github.com/cocoon-go/cocoon/internal/sealed"
)

// exchange is a sealed exchange that was prepared at a time.
type exchange struct {
	*sealed.Exchange
	at time.Time
}

// preparedFor is how long a prepared exchange may wait for a request. Keys of an
// enclave overlap by much more.
const preparedFor = 5 * time.Minute

// exchange returns an exchange with a node: the one that was prepared after the
// last request, so that no request waits for the key exchange, or a new one.
func (c *Client) exchange(n *Node) (*sealed.Exchange, error) {
	digest := n.verified.Digest()
	c.mu.Lock()
	x, ok := c.prepared.get(digest)
	c.prepared.remove(digest)
	c.mu.Unlock()
	now := c.cfg.Now()
	if ok {
		if age := now.Sub(x.at); age >= 0 && age < preparedFor {
			return x.Exchange, nil
		}
	}
	return sealed.NewExchange(n.verified, now)
}

// prepare makes the exchange of the next request; last is the one before.
func (c *Client) prepare(n *Node, last *sealed.Exchange) {
	digest := n.verified.Digest()
	c.mu.Lock()
	_, ok := c.prepared.get(digest)
	c.mu.Unlock()
	if ok {
		return
	}
	at := c.cfg.Now()
	x, err := last.Next(n.verified, at)
	if err != nil {
		return // the next request meets the same error, and reports it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.prepared.put(digest, &exchange{x, at}, 1)
}
