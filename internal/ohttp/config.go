package ohttp

import (
	"crypto/hpke"
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes in bytes.
const (
	SeedSize      = 32   // private key, as made and read by the KEM
	PublicKeySize = 1216 // public key of MLKEM768-X25519
	EncSize       = 1120 // encapsulated key of MLKEM768-X25519
	HeaderSize    = 7 + EncSize
	ConfigSize    = 3 + PublicKeySize + 2 + 4
)

// Identifiers of the one cipher suite.
const (
	KEM  = 0x647a // MLKEM768-X25519
	KDF  = 0x0001 // HKDF-SHA256
	AEAD = 0x0002 // AES-256-GCM
)

// ErrUnsupported is wrapped by errors that say that a key configuration or a
// request is for another cipher suite.
var ErrUnsupported = errors.New("unsupported cipher suite")

// ErrConfig is wrapped by errors that say that a key configuration is not in
// the form of RFC 9458.
var ErrConfig = errors.New("invalid key configuration")

// KeyConfig is a key configuration (RFC 9458, section 3.1): where to seal to.
// It is immutable.
type KeyConfig struct {
	id  byte
	key hpke.PublicKey
}

// ParseKeyConfig reads one key configuration. It has one form:
//
//	key id[1] KEM id[2]=0x647a public key[1216]
//	algorithms length[2]=4 KDF id[2]=0x0001 AEAD id[2]=0x0002
func ParseKeyConfig(b []byte) (*KeyConfig, error) {
	if len(b) < 3 {
		return nil, fmt.Errorf("%w: %d bytes", ErrConfig, len(b))
	}
	if kem := binary.BigEndian.Uint16(b[1:]); kem != KEM {
		return nil, fmt.Errorf("%w: KEM %#04x", ErrUnsupported, kem)
	}
	if len(b) != ConfigSize {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrConfig, len(b), ConfigSize)
	}
	algorithms := b[3+PublicKeySize:]
	if n := binary.BigEndian.Uint16(algorithms); n != 4 {
		return nil, fmt.Errorf("%w: %d bytes of algorithms, want one pair", ErrConfig, n)
	}
	kdf, aead := binary.BigEndian.Uint16(algorithms[2:]), binary.BigEndian.Uint16(algorithms[4:])
	if kdf != KDF || aead != AEAD {
		return nil, fmt.Errorf("%w: KDF %#04x, AEAD %#04x", ErrUnsupported, kdf, aead)
	}
	key, err := hpke.MLKEM768X25519().NewPublicKey(b[3 : 3+PublicKeySize])
	if err != nil {
		return nil, fmt.Errorf("%w: public key: %v", ErrConfig, err)
	}
	return &KeyConfig{b[0], key}, nil
}

// ID returns the key id.
func (c *KeyConfig) ID() byte { return c.id }

// Bytes returns the encoding that [ParseKeyConfig] reads.
func (c *KeyConfig) Bytes() []byte {
	b := make([]byte, 0, ConfigSize)
	b = binary.BigEndian.AppendUint16(append(b, c.id), KEM)
	b = append(b, c.key.Bytes()...)
	b = binary.BigEndian.AppendUint16(b, 4)
	b = binary.BigEndian.AppendUint16(b, KDF)
	return binary.BigEndian.AppendUint16(b, AEAD)
}

// AppendKeyConfigs appends configurations in the form of media type
// application/ohttp-keys (RFC 9458, section 3.2): each with its length before
// it, 2 bytes.
func AppendKeyConfigs(b []byte, configs ...[]byte) []byte {
	for _, c := range configs {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(c))), c...)
	}
	return b
}

// ParseKeyConfigs reads what [AppendKeyConfigs] writes: 1 to 256
// configurations, each good, no id twice.
func ParseKeyConfigs(b []byte) ([]*KeyConfig, error) {
	var out []*KeyConfig
	var seen [256]bool
	for len(b) > 0 {
		if len(b) < 2 || int(binary.BigEndian.Uint16(b)) > len(b)-2 {
			return nil, fmt.Errorf("%w: list is cut short", ErrConfig)
		}
		n := int(binary.BigEndian.Uint16(b))
		c, err := ParseKeyConfig(b[2 : 2+n])
		if err != nil {
			return nil, err
		}
		if seen[c.id] {
			return nil, fmt.Errorf("%w: key id %d is there twice", ErrConfig, c.id)
		}
		seen[c.id] = true
		out = append(out, c)
		b = b[2+n:]
	}
	if out == nil {
		return nil, fmt.Errorf("%w: empty list", ErrConfig)
	}
	return out, nil
}

// PrivateKey opens what was sealed to its [KeyConfig]. It is safe for
// concurrent use.
type PrivateKey struct {
	config KeyConfig
	key    hpke.PrivateKey
}

// GenerateKey makes a private key with the given id.
func GenerateKey(id byte) (*PrivateKey, error) {
	key, err := hpke.MLKEM768X25519().GenerateKey()
	if err != nil {
		return nil, err
	}
	return &PrivateKey{KeyConfig{id, key.PublicKey()}, key}, nil
}

// NewPrivateKey makes the private key of a seed of [SeedSize] bytes, for test
// vectors. Keys in use come from [GenerateKey] and are never stored.
func NewPrivateKey(id byte, seed []byte) (*PrivateKey, error) {
	key, err := hpke.MLKEM768X25519().NewPrivateKey(seed)
	if err != nil {
		return nil, fmt.Errorf("private key: %v", err)
	}
	return &PrivateKey{KeyConfig{id, key.PublicKey()}, key}, nil
}

// Config returns the public part.
func (k *PrivateKey) Config() *KeyConfig { return &k.config }
