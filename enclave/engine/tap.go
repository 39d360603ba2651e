package engine

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/tidwall/gjson"
)

// Limits of what an upstream engine answers.
const (
	maxEvent  = 1 << 20  // bytes of one server-sent event
	maxAnswer = 64 << 20 // bytes of an answer that is not streamed
	tapBuffer = 16 << 10 // bytes read at once
)

// meter counts what an engine says it did.
type meter struct {
	choices int
	allowed uint64 // tokens of all choices together, 0 for calls without output

	exact              bool // the engine gave a usage
	prompt, completion uint64
	pieces             uint64 // parts of the answer with text: each is a token or more
	ended              []bool // by choice
	length             bool   // a choice ended at its limit
}

func newMeter(p Params) *meter {
	m := &meter{choices: p.Choices, allowed: p.MaxTokens * uint64(p.Choices), ended: make([]bool, p.Choices)}
	if p.Endpoint == EndpointEmbeddings {
		m.choices, m.ended = 0, nil
	}
	return m
}

// The ways in which an engine breaks the rules. The texts hold nothing of an
// answer.
var (
	errNotJSON   = errors.New("engine: answer is not acceptable JSON")
	errInStream  = errors.New("engine: answer carries an error")
	errUsage     = errors.New("engine: answer has an impossible usage")
	errChoice    = errors.New("engine: answer has an impossible choice")
	errTruncated = errors.New("engine: answer ended before it was complete")
	errTooLarge  = errors.New("engine: answer is too large")
)

// object reads one JSON object of an answer. Only says that it holds the usage
// and no choices.
func (m *meter) object(b []byte) (only bool, err error) {
	fields, err := scanObject(b)
	if err != nil {
		return false, errNotJSON
	}
	var usage, choices gjson.Result
	for _, f := range fields {
		v := gjson.ParseBytes(f.raw)
		switch f.name {
		case "usage":
			usage = v
		case "choices":
			choices = v
		case "error":
			if v.Type != gjson.Null {
				return false, errInStream
			}
		}
	}
	if usage.Exists() && usage.Type != gjson.Null {
		if err := m.usage(usage); err != nil {
			return false, err
		}
		only = choices.IsArray() && len(choices.Array()) == 0
	}
	if choices.Exists() && !choices.IsArray() {
		return false, errChoice
	}
	choices.ForEach(func(_, c gjson.Result) bool {
		err = m.choice(c)
		return err == nil
	})
	return only, err
}

// usage reads the engine's own count. It may come several times, and grows.
func (m *meter) usage(v gjson.Result) error {
	prompt, err := strconv.ParseUint(v.Get("prompt_tokens").Raw, 10, 48)
	if err != nil {
		return errUsage
	}
	completion := uint64(0)
	if c := v.Get("completion_tokens"); c.Exists() {
		if completion, err = strconv.ParseUint(c.Raw, 10, 48); err != nil {
			return errUsage
		}
	}
	if completion > m.allowed || completion < m.completion {
		return errUsage
	}
	m.exact, m.prompt, m.completion = true, prompt, completion
	return nil
}

func (m *meter) choice(c gjson.Result) error {
	index := uint64(0)
	if v := c.Get("index"); v.Exists() {
		var err error
		if index, err = strconv.ParseUint(v.Raw, 10, 16); err != nil {
			return errChoice
		}
	}
	if !c.IsObject() || index >= uint64(m.choices) {
		return errChoice
	}
	text := c.Get("text").String() != ""
	for _, part := range []string{"delta", "message"} {
		d := c.Get(part)
		for _, name := range []string{"content", "reasoning_content", "reasoning", "refusal"} {
			text = text || d.Get(name).String() != ""
		}
		text = text || d.Get("tool_calls.0").Exists()
	}
	if text {
		m.pieces++
	}
	// An engine may tell one token in two pieces, at the end of a tool call, but
	// not all of them.
	if m.pieces > 2*m.allowed+64 {
		return errUsage
	}
	if r := c.Get("finish_reason"); r.Type == gjson.String {
		m.ended[index] = true
		m.length = m.length || r.Str == "length"
	}
	return nil
}

// complete fails unless every choice has ended.
func (m *meter) complete() error {
	for _, e := range m.ended {
		if !e {
			return errTruncated
		}
	}
	return nil
}

// fill writes the counts to a report. Those of an answer that is not complete
// are a lower bound.
func (m *meter) fill(r *Report, finish Finish) {
	r.Finish = finish
	r.PromptTokens, r.CompletionTokens = m.prompt, max(m.completion, min(m.pieces, m.allowed))
	if finish != FinishComplete {
		return
	}
	if m.length {
		r.Finish = FinishLength
	}
	if m.exact {
		r.Exact, r.CompletionTokens = true, m.completion
	}
}

// tap passes a stream of server-sent events on, one whole event at a time and
// unchanged, and meters it. It removes the event with nothing but the usage if
// the client has not asked for it. After `data: [DONE]` it ends with io.EOF;
// anything else that ends the stream is a failure, which it tells the reader by
// an event with an error, and then by an error.
type tap struct {
	src   io.Reader
	meter *meter
	strip bool

	buf   []byte // of an event that is not complete: buf[:line] are whole lines
	line  int
	seen  int    // bytes of buf that were searched for the end of a line
	out   []byte // to be read
	chunk [tapBuffer]byte
	err   error // the end, after out
}

func newTap(src io.Reader, m *meter, strip bool) *tap {
	return &tap{src: src, meter: m, strip: strip}
}

// Read implements io.Reader.
func (t *tap) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(t.out) == 0 {
		if t.err != nil {
			return 0, t.err
		}
		t.fill()
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

// ended reports whether the whole answer was read.
func (t *tap) ended() bool { return t.err == io.EOF && len(t.out) == 0 }

func (t *tap) fill() {
	n, err := t.src.Read(t.chunk[:])
	t.buf = append(t.buf, t.chunk[:n]...)
	t.out = t.out[:0]
	for t.err == nil {
		event := t.next()
		if event == nil {
			break
		}
		t.event(event)
	}
	switch {
	case t.err != nil:
	case len(t.buf) > maxEvent:
		t.fail(errTooLarge)
	case err == io.EOF:
		t.fail(errTruncated)
	case err != nil:
		t.fail(err)
	}
}

// next takes a whole event from the buffer: lines up to an empty one.
func (t *tap) next() (event []byte) {
	for {
		i := bytes.IndexByte(t.buf[t.seen:], '\n')
		if i < 0 {
			t.seen = len(t.buf)
			return nil
		}
		start := t.line
		t.seen += i + 1
		t.line = t.seen
		if len(bytes.TrimSuffix(t.buf[start:t.seen-1], []byte("\r"))) == 0 {
			event, t.buf = t.buf[:t.seen], t.buf[t.seen:]
			t.line, t.seen = 0, 0
			return event
		}
	}
}

func (t *tap) event(event []byte) {
	if len(event) > maxEvent {
		t.fail(errTooLarge)
		return
	}
	data, has := eventData(event)
	if !has { // a comment, or a name without data
		t.out = append(t.out, event...)
		return
	}
	if string(bytes.TrimSpace(data)) == "[DONE]" {
		if err := t.meter.complete(); err != nil {
			t.fail(err)
			return
		}
		t.out = append(t.out, event...)
		t.err, t.buf = io.EOF, nil
		return
	}
	only, err := t.meter.object(data)
	switch {
	case err != nil:
		t.fail(err)
	case !only || !t.strip:
		t.out = append(t.out, event...)
	}
}

// eventData joins the data lines of an event (HTML standard, "Server-sent
// events", section 9.2.6).
func eventData(event []byte) (data []byte, has bool) {
	for line := range bytes.Lines(event) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		if string(name) != "data" {
			continue
		}
		value = bytes.TrimPrefix(value, []byte(" "))
		if has {
			data = append(append(data[:len(data):len(data)], '\n'), value...)
		} else {
			data, has = value, true
		}
	}
	return data, has
}

// fail ends the stream. The reader learns that it failed, not how.
func (t *tap) fail(err error) {
	t.buf = nil
	t.err = err
	e := Unavailable(502, "engine_failed", "the engine failed before the answer was complete")
	t.out = append(append(append(t.out, "data: "...), e.Body()...), "\n\n"...)
}
