package ohttp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Labels are the strings that go into the key schedules of request and
// response. Both ends use the same; others can't open.
type Labels struct{ Request, Response string }

// Chunked are the labels of draft-ietf-ohai-chunked-ohttp, for content in
// Binary HTTP.
var Chunked = Labels{"message/bhttp chunked request", "message/bhttp chunked response"}

// ErrMalformed is wrapped by errors that say that a message is not in the form
// of the draft, whatever its keys.
var ErrMalformed = errors.New("malformed encapsulated message")

// ErrAuthentication is wrapped by errors that say that a chunk was not made by
// the peer for this place: changed, moved, repeated, from elsewhere, or a final
// chunk that is not whole.
var ErrAuthentication = errors.New("chunk is not authentic")

// ErrTruncated is wrapped by errors that say that a message stops before its
// final chunk. It wraps io.ErrUnexpectedEOF.
var ErrTruncated = fmt.Errorf("message stops before its final chunk: %w", io.ErrUnexpectedEOF)

// FinalError is the [ErrAuthentication] of a final chunk. Such a chunk has no
// length of its own: it may have been changed, or cut short. Who knows what
// sizes it can have can tell.
type FinalError struct{ Size int } // bytes of plaintext that it would hold

func (e *FinalError) Error() string { return ErrAuthentication.Error() + ", or its end is missing" }

// Unwrap returns [ErrAuthentication].
func (e *FinalError) Unwrap() error { return ErrAuthentication }

const (
	tagSize   = 16
	nonceSize = 12 // Nn
	keySize   = 32 // Nk
)

// appendHeader appends key_id, kem_id, kdf_id, aead_id (RFC 9458, section 4.3).
func appendHeader(b []byte, id byte, kem, kdf, aead uint16) []byte {
	b = binary.BigEndian.AppendUint16(append(b, id), kem)
	b = binary.BigEndian.AppendUint16(b, kdf)
	return binary.BigEndian.AppendUint16(b, aead)
}

// info = concat(encode_str(label), encode(1, 0), hdr)
func info(label string, hdr []byte) []byte {
	b := make([]byte, 0, len(label)+1+len(hdr))
	return append(append(append(b, label...), 0), hdr...)
}

// Client is the client's side of one exchange. Not safe for concurrent use,
// except that request and response may be streamed at the same time.
type Client struct {
	labels   Labels
	header   []byte // hdr || enc
	hpke     *hpke.Sender
	sealed   bool
	response bool
}

// NewClient encapsulates a fresh secret to c. Nothing of the request needs to
// be known yet.
func NewClient(c *KeyConfig, l Labels) (*Client, error) {
	hdr := appendHeader(make([]byte, 0, HeaderSize), c.id, KEM, KDF, AEAD)
	enc, s, err := hpke.NewSender(c.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info(l.Request, hdr))
	if err != nil {
		return nil, fmt.Errorf("encapsulate: %w", err)
	}
	return &Client{labels: l, header: append(hdr, enc...), hpke: s}, nil
}

// Export derives a secret of n bytes that only this client and the server
// know. Different labels give unrelated secrets.
func (c *Client) Export(label string, n int) ([]byte, error) { return c.hpke.Export(label, n) }

// Request returns what seals the request. It can be called once.
func (c *Client) Request() (*Sealer, error) {
	if c.sealed {
		return nil, errors.New("ohttp: an exchange seals one request")
	}
	c.sealed = true
	return &Sealer{prefix: c.header, seal: hpkeSealer{c.hpke}}, nil
}

// Response returns a reader of the response that r holds sealed. It can be
// called once.
func (c *Client) Response(r io.Reader) (*Reader, error) {
	if c.response {
		return nil, errors.New("ohttp: an exchange has one response")
	}
	c.response = true
	return &Reader{src: r, prefix: keySize, start: func(nonce []byte) (opener, error) {
		secret, err := c.hpke.Export(c.labels.Response, keySize)
		if err != nil {
			return nil, err
		}
		return newResponseAEAD(secret, c.header[len(c.header)-EncSize:], nonce, keySize)
	}}, nil
}

// RequestHeader is what a sealed request starts with.
type RequestHeader struct{ raw [HeaderSize]byte }

// ReadRequestHeader reads [HeaderSize] bytes of r.
func ReadRequestHeader(r io.Reader) (*RequestHeader, error) {
	h := new(RequestHeader)
	if _, err := io.ReadFull(r, h.raw[:7]); err != nil {
		return nil, truncated(err)
	}
	kem, kdf, aead := binary.BigEndian.Uint16(h.raw[1:]), binary.BigEndian.Uint16(h.raw[3:]), binary.BigEndian.Uint16(h.raw[5:])
	if kem != KEM || kdf != KDF || aead != AEAD {
		return nil, fmt.Errorf("%w: KEM %#04x, KDF %#04x, AEAD %#04x", ErrUnsupported, kem, kdf, aead)
	}
	if _, err := io.ReadFull(r, h.raw[7:]); err != nil {
		return nil, truncated(err)
	}
	return h, nil
}

// KeyID returns the id of the key that the request says it is sealed to.
func (h *RequestHeader) KeyID() byte { return h.raw[0] }

// Enc returns the encapsulated key, which is unique to an honest request.
func (h *RequestHeader) Enc() []byte { return h.raw[7:] }

// Server is the server's side of one exchange. Not safe for concurrent use,
// except that request and response may be streamed at the same time.
type Server struct {
	labels Labels
	enc    []byte
	hpke   *hpke.Recipient
}

// Accept decapsulates the secret of a request. A wrong key or wrong labels show
// only when the first chunk is opened: until then nothing is authentic.
func (k *PrivateKey) Accept(h *RequestHeader, l Labels) (*Server, error) {
	if h.KeyID() != k.config.id {
		return nil, fmt.Errorf("%w: key id %d, have %d", ErrUnsupported, h.KeyID(), k.config.id)
	}
	r, err := hpke.NewRecipient(h.Enc(), k.key, hpke.HKDFSHA256(), hpke.AES256GCM(), info(l.Request, h.raw[:7]))
	if err != nil {
		return nil, fmt.Errorf("%w: encapsulated key: %v", ErrMalformed, err)
	}
	return &Server{labels: l, enc: h.Enc(), hpke: r}, nil
}

// Export derives a secret of n bytes that only this server and the client
// know; see [Client.Export].
func (s *Server) Export(label string, n int) ([]byte, error) { return s.hpke.Export(label, n) }

// Request returns a reader of the request, whose chunks r holds (without the
// header). To be called once: the place of a chunk is counted here.
func (s *Server) Request(r io.Reader) *Reader { return &Reader{src: r, op: hpkeOpener{s.hpke}} }

// Response returns what seals a response, under a fresh random nonce.
func (s *Server) Response() (*Sealer, error) {
	nonce := make([]byte, keySize) // max(Nn, Nk)
	rand.Read(nonce)
	secret, err := s.hpke.Export(s.labels.Response, keySize)
	if err != nil {
		return nil, err
	}
	a, err := newResponseAEAD(secret, s.enc, nonce, keySize)
	if err != nil {
		return nil, err
	}
	return &Sealer{prefix: nonce, seal: a}, nil
}

// sealer seals chunks in order and appends them to dst; opener opens them and
// may do so in place.
type sealer interface {
	appendSealed(dst, aad, chunk []byte) ([]byte, error)
}
type opener interface {
	open(aad, sealed []byte) ([]byte, error)
}

type hpkeSealer struct{ *hpke.Sender }

func (s hpkeSealer) appendSealed(dst, aad, chunk []byte) ([]byte, error) {
	b, err := s.Seal(aad, chunk)
	return append(dst, b...), err
}

type hpkeOpener struct{ *hpke.Recipient }

func (o hpkeOpener) open(aad, sealed []byte) ([]byte, error) { return o.Open(aad, sealed) }

// responseAEAD seals or opens the chunks of a response.
type responseAEAD struct {
	aead    cipher.AEAD
	base    [nonceSize]byte
	nonce   [nonceSize]byte
	counter uint64
}

// newResponseAEAD is the key schedule of section 6.2:
//
//	salt = concat(enc, response_nonce)
//	prk = Extract(salt, secret)
//	aead_key = Expand(prk, "key", Nk)
//	aead_nonce = Expand(prk, "nonce", Nn)
func newResponseAEAD(secret, enc, responseNonce []byte, nk int) (*responseAEAD, error) {
	salt := append(append(make([]byte, 0, len(enc)+len(responseNonce)), enc...), responseNonce...)
	prk, err := hkdf.Extract(sha256.New, secret, salt)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Expand(sha256.New, prk, "key", nk)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Expand(sha256.New, prk, "nonce", nonceSize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	a := new(responseAEAD)
	if a.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	copy(a.base[:], nonce)
	return a, nil
}

// next sets the nonce of the next chunk: aead_nonce XOR encode(Nn, counter).
// 64 bits of counter do not overflow.
func (a *responseAEAD) next() {
	a.nonce = a.base
	tail := a.nonce[nonceSize-8:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^a.counter)
	a.counter++
}

func (a *responseAEAD) appendSealed(dst, aad, chunk []byte) ([]byte, error) {
	a.next()
	return a.aead.Seal(dst, a.nonce[:], chunk, aad), nil
}

func (a *responseAEAD) open(aad, sealed []byte) ([]byte, error) {
	a.next()
	return a.aead.Open(sealed[:0], a.nonce[:], sealed, aad)
}

// truncated turns an early end of input into [ErrTruncated].
func truncated(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return err
}
