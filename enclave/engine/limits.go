package engine

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"
)

// Profile names the kind of engine, which decides how requests are isolated from
// each other and which seeds it can take.
type Profile string

// The profiles.
const (
	Embedded    Profile = "embedded" // in this process, keeps nothing between requests
	VLLM        Profile = "vllm"     // cache_salt
	SGLang      Profile = "sglang"   // cache_salt
	TensorRTLLM Profile = "trtllm"   // cache_salt
	LlamaCpp    Profile = "llamacpp" // no salt: cache_prompt false
)

func (p Profile) valid() bool {
	switch p {
	case Embedded, VLLM, SGLang, TensorRTLLM, LlamaCpp:
		return true
	}
	return false
}

// Limits is the request policy of one engine. There is no accepting zero value:
// start from DefaultLimits.
type Limits struct {
	Profile Profile
	Models  []string // names that may be asked for; the first is the default

	MaxBody          int    // bytes of a request
	DefaultMaxTokens uint64 // where the client gives none
	MaxTokens        uint64 // for each choice; a larger wish is lowered to it
	MaxChoices       int    // field n
	MaxTopLogprobs   int
	MaxSeed          uint64

	// DefaultTemperature and DefaultTopP are set where the client gives none, as
	// decimals, so that the receipt tells what was applied.
	DefaultTemperature, DefaultTopP string

	Embeddings  bool     // allow POST /v1/embeddings
	ExtraFields []string // top-level fields allowed beyond the list of the specification

	// Seed draws a seed where the client gives none; nil draws from crypto/rand.
	Seed func() (uint64, error)
}

// DefaultLimits returns the limits of docs/spec/engine.md section 3.
func DefaultLimits(p Profile, models ...string) Limits {
	l := Limits{
		Profile: p, Models: models, MaxBody: 16 << 20,
		DefaultMaxTokens: 2048, MaxTokens: 32768, MaxChoices: 4, MaxTopLogprobs: 20, MaxSeed: 1<<63 - 1,
		DefaultTemperature: "1", DefaultTopP: "1",
	}
	if p == LlamaCpp {
		l.MaxSeed = 1<<32 - 2 // 32 bits, and the largest means "random"
	}
	return l
}

// Validate refuses limits that would let a request through unbounded.
func (l Limits) Validate() error {
	switch {
	case !l.Profile.valid():
		return fmt.Errorf("engine: unknown profile %q", l.Profile)
	case len(l.Models) == 0:
		return fmt.Errorf("engine: limits without a model")
	case l.MaxBody < 1 || l.MaxBody > 1<<30:
		return fmt.Errorf("engine: limit of %d bytes for a request", l.MaxBody)
	case l.DefaultMaxTokens < 1 || l.MaxTokens < l.DefaultMaxTokens || l.MaxTokens > 1<<24:
		return fmt.Errorf("engine: default of %d tokens under a limit of %d", l.DefaultMaxTokens, l.MaxTokens)
	case l.MaxChoices < 1 || l.MaxChoices > 128 || l.MaxTopLogprobs < 0 || l.MaxTopLogprobs > 100:
		return fmt.Errorf("engine: limits of %d choices and %d log probabilities", l.MaxChoices, l.MaxTopLogprobs)
	case l.MaxSeed < 1<<31-1 || l.MaxSeed > 1<<63-1:
		return fmt.Errorf("engine: largest seed %d", l.MaxSeed)
	}
	if _, ok := decimal(l.DefaultTemperature, 0, 2); !ok {
		return fmt.Errorf("engine: default temperature %q", l.DefaultTemperature)
	}
	if v, ok := decimal(l.DefaultTopP, 0, 1); !ok || v == "0" {
		return fmt.Errorf("engine: default top_p %q", l.DefaultTopP)
	}
	return nil
}

// decimal returns a number in the text form of receipts, the shortest decimal
// without exponent that gives the same float64. It must be in [low, high], and 0
// or at least 0.000001, which bounds the text.
func decimal(s string, low, high float64) (string, bool) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v >= low && v <= high) || v != 0 && v < 1e-6 {
		return "", false
	}
	return strconv.FormatFloat(v+0, 'f', -1, 64), true // + 0 makes -0 a 0
}

// drawSeed draws a seed that every JSON parser and the engine take: 53 bits, or
// 31 where the engine's seeds are shorter.
func (l Limits) drawSeed() (uint64, error) {
	if l.Seed != nil {
		return l.Seed()
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, err
	}
	bits := 53
	if l.MaxSeed < 1<<53-1 {
		bits = 31
	}
	return binary.BigEndian.Uint64(b[:]) >> (64 - bits), nil
}
