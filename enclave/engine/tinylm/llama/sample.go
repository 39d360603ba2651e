package llama

import "math/rand/v2"

// Sampler picks tokens: docs/spec/engine.md section 6 defines every step, so
// that another implementation with the same logits picks the same tokens.
type Sampler struct {
	temperature, topP float64
	random            *rand.PCG
	heap              []candidate
}

type candidate struct {
	weight float64
	id     int32
}

// before is the order of probability: larger weights first, then lower ids.
func (c candidate) before(d candidate) bool {
	return c.weight > d.weight || c.weight == d.weight && c.id < d.id
}

// streamBase is the second word of the PCG state: "cocoon" in ASCII, plus the
// index of the choice.
const streamBase = 0x636f_636f_6f6e_0000

// NewSampler returns a sampler for one answer. Temperature 0 always takes the
// most probable token and draws nothing; else topP in (0, 1] keeps the most
// probable tokens that together have this share. Choice is the index of the
// answer among several to one request.
func NewSampler(temperature, topP float64, seed uint64, choice int) *Sampler {
	return &Sampler{temperature: temperature, topP: topP, random: rand.NewPCG(seed, streamBase+uint64(choice))}
}

// Pick chooses a token from logits, which it does not change.
func (s *Sampler) Pick(logits []float32) int {
	best := Best(logits)
	if s.temperature == 0 {
		return best
	}
	total := s.weigh(logits, logits[best])
	u := float64(s.random.Uint64()>>11) / (1 << 53) // in [0, 1)
	if s.topP >= 1 {
		return s.walk(float64(u * total))
	}
	// Keep the shortest prefix of the order of probability that reaches the
	// share, then draw from it. heapsort leaves what it popped behind the heap.
	share, mass, n := float64(s.topP*total), 0.0, len(s.heap)
	heap := s.heap
	for len(heap) > 0 && (mass < share || len(heap) == n) {
		mass += heap[0].weight
		heap = pop(heap)
	}
	target, sum := float64(u*mass), 0.0
	for i := n - 1; i > len(heap); i-- {
		if sum += s.heap[i].weight; sum > target {
			return int(s.heap[i].id)
		}
	}
	return int(s.heap[len(heap)].id)
}

// weigh fills the heap with exp((logit-top)/temperature) and returns the sum in
// order of the ids.
func (s *Sampler) weigh(logits []float32, top float32) (total float64) {
	s.heap = s.heap[:0]
	for id, l := range logits {
		w := exp((float64(l) - float64(top)) / s.temperature)
		total += w
		s.heap = append(s.heap, candidate{w, int32(id)})
	}
	for i := len(s.heap)/2 - 1; i >= 0; i-- {
		sift(s.heap, i)
	}
	return total
}

// walk goes down the order of probability until the running sum is above target.
func (s *Sampler) walk(target float64) int {
	sum, last := 0.0, 0
	for heap := s.heap; len(heap) > 0; heap = pop(heap) {
		last = int(heap[0].id)
		if sum += heap[0].weight; sum > target {
			break
		}
	}
	return last
}

// pop moves the first candidate behind the heap and returns the shorter heap.
func pop(h []candidate) []candidate {
	n := len(h) - 1
	h[0], h[n] = h[n], h[0]
	sift(h[:n], 0)
	return h[:n]
}

func sift(h []candidate, i int) {
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].before(h[c]) {
			c++
		}
		if !h[c].before(h[i]) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// Best returns the token with the largest logit, the lowest id among equals.
func Best(logits []float32) int {
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	return best
}

// LogProb is a token with the natural logarithm of its probability before
// temperature and top_p.
type LogProb struct {
	Token int
	Value float64
}

// LogProbs returns the log probability of a token and of the n most probable
// ones in order.
func LogProbs(logits []float32, token, n int) (chosen LogProb, top []LogProb) {
	s := Sampler{temperature: 1}
	high := float64(logits[Best(logits)])
	total := s.weigh(logits, float32(high))
	norm := high + ln(total) // total >= 1: the best token adds exactly 1
	for heap := s.heap; n > 0 && len(heap) > 0; n-- {
		id := int(heap[0].id)
		top = append(top, LogProb{id, float64(logits[id]) - norm})
		heap = pop(heap)
	}
	return LogProb{token, float64(logits[token]) - norm}, top
}
