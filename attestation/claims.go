package attestation

import (
	"crypto/sha256"
	"slices"
	"time"
)

// Limits of a claims body.
const (
	MaxBodySize       = 256 << 10 // bytes
	MaxKeyConfigs     = 256
	MaxKeyConfigSize  = 4096 // bytes of one key configuration
	MaxModels         = 256
	MaxGPUs           = 64
	MaxNameSize       = 256 // bytes of a model name, software version, engine
	claimsBodyID      = "cocoon/claims/v1"
	gpuNonceDomain    = "cocoon/gpu/v1\n"
	maxClaimedSeconds = 1 << 40 // bounds times, in unix seconds
)

// KeyConfig is an OHTTP key configuration (RFC 9458 section 3) with the time in
// which clients may use it.
type KeyConfig struct {
	Config    []byte    // at most [MaxKeyConfigSize] bytes
	NotBefore time.Time // whole seconds
	NotAfter  time.Time // whole seconds, exclusive
}

// Model is a model that the enclave serves.
type Model struct {
	Name   string
	Digest [32]byte // OMS root digest over weights, configuration, tokenizer, template, adapters
}

// SelfTest is the result of the known-answer test at boot.
type SelfTest struct {
	Passed  bool     // every answer was the known one
	Answers [32]byte // digest of the answers
}

// Body is the part of the claims that no contract needs to parse. The first
// head binds it by its SHA-256.
type Body struct {
	KeyConfigs    []KeyConfig // of the sealed server, at most [MaxKeyConfigs]
	Configuration [32]byte    // digest of the measured configuration
	Models        []Model     // sorted by name
	GPUEvidence   [][32]byte  // SHA-256 of each GPU's evidence in the bundle
	SelfTest      SelfTest    // of the engine, at boot
	Software      string      // version of the runtime
	Created       time.Time   // whole seconds; the enclave's own word
	Engine        string      // name and version
}

// Claims is what an enclave says about itself.
type Claims struct {
	Heads
	Body Body
}

type wireKeyConfig struct {
	Config    []byte `cbor:"1,keyasint"`
	NotBefore uint64 `cbor:"2,keyasint"`
	NotAfter  uint64 `cbor:"3,keyasint"`
}

type wireModel struct {
	Name   string `cbor:"1,keyasint"`
	Digest []byte `cbor:"2,keyasint"`
}

type wireSelfTest struct {
	Passed  bool   `cbor:"1,keyasint"`
	Answers []byte `cbor:"2,keyasint"`
}

type wireBody struct {
	ID            string          `cbor:"0,keyasint"`
	KeyConfigs    []wireKeyConfig `cbor:"1,keyasint"`
	Configuration []byte          `cbor:"2,keyasint"`
	Models        []wireModel     `cbor:"3,keyasint"`
	ModelRoot     []byte          `cbor:"4,keyasint"`
	GPUEvidence   [][]byte        `cbor:"5,keyasint"`
	SelfTest      wireSelfTest    `cbor:"6,keyasint"`
	Software      string          `cbor:"7,keyasint"`
	Created       uint64          `cbor:"8,keyasint"`
	Engine        string          `cbor:"9,keyasint"`
}

// ModelRoot returns the digest over all models: SHA-256 of their digests in
// the order of their names.
func (b *Body) ModelRoot() [32]byte {
	h := sha256.New()
	for _, m := range b.Models {
		h.Write(m.Digest[:])
	}
	return [32]byte(h.Sum(nil))
}

// EncodeBody returns the deterministic encoding of b. It refuses a body that
// [ParseClaims] would refuse.
func EncodeBody(b *Body) ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	root := b.ModelRoot()
	w := wireBody{
		ID: claimsBodyID, Configuration: b.Configuration[:], ModelRoot: root[:],
		KeyConfigs: make([]wireKeyConfig, 0, len(b.KeyConfigs)), Models: make([]wireModel, 0, len(b.Models)),
		GPUEvidence: make([][]byte, 0, len(b.GPUEvidence)),
		SelfTest:    wireSelfTest{b.SelfTest.Passed, b.SelfTest.Answers[:]},
		Software:    b.Software, Created: uint64(b.Created.Unix()), Engine: b.Engine,
	}
	for _, k := range b.KeyConfigs {
		w.KeyConfigs = append(w.KeyConfigs, wireKeyConfig{k.Config, uint64(k.NotBefore.Unix()), uint64(k.NotAfter.Unix())})
	}
	for i := range b.Models {
		w.Models = append(w.Models, wireModel{b.Models[i].Name, b.Models[i].Digest[:]})
	}
	for i := range b.GPUEvidence {
		w.GPUEvidence = append(w.GPUEvidence, b.GPUEvidence[i][:])
	}
	out, err := cborEncoder.Marshal(&w)
	if err != nil {
		return nil, BadInput("claims body: %v", err)
	}
	if len(out) > MaxBodySize {
		return nil, BadInput("claims body: %d bytes, the limit is %d", len(out), MaxBodySize)
	}
	return out, nil
}

// Encode sets the body digest of the heads and returns both encodings.
func (c *Claims) Encode() (heads, body []byte, err error) {
	if body, err = EncodeBody(&c.Body); err != nil {
		return nil, nil, err
	}
	c.BodyDigest = sha256.Sum256(body)
	if err := c.Heads.check(); err != nil {
		return nil, nil, err
	}
	return c.Heads.AppendTo(nil), body, nil
}

// ParseClaims reads heads and body, and checks that the heads name this body:
// a [*FalseError] if not.
func ParseClaims(heads, body []byte) (*Claims, error) {
	h, err := ParseHeads(heads)
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBodySize {
		return nil, BadInput("claims body: %d bytes, the limit is %d", len(body), MaxBodySize)
	}
	if sha256.Sum256(body) != h.BodyDigest {
		return nil, False("claims: the body is not the one that the heads name")
	}
	c := &Claims{Heads: *h}
	if err := c.Body.decode(body); err != nil {
		return nil, err
	}
	return c, nil
}

func (b *Body) decode(data []byte) error {
	var w wireBody
	if err := decodeCBOR("claims body", data, &w); err != nil {
		return err
	}
	if w.ID != claimsBodyID {
		return BadInput("claims body: type %q, want %q", w.ID, claimsBodyID)
	}
	if w.Created > maxClaimedSeconds {
		return BadInput("claims body: created at %d", w.Created)
	}
	*b = Body{SelfTest: SelfTest{Passed: w.SelfTest.Passed}, Software: w.Software, Created: unix(w.Created), Engine: w.Engine}
	for _, k := range w.KeyConfigs {
		if k.NotBefore > maxClaimedSeconds || k.NotAfter > maxClaimedSeconds {
			return BadInput("claims body: key configuration valid from %d to %d", k.NotBefore, k.NotAfter)
		}
		b.KeyConfigs = append(b.KeyConfigs, KeyConfig{k.Config, unix(k.NotBefore), unix(k.NotAfter)})
	}
	var err error
	if b.Configuration, err = digest32("claims body: configuration", w.Configuration); err != nil {
		return err
	}
	if b.SelfTest.Answers, err = digest32("claims body: self-test", w.SelfTest.Answers); err != nil {
		return err
	}
	for _, m := range w.Models {
		d, err := digest32("claims body: model", m.Digest)
		if err != nil {
			return err
		}
		b.Models = append(b.Models, Model{m.Name, d})
	}
	for _, g := range w.GPUEvidence {
		d, err := digest32("claims body: GPU evidence", g)
		if err != nil {
			return err
		}
		b.GPUEvidence = append(b.GPUEvidence, d)
	}
	if root := b.ModelRoot(); string(w.ModelRoot) != string(root[:]) {
		return BadInput("claims body: the model root is not that of the models")
	}
	return b.check()
}

func unix(s uint64) time.Time { return time.Unix(int64(s), 0).UTC() }

func (b *Body) check() error {
	switch {
	case len(b.KeyConfigs) == 0 || len(b.KeyConfigs) > MaxKeyConfigs:
		return BadInput("claims body: %d key configurations, want 1 to %d", len(b.KeyConfigs), MaxKeyConfigs)
	case len(b.Models) == 0 || len(b.Models) > MaxModels:
		return BadInput("claims body: %d models, want 1 to %d", len(b.Models), MaxModels)
	case len(b.GPUEvidence) > MaxGPUs:
		return BadInput("claims body: %d GPUs, the limit is %d", len(b.GPUEvidence), MaxGPUs)
	case len(b.Software) > MaxNameSize || len(b.Engine) > MaxNameSize:
		return BadInput("claims body: software version or engine is longer than %d bytes", MaxNameSize)
	case b.Created.Unix() < 0:
		return BadInput("claims body: created before 1970")
	}
	for _, k := range b.KeyConfigs {
		if len(k.Config) == 0 || len(k.Config) > MaxKeyConfigSize {
			return BadInput("claims body: key configuration of %d bytes, want 1 to %d", len(k.Config), MaxKeyConfigSize)
		}
		if k.NotBefore.Unix() < 0 || k.NotAfter.Unix() <= k.NotBefore.Unix() {
			return BadInput("claims body: a key configuration is never valid")
		}
	}
	for i, m := range b.Models {
		if m.Name == "" || len(m.Name) > MaxNameSize {
			return BadInput("claims body: model name of %d bytes, want 1 to %d", len(m.Name), MaxNameSize)
		}
		if i > 0 && b.Models[i-1].Name >= m.Name {
			return BadInput("claims body: model %q is out of order or there twice", m.Name)
		}
	}
	for i, g := range b.GPUEvidence {
		if slices.Contains(b.GPUEvidence[:i], g) {
			return BadInput("claims body: one GPU's evidence is there twice")
		}
	}
	return nil
}

// GPUNonce returns the nonce that the GPUs of these claims sign: SHA-256 over
// "cocoon/gpu/v1\n" and the digest of the claims without GPU digests.
func (c *Claims) GPUNonce() ([32]byte, error) {
	bare := Claims{Heads: c.Heads, Body: c.Body}
	bare.Body.GPUEvidence = nil
	if _, _, err := bare.Encode(); err != nil {
		return [32]byte{}, err
	}
	d := bare.Digest()
	return sha256.Sum256(append([]byte(gpuNonceDomain), d[:]...)), nil
}
