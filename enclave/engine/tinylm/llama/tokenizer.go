package llama

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tokenizer is a byte-level BPE with the GPT-2 pre-tokenizer. It is safe for
// concurrent use.
type Tokenizer struct {
	pieces  [][]byte // bytes of each token; nil for control tokens
	control map[string]int
	bytes   [256]int32           // token of each single byte
	merges  map[[2]int32]merging // what two neighbours become
	longest int                  // bytes of the longest piece
	eos     int
}

type merging struct{ rank, id int32 }

// Token types of GGUF.
const (
	tokenNormal  = 1
	tokenControl = 3
)

// NewTokenizer reads the tokenizer of a model file: `tokenizer.ggml.model` must
// be "gpt2" and `tokenizer.ggml.pre` "gpt-2".
func NewTokenizer(f *GGUF) (*Tokenizer, error) {
	for key, want := range map[string]string{"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2"} {
		if got, err := f.text(key); err != nil || got != want {
			return nil, fmt.Errorf("tokenizer: %s is %q, want %q", key, got, want)
		}
	}
	vocab, _ := f.meta["tokenizer.ggml.tokens"].([]string)
	types, _ := f.meta["tokenizer.ggml.token_type"].([]int64)
	if len(vocab) < 256 || len(types) != len(vocab) {
		return nil, fmt.Errorf("tokenizer: %d tokens with %d types", len(vocab), len(types))
	}
	eos, err := f.integer("tokenizer.ggml.eos_token_id", 0, len(vocab)-1)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{pieces: make([][]byte, len(vocab)), control: map[string]int{}, merges: map[[2]int32]merging{}, eos: eos}
	ids, err := t.readTokens(vocab, types)
	if err != nil {
		return nil, err
	}
	if t.pieces[eos] != nil {
		return nil, fmt.Errorf("tokenizer: the end token %d is not a control token", eos)
	}
	for b, s := range byteRunes() {
		id, ok := ids[string(s)]
		if !ok || t.pieces[id] == nil {
			return nil, fmt.Errorf("tokenizer: no token for byte %#02x", b)
		}
		t.bytes[b] = id
	}
	merges, _ := f.meta["tokenizer.ggml.merges"].([]string)
	if err := t.readMerges(merges, ids); err != nil {
		return nil, err
	}
	return t, nil
}

// readTokens takes the bytes of every token that is not a control token, and
// returns the numbers of all by their text.
func (t *Tokenizer) readTokens(vocab []string, types []int64) (map[string]int32, error) {
	toByte := map[rune]byte{}
	for b, s := range byteRunes() {
		toByte[s] = byte(b)
	}
	ids := make(map[string]int32, len(vocab))
	for id, s := range vocab {
		if _, dup := ids[s]; dup || s == "" {
			return nil, fmt.Errorf("tokenizer: token %d is empty or a duplicate", id)
		}
		ids[s] = int32(id)
		switch types[id] {
		case tokenControl:
			t.control[s] = id
			continue
		case tokenNormal:
		default:
			return nil, fmt.Errorf("tokenizer: token %d has type %d", id, types[id])
		}
		for _, r := range s {
			b, ok := toByte[r]
			if !ok {
				return nil, fmt.Errorf("tokenizer: token %d is not made of bytes", id)
			}
			t.pieces[id] = append(t.pieces[id], b)
		}
		t.longest = max(t.longest, len(t.pieces[id]))
	}
	return ids, nil
}

// readMerges takes the pairs of tokens that join to a third, the first rank
// first.
func (t *Tokenizer) readMerges(merges []string, ids map[string]int32) error {
	for i, m := range merges {
		left, right, _ := strings.Cut(m, " ")
		a, okA := ids[left]
		b, okB := ids[right]
		c, okC := ids[left+right]
		_, dup := t.merges[[2]int32{a, b}]
		if !okA || !okB || !okC || dup || t.pieces[a] == nil || t.pieces[b] == nil || t.pieces[c] == nil {
			return fmt.Errorf("tokenizer: merge %d does not join two tokens to a third", i)
		}
		t.merges[[2]int32{a, b}] = merging{int32(i), c}
	}
	return nil
}

// byteRunes is the map of GPT-2 from bytes to printable characters.
func byteRunes() (out [256]rune) {
	next := rune(256)
	for b := range out {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			out[b] = rune(b)
			continue
		}
		out[b] = next
		next++
	}
	return out
}

// Size returns the number of tokens.
func (t *Tokenizer) Size() int { return len(t.pieces) }

// Control returns the id of a control token such as "<|im_start|>".
func (t *Tokenizer) Control(name string) (int, bool) {
	id, ok := t.control[name]
	return id, ok
}

// IsControl reports whether a token is a control token, which has no text.
func (t *Tokenizer) IsControl(id int) bool { return t.pieces[id] == nil }

// Piece returns the bytes of a token, which need not be whole characters; none
// for a control token. The caller must not change them.
func (t *Tokenizer) Piece(id int) []byte { return t.pieces[id] }

// Longest returns the number of bytes of the longest token: a text of n bytes
// has n/Longest tokens or more.
func (t *Tokenizer) Longest() int { return t.longest }

// Encode appends the tokens of a text to ids. It never makes a control token:
// the name of one in a text is text. Time grows with the square of the longest
// run of letters (or digits, or signs), so callers bound the text first.
func (t *Tokenizer) Encode(ids []int, text string) []int {
	var word []int32
	for len(text) > 0 {
		n := wordLength(text)
		word = word[:0]
		for i := range n {
			word = append(word, t.bytes[text[i]])
		}
		for _, id := range t.merge(word) {
			ids = append(ids, int(id))
		}
		text = text[n:]
	}
	return ids
}

// merge joins neighbours, the lowest rank first and the leftmost of equals,
// until no two can be joined. It works in place.
func (t *Tokenizer) merge(word []int32) []int32 {
	const none = math.MaxInt32
	ranks := make([]int32, len(word)) // ranks[i]: of word[i] with its right neighbour
	rank := func(i int) {
		ranks[i] = none
		if i+1 < len(word) {
			if m, ok := t.merges[[2]int32{word[i], word[i+1]}]; ok {
				ranks[i] = m.rank
			}
		}
	}
	for i := range word {
		rank(i)
	}
	for len(word) > 1 {
		at := 0
		for i, r := range ranks {
			if r < ranks[at] {
				at = i
			}
		}
		if ranks[at] == none {
			break
		}
		word[at] = t.merges[[2]int32{word[at], word[at+1]}].id
		word = slices.Delete(word, at+1, at+2)
		ranks = slices.Delete(ranks, at+1, at+2)
		rank(at)
		if at > 0 {
			rank(at - 1)
		}
	}
	return word
}

// wordLength returns the length of the first match of the GPT-2 pattern
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func wordLength(s string) int {
	for _, c := range [...]string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
		if strings.HasPrefix(s, c) {
			return len(c)
		}
	}
	start := 0
	if s[0] == ' ' && len(s) > 1 {
		start = 1
	}
	first, _ := utf8.DecodeRuneInString(s[start:])
	switch {
	case unicode.IsLetter(first):
		return runLength(s, start, unicode.IsLetter)
	case unicode.IsNumber(first):
		return runLength(s, start, unicode.IsNumber)
	case !unicode.IsSpace(first):
		return runLength(s, start, func(r rune) bool {
			return !unicode.IsSpace(r) && !unicode.IsLetter(r) && !unicode.IsNumber(r)
		})
	}
	n := runLength(s, 0, unicode.IsSpace)
	if n < len(s) { // the last space belongs to the word behind it, if it is not alone
		if _, w := utf8.DecodeLastRuneInString(s[:n]); n > w {
			n -= w
		}
	}
	return n
}

func runLength(s string, from int, in func(rune) bool) int {
	for from < len(s) {
		r, w := utf8.DecodeRuneInString(s[from:])
		if !in(r) {
			break
		}
		from += w
	}
	return from
}
