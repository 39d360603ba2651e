package sealed

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/ohttp"
)

// Times and numbers of keys.
const (
	KeyLife    = 24 * time.Hour // a configuration is valid that long
	KeyOverlap = time.Hour      // the next one starts that long before
	MaxKeys    = 128            // in a keyring: 122 days

	// keyEarly is how long before its time a key opens, for clients whose clock
	// is ahead.
	keyEarly = 2 * time.Minute
)

// Defaults of [KeyringConfig].
const (
	DefaultWindow     = 1 << 20
	DefaultMaxRequest = 16 << 20
)

// KeyringConfig says what keys to make.
type KeyringConfig struct {
	// Start is when the first configuration becomes valid; rounded down to
	// seconds. Required.
	Start time.Time
	// Lifetime is how long from Start there must be a valid configuration:
	// the life of the registration. Required.
	Lifetime time.Duration
	// Window is how many requests one key takes before it is exhausted, because
	// each is remembered, some 40 bytes each. Default [DefaultWindow].
	Window int
	// MaxRequest is the most bytes of content of a request. Default
	// [DefaultMaxRequest].
	MaxRequest int64
}

// Keyring holds the private keys of an enclave. They are made in memory, are
// never written, and are dropped when their time is over (Go has no way to
// wipe them; memory of an enclave is not readable from outside). Safe for
// concurrent use.
type Keyring struct {
	window     int
	maxRequest int64

	mu   sync.Mutex
	keys []*timedKey // ids 0, 1, ... in order of time
}

// timedKey is a key and the requests that it has seen; both fields are nil when
// its time is over. Guarded by the mutex of its keyring.
type timedKey struct {
	config    []byte
	from, to  time.Time
	key       *ohttp.PrivateKey
	seen      map[[16]byte]struct{}
	exhausted bool
}

// NewKeyring makes the keys for a whole life.
func NewKeyring(c KeyringConfig) (*Keyring, error) {
	if c.Start.IsZero() || c.Lifetime <= 0 || c.Window < 0 || c.MaxRequest < 0 {
		return nil, errors.New("keyring: start and lifetime must be given, limits must not be negative")
	}
	k := &Keyring{window: c.Window, maxRequest: c.MaxRequest}
	if k.window == 0 {
		k.window = DefaultWindow
	}
	if k.maxRequest == 0 {
		k.maxRequest = DefaultMaxRequest
	}
	from := c.Start.Truncate(time.Second)
	end := c.Start.Add(c.Lifetime)
	for len(k.keys) == 0 || k.keys[len(k.keys)-1].to.Before(end) {
		if len(k.keys) == MaxKeys {
			return nil, fmt.Errorf("keyring: a lifetime of %s takes more than %d keys", c.Lifetime, MaxKeys)
		}
		key, err := ohttp.GenerateKey(byte(len(k.keys)))
		if err != nil {
			return nil, err
		}
		k.keys = append(k.keys, &timedKey{config: key.Config().Bytes(), from: from, to: from.Add(KeyLife), key: key,
			seen: map[[16]byte]struct{}{}})
		from = from.Add(KeyLife - KeyOverlap)
	}
	return k, nil
}

// Configs returns all key configurations, for the claims.
func (k *Keyring) Configs() []attestation.KeyConfig {
	out := make([]attestation.KeyConfig, len(k.keys))
	for i, t := range k.keys {
		out[i] = attestation.KeyConfig{Config: append([]byte(nil), t.config...), NotBefore: t.from, NotAfter: t.to}
	}
	return out
}

// Current returns the configurations that are valid at a time, in the form of
// media type application/ohttp-keys (RFC 9458, section 3.2). Clients use only
// those in verified claims; this is for tools.
func (k *Keyring) Current(now time.Time) []byte {
	var out []byte
	for _, t := range k.keys {
		if !now.Before(t.from) && now.Before(t.to) {
			out = ohttp.AppendKeyConfigs(out, t.config)
		}
	}
	return out
}

// Expire drops the keys whose time is over, and what they have seen, and
// returns when the next one's will be; zero when no key is left. [Keyring.Open]
// does it too; a timer that calls Expire keeps an idle enclave from holding old
// keys.
func (k *Keyring) Expire(now time.Time) (next time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.expire(now)
}

func (k *Keyring) expire(now time.Time) (next time.Time) {
	for _, t := range k.keys {
		switch {
		case t.key == nil:
		case !now.Before(t.to):
			t.key, t.seen = nil, nil
		case next.IsZero():
			next = t.to
		}
	}
	return next
}

// Exhausted reports whether the key that clients use at a time takes no more
// requests, so that new claims with new keys are needed.
func (k *Keyring) Exhausted(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := len(k.keys) - 1; i >= 0; i-- {
		if t := k.keys[i]; !now.Before(t.from) {
			return t.key == nil || t.exhausted
		}
	}
	return false
}

// find returns the key with an id, if now is its time.
func (k *Keyring) find(id byte, now time.Time) (*timedKey, *ohttp.PrivateKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.expire(now)
	if int(id) >= len(k.keys) {
		return nil, nil, fmt.Errorf("%w: id %d", ErrUnknownKey, id)
	}
	t := k.keys[id]
	if t.key == nil {
		return nil, nil, fmt.Errorf("%w: the time of id %d is over", ErrUnknownKey, id)
	}
	if now.Before(t.from.Add(-keyEarly)) {
		return nil, nil, fmt.Errorf("%w: the time of id %d has not come", ErrUnknownKey, id)
	}
	return t, t.key, nil
}

var errExhausted = errors.New("key exhausted")

// remember notes an encapsulated key: [ErrReplay] when it was seen before,
// errExhausted when the window is full. Half of a SHA-256 is enough: who finds
// a collision has his own second request refused.
func (k *Keyring) remember(t *timedKey, enc []byte) error {
	sum := sha256.Sum256(enc)
	id := [16]byte(sum[:16])
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.seen == nil {
		return fmt.Errorf("%w: its time has ended", ErrUnknownKey)
	}
	if _, ok := t.seen[id]; ok {
		return ErrReplay
	}
	if len(t.seen) >= k.window {
		t.exhausted = true
		return errExhausted
	}
	t.seen[id] = struct{}{}
	return nil
}
