package engine

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// Endpoint is one of the calls that an engine may be asked for.
type Endpoint uint8

// The endpoints.
const (
	EndpointModels      Endpoint = 1 + iota // GET /v1/models
	EndpointModel                           // GET /v1/models/NAME
	EndpointChat                            // POST /v1/chat/completions
	EndpointCompletions                     // POST /v1/completions
	EndpointEmbeddings                      // POST /v1/embeddings
)

// Params is what Shape found in a request and what will be applied.
type Params struct {
	Method, Path string
	Endpoint     Endpoint
	Model        string // "" for EndpointModels
	Stream       bool
	Choices      int

	Seed        uint64
	Temperature string // decimal
	TopP        string // decimal
	MaxTokens   uint64 // for each choice

	// StripUsage says that the engine was asked for a usage event which the
	// client did not ask for; the metering tap removes it.
	StripUsage bool
}

// What a stop sequence and a bias table may measure.
const (
	maxStops     = 16
	maxStopBytes = 256
	maxBiases    = 1024
)

// Shape turns a client's request into what the engine may see, or refuses it
// with an [*Error]. It enforces the exact list of methods and paths, drops all
// headers (engines set their own), checks every field, lowers max_tokens to its
// limit, and makes explicit what the receipt states: model, max_tokens,
// temperature, top_p, seed. The body is edited as raw bytes; what is not ours to
// change reaches the engine as the client wrote it. An error of another type
// means that the limits themselves are invalid or that there is no randomness.
func Shape(method, path string, header http.Header, body []byte, limits Limits) (shaped []byte, p Params, err error) {
	if err := limits.Validate(); err != nil {
		return nil, Params{}, err
	}
	p, err = route(method, path, limits)
	if err != nil {
		return nil, Params{}, err
	}
	if len(body) > limits.MaxBody {
		return nil, Params{}, refuse(http.StatusRequestEntityTooLarge, "invalid_request_error", "request_too_large", "request is too large")
	}
	if method == http.MethodGet {
		if len(body) != 0 {
			return nil, Params{}, refuse(http.StatusBadRequest, "invalid_request_error", "unexpected_body", "this call takes no body")
		}
		return nil, p, nil
	}
	if err := checkHeader(header); err != nil {
		return nil, Params{}, err
	}
	fields, err := scanObject(body)
	if err != nil {
		return nil, Params{}, invalid("invalid_json", "", "body is not acceptable JSON", "The body is not acceptable JSON: %v", err)
	}
	s := &shaper{limits: limits, p: p, body: body, fields: map[string]gjson.Result{}}
	if err := s.admit(fields); err != nil {
		return nil, Params{}, err
	}
	if err := s.run(); err != nil {
		return nil, Params{}, err
	}
	return s.body, s.p, nil
}

func route(method, path string, l Limits) (Params, error) {
	p := Params{Method: method, Path: path, Choices: 1}
	want := http.MethodPost
	switch {
	case path == "/v1/models":
		p.Endpoint, want = EndpointModels, http.MethodGet
	case path == "/v1/chat/completions":
		p.Endpoint = EndpointChat
	case path == "/v1/completions":
		p.Endpoint = EndpointCompletions
	case path == "/v1/embeddings" && l.Embeddings:
		p.Endpoint = EndpointEmbeddings
	case strings.HasPrefix(path, "/v1/models/"):
		p.Endpoint, want = EndpointModel, http.MethodGet
		p.Model = strings.TrimPrefix(path, "/v1/models/")
		if !slices.Contains(l.Models, p.Model) {
			return p, noModel(p.Model)
		}
	default:
		return p, &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url", public: "no such call",
			detail: fmt.Sprintf("This engine has no %q", path)}
	}
	if method != want {
		return p, refuse(http.StatusMethodNotAllowed, "invalid_request_error", "method_not_allowed", "wrong method for this call")
	}
	return p, nil
}

// checkHeader demands JSON without content encoding. No header is passed on, so
// nothing else needs a look.
func checkHeader(h http.Header) error {
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || mediaType != "application/json" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return refuse(http.StatusUnsupportedMediaType, "invalid_request_error", "unsupported_media_type", "content type must be application/json")
	}
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return refuse(http.StatusUnsupportedMediaType, "invalid_request_error", "unsupported_media_type", "content encoding is not accepted")
	}
	return nil
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// The fields of each call: docs/spec/engine.md section 3.2.
var (
	commonFields = words(`model stream stream_options max_tokens temperature top_p seed stop n
		frequency_penalty presence_penalty logit_bias logprobs
		top_k min_p min_tokens repetition_penalty ignore_eos stop_token_ids bad_words skip_special_tokens
		structured_outputs guided_json guided_regex guided_choice guided_grammar`)
	chatFields = words(`messages max_completion_tokens top_logprobs tools tool_choice parallel_tool_calls
		response_format reasoning_effort verbosity chat_template_kwargs include_reasoning
		add_generation_prompt continue_final_message`)
	completionFields = words(`prompt echo best_of response_format`)
	embeddingFields  = words(`model input encoding_format dimensions`)

	// droppedFields are hints to a provider that keeps accounts, stores or shares
	// caches. They do nothing here and are removed.
	droppedFields = words(`user metadata store service_tier safety_identifier
		prompt_cache_key prompt_cache_retention cache_salt cache_prompt`)

	templateFields = words(`enable_thinking thinking reasoning_effort preserve_thinking`)
	optionFields   = words(`include_usage include_obfuscation`)
	partFields     = words(`type text refusal image_url video_url audio_url input_audio file`)
	partTypes      = words(`text refusal image_url video_url audio_url input_audio file`)
)

type shaper struct {
	limits Limits
	p      Params
	body   []byte
	fields map[string]gjson.Result // without those that are null
}

// admit checks the names of the fields and removes the dropped ones.
func (s *shaper) admit(fields []member) error {
	for _, f := range fields {
		if droppedFields[f.name] {
			var err error
			if s.body, err = sjson.DeleteBytes(s.body, f.name); err != nil {
				return fmt.Errorf("engine: edit request: %w", err)
			}
			continue
		}
		ok := slices.Contains(s.limits.ExtraFields, f.name)
		switch s.p.Endpoint {
		case EndpointChat:
			ok = ok || commonFields[f.name] || chatFields[f.name]
		case EndpointCompletions:
			ok = ok || commonFields[f.name] || completionFields[f.name]
		case EndpointEmbeddings:
			ok = ok || embeddingFields[f.name]
		}
		if !ok {
			return invalid("unknown_field", f.name, "request has a field that is not allowed", "The field %q is not allowed here", f.name)
		}
		if v := gjson.ParseBytes(f.raw); v.Type != gjson.Null {
			s.fields[f.name] = v
		}
	}
	return nil
}

func (s *shaper) run() error {
	steps := []func() error{s.model, s.prompt}
	if s.p.Endpoint != EndpointEmbeddings {
		steps = append(steps, s.choices, s.stops, s.extras, s.maxTokens, s.sampling, s.seed, s.stream)
	}
	steps = append(steps, s.isolate)
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// set replaces or adds a top-level field; raw is JSON.
func (s *shaper) set(path, raw string) (err error) {
	if s.body, err = sjson.SetRawBytes(s.body, path, []byte(raw)); err != nil {
		return fmt.Errorf("engine: edit request: %w", err)
	}
	return nil
}

func badField(name, want string) error {
	return invalid("invalid_value", name, "a field of the request has an invalid value", "%q must be %s", name, want)
}

// integer returns a field that must be an integer in [low, high].
func (s *shaper) integer(name string, low, high uint64) (v uint64, given bool, err error) {
	f, given := s.fields[name]
	if !given {
		return 0, false, nil
	}
	if v, err = strconv.ParseUint(f.Raw, 10, 64); err != nil || v < low || v > high {
		return 0, true, badField(name, fmt.Sprintf("an integer from %d to %d", low, high))
	}
	return v, true, nil
}

func (s *shaper) boolean(name string) (bool, error) {
	f, given := s.fields[name]
	if given && !f.IsBool() {
		return false, badField(name, "true or false")
	}
	return f.Bool(), nil
}

func (s *shaper) model() error {
	f, given := s.fields["model"]
	if !given {
		s.p.Model = s.limits.Models[0]
		return s.set("model", quote(s.p.Model))
	}
	if f.Type != gjson.String {
		return badField("model", "a string")
	}
	if !slices.Contains(s.limits.Models, f.Str) {
		return noModel(f.Str)
	}
	s.p.Model = f.Str
	return nil
}

func quote(s string) string {
	b, _ := json.Marshal(s) // strings always marshal
	return string(b)
}

// prompt checks that the request carries one prompt and that no part of it makes
// the engine fetch something or decode a foreign object.
func (s *shaper) prompt() error {
	switch s.p.Endpoint {
	case EndpointChat:
		return s.messages()
	case EndpointCompletions:
		v := s.fields["prompt"]
		ok := v.Type == gjson.String
		if v.IsArray() { // one text, or the token ids of one
			a := v.Array()
			ok = len(a) == 1 && a[0].Type == gjson.String || len(a) > 0 && !slices.ContainsFunc(a, func(x gjson.Result) bool { return x.Type != gjson.Number })
		}
		if !ok {
			return badField("prompt", "one string, or an array of token ids")
		}
	case EndpointEmbeddings:
		if v := s.fields["input"]; v.Type != gjson.String && !v.IsArray() {
			return badField("input", "a string or an array")
		}
	}
	return nil
}

func (s *shaper) messages() (err error) {
	v := s.fields["messages"]
	if !v.IsArray() || len(v.Array()) == 0 {
		return badField("messages", "an array with at least one message")
	}
	v.ForEach(func(_, m gjson.Result) bool {
		if !m.IsObject() || m.Get("role").Type != gjson.String {
			err = badField("messages", "objects with a role")
			return false
		}
		if c := m.Get("content"); c.IsArray() {
			c.ForEach(func(_, part gjson.Result) bool {
				err = checkPart(part)
				return err == nil
			})
		} else if c.Exists() && c.Type != gjson.String && c.Type != gjson.Null {
			err = badField("messages", "messages whose content is a string or an array of parts")
		}
		return err == nil
	})
	return err
}

func checkPart(part gjson.Result) (err error) {
	if !part.IsObject() || !partTypes[part.Get("type").String()] {
		return badField("messages", "content parts of a known type")
	}
	part.ForEach(func(k, v gjson.Result) bool {
		if !partFields[k.Str] {
			err = invalid("unknown_field", "messages", "request has a field that is not allowed", "Content parts may not have the field %q", k.Str)
			return false
		}
		url := v
		if v.IsObject() {
			url = v.Get("url")
			if v.Get("file_id").Exists() || v.Get("file_url").Exists() || v.Get("uuid").Exists() {
				err = invalid("remote_media", "messages", "request refers to stored content", "Nothing is stored here: send files as data")
			}
		}
		if strings.HasSuffix(k.Str, "_url") && (url.Type != gjson.String || !strings.HasPrefix(url.Str, "data:")) {
			err = invalid("remote_media", "messages", "request refers to remote media", "The enclave fetches nothing: send media as data: URLs")
		}
		return err == nil
	})
	return err
}

func (s *shaper) choices() error {
	n, given, err := s.integer("n", 1, uint64(s.limits.MaxChoices))
	if err != nil {
		return err
	}
	if given {
		s.p.Choices = int(n)
	}
	if b, given, err := s.integer("best_of", 1, 1); err != nil || given && b != 1 {
		return badField("best_of", "1")
	}
	return nil
}

func (s *shaper) stops() error {
	v, given := s.fields["stop"]
	list := []gjson.Result{v}
	if v.IsArray() {
		list = v.Array()
	}
	if given && (len(list) > maxStops || slices.ContainsFunc(list, func(x gjson.Result) bool {
		return x.Type != gjson.String || x.Str == "" || len(x.Str) > maxStopBytes
	})) {
		return badField("stop", fmt.Sprintf("a string or up to %d strings of 1 to %d bytes", maxStops, maxStopBytes))
	}
	return nil
}

// extras checks the remaining fields that multiply work or reach deep.
func (s *shaper) extras() error {
	if _, _, err := s.integer("top_logprobs", 0, uint64(s.limits.MaxTopLogprobs)); err != nil {
		return err
	}
	if s.p.Endpoint == EndpointChat {
		if _, err := s.boolean("logprobs"); err != nil {
			return err
		}
	} else if _, _, err := s.integer("logprobs", 0, uint64(s.limits.MaxTopLogprobs)); err != nil {
		return err
	}
	if v, given := s.fields["logit_bias"]; given && (!v.IsObject() || len(v.Map()) > maxBiases) {
		return badField("logit_bias", fmt.Sprintf("an object with at most %d tokens", maxBiases))
	}
	if _, _, err := s.integer("min_tokens", 0, s.limits.MaxTokens); err != nil {
		return err
	}
	return s.only("chat_template_kwargs", templateFields)
}

// only demands that a field, if given, is an object with no other fields than
// the listed ones, and plain values.
func (s *shaper) only(name string, allowed map[string]bool) (err error) {
	v, given := s.fields[name]
	if !given {
		return nil
	}
	if !v.IsObject() {
		return badField(name, "an object")
	}
	v.ForEach(func(k, v gjson.Result) bool {
		if !allowed[k.Str] || v.Type == gjson.JSON {
			err = invalid("unknown_field", name, "request has a field that is not allowed", "The field %q of %q is not allowed here", k.Str, name)
		}
		return err == nil
	})
	return err
}

// maxTokens applies the limit. Where both names are given the smaller counts.
func (s *shaper) maxTokens() error {
	wish, given := uint64(0), false
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		v, ok, err := s.integer(name, 1, 1<<53-1)
		if err != nil {
			return err
		}
		if ok && (!given || v < wish) {
			wish, given = v, true
		}
	}
	if !given {
		wish = s.limits.DefaultMaxTokens
	}
	s.p.MaxTokens = min(wish, s.limits.MaxTokens)
	raw := strconv.FormatUint(s.p.MaxTokens, 10)
	if _, given := s.fields["max_completion_tokens"]; given {
		if err := s.set("max_completion_tokens", raw); err != nil {
			return err
		}
		if _, both := s.fields["max_tokens"]; !both {
			return nil
		}
	}
	return s.set("max_tokens", raw)
}

func (s *shaper) sampling() error {
	for _, f := range []struct {
		name, fallback string
		high           float64
		to             *string
	}{
		{"temperature", s.limits.DefaultTemperature, 2, &s.p.Temperature},
		{"top_p", s.limits.DefaultTopP, 1, &s.p.TopP},
	} {
		raw, given := f.fallback, false
		if v, ok := s.fields[f.name]; ok {
			raw, given = v.Raw, true
		}
		var ok bool
		if *f.to, ok = decimal(raw, 0, f.high); !ok || f.name == "top_p" && *f.to == "0" {
			return badField(f.name, fmt.Sprintf("a number above 0.000001 and up to %v (temperature may be 0)", f.high))
		}
		if !given {
			if err := s.set(f.name, *f.to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shaper) seed() error {
	v, given, err := s.integer("seed", 0, s.limits.MaxSeed)
	if err != nil {
		return err
	}
	if !given {
		if v, err = s.limits.drawSeed(); err != nil {
			return fmt.Errorf("engine: seed: %w", err)
		}
	}
	s.p.Seed = v
	if given {
		return nil
	}
	return s.set("seed", strconv.FormatUint(v, 10))
}

func (s *shaper) stream() (err error) {
	if s.p.Stream, err = s.boolean("stream"); err != nil {
		return err
	}
	if err := s.only("stream_options", optionFields); err != nil {
		return err
	}
	v, given := s.fields["stream_options"]
	usage := v.Get("include_usage")
	switch {
	case usage.Exists() && !usage.IsBool() && usage.Type != gjson.Null:
		return badField("stream_options", "an object with true or false in include_usage")
	case !s.p.Stream:
		if given {
			return badField("stream_options", "absent when stream is not true")
		}
		return nil
	case usage.Bool():
		return nil
	case s.limits.Profile == Embedded: // counts by itself
		return nil
	}
	s.p.StripUsage = true
	if !given {
		return s.set("stream_options", `{"include_usage":true}`)
	}
	return s.set("stream_options.include_usage", "true")
}

// isolate keeps the engine from showing, by time or count, what other requests
// had in them: a fresh random salt, so that no cached prefix is ever shared.
func (s *shaper) isolate() error {
	switch s.limits.Profile {
	case VLLM, SGLang, TensorRTLLM:
		var salt [32]byte
		if _, err := rand.Read(salt[:]); err != nil {
			return fmt.Errorf("engine: salt: %w", err)
		}
		return s.set("cache_salt", `"`+base64.RawURLEncoding.EncodeToString(salt[:])+`"`)
	case LlamaCpp:
		return s.set("cache_prompt", "false")
	}
	return nil
}
