package llama

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"strings"
	"testing"
)

// file builds small GGUF files.
type file struct {
	keys, tensors bytes.Buffer
	nk, nt        uint64
	data          []byte
}

func (f *file) string(b *bytes.Buffer, s string) {
	_ = binary.Write(b, binary.LittleEndian, uint64(len(s)))
	b.WriteString(s)
}

func (f *file) key(name string, kind uint32, v ...any) *file {
	f.nk++
	f.string(&f.keys, name)
	_ = binary.Write(&f.keys, binary.LittleEndian, kind)
	for _, x := range v {
		if s, ok := x.(string); ok {
			f.string(&f.keys, s)
			continue
		}
		_ = binary.Write(&f.keys, binary.LittleEndian, x)
	}
	return f
}

func (f *file) tensor(name string, kind uint32, offset uint64, data []byte, dims ...uint64) *file {
	f.nt++
	f.string(&f.tensors, name)
	_ = binary.Write(&f.tensors, binary.LittleEndian, uint32(len(dims)))
	_ = binary.Write(&f.tensors, binary.LittleEndian, dims)
	_ = binary.Write(&f.tensors, binary.LittleEndian, kind)
	_ = binary.Write(&f.tensors, binary.LittleEndian, offset)
	f.data = append(f.data, data...)
	f.data = append(f.data, make([]byte, -len(f.data)&31)...)
	return f
}

func (f *file) bytes() []byte {
	var b bytes.Buffer
	b.WriteString("GGUF")
	_ = binary.Write(&b, binary.LittleEndian, uint32(3))
	_ = binary.Write(&b, binary.LittleEndian, []uint64{f.nt, f.nk})
	b.Write(f.keys.Bytes())
	b.Write(f.tensors.Bytes())
	b.Write(make([]byte, -b.Len()&31))
	b.Write(f.data)
	return b.Bytes()
}

func TestParseGGUFRefuses(t *testing.T) {
	f32 := make([]byte, 8)
	ok := func() *file { return new(file).tensor("w", typeF32, 0, f32, 2) }
	if _, err := ParseGGUF(ok().bytes()); err != nil {
		t.Fatal(err)
	}
	huge := uint64(1) << 62
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"magic":            {[]byte("GGUX\x03\x00\x00\x00"), "magic"},
		"version":          {[]byte("GGUF\x02\x00\x00\x00"), "version"},
		"short":            {[]byte("GGUF\x03\x00\x00\x00\x00"), "ends"},
		"counts":           {append([]byte("GGUF\x03\x00\x00\x00"), bytes.Repeat([]byte{255}, 16)...), "too many"},
		"key twice":        {ok().key("a", 0, uint8(1)).key("a", 0, uint8(1)).bytes(), "twice"},
		"key empty":        {ok().key("", 0, uint8(1)).bytes(), "empty"},
		"key type":         {ok().key("a", 13).bytes(), "value type"},
		"nested array":     {ok().key("a", 9, uint32(9), uint64(1), uint32(0), uint64(0)).bytes(), "value type"},
		"array too long":   {ok().key("a", 9, uint32(8), huge).bytes(), "array"},
		"string too long":  {ok().key("a", 8, huge).bytes(), "string"},
		"string not UTF-8": {ok().key("a", 8, "\xff").bytes(), "UTF-8"},
		"boolean":          {ok().key("a", 7, uint8(2)).bytes(), "boolean"},
		"array number":     {ok().key("a", 9, uint32(10), uint64(1), huge*3).bytes(), "too large"},
		"alignment":        {ok().key("general.alignment", 4, uint32(33)).bytes(), "alignment"},
		"alignment type":   {ok().key("general.alignment", 8, "x").bytes(), "alignment"},
		"tensor twice":     {ok().tensor("w", typeF32, 32, f32, 2).bytes(), "twice"},
		"overlap":          {ok().tensor("v", typeF32, 0, f32, 2).bytes(), "offset"},
		"gap":              {ok().tensor("v", typeF32, 64, f32, 2).bytes(), "offset"},
		"no dimensions":    {new(file).tensor("w", typeF32, 0, f32).bytes(), "dimensions"},
		"five dimensions":  {new(file).tensor("w", typeF32, 0, f32, 1, 1, 1, 1, 2).bytes(), "dimensions"},
		"zero dimension":   {new(file).tensor("w", typeF32, 0, f32, 0).bytes(), "dimension 0"},
		"huge product":     {new(file).tensor("w", typeF32, 0, f32, huge, huge).bytes(), "dimension"},
		"type":             {new(file).tensor("w", 2, 0, f32, 32).bytes(), "type 2"},
		"Q8_0 rows":        {new(file).tensor("w", typeQ8_0, 0, f32, 33).bytes(), "Q8_0"},
		"truncated":        {ok().bytes()[:len(ok().bytes())-1], "does not hold"},
		"trailing":         {append(ok().bytes(), 0), "does not hold"},
	} {
		if _, err := ParseGGUF(c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestFloats(t *testing.T) {
	nan := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))
	q8 := append([]byte{0, 0xbc}, make([]byte, 32)...) // scale -1
	q8[2], q8[33] = 0x80, 7
	b := new(file).
		tensor("f32", typeF32, 0, binary.LittleEndian.AppendUint32(nil, 0x3fc00000), 1).
		tensor("f16", typeF16, 32, []byte{0, 0x3c, 1, 0x80, 0xff, 0x7b, 0, 0}, 2, 2).
		tensor("q8", typeQ8_0, 64, q8, 32).
		tensor("nan", typeF32, 128, nan, 1).bytes()
	f, err := ParseGGUF(b)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := f.floats("f32", 1); err != nil || v[0] != 1.5 {
		t.Error(v, err)
	}
	if v, err := f.floats("f16", 2, 2); err != nil || v[0] != 1 || v[1] != float32(math.Ldexp(-1, -24)) || v[2] != 65504 || v[3] != 0 {
		t.Error(v, err)
	}
	if v, err := f.floats("q8", 32); err != nil || v[0] != 128 || v[31] != -7 || v[1] != 0 {
		t.Error(v, err)
	}
	for name, dims := range map[string][]int{"none": {1}, "nan": {1}, "f32": {2}, "f16": {4}} {
		if _, err := f.floats(name, dims...); err == nil {
			t.Errorf("%s with dimensions %v is accepted", name, dims)
		}
	}
}

// One metadata value of the real file changed at a time.
func TestLoadRefuses(t *testing.T) {
	b, err := os.ReadFile(modelFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*GGUF){
		"architecture": func(f *GGUF) { f.meta["general.architecture"] = "gpt2" },
		"no heads":     func(f *GGUF) { delete(f.meta, "llama.attention.head_count") },
		"zero heads":   func(f *GGUF) { f.meta["llama.attention.head_count"] = uint64(0) },
		"three heads":  func(f *GGUF) { f.meta["llama.attention.head_count"] = uint64(3) },
		"kv heads":     func(f *GGUF) { f.meta["llama.attention.head_count_kv"] = uint64(3) },
		"width":        func(f *GGUF) { f.meta["llama.embedding_length"] = uint64(64) },
		"layers":       func(f *GGUF) { f.meta["llama.block_count"] = uint64(5) },
		"fewer layers": func(f *GGUF) { f.meta["llama.block_count"] = uint64(3) },
		"context":      func(f *GGUF) { f.meta["llama.context_length"] = uint64(1 << 40) },
		"vocabulary":   func(f *GGUF) { f.meta["llama.vocab_size"] = uint64(1000) },
		"rope":         func(f *GGUF) { f.meta["llama.rope.freq_base"] = math.NaN() },
		"epsilon":      func(f *GGUF) { f.meta["llama.attention.layer_norm_rms_epsilon"] = 0.0 },
	} {
		f, err := ParseGGUF(b)
		if err != nil {
			t.Fatal(err)
		}
		edit(f)
		if _, err := Load(f); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
	for name, edit := range map[string]func(*GGUF){
		"model":     func(f *GGUF) { f.meta["tokenizer.ggml.model"] = "llama" },
		"pre":       func(f *GGUF) { f.meta["tokenizer.ggml.pre"] = "qwen2" },
		"tokens":    func(f *GGUF) { delete(f.meta, "tokenizer.ggml.tokens") },
		"types":     func(f *GGUF) { f.meta["tokenizer.ggml.token_type"] = []int64{1} },
		"type":      func(f *GGUF) { f.meta["tokenizer.ggml.token_type"].([]int64)[700] = 6 },
		"twice":     func(f *GGUF) { v := f.meta["tokenizer.ggml.tokens"].([]string); v[700] = v[701] },
		"not bytes": func(f *GGUF) { f.meta["tokenizer.ggml.tokens"].([]string)[1023] = "日" },
		"no byte":   func(f *GGUF) { f.meta["tokenizer.ggml.tokens"].([]string)[3] = "!!!!!!" },
		"end":       func(f *GGUF) { f.meta["tokenizer.ggml.eos_token_id"] = uint64(1024) },
		"end text":  func(f *GGUF) { f.meta["tokenizer.ggml.eos_token_id"] = uint64(500) },
		"merge":     func(f *GGUF) { f.meta["tokenizer.ggml.merges"].([]string)[3] = "a  b" },
		"merge dup": func(f *GGUF) { m := f.meta["tokenizer.ggml.merges"].([]string); m[3] = m[4] },
	} {
		f, err := ParseGGUF(b)
		if err != nil {
			t.Fatal(err)
		}
		edit(f)
		if _, err := NewTokenizer(f); err == nil {
			t.Errorf("tokenizer with another %s: loaded", name)
		}
	}
}

func FuzzParseGGUF(f *testing.F) {
	f.Add(new(file).key("a", 9, uint32(8), uint64(2), "x", "y").key("general.alignment", 4, uint32(32)).
		tensor("w", typeF16, 0, make([]byte, 8), 2, 2).tensor("q", typeQ8_0, 32, make([]byte, 34), 32).bytes())
	f.Add(new(file).key("llama.context_length", 10, uint64(5)).bytes())
	if b, err := os.ReadFile(modelFile); err == nil {
		f.Add(b[:1<<12])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := ParseGGUF(b)
		if err != nil {
			return
		}
		for name, x := range g.tensors {
			dims := make([]int, len(x.dims))
			for i, d := range x.dims {
				dims[i] = int(d)
			}
			if v, err := g.floats(name, dims...); err == nil && uint64(len(v)) != x.count {
				t.Fatalf("%d values for %d", len(v), x.count)
			}
		}
		_, _ = Load(g)
		_, _ = NewTokenizer(g)
	})
}

func FuzzEncode(f *testing.F) {
	r := load(f)
	for _, q := range goldenPrompts {
		f.Add(q)
	}
	f.Add("\xff \n\t 's'x  ")
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 4096 {
			return
		}
		ids := r.t.Encode(nil, s)
		var back []byte
		for _, id := range ids {
			if r.t.IsControl(id) {
				t.Fatalf("control token %d from text", id)
			}
			back = append(back, r.t.Piece(id)...)
		}
		if string(back) != s {
			t.Fatalf("%q becomes %q", s, back)
		}
		if len(ids)*r.t.Longest() < len(s) {
			t.Fatalf("%d tokens for %d bytes", len(ids), len(s))
		}
	})
}
