package chain

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/xssnick/tonutils-go/adnl"
	"github.com/xssnick/tonutils-go/adnl/keys"
	"github.com/xssnick/tonutils-go/liteclient"
	"github.com/xssnick/tonutils-go/tl"

	wire "github.com/cocoon-go/cocoon/chain/internal/adnl"
)

// The client side of ADNL over TCP. The one of tonutils-go parses answers while
// it reads them: what it can't parse it writes to the standard logger, ends the
// connection, and lets the caller wait for the time-out.

const maxPacket = 16 << 20 // bytes from a liteserver

// adnlConn is a connection to a liteserver. Its methods may be called
// concurrently. When it fails it stays failed.
type adnlConn struct {
	tcp  net.Conn
	wire *wire.Conn
	done chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	waiting map[[32]byte]chan []byte
	heard   time.Time // last packet
	err     error     // why it has ended
}

// dialADNL connects to a liteserver and proves to itself that the server holds
// the private key of key: only then the answer to the handshake decrypts.
func dialADNL(ctx context.Context, addr netip.AddrPort, key ed25519.PublicKey) (*adnlConn, error) {
	tcp, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { tcp.Close() })
	c, err := newADNL(tcp, key)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		tcp.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	go c.loop()
	return c, nil
}

// newADNL does the handshake: key id of the server, a key of ours for this once,
// SHA-256 of the session parameters, and these encrypted with the shared key.
func newADNL(tcp net.Conn, key ed25519.PublicKey) (*adnlConn, error) {
	var params [wire.ParamsSize]byte
	if _, err := rand.Read(params[:]); err != nil {
		return nil, err
	}
	ours, own, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := tl.Hash(keys.PublicKeyED25519{Key: key})
	if err != nil {
		return nil, err
	}
	shared, err := keys.SharedKey(own, key)
	if err != nil {
		return nil, err
	}
	c := &adnlConn{tcp: tcp, done: make(chan struct{}), waiting: map[[32]byte]chan []byte{}}
	if c.wire, err = wire.Client(tcp, &params, maxPacket); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(params[:])
	ctr, err := wire.HandshakeCipher(shared, sum)
	if err != nil {
		return nil, err
	}
	ctr.XORKeyStream(params[:], params[:])
	hello := slices.Concat(id, ours, sum[:], params[:])
	if _, err := tcp.Write(hello); err != nil {
		return nil, err
	}
	p, err := c.wire.Read()
	if err == nil && len(p) != 0 {
		err = errors.New("unexpected answer to the handshake")
	}
	return c, err
}

func (c *adnlConn) write(msg tl.Serializable) error {
	payload, err := tl.Serialize(msg, true)
	if err != nil {
		return err
	}
	return c.wire.Write(payload)
}

// answerTag is the constructor of adnl.message.answer, little-endian.
var answerTag = binary.LittleEndian.AppendUint32(nil, tl.CRC("adnl.message.answer query_id:int256 answer:bytes = adnl.Message"))

// loop hands answers to who waits for them until the connection ends.
func (c *adnlConn) loop() {
	for {
		p, err := c.wire.Read()
		if err != nil {
			c.close(err)
			return
		}
		c.mu.Lock()
		c.heard = time.Now()
		c.mu.Unlock()
		if len(p) < 36 || string(p[:4]) != string(answerTag) {
			continue // nothing that was asked for
		}
		answer, _, err := tl.FromBytes(p[36:])
		if err != nil {
			c.close(fmt.Errorf("malformed packet: %w", err))
			return
		}
		c.mu.Lock()
		w := c.waiting[[32]byte(p[4:36])]
		delete(c.waiting, [32]byte(p[4:36])) // a second answer goes nowhere
		c.mu.Unlock()
		if w != nil {
			w <- answer
		}
	}
}

// close ends the connection, for the reason err.
func (c *adnlConn) close(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	c.tcp.Close()
	close(c.done)
}

// ended reports why the connection has ended, nil while it lives.
func (c *adnlConn) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// outOfTime is the cause of the end of a context of [patience].
type outOfTime time.Duration

func (o outOfTime) Error() string { return "no answer within " + time.Duration(o).String() }

// patience is a context for what a server is asked for, which takes d at most.
func patience(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, outOfTime(d))
}

// silent reports whether a server that has said nothing since began, until now, has
// had its time, or half of it, for one answer. A caller in a hurry says nothing about
// the server: others may wait for it on the same connection.
func silent(ctx context.Context, began time.Time) bool {
	var had outOfTime
	return errors.As(context.Cause(ctx), &had) && time.Since(began) >= time.Duration(had)/2
}

// query sends a liteserver query and returns the bytes of the answer. A connection on
// which nothing was heard during a wait of [patience] is ended: the other side may be
// gone without a word.
func (c *adnlConn) query(ctx context.Context, req tl.Serializable) ([]byte, error) {
	var id [32]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	w := make(chan []byte, 1)
	began := time.Now()
	c.mu.Lock()
	c.waiting[id] = w
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	if err := c.write(adnl.MessageQuery{ID: id[:], Data: liteclient.LiteServerQuery{Data: req}}); err != nil {
		c.close(err)
		return nil, fmt.Errorf("%w: %w", errConnection, err)
	}
	select {
	case b := <-w:
		return b, nil
	case <-c.done:
		return nil, fmt.Errorf("%w: %w", errConnection, c.ended())
	case <-ctx.Done():
		c.mu.Lock()
		nothing := c.heard.Before(began)
		c.mu.Unlock()
		if nothing && silent(ctx, began) {
			c.close(errors.New("no answer"))
		}
		return nil, ctx.Err()
	}
}
