package receipt

import (
	"math"
	"strconv"

	"github.com/cocoon-go/cocoon/attestation"
)

// Limits of a body, in bytes. Docs/spec/receipt.md, section 6, lists all limits.
const (
	MaxEngine    = 128  // Engine
	MaxExtension = 8192 // Extension
	maxDecimal   = 24   // Temperature, TopP
	maxBody      = MaxExtension + 1024
)

// Finish says how an answer ended.
type Finish string

// The ways an answer ends.
const (
	Complete  Finish = "complete"  // the engine ended it
	Cancelled Finish = "cancelled" // the client went away, or the stream broke
	Failed    Finish = "failed"    // the engine failed; what was sent before is committed to
	Length    Finish = "length"    // max_tokens was reached
)

// Sampling holds the parameters the engine was told to use.
type Sampling struct {
	Temperature string `cbor:"1,keyasint"` // see FormatDecimal; empty: the model's default
	TopP        string `cbor:"2,keyasint"` // likewise
	Seed        uint64 `cbor:"3,keyasint"` // always set, by the enclave when the client sent none
	MaxTokens   uint64 `cbor:"4,keyasint"` // output limit that was enforced
}

// Body is the part of a receipt that contracts need not parse.
type Body struct {
	ClaimsDigest       [32]byte  // bundle of the enclave that answered
	RequestCommitment  [32]byte  // to the plaintext content of the inner request
	ResponseCommitment [32]byte  // to the plaintext content of the inner response
	ModelDigest        [32]byte  // OMS root digest of the model that answered
	Engine             string    // name and version, printable ASCII
	Sampling           Sampling  // parameters with which the answer was made
	OutputTokens       *[32]byte // digest of the output token ids; nil when the engine does not say
	PromptTokens       uint64    // tokens of the request, as the engine counts
	CompletionTokens   uint64    // tokens of the answer
	Finish             Finish    // how the answer ended
	Price              uint64    // nano coins
	Extension          []byte    // token-level evidence of an engine; nil for none, never empty
}

const bodyType = "cocoon/receipt-body/v1"

// wireBody is the CBOR map of a [Body].
type wireBody struct {
	Type         string   `cbor:"0,keyasint"`
	Claims       [32]byte `cbor:"1,keyasint"`
	Request      [32]byte `cbor:"2,keyasint"`
	Response     [32]byte `cbor:"3,keyasint"`
	Model        [32]byte `cbor:"4,keyasint"`
	Engine       string   `cbor:"5,keyasint"`
	Sampling     Sampling `cbor:"6,keyasint"`
	OutputTokens []byte   `cbor:"7,keyasint,omitempty"`
	Prompt       uint64   `cbor:"8,keyasint"`
	Completion   uint64   `cbor:"9,keyasint"`
	Finish       Finish   `cbor:"10,keyasint"`
	Price        uint64   `cbor:"11,keyasint"`
	Extension    []byte   `cbor:"12,keyasint,omitempty"`
}

// EncodeBody returns the deterministic CBOR of b, or an error when a field is
// outside its limits.
func EncodeBody(b *Body) ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	w := wireBody{
		Type: bodyType, Claims: b.ClaimsDigest, Request: b.RequestCommitment, Response: b.ResponseCommitment,
		Model: b.ModelDigest, Engine: b.Engine, Sampling: b.Sampling, Prompt: b.PromptTokens,
		Completion: b.CompletionTokens, Finish: b.Finish, Price: b.Price, Extension: b.Extension,
	}
	if b.OutputTokens != nil {
		w.OutputTokens = b.OutputTokens[:]
	}
	return encode(w)
}

// ParseBody decodes what [EncodeBody] writes and nothing else.
func ParseBody(p []byte) (*Body, error) {
	var w wireBody
	if err := decode("receipt body", p, maxBody, &w); err != nil {
		return nil, err
	}
	if w.Type != bodyType {
		return nil, attestation.BadInput("receipt body: type %q, want %q", w.Type, bodyType)
	}
	b := &Body{
		ClaimsDigest: w.Claims, RequestCommitment: w.Request, ResponseCommitment: w.Response,
		ModelDigest: w.Model, Engine: w.Engine, Sampling: w.Sampling, PromptTokens: w.Prompt,
		CompletionTokens: w.Completion, Finish: w.Finish, Price: w.Price, Extension: w.Extension,
	}
	if w.OutputTokens != nil {
		if len(w.OutputTokens) != 32 {
			return nil, attestation.BadInput("receipt body: digest of output tokens has %d bytes, want 32", len(w.OutputTokens))
		}
		d := [32]byte(w.OutputTokens)
		b.OutputTokens = &d
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Body) check() error {
	if b.Engine == "" || len(b.Engine) > MaxEngine || !printable(b.Engine) {
		return attestation.BadInput("receipt body: engine %.40q is not 1 to %d printable ASCII characters", b.Engine, MaxEngine)
	}
	if !canonicalDecimal(b.Sampling.Temperature) || !canonicalDecimal(b.Sampling.TopP) {
		return attestation.BadInput("receipt body: temperature %.40q or top_p %.40q is not a decimal in its shortest form", b.Sampling.Temperature, b.Sampling.TopP)
	}
	switch b.Finish {
	case Complete, Cancelled, Failed, Length:
	default:
		return attestation.BadInput("receipt body: unknown finish %.40q", string(b.Finish))
	}
	if b.Extension != nil && (len(b.Extension) == 0 || len(b.Extension) > MaxExtension) {
		return attestation.BadInput("receipt body: extension of %d bytes, want 1 to %d or none", len(b.Extension), MaxExtension)
	}
	return nil
}

// FormatDecimal returns the text form of a sampling parameter: the shortest
// decimal without exponent that reads back as f, for example "0.7", "1", "0".
// It returns an error for negative numbers, NaN, infinities, and numbers whose
// text would be longer than 24 characters.
func FormatDecimal(f float64) (string, error) {
	if f == 0 {
		return "0", nil // negative zero too
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if f < 0 || math.IsNaN(f) || math.IsInf(f, 0) || len(s) > maxDecimal {
		return "", attestation.BadInput("sampling parameter %v cannot be written in a receipt", f)
	}
	return s, nil
}

// canonicalDecimal accepts what FormatDecimal returns, and the empty text.
func canonicalDecimal(s string) bool {
	if s == "" {
		return true
	}
	if len(s) > maxDecimal {
		return false
	}
	for _, c := range []byte(s) {
		if c != '.' && (c < '0' || c > '9') {
			return false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return false
	}
	t, err := FormatDecimal(f)
	return err == nil && t == s
}

func printable(s string) bool {
	for _, r := range s {
		if r < 0x20 || r > 0x7e {
			return false
		}
	}
	return true
}
