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

// exchange returns an exchange with this node: the one that was prepared after
// the last request, so that no request waits for the key exchange, or a new one.
func (n *Node) exchange(now func() time.Time) (*sealed.Exchange, error) {
	select {
	case x := <-n.prepared:
		if age := now().Sub(x.at); age >= 0 && age < preparedFor {
			return x.Exchange, nil
		}
	default:
	}
	return sealed.NewExchange(n.verified, now())
}

// prepare makes the exchange of the next request.
func (n *Node) prepare(now func() time.Time) {
	if len(n.prepared) > 0 {
		return
	}
	at := now()
	x, err := sealed.NewExchange(n.verified, at)
	if err != nil {
		return // the next request meets the same error, and reports it
	}
	select {
	case n.prepared <- &exchange{x, at}:
	default:
	}
}
