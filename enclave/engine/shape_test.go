package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

var jsonHeader = http.Header{"Content-Type": {"application/json"}}

func testLimits(p Profile) Limits {
	l := DefaultLimits(p, "m", "other/model")
	l.Seed = func() (uint64, error) { return 99, nil }
	return l
}

const chatPath = "/v1/chat/completions"

func TestShapeEdits(t *testing.T) {
	const msg = `"messages":[{"role":"user","content":"Hi \u00e9  é"}]`
	embeddings := testLimits(Embedded)
	embeddings.Embeddings = true
	low := testLimits(Embedded)
	low.MaxTokens, low.DefaultMaxTokens = 100, 50
	extra := testLimits(Embedded)
	extra.ExtraFields = []string{"mirostat"}
	for name, c := range map[string]struct {
		path, body, want string
		limits           Limits
	}{
		"defaults made explicit": {chatPath, `{` + msg + `}`,
			`{` + msg + `,"model":"m","max_tokens":2048,"temperature":1,"top_p":1,"seed":99}`, testLimits(Embedded)},
		"bytes kept as they are": {chatPath, `{ "temperature" : 7e-1, "model": "other/model","top_p":0.50,"seed":5, "max_tokens":9 ,` + msg + `}`,
			`{ "temperature" : 7e-1, "model": "other/model","top_p":0.50,"seed":5, "max_tokens":9 ,` + msg + `}`, testLimits(Embedded)},
		"max_tokens lowered": {chatPath, `{"max_tokens":5000,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`,
			`{"max_tokens":100,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`, low},
		"smaller of both names": {chatPath, `{"max_tokens":5000,"max_completion_tokens":7,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`,
			`{"max_tokens":7,"max_completion_tokens":7,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`, low},
		"new name alone": {chatPath, `{"max_completion_tokens":5000,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`,
			`{"max_completion_tokens":100,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`, low},
		"null is absent": {chatPath, `{"max_tokens":null,"temperature":null,"top_p":null,"seed":null,"model":null,"stream_options":null,` + msg + `}`,
			`{"max_tokens":50,"temperature":1,"top_p":1,"seed":99,"model":"m","stream_options":null,` + msg + `}`, low},
		"hints dropped": {chatPath, `{"user":"bob","metadata":{"a":1},"store":true,"cache_salt":"x","cache_prompt":true,"max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`,
			`{"max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`, low},
		"extra field": {chatPath, `{"mirostat":2,"max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`,
			`{"mirostat":2,"max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`, extra},
		"llama.cpp": {chatPath, `{"max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`,
			`{"max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `,"cache_prompt":false}`, testLimits(LlamaCpp)},
		"usage asked for": {chatPath, `{"stream":true,"max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`,
			`{"stream":true,"max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `,"stream_options":{"include_usage":true},"cache_prompt":false}`, testLimits(LlamaCpp)},
		"usage refused by client": {chatPath, `{"stream_options":{"include_usage":false},"stream":true,"max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `}`,
			`{"stream_options":{"include_usage":true},"stream":true,"max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m",` + msg + `,"cache_prompt":false}`, testLimits(LlamaCpp)},
		"completions": {"/v1/completions", `{"prompt":"x","max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m"}`,
			`{"prompt":"x","max_tokens":1,"temperature":0,"top_p":1,"seed":0,"model":"m"}`, testLimits(Embedded)},
		"embeddings": {"/v1/embeddings", `{"input":["x","y"],"user":"bob"}`, `{"input":["x","y"],"model":"m"}`, embeddings},
	} {
		got, p, err := Shape("POST", c.path, jsonHeader, []byte(c.body), c.limits)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if string(got) != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
		if p.Model == "" || p.Path != c.path {
			t.Errorf("%s: params %+v", name, p)
		}
	}
}

func TestShapeParams(t *testing.T) {
	body := `{"messages":[{"role":"user","content":"x"}],"stream":true,"n":3,"temperature":0.7,"top_p":9e-1,"seed":18,"max_tokens":4}`
	_, p, err := Shape("POST", chatPath, jsonHeader, []byte(body), testLimits(VLLM))
	if err != nil {
		t.Fatal(err)
	}
	want := Params{Method: "POST", Path: chatPath, Endpoint: EndpointChat, Model: "m", Stream: true, Choices: 3,
		Seed: 18, Temperature: "0.7", TopP: "0.9", MaxTokens: 4, StripUsage: true}
	if p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
	r := NewReport(p)
	if r.Model != "m" || r.Seed != 18 || r.Temperature != "0.7" || r.TopP != "0.9" || r.MaxTokens != 4 || r.Finish != "" || r.Params() != p {
		t.Errorf("report %+v", r)
	}
}

// Each salted profile gets a fresh salt per request, whatever the client sent.
func TestShapeSalt(t *testing.T) {
	for _, profile := range []Profile{VLLM, SGLang, TensorRTLLM} {
		seen := map[string]bool{"mine": true}
		for range 3 {
			b, _, err := Shape("POST", chatPath, jsonHeader, []byte(`{"cache_salt":"mine","messages":[{"role":"user","content":"x"}]}`), testLimits(profile))
			if err != nil {
				t.Fatal(err)
			}
			salt := gjson.GetBytes(b, "cache_salt").Str
			if len(salt) != 43 || seen[salt] || strings.Count(string(b), "cache_salt") != 1 {
				t.Errorf("%s: salt %q in %s", profile, salt, b)
			}
			seen[salt] = true
		}
	}
}

func TestShapeDrawsSeeds(t *testing.T) {
	for profile, limit := range map[Profile]uint64{Embedded: 1<<53 - 1, LlamaCpp: 1<<31 - 1} {
		seen := map[uint64]bool{}
		for range 50 {
			_, p, err := Shape("POST", chatPath, jsonHeader, []byte(`{"messages":[{"role":"user","content":"x"}]}`), DefaultLimits(profile, "m"))
			if err != nil || p.Seed > limit || seen[p.Seed] {
				t.Fatalf("seed %d, error %v", p.Seed, err)
			}
			seen[p.Seed] = true
		}
	}
}

func TestShapeRefuses(t *testing.T) {
	const secret = "SECRET"
	msg := `"messages":[{"role":"user","content":"SECRET"}]`
	part := func(p string) string { return `{"messages":[{"role":"user","content":[` + p + `]}]}` }
	small := testLimits(Embedded)
	small.MaxBody = 10
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"path":                 {"POST", "/v1/SECRET", `{}`, 404, "unknown_url"},
		"control path":         {"POST", "/pause", ``, 404, "unknown_url"},
		"path with query":      {"POST", chatPath + "?x=1", `{}`, 404, "unknown_url"},
		"path with slash":      {"POST", chatPath + "/", `{}`, 404, "unknown_url"},
		"path with dots":       {"GET", "/v1/models/../metrics", ``, 404, "model_not_found"},
		"no embeddings":        {"POST", "/v1/embeddings", `{"input":"x"}`, 404, "unknown_url"},
		"method":               {"GET", chatPath, ``, 405, "method_not_allowed"},
		"models method":        {"POST", "/v1/models", `{}`, 405, "method_not_allowed"},
		"body of GET":          {"GET", "/v1/models", `{}`, 400, "unexpected_body"},
		"unknown model path":   {"GET", "/v1/models/SECRET", ``, 404, "model_not_found"},
		"empty":                {"POST", chatPath, ``, 400, "invalid_json"},
		"not an object":        {"POST", chatPath, `[]`, 400, "invalid_json"},
		"two values":           {"POST", chatPath, `{` + msg + `}{}`, 400, "invalid_json"},
		"field twice":          {"POST", chatPath, `{"max_tokens":1,` + msg + `,"max_tokens":99999}`, 400, "invalid_json"},
		"field twice, far":     {"POST", chatPath, `{"tools":[{"x":0` + numbered(40) + `,"f39":1}],` + msg + `}`, 400, "invalid_json"},
		"field twice, first":   {"POST", chatPath, `{"tools":[{"x":0` + numbered(40) + `,"x":1}],` + msg + `}`, 400, "invalid_json"},
		"field twice, nested":  {"POST", chatPath, `{"messages":[{"role":"user","role":"system","content":"SECRET"}]}`, 400, "invalid_json"},
		"field twice, escaped": {"POST", chatPath, `{"messages":[{"role":"user","rol\u0065":"system","content":"SECRET"}]}`, 400, "invalid_json"},
		"escaped field":        {"POST", chatPath, `{"max_token\u0073":1,` + msg + `}`, 400, "invalid_json"},
		"not UTF-8":            {"POST", chatPath, "{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}", 400, "invalid_json"},
		"too deep":             {"POST", chatPath, `{"tools":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,` + msg + `}`, 400, "invalid_json"},
		"NaN":                  {"POST", chatPath, `{"temperature":NaN,` + msg + `}`, 400, "invalid_json"},
		"unknown field":        {"POST", chatPath, `{"SECRET":1,` + msg + `}`, 400, "unknown_field"},
		"other case":           {"POST", chatPath, `{"Max_Tokens":1,` + msg + `}`, 400, "unknown_field"},
		"prompt_logprobs":      {"POST", chatPath, `{"prompt_logprobs":1,` + msg + `}`, 400, "unknown_field"},
		"hidden states":        {"POST", chatPath, `{"return_hidden_states":true,` + msg + `}`, 400, "unknown_field"},
		"kv transfer":          {"POST", chatPath, `{"kv_transfer_params":{},` + msg + `}`, 400, "unknown_field"},
		"alias of max_tokens":  {"POST", chatPath, `{"n_predict":-1,` + msg + `}`, 400, "unknown_field"},
		"own template":         {"POST", chatPath, `{"chat_template":"x",` + msg + `}`, 400, "unknown_field"},
		"own template, nested": {"POST", chatPath, `{"chat_template_kwargs":{"chat_template":"x"},` + msg + `}`, 400, "unknown_field"},
		"template value":       {"POST", chatPath, `{"chat_template_kwargs":{"thinking":{}},` + msg + `}`, 400, "unknown_field"},
		"template type":        {"POST", chatPath, `{"chat_template_kwargs":1,` + msg + `}`, 400, "invalid_value"},
		"model":                {"POST", chatPath, `{"model":"SECRET",` + msg + `}`, 404, "model_not_found"},
		"model type":           {"POST", chatPath, `{"model":1,` + msg + `}`, 400, "invalid_value"},
		"no messages":          {"POST", chatPath, `{}`, 400, "invalid_value"},
		"empty messages":       {"POST", chatPath, `{"messages":[]}`, 400, "invalid_value"},
		"message type":         {"POST", chatPath, `{"messages":["SECRET"]}`, 400, "invalid_value"},
		"no role":              {"POST", chatPath, `{"messages":[{"content":"SECRET"}]}`, 400, "invalid_value"},
		"content type":         {"POST", chatPath, `{"messages":[{"role":"user","content":{"a":"SECRET"}}]}`, 400, "invalid_value"},
		"part type":            {"POST", chatPath, part(`{"type":"SECRET"}`), 400, "invalid_value"},
		"part without type":    {"POST", chatPath, part(`{"image_url":"data:x"}`), 400, "invalid_value"},
		"part field":           {"POST", chatPath, part(`{"type":"image_url","SECRET":1}`), 400, "unknown_field"},
		"remote image":         {"POST", chatPath, part(`{"type":"image_url","image_url":{"url":"http://SECRET/"}}`), 400, "remote_media"},
		"remote image, plain":  {"POST", chatPath, part(`{"type":"image_url","image_url":"http://SECRET/"}`), 400, "remote_media"},
		"hidden in text":       {"POST", chatPath, part(`{"type":"text","text":"a","video_url":{"url":"file:///SECRET"}}`), 400, "remote_media"},
		"file id":              {"POST", chatPath, part(`{"type":"file","file":{"file_id":"SECRET"}}`), 400, "remote_media"},
		"cached media":         {"POST", chatPath, part(`{"type":"image_url","image_url":{"url":"data:x","uuid":"SECRET"}}`), 400, "remote_media"},
		"max_tokens 0":         {"POST", chatPath, `{"max_tokens":0,` + msg + `}`, 400, "invalid_value"},
		"max_tokens -1":        {"POST", chatPath, `{"max_tokens":-1,` + msg + `}`, 400, "invalid_value"},
		"max_tokens text":      {"POST", chatPath, `{"max_tokens":"5",` + msg + `}`, 400, "invalid_value"},
		"max_tokens fraction":  {"POST", chatPath, `{"max_tokens":1.5,` + msg + `}`, 400, "invalid_value"},
		"n":                    {"POST", chatPath, `{"n":5,` + msg + `}`, 400, "invalid_value"},
		"n 0":                  {"POST", chatPath, `{"n":0,` + msg + `}`, 400, "invalid_value"},
		"best_of":              {"POST", "/v1/completions", `{"best_of":2,"prompt":"SECRET"}`, 400, "invalid_value"},
		"temperature":          {"POST", chatPath, `{"temperature":2.1,` + msg + `}`, 400, "invalid_value"},
		"temperature < 0":      {"POST", chatPath, `{"temperature":-0.1,` + msg + `}`, 400, "invalid_value"},
		"temperature tiny":     {"POST", chatPath, `{"temperature":1e-300,` + msg + `}`, 400, "invalid_value"},
		"temperature text":     {"POST", chatPath, `{"temperature":"SECRET",` + msg + `}`, 400, "invalid_value"},
		"top_p 0":              {"POST", chatPath, `{"top_p":0,` + msg + `}`, 400, "invalid_value"},
		"top_p":                {"POST", chatPath, `{"top_p":1.01,` + msg + `}`, 400, "invalid_value"},
		"seed":                 {"POST", chatPath, `{"seed":-1,` + msg + `}`, 400, "invalid_value"},
		"seed too large":       {"POST", chatPath, `{"seed":9223372036854775808,` + msg + `}`, 400, "invalid_value"},
		"stop empty":           {"POST", chatPath, `{"stop":"",` + msg + `}`, 400, "invalid_value"},
		"stop long":            {"POST", chatPath, `{"stop":"` + strings.Repeat("x", 257) + `",` + msg + `}`, 400, "invalid_value"},
		"stop many":            {"POST", chatPath, `{"stop":["a"` + strings.Repeat(`,"a"`, 16) + `],` + msg + `}`, 400, "invalid_value"},
		"stop type":            {"POST", chatPath, `{"stop":[1],` + msg + `}`, 400, "invalid_value"},
		"top_logprobs":         {"POST", chatPath, `{"top_logprobs":21,` + msg + `}`, 400, "invalid_value"},
		"logprobs":             {"POST", chatPath, `{"logprobs":5,` + msg + `}`, 400, "invalid_value"},
		"logprobs of text":     {"POST", "/v1/completions", `{"logprobs":500,"prompt":"SECRET"}`, 400, "invalid_value"},
		"logit_bias":           {"POST", chatPath, `{"logit_bias":[],` + msg + `}`, 400, "invalid_value"},
		"min_tokens":           {"POST", chatPath, `{"min_tokens":99999999,` + msg + `}`, 400, "invalid_value"},
		"stream":               {"POST", chatPath, `{"stream":"true",` + msg + `}`, 400, "invalid_value"},
		"options alone":        {"POST", chatPath, `{"stream_options":{},` + msg + `}`, 400, "invalid_value"},
		"options field":        {"POST", chatPath, `{"stream":true,"stream_options":{"SECRET":true},` + msg + `}`, 400, "unknown_field"},
		"options type":         {"POST", chatPath, `{"stream":true,"stream_options":{"include_usage":"SECRET"},` + msg + `}`, 400, "invalid_value"},
		"two prompts":          {"POST", "/v1/completions", `{"prompt":["SECRET","b"]}`, 400, "invalid_value"},
		"no prompt":            {"POST", "/v1/completions", `{}`, 400, "invalid_value"},
		"prompt of arrays":     {"POST", "/v1/completions", `{"prompt":[[1],[2]]}`, 400, "invalid_value"},
		"messages to complete": {"POST", "/v1/completions", `{"prompt":"SECRET",` + msg + `}`, 400, "unknown_field"},
	} {
		_, p, err := Shape(c.method, c.path, jsonHeader, []byte(c.body), testLimits(Embedded))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v", name, err)
			continue
		}
		if e.Status != c.status || e.Code != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, e.Status, e.Code, c.status, c.code)
		}
		if strings.Contains(e.Error(), secret) {
			t.Errorf("%s: public text %q shows the request", name, e.Error())
		}
		if !gjson.ValidBytes(e.Body()) || gjson.GetBytes(e.Body(), "error.message").Str == "" || gjson.GetBytes(e.Body(), "error.code").Str != c.code {
			t.Errorf("%s: body %s", name, e.Body())
		}
		if !reflect.DeepEqual(p, Params{}) {
			t.Errorf("%s: params of a refused request: %+v", name, p)
		}
	}
	if _, _, err := Shape("POST", chatPath, jsonHeader, []byte(`{`+msg+`}`), small); err.(*Error).Status != 413 {
		t.Errorf("large body: %v", err)
	}
	for _, h := range []http.Header{{}, {"Content-Type": {"text/plain"}}, {"Content-Type": {"application/json; charset=utf-16"}},
		{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}} {
		var e *Error
		if _, _, err := Shape("POST", chatPath, h, []byte(`{`+msg+`}`), testLimits(Embedded)); !errors.As(err, &e) || e.Status != 415 {
			t.Errorf("header %v: %v", h, err)
		}
	}
}

func numbered(n int) (s string) {
	for i := range n {
		s += fmt.Sprintf(`,"f%d":0`, i)
	}
	return s
}

func TestLimitsValidate(t *testing.T) {
	if err := DefaultLimits(Embedded, "m").Validate(); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*Limits){
		"zero":        func(l *Limits) { *l = Limits{} },
		"profile":     func(l *Limits) { l.Profile = "openai" },
		"models":      func(l *Limits) { l.Models = nil },
		"body":        func(l *Limits) { l.MaxBody = 0 },
		"tokens":      func(l *Limits) { l.MaxTokens = l.DefaultMaxTokens - 1 },
		"default":     func(l *Limits) { l.DefaultMaxTokens = 0 },
		"all tokens":  func(l *Limits) { l.MaxTokens = 1 << 40 },
		"choices":     func(l *Limits) { l.MaxChoices = 0 },
		"logprobs":    func(l *Limits) { l.MaxTopLogprobs = -1 },
		"seed":        func(l *Limits) { l.MaxSeed = 0 },
		"temperature": func(l *Limits) { l.DefaultTemperature = "" },
		"top_p":       func(l *Limits) { l.DefaultTopP = "0" },
	} {
		l := DefaultLimits(Embedded, "m")
		edit(&l)
		if err := l.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, _, err := Shape("GET", "/v1/models", nil, nil, l); err == nil {
			t.Errorf("%s: a request is accepted", name)
		}
	}
}

func FuzzShape(f *testing.F) {
	f.Add(chatPath, `{"messages":[{"role":"user","content":"x"}],"stream":true,"max_tokens":5,"user":"a"}`)
	f.Add(chatPath, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]}],"stream_options":{"include_usage":false},"stream":true}`)
	f.Add("/v1/completions", `{"prompt":[1,2,3],"stop":["a","b"],"n":2,"logprobs":null}`)
	f.Fuzz(func(t *testing.T, path, body string) {
		for _, profile := range []Profile{Embedded, VLLM, LlamaCpp} {
			l := testLimits(profile)
			shaped, p, err := Shape("POST", path, jsonHeader, []byte(body), l)
			if err != nil {
				continue
			}
			if !json.Valid(shaped) {
				t.Fatalf("invalid JSON: %q", shaped)
			}
			if _, err := scanObject(shaped); err != nil {
				t.Fatalf("%v: %q", err, shaped)
			}
			// What a second parser reads, which keeps the last of equal fields.
			var v struct {
				Model               string  `json:"model"`
				MaxTokens           *uint64 `json:"max_tokens"`
				MaxCompletionTokens *uint64 `json:"max_completion_tokens"`
				Seed                *uint64 `json:"seed"`
				N                   *int    `json:"n"`
			}
			if err := json.Unmarshal(shaped, &v); err != nil {
				t.Fatalf("%v: %q", err, shaped)
			}
			if v.Model != p.Model || v.Seed == nil || *v.Seed != p.Seed || v.N != nil && *v.N != p.Choices ||
				v.MaxTokens == nil && v.MaxCompletionTokens == nil ||
				v.MaxTokens != nil && *v.MaxTokens != p.MaxTokens || v.MaxCompletionTokens != nil && *v.MaxCompletionTokens != p.MaxTokens || p.MaxTokens > l.MaxTokens {
				t.Fatalf("params %+v of %q", p, shaped)
			}
			if again, q, err := Shape("POST", path, jsonHeader, shaped, l); profile == Embedded && (err != nil || string(again) != string(shaped) || q != p) {
				t.Fatalf("shaping twice: %v\n%q\n%q", err, shaped, again)
			}
		}
	})
}

// The scanner accepts nothing that encoding/json refuses.
func FuzzScanObject(f *testing.F) {
	f.Add([]byte(`{"a":[1,-0.5e+3,true,null,"\u00e9\n"],"b":{"c":{}}}`))
	f.Add([]byte(`{"a":01}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, err := scanObject(b)
		if err != nil {
			return
		}
		var v map[string]json.RawMessage
		if err := json.Unmarshal(b, &v); err != nil || len(v) != len(fields) {
			t.Fatalf("accepted %q: %v", b, err)
		}
		for _, m := range fields {
			if string(v[m.name]) != string(m.raw) {
				t.Fatalf("field %q is %q, want %q", m.name, m.raw, v[m.name])
			}
		}
	})
}
