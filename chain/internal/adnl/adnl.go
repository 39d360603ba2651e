// Package adnl carries packets of ADNL over TCP, as liteservers speak it: both
// sides of a connection after its handshake use the same form.
package adnl

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/xssnick/tonutils-go/adnl/keys"
)

// ParamsSize is the size of the session parameters, in bytes, which the client
// chooses and sends in its handshake.
const ParamsSize = 160

const writeTimeout = 5 * time.Second

// Conn sends and receives packets. One goroutine may read; any may write.
type Conn struct {
	tcp net.Conn
	max uint32
	in  cipher.Stream

	mu  sync.Mutex // guards out and the order on the wire
	out cipher.Stream
}

// Client is the client's side of a connection, with the parameters that it sent.
// Packets of more than max bytes are refused.
func Client(tcp net.Conn, params *[ParamsSize]byte, max uint32) (*Conn, error) {
	return newConn(tcp, params[:32], params[64:80], params[32:64], params[80:96], max)
}

// Server is the server's side of a connection.
func Server(tcp net.Conn, params *[ParamsSize]byte, max uint32) (*Conn, error) {
	return newConn(tcp, params[32:64], params[80:96], params[:32], params[64:80], max)
}

func newConn(tcp net.Conn, inKey, inIV, outKey, outIV []byte, max uint32) (*Conn, error) {
	in, err := keys.NewCipherCtr(inKey, inIV)
	if err != nil {
		return nil, err
	}
	out, err := keys.NewCipherCtr(outKey, outIV)
	if err != nil {
		return nil, err
	}
	return &Conn{tcp: tcp, max: max, in: in, out: out}, nil
}

// HandshakeCipher hides the session parameters, whose SHA-256 is sum, under the
// key that both sides share.
func HandshakeCipher(shared []byte, sum [32]byte) (cipher.Stream, error) {
	key := append(append(make([]byte, 0, 32), shared[:16]...), sum[16:]...)
	iv := append(append(make([]byte, 0, 16), sum[:4]...), shared[20:32]...)
	return keys.NewCipherCtr(key, iv)
}

// Read returns the payload of the next packet: length, nonce, payload, SHA-256
// of nonce and payload.
func (c *Conn) Read() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c.tcp, size[:]); err != nil {
		return nil, err
	}
	c.in.XORKeyStream(size[:], size[:])
	n := binary.LittleEndian.Uint32(size[:])
	if n < 64 || n > c.max {
		return nil, fmt.Errorf("packet of %d bytes, want 64 to %d", n, c.max)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.tcp, b); err != nil {
		return nil, err
	}
	c.in.XORKeyStream(b, b)
	data, sum := b[:n-32], b[n-32:]
	if h := sha256.Sum256(data); string(h[:]) != string(sum) {
		return nil, errors.New("packet checksum")
	}
	return data[32:], nil
}

// Write sends one packet. It waits five seconds at most for a peer that does not
// read.
func (c *Conn) Write(payload []byte) error {
	b := make([]byte, 4+32, 4+64+len(payload))
	binary.LittleEndian.PutUint32(b, uint32(64+len(payload)))
	if _, err := rand.Read(b[4:]); err != nil {
		return err
	}
	b = append(b, payload...)
	sum := sha256.Sum256(b[4:])
	b = append(b, sum[:]...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.XORKeyStream(b, b)
	if err := c.tcp.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.tcp.Write(b)
	return err
}
