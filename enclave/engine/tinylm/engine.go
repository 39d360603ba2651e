package tinylm

import (
	"context"
	"crypto/sha256"
	_ "embed" // the model
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/cocoon-go/cocoon/enclave/engine"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm/llama"
)

//go:embed model/tiny-q8_0.gguf
var file []byte

const (
	fileName = "tiny-q8_0.gguf" // in the model's digest

	// ModelName is the name of the embedded model in requests.
	ModelName = "cocoon-tiny"

	// Version is that of the arithmetic, the sampler and the form of answers
	// together: two engines of one version give the same bytes.
	Version = "1"
)

// Options has defaults for everything that is zero.
type Options struct {
	Running int              // answers made at once, default 2
	Waiting int              // requests that wait for their turn, default 64; more are refused with 429
	Now     func() time.Time // for the time in answers, default time.Now
}

// Engine answers requests with the embedded model.
type Engine struct {
	model    *weights
	identity engine.Identity
	now      func() time.Time

	slots  *semaphore.Weighted // first come, first served
	inside atomic.Int64        // requests that run or wait
	most   int64

	tested atomic.Bool
	base   context.Context // ends when the engine is closed
	stop   context.CancelCauseFunc

	mu      sync.Mutex
	closed  bool // guarded by mu, as is adding to running
	running sync.WaitGroup
}

var _ engine.Engine = (*Engine)(nil)

// New returns an engine. It must pass SelfTest before it answers.
func New(o Options) (*Engine, error) {
	if o.Running == 0 {
		o.Running = 2
	}
	if o.Waiting == 0 {
		o.Waiting = 64
	}
	if o.Running < 0 || o.Running > 1024 || o.Waiting < 0 || o.Waiting > 1<<16 {
		return nil, fmt.Errorf("tinylm: %d running and %d waiting requests", o.Running, o.Waiting)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	w, err := load()
	if err != nil {
		return nil, fmt.Errorf("tinylm: embedded model: %w", err)
	}
	e := &Engine{model: w, now: o.Now, slots: semaphore.NewWeighted(int64(o.Running)), most: int64(o.Running + o.Waiting),
		identity: engine.Identity{Name: "cocoon-tinylm", Version: Version, Exact: true, Models: []engine.Model{{
			Name: ModelName, Digest: w.digest, License: w.license, Context: uint64(w.Context()),
		}}}}
	e.base, e.stop = context.WithCancelCause(context.Background())
	return e, nil
}

// weights is the loaded model, which all engines of a process share.
type weights struct {
	*llama.Model
	tokens     *llama.Tokenizer
	digest     [32]byte
	license    string
	start, end int            // tokens around a message
	blank      int            // token of an empty prompt
	control    map[int]string // names of control tokens
}

var load = sync.OnceValues(func() (*weights, error) {
	g, err := llama.ParseGGUF(file)
	if err != nil {
		return nil, err
	}
	w := &weights{digest: Digest(), license: g.License(), control: map[int]string{}}
	if w.tokens, err = llama.NewTokenizer(g); err != nil {
		return nil, err
	}
	if w.Model, err = llama.Load(g); err != nil {
		return nil, err
	}
	if w.tokens.Size() != w.Vocab() {
		return nil, fmt.Errorf("%d tokens, the model has %d", w.tokens.Size(), w.Vocab())
	}
	for name, id := range map[string]*int{"<|im_start|>": &w.start, "<|im_end|>": &w.end, "<|endoftext|>": &w.blank} {
		var ok bool
		if *id, ok = w.tokens.Control(name); !ok {
			return nil, fmt.Errorf("no token %s", name)
		}
		w.control[*id] = name
	}
	return w, nil
})

// Digest returns the identity of the embedded model, its OMS root digest.
func Digest() [32]byte {
	return engine.RootDigest(map[string][32]byte{fileName: sha256.Sum256(file)})
}

// Identity implements engine.Engine.
func (e *Engine) Identity() engine.Identity {
	id := e.identity
	id.Models = append([]engine.Model(nil), id.Models...)
	return id
}

// Limits implements engine.Engine: docs/spec/engine.md section 5.
func (e *Engine) Limits() engine.Limits { return limits(e.model) }

func limits(w *weights) engine.Limits {
	l := engine.DefaultLimits(engine.Embedded, ModelName)
	l.MaxBody = 1 << 20
	l.MaxTokens = uint64(w.Context())
	l.DefaultMaxTokens = uint64(w.Context() / 2)
	l.DefaultTemperature = "0.2" // a model this small talks nonsense at 1
	return l
}

// RoundTripper implements engine.Engine.
func (e *Engine) RoundTripper() http.RoundTripper { return transport{e} }

var errClosed = errors.New("tinylm: the engine was closed")

// Close implements engine.Engine. It returns when no answer is being made.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.stop(errClosed)
	e.running.Wait()
	return nil
}

// begin counts a request as running until end is called.
func (e *Engine) begin() (end func(), ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false
	}
	e.running.Add(1)
	return e.running.Done, true
}
