package llama

import (
	"fmt"
	"math"
)

// Model holds the weights of a model and its rotation tables. It does not
// change after Load and is safe for concurrent use.
type Model struct {
	context int // tokens
	dim     int
	heads   int
	kvHeads int
	headDim int
	hidden  int // of the feed-forward network
	vocab   int
	epsilon float32

	embedding []float32 // vocab x dim
	output    []float32 // vocab x dim; the embedding where the file ties them
	norm      []float32
	layers    []layer

	cos, sin []float32 // context x headDim/2
}

type layer struct {
	attnNorm, q, k, v, o    []float32
	ffnNorm, gate, up, down []float32
}

// Load reads a model of architecture "llama" without biases, with rotation over
// whole heads, and decodes its weights to float32.
func Load(f *GGUF) (*Model, error) {
	if arch, err := f.text("general.architecture"); err != nil || arch != "llama" {
		return nil, fmt.Errorf("model: architecture %q, want \"llama\"", arch)
	}
	m, layers := &Model{}, 0
	for _, p := range []struct {
		key  string
		to   *int
		high int
	}{
		{"llama.context_length", &m.context, 1 << 15},
		{"llama.embedding_length", &m.dim, 1 << 13},
		{"llama.block_count", &layers, 128},
		{"llama.attention.head_count", &m.heads, 256},
		{"llama.attention.head_count_kv", &m.kvHeads, 256},
		{"llama.feed_forward_length", &m.hidden, 1 << 15},
		{"llama.rope.dimension_count", &m.headDim, 512},
		{"llama.vocab_size", &m.vocab, 1 << 18},
	} {
		n, err := f.integer(p.key, 1, p.high)
		if err != nil {
			return nil, err
		}
		*p.to = n
	}
	if m.heads%m.kvHeads != 0 || m.heads*m.headDim != m.dim || m.headDim%2 != 0 {
		return nil, fmt.Errorf("model: %d heads over %d of size %d do not fill width %d", m.heads, m.kvHeads, m.headDim, m.dim)
	}
	base, okBase := f.meta["llama.rope.freq_base"].(float64)
	epsilon, okEpsilon := f.meta["llama.attention.layer_norm_rms_epsilon"].(float64)
	if !okBase || !okEpsilon || !(base >= 1 && base <= 1e9) || !(epsilon > 0 && epsilon < 1) {
		return nil, fmt.Errorf("model: rotation base %v or epsilon %v", f.meta["llama.rope.freq_base"], f.meta["llama.attention.layer_norm_rms_epsilon"])
	}
	m.epsilon = float32(epsilon)
	if err := m.loadWeights(f, layers); err != nil {
		return nil, err
	}
	m.makeRotations(base)
	return m, nil
}

func (m *Model) loadWeights(f *GGUF, layers int) error {
	var first error
	read := 0
	get := func(name string, dims ...int) []float32 {
		w, err := f.floats(name, dims...)
		if first == nil {
			first = err
		}
		read++
		return w
	}
	kv := m.kvHeads * m.headDim
	m.embedding = get("token_embd.weight", m.dim, m.vocab)
	m.norm = get("output_norm.weight", m.dim)
	m.output = m.embedding
	if _, own := f.tensors["output.weight"]; own {
		m.output = get("output.weight", m.dim, m.vocab)
	}
	for i := range layers {
		if first != nil {
			return first
		}
		p := fmt.Sprintf("blk.%d.", i)
		m.layers = append(m.layers, layer{
			attnNorm: get(p+"attn_norm.weight", m.dim),
			q:        get(p+"attn_q.weight", m.dim, m.dim),
			k:        get(p+"attn_k.weight", m.dim, kv),
			v:        get(p+"attn_v.weight", m.dim, kv),
			o:        get(p+"attn_output.weight", m.dim, m.dim),
			ffnNorm:  get(p+"ffn_norm.weight", m.dim),
			gate:     get(p+"ffn_gate.weight", m.dim, m.hidden),
			up:       get(p+"ffn_up.weight", m.dim, m.hidden),
			down:     get(p+"ffn_down.weight", m.hidden, m.dim),
		})
	}
	if first == nil && read != len(f.tensors) {
		return fmt.Errorf("model: the file has %d tensors, the architecture uses %d", len(f.tensors), read)
	}
	return first
}

// makeRotations fills the tables of rotary position embedding: position p turns
// pair i by the angle p * base^(-2i/headDim).
func (m *Model) makeRotations(base float64) {
	half := m.headDim / 2
	m.cos, m.sin = make([]float32, m.context*half), make([]float32, m.context*half)
	lnBase := ln(base)
	for i := range half {
		frequency := exp(-float64(float64(2*i) / float64(m.headDim) * lnBase))
		for p := range m.context {
			s, c := sincos(float64(float64(p) * frequency))
			m.sin[p*half+i], m.cos[p*half+i] = float32(s), float32(c)
		}
	}
}

// Context returns the longest sequence in tokens, prompt and answer together.
func (m *Model) Context() int { return m.context }

// Vocab returns the number of tokens, which is the number of logits.
func (m *Model) Vocab() int { return m.vocab }

// State is one sequence: what the model remembers of it and the buffers of one
// step. It is not safe for concurrent use.
type State struct {
	m         *Model
	pos, size int
	k, v      [][]float32 // per layer: size x kvHeads*headDim
	x, y      []float32   // residual stream; normalised copy
	q, o, h   []float32
	weights   []float32 // attention over positions
	gate, up  []float32
	logits    []float32
}

// NewState returns an empty sequence with room for size tokens, at most
// [Model.Context].
func (m *Model) NewState(size int) *State {
	size = min(max(size, 1), m.context)
	s := &State{m: m, size: size,
		x: make([]float32, m.dim), y: make([]float32, m.dim),
		q: make([]float32, m.dim), o: make([]float32, m.dim), h: make([]float32, m.dim),
		weights: make([]float32, size),
		gate:    make([]float32, m.hidden), up: make([]float32, m.hidden),
		logits: make([]float32, m.vocab)}
	for range m.layers {
		s.k = append(s.k, make([]float32, size*m.kvHeads*m.headDim))
		s.v = append(s.v, make([]float32, size*m.kvHeads*m.headDim))
	}
	return s
}

// Clone returns an independent copy of the sequence.
func (s *State) Clone() *State {
	c := s.m.NewState(s.size)
	c.pos = s.pos
	n := s.pos * s.m.kvHeads * s.m.headDim
	for i := range s.k {
		copy(c.k[i], s.k[i][:n])
		copy(c.v[i], s.v[i][:n])
	}
	copy(c.logits, s.logits)
	return c
}

// Wipe overwrites everything the state remembers of its sequence.
func (s *State) Wipe() {
	for i := range s.k {
		clear(s.k[i])
		clear(s.v[i])
	}
	for _, b := range [][]float32{s.x, s.y, s.q, s.o, s.h, s.weights, s.gate, s.up, s.logits} {
		clear(b)
	}
	s.pos = 0
}

// Len returns the number of tokens so far, Room how many more fit.
func (s *State) Len() int { return s.pos }

// Room returns how many more tokens fit.
func (s *State) Room() int { return s.size - s.pos }

// Logits returns the scores of the next token after the last Step that asked
// for them. The next Step overwrites them.
func (s *State) Logits() []float32 { return s.logits }

// Step appends a token. It computes logits only if asked to: a prompt needs
// those of its last token only. It panics when the state has no room or the
// model no such token; callers know both.
func (s *State) Step(token int, logits bool) {
	m := s.m
	copy(s.x, m.embedding[token*m.dim:(token+1)*m.dim])
	kv := m.kvHeads * m.headDim
	for i := range m.layers {
		l := &m.layers[i]
		normalize(s.y, s.x, l.attnNorm, m.epsilon)
		k, v := s.k[i][s.pos*kv:(s.pos+1)*kv], s.v[i][s.pos*kv:(s.pos+1)*kv]
		multiply(s.q, l.q, s.y)
		multiply(k, l.k, s.y)
		multiply(v, l.v, s.y)
		m.rotate(s.q, s.pos)
		m.rotate(k, s.pos)
		for h := range m.heads {
			s.attend(i, h)
		}
		multiply(s.h, l.o, s.o)
		add(s.x, s.h)

		normalize(s.y, s.x, l.ffnNorm, m.epsilon)
		multiply(s.gate, l.gate, s.y)
		multiply(s.up, l.up, s.y)
		for j, g := range s.gate { // SiLU(gate) * up
			s.gate[j] = float32(g / (1 + float32(exp(float64(-g)))) * s.up[j])
		}
		multiply(s.h, l.down, s.gate)
		add(s.x, s.h)
	}
	s.pos++
	if logits {
		normalize(s.y, s.x, m.norm, m.epsilon)
		multiply(s.logits, m.output, s.y)
	}
}

// attend computes the output of one head over all positions so far.
func (s *State) attend(layer, head int) {
	m := s.m
	kv, n := m.kvHeads*m.headDim, m.headDim
	at := head / (m.heads / m.kvHeads) * n
	q, o := s.q[head*n:head*n+n], s.o[head*n:head*n+n]
	scale := float32(1 / math.Sqrt(float64(n)))
	weights := s.weights[:s.pos+1]
	top := float32(math.Inf(-1))
	keys := s.k[layer]
	for t := range weights {
		weights[t] = float32(dot(q, keys[t*kv+at:t*kv+at+n]) * scale)
		top = max(top, weights[t])
	}
	sum := float32(0)
	for t, w := range weights {
		weights[t] = float32(exp(float64(w - top)))
		sum += weights[t]
	}
	clear(o)
	values := s.v[layer]
	for t, w := range weights {
		w /= sum
		v := values[t*kv+at : t*kv+at+n]
		for j := range o {
			o[j] += float32(w * v[j])
		}
	}
}

// rotate turns neighbouring pairs of each head by their angles at a position.
func (m *Model) rotate(x []float32, pos int) {
	half := m.headDim / 2
	cos, sin := m.cos[pos*half:(pos+1)*half], m.sin[pos*half:(pos+1)*half]
	for ; len(x) > 0; x = x[m.headDim:] {
		for i := range half {
			a, b, c, s := x[2*i], x[2*i+1], cos[i], sin[i]
			x[2*i] = float32(a*c) - float32(b*s)
			x[2*i+1] = float32(a*s) + float32(b*c)
		}
	}
}

// normalize writes x, scaled to root mean square 1 and weighted, to out.
func normalize(out, x, weight []float32, epsilon float32) {
	sum := float32(0)
	for _, v := range x {
		sum += float32(v * v)
	}
	r := float32(1 / math.Sqrt(float64(sum/float32(len(x))+epsilon)))
	for i, v := range x {
		out[i] = float32(float32(v*r) * weight[i])
	}
}

// multiply writes the product of the matrix w (rows of len(x)) with x to out.
func multiply(out, w, x []float32) {
	n := len(x)
	for i := range out {
		out[i] = dot(w[i*n:i*n+n], x)
	}
}

// dot is the scalar product of two slices of the same length. Its order is part
// of the engine's definition: eight running sums over the positions i mod 8 (so
// that a CPU can do eight at a time), added as a balanced tree; what is left
// over when the length is no multiple of eight is added one by one at the end.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for len(a) >= 8 && len(b) >= 8 {
		s0 += float32(a[0] * b[0])
		s1 += float32(a[1] * b[1])
		s2 += float32(a[2] * b[2])
		s3 += float32(a[3] * b[3])
		s4 += float32(a[4] * b[4])
		s5 += float32(a[5] * b[5])
		s6 += float32(a[6] * b[6])
		s7 += float32(a[7] * b[7])
		a, b = a[8:], b[8:]
	}
	sum := ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
	for i := range min(len(a), len(b)) {
		sum += float32(a[i] * b[i])
	}
	return sum
}

func add(x, y []float32) {
	for i, v := range y {
		x[i] += v
	}
}
