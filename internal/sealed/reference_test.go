package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// A second implementation, from docs/spec/sealed.md and the documents that it
// names, with nothing of package ohttp. The tests use it to make what the
// package would not make, and to read vectors.

var (
	errRefTruncated = errors.New("truncated")
	errRefChanged   = errors.New("changed")
)

const (
	refRequestLabel  = "cocoon/sealed/v1 chunked request"
	refResponseLabel = "cocoon/sealed/v1 chunked response"
)

// refChunks cuts the chunks of a message apart. The last one is the final one.
func refChunks(b []byte) (out [][]byte, err error) {
	for {
		if len(b) == 0 || len(b) < 1<<(b[0]>>6) {
			return nil, errRefTruncated
		}
		size := 1 << (b[0] >> 6)
		n := int(b[0] & 0x3f)
		for _, c := range b[1:size] {
			n = n<<8 | int(c)
		}
		b = b[size:]
		if n == 0 {
			if size := len(b) - 16; size < 64 || size > 16384 || size&(size-1) != 0 {
				return nil, errRefTruncated
			}
			return append(out, b), nil
		}
		if len(b) < n {
			return nil, errRefTruncated
		}
		out, b = append(out, b[:n]), b[n:]
	}
}

func refLength(n int) []byte {
	if n < 64 {
		return []byte{byte(n)}
	}
	if n < 1<<14 {
		return binary.BigEndian.AppendUint16(nil, 0x4000|uint16(n))
	}
	return binary.BigEndian.AppendUint32(nil, 0x8000_0000|uint32(n))
}

func refAAD(i, n int) []byte {
	if i == n-1 {
		return []byte("final")
	}
	return nil
}

// refOpenRequest opens a request with the private key of a seed.
func refOpenRequest(seed, msg []byte) (r *hpke.Recipient, frames [][]byte, err error) {
	if len(msg) < 1127 {
		return nil, nil, errRefTruncated
	}
	key, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, nil, err
	}
	info := slices.Concat([]byte(refRequestLabel), []byte{0}, msg[:7])
	if r, err = hpke.NewRecipient(msg[7:1127], key, hpke.HKDFSHA256(), hpke.AES256GCM(), info); err != nil {
		return nil, nil, err
	}
	chunks, err := refChunks(msg[1127:])
	if err != nil {
		return nil, nil, err
	}
	for i, c := range chunks {
		f, err := r.Open(refAAD(i, len(chunks)), c)
		if err != nil {
			return nil, nil, errRefChanged
		}
		frames = append(frames, f)
	}
	return r, frames, nil
}

// refSealRequest seals frames, the last one as final, to a key configuration.
func refSealRequest(config []byte, frames ...[]byte) (*hpke.Sender, []byte, error) {
	header := []byte{config[0], 0x64, 0x7a, 0, 1, 0, 2}
	key, err := hpke.MLKEM768X25519().NewPublicKey(config[3 : 3+1216])
	if err != nil {
		return nil, nil, err
	}
	info := slices.Concat([]byte(refRequestLabel), []byte{0}, header)
	enc, s, err := hpke.NewSender(key, hpke.HKDFSHA256(), hpke.AES256GCM(), info)
	if err != nil {
		return nil, nil, err
	}
	msg := append(header, enc...)
	for i, f := range frames {
		c, err := s.Seal(refAAD(i, len(frames)), f)
		if err != nil {
			return nil, nil, err
		}
		msg = refAppend(msg, c, i == len(frames)-1)
	}
	return s, msg, nil
}

func refAppend(msg, chunk []byte, last bool) []byte {
	if last {
		return append(append(msg, 0), chunk...)
	}
	return append(append(msg, refLength(len(chunk))...), chunk...)
}

// refResponse has the keys of a response, from the 32 bytes that HPKE exports
// under the response label.
type refResponse struct {
	aead  cipher.AEAD
	nonce []byte
}

func newRefResponse(secret, enc, responseNonce []byte) (*refResponse, error) {
	prk, err := hkdf.Extract(sha256.New, secret, slices.Concat(enc, responseNonce))
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Expand(sha256.New, prk, "key", 32)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Expand(sha256.New, prk, "nonce", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	a, err := cipher.NewGCM(block)
	return &refResponse{a, nonce}, err
}

func (r *refResponse) at(i int) []byte {
	n := bytes.Clone(r.nonce)
	binary.BigEndian.PutUint64(n[4:], binary.BigEndian.Uint64(n[4:])^uint64(i))
	return n
}

func refSealResponse(secret, enc, responseNonce []byte, frames ...[]byte) ([]byte, error) {
	r, err := newRefResponse(secret, enc, responseNonce)
	if err != nil {
		return nil, err
	}
	msg := bytes.Clone(responseNonce)
	for i, f := range frames {
		msg = refAppend(msg, r.aead.Seal(nil, r.at(i), f, refAAD(i, len(frames))), i == len(frames)-1)
	}
	return msg, nil
}

func refOpenResponse(secret, enc, msg []byte) (frames [][]byte, err error) {
	if len(msg) < 32 {
		return nil, errRefTruncated
	}
	r, err := newRefResponse(secret, enc, msg[:32])
	if err != nil {
		return nil, err
	}
	chunks, err := refChunks(msg[32:])
	if err != nil {
		return nil, err
	}
	for i, c := range chunks {
		f, err := r.aead.Open(nil, r.at(i), c, refAAD(i, len(chunks)))
		if err != nil {
			return nil, errRefChanged
		}
		frames = append(frames, f)
	}
	return frames, nil
}

// refFrame makes a frame of a size, 0 for the smallest.
func refFrame(data []byte, size int) []byte {
	if size == 0 {
		for size = 64; size < len(data)+2; size *= 2 {
		}
	}
	f := make([]byte, size)
	binary.BigEndian.PutUint16(f, uint16(len(data)))
	copy(f[2:], data)
	return f
}

func refData(frames [][]byte) (out []byte, err error) {
	for i, f := range frames {
		n := int(binary.BigEndian.Uint16(f))
		switch {
		case len(f) < 64 || len(f) > 16384 || len(f)&(len(f)-1) != 0:
			return nil, fmt.Errorf("frame of %d bytes", len(f))
		case n > len(f)-2:
			return nil, errors.New("data over the end of the frame")
		case n == 0 && i < len(frames)-1:
			return nil, errors.New("frame without data")
		case !bytes.Equal(f[2+n:], make([]byte, len(f)-2-n)):
			return nil, errors.New("padding is not zero")
		}
		out = append(out, f[2:2+n]...)
	}
	return out, nil
}

// bstr is a string of Binary HTTP.
func bstr(s string) []byte { return append(refLength(len(s)), s...) }
