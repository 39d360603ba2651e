package devnet

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/xssnick/tonutils-go/adnl"
	"github.com/xssnick/tonutils-go/adnl/keys"
	"github.com/xssnick/tonutils-go/liteclient"
	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	wire "github.com/cocoon-go/cocoon/chain/internal/adnl"
)

// The server side of ADNL over TCP. tonutils-go has one too, but it can neither
// tell the port it got nor end the connections it serves.

const (
	maxPacket        = 8 << 20          // bytes from a client
	handshakeTimeout = 10 * time.Second // for the client's first packet
	maxInFlight      = 64               // queries of one connection at a time
)

// Liteserver answers liteserver queries over ADNL-TCP. It says what the chain
// is, unless [Liteserver.Inject] makes it misbehave.
type Liteserver struct {
	chain  *Chain
	key    ed25519.PrivateKey
	id     []byte // hash of the public key
	ln     net.Listener
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	fault  Fault
	conns  map[net.Conn]bool
	closed bool
	wg     sync.WaitGroup
}

// serve opens liteserver number i.
func (c *Chain) serve(i int) (*Liteserver, error) {
	addr := c.opts.Listen
	if i > 0 {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		if n != 0 {
			n += i
		}
		addr = net.JoinHostPort(host, strconv.Itoa(n))
	}
	key := derive(c.opts.Seed, "liteserver/"+strconv.Itoa(i))
	id, err := tl.Hash(keys.PublicKeyED25519{Key: key.Public().(ed25519.PublicKey)})
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp4", addr)
	if err != nil {
		return nil, fmt.Errorf("liteserver: %w", err)
	}
	s := &Liteserver{chain: c, key: key, id: id, ln: ln, conns: map[net.Conn]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.accept)
	return s, nil
}

// Addr returns the address that the liteserver listens on.
func (s *Liteserver) Addr() *net.TCPAddr { return s.ln.Addr().(*net.TCPAddr) }

// PublicKey returns the key that clients know the liteserver by.
func (s *Liteserver) PublicKey() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

func (s *Liteserver) close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.ln.Close()
	s.cancel()
	s.wg.Wait()
}

func (s *Liteserver) accept() {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of descriptors
			continue
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			conn.Close()
			return
		}
		s.conns[conn] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			if err := s.talk(conn); err != nil && s.ctx.Err() == nil && !errors.Is(err, io.EOF) {
				s.chain.opts.Logger.Debug("liteserver connection ended", "err", err)
			}
			conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

// session is one connection after its handshake.
type session struct {
	conn net.Conn
	wire *wire.Conn
}

// handshake reads the client's 256-byte packet: key id, client key, checksum,
// and the encrypted session parameters.
func (s *Liteserver) handshake(conn net.Conn) (*session, error) {
	if err := conn.SetReadDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	var p [256]byte
	if _, err := io.ReadFull(conn, p[:]); err != nil {
		return nil, err
	}
	if string(p[:32]) != string(s.id) {
		return nil, errors.New("handshake for another key")
	}
	shared, err := keys.SharedKey(s.key, p[32:64])
	if err != nil {
		return nil, err
	}
	sum, params := [32]byte(p[64:96]), (*[wire.ParamsSize]byte)(p[96:])
	ctr, err := wire.HandshakeCipher(shared, sum)
	if err != nil {
		return nil, err
	}
	ctr.XORKeyStream(params[:], params[:])
	if sha256.Sum256(params[:]) != sum {
		return nil, errors.New("handshake checksum")
	}
	x := &session{conn: conn}
	if x.wire, err = wire.Server(conn, params, maxPacket); err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return x, x.wire.Write(nil) // an empty packet confirms
}

func (x *session) send(msg tl.Serializable) error {
	b, err := tl.Serialize(msg, true)
	if err != nil {
		return err
	}
	return x.wire.Write(b)
}

// talk serves one connection until it ends.
func (s *Liteserver) talk(conn net.Conn) error {
	x, err := s.handshake(conn)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	slots := make(chan struct{}, maxInFlight)
	for {
		p, err := x.wire.Read()
		if err != nil {
			return err
		}
		var msg tl.Serializable
		if _, err := tl.Parse(&msg, p, true); err != nil {
			return err
		}
		switch m := msg.(type) {
		case liteclient.TCPPing:
			if err := x.send(liteclient.TCPPong(m)); err != nil {
				return err
			}
		case liteclient.TCPAuthenticate: // anybody may ask
			if err := x.send(liteclient.TCPAuthenticationNonce{Nonce: make([]byte, 32)}); err != nil {
				return err
			}
		case liteclient.TCPAuthenticationComplete:
		case adnl.MessageQuery:
			q := m.Data
			if l, ok := q.(liteclient.LiteServerQuery); ok {
				q = l.Data
			}
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				s.answer(ctx, x, m.ID, q)
			})
		default:
			return fmt.Errorf("unexpected message %T", msg)
		}
	}
}

// answer handles one query, honestly or with the injected fault.
func (s *Liteserver) answer(ctx context.Context, x *session, id []byte, q tl.Serializable) {
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	resp, ok := s.respond(ctx, fault, q)
	if !ok {
		return
	}
	for range 1 + fault.Duplicate {
		if err := x.send(adnl.MessageAnswer{ID: id, Data: resp}); err != nil {
			x.conn.Close()
			return
		}
	}
}

// asError turns any error into the protocol's.
func asError(err error) ton.LSError {
	var ls ton.LSError
	if !errors.As(err, &ls) {
		ls = ton.LSError{Text: err.Error()}
	}
	return ls
}
