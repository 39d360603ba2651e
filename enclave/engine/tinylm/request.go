package tinylm

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/cocoon-go/cocoon/enclave/engine"
)

// job is one request, read.
type job struct {
	chat     bool
	stream   bool
	usage    bool // an event with the usage was asked for
	choices  int
	limit    int // tokens for each choice
	logprobs int // most probable tokens to show, -1 for no probabilities
	stops    []string

	temperature, topP float64
	seed              uint64
	created           int64

	messages []message // of a chat
	text     string    // of a completion, unless ids are given
	ids      []int     // the prompt's tokens

	// cut ends the answer as if it had been cancelled after so many tokens of
	// all choices together; -1 for never.
	cut int
}

type message struct{ role, text string }

// parse reads a body that Shape returned.
func parse(body []byte, r *engine.Report) (*job, error) {
	p := r.Params()
	j := &job{chat: p.Endpoint == engine.EndpointChat, stream: p.Stream, choices: p.Choices, limit: int(r.MaxTokens),
		logprobs: -1, seed: r.Seed, created: r.Created, cut: -1}
	var err error
	if j.temperature, err = strconv.ParseFloat(r.Temperature, 64); err != nil {
		return nil, err
	}
	if j.topP, err = strconv.ParseFloat(r.TopP, 64); err != nil {
		return nil, err
	}
	b := gjson.ParseBytes(body)
	j.usage = j.stream && b.Get("stream_options.include_usage").Bool()
	if err := checkSupported(b); err != nil {
		return nil, err
	}
	if s := b.Get("stop"); s.IsArray() {
		for _, v := range s.Array() {
			j.stops = append(j.stops, v.Str)
		}
	} else if s.Str != "" {
		j.stops = []string{s.Str}
	}
	if j.chat {
		top := b.Get("top_logprobs")
		switch {
		case b.Get("logprobs").Bool():
			j.logprobs = int(top.Uint())
		case top.Uint() > 0:
			return nil, engine.Invalid("invalid_value", "top_logprobs", "a field of the request has an invalid value", "%q needs \"logprobs\": true", "top_logprobs")
		}
		j.messages, err = parseMessages(b.Get("messages"))
		return j, err
	}
	return j, j.parsePrompt(b.Get("prompt"))
}

// neutral lists the fields that this engine cannot apply, with the values that
// ask for nothing. A request with another value is refused: to ignore it would
// be to answer another request than the client's.
var neutral = map[string]string{
	"frequency_penalty": `0`, "presence_penalty": `0`, "repetition_penalty": `1`, "logit_bias": `{}`,
	"top_k": `0 -1`, "min_p": `0`, "min_tokens": `0`, "ignore_eos": `false`, "stop_token_ids": `[]`, "bad_words": `[]`,
	"skip_special_tokens": `true`, "structured_outputs": ``, "guided_json": ``, "guided_regex": ``, "guided_choice": ``,
	"guided_grammar": ``, "tools": `[]`, "tool_choice": `"none" "auto"`, "response_format": `{"type":"text"}`,
	"add_generation_prompt": `true`, "continue_final_message": `false`, "echo": `false`, "best_of": `1`,
}

func checkSupported(b gjson.Result) (err error) {
	b.ForEach(func(k, v gjson.Result) bool {
		values, listed := neutral[k.Str]
		if listed && v.Type != gjson.Null && !slices.ContainsFunc(strings.Fields(values), func(w string) bool { return same(v, gjson.Parse(w)) }) {
			err = unsupported(k.Str)
		}
		return err == nil
	})
	if lp := b.Get("logprobs"); err == nil && lp.Type == gjson.Number { // of a completion; a chat has true or false
		err = unsupported("logprobs")
	}
	return err
}

func unsupported(field string) error {
	return engine.Invalid("unsupported_parameter", field, "request asks for what this engine cannot do", "This model does not support this value of %q", field)
}

// same compares JSON values; objects may have one level of plain values.
func same(a, b gjson.Result) bool {
	switch {
	case a.Type != b.Type:
		return false
	case a.Type == gjson.Number:
		return a.Num == b.Num
	case a.Type != gjson.JSON:
		return a.Str == b.Str
	case a.IsArray() || b.IsArray():
		return a.IsArray() && b.IsArray() && len(a.Array()) == 0 && len(b.Array()) == 0
	}
	x, y := a.Map(), b.Map()
	for k, v := range x {
		if v.IsObject() || v.IsArray() || !same(v, y[k]) {
			return false
		}
	}
	return len(x) == len(y)
}

func parseMessages(v gjson.Result) (out []message, err error) {
	v.ForEach(func(_, m gjson.Result) bool {
		role := m.Get("role").Str
		switch role {
		case "system", "user", "assistant":
		case "developer": // its new name
			role = "system"
		default:
			err = engine.Invalid("unsupported_parameter", "messages", "request asks for what this engine cannot do", "This model has no role %q", role)
			return false
		}
		for _, name := range []string{"tool_calls", "function_call", "audio"} {
			if c := m.Get(name); c.Exists() && c.Type != gjson.Null && c.Raw != "[]" {
				err = unsupported("messages")
				return false
			}
		}
		var text string
		text, err = content(m.Get("content"))
		out = append(out, message{role, text})
		return err == nil
	})
	return out, err
}

// content returns the text of a message, given as a string or as parts.
func content(v gjson.Result) (text string, err error) {
	if !v.IsArray() {
		return v.Str, nil
	}
	v.ForEach(func(_, part gjson.Result) bool {
		t := part.Get("text")
		if part.Get("type").Str != "text" || t.Type != gjson.String {
			err = engine.Invalid("unsupported_parameter", "messages", "request asks for what this engine cannot do", "This model reads text only")
			return false
		}
		text += t.Str
		return true
	})
	return text, err
}

func (j *job) parsePrompt(v gjson.Result) error {
	if v.Type == gjson.String {
		j.text = v.Str
		return nil
	}
	for _, x := range v.Array() { // one string, or token ids; Shape has checked
		if x.Type == gjson.String {
			j.text = x.Str
			continue
		}
		id, err := strconv.ParseUint(x.Raw, 10, 31)
		if err != nil {
			return engine.Invalid("invalid_value", "prompt", "a field of the request has an invalid value", "%q must hold token ids", "prompt")
		}
		j.ids = append(j.ids, int(id))
	}
	return nil
}

// tokenize makes the prompt's tokens: docs/spec/engine.md section 5.2. The text
// of a client never becomes a control token.
func (w *weights) tokenize(j *job) error {
	size := len(j.text)
	for _, m := range j.messages {
		size += len(m.text)
	}
	// Long texts are refused unread: their tokens would not fit however well they
	// are joined.
	if size > w.Context()*w.tokens.Longest() || len(j.ids) >= w.Context() {
		return w.tooLong(j)
	}
	for _, id := range j.ids {
		if id >= w.Vocab() {
			return engine.Invalid("invalid_value", "prompt", "a field of the request has an invalid value", "%q must hold token ids below %d", "prompt", w.Vocab())
		}
	}
	switch {
	case j.chat:
		for _, m := range j.messages {
			j.ids = w.tokens.Encode(append(j.ids, w.start), m.role+"\n"+m.text)
			j.ids = w.tokens.Encode(append(j.ids, w.end), "\n")
			if len(j.ids) >= w.Context() {
				return w.tooLong(j)
			}
		}
		j.ids = w.tokens.Encode(append(j.ids, w.start), "assistant\n")
	case len(j.ids) == 0:
		j.ids = w.tokens.Encode(nil, j.text)
	}
	if len(j.ids) == 0 {
		j.ids = []int{w.blank}
	}
	if len(j.ids) >= w.Context() {
		return w.tooLong(j)
	}
	return nil
}

func (w *weights) tooLong(j *job) error {
	field := "prompt"
	if j.chat {
		field = "messages"
	}
	return engine.Invalid("context_length_exceeded", field, "prompt is longer than the model's context",
		"This model's context is %d tokens, of which an answer needs at least one; the prompt is longer", w.Context())
}
