package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func event(s string) string { return "data: " + s + "\n\n" }

const (
	evRole   = `{"id":"a","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}`
	evText   = `{"id":"a","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}],"usage":null}`
	evStop   = `{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}`
	evLength = `{"id":"a","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}`
	evUsage  = `{"id":"a","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}`
	evError  = `{"error":{"message":"SECRET","type":"server_error"}}`
)

var (
	good    = event(evRole) + event(evText) + event(evText) + event(evStop) + event(evUsage) + event("[DONE]")
	allowed = Params{Endpoint: EndpointChat, Stream: true, Choices: 1, MaxTokens: 10, StripUsage: true}
	failure = event(string(Unavailable(502, "engine_failed", "the engine failed before the answer was complete").Body()))
)

func TestTap(t *testing.T) {
	two, noUsage := allowed, allowed
	two.Choices = 2
	noUsage.StripUsage = false
	long := event(strings.Replace(evText, "hi", strings.Repeat("x", maxEvent), 1))
	for name, c := range map[string]struct {
		in, out string
		err     error
		params  Params
		want    Report // counts
	}{
		"usage stripped": {good, strings.Replace(good, event(evUsage), "", 1), nil, allowed,
			Report{PromptTokens: 7, CompletionTokens: 3, Exact: true, Finish: FinishComplete}},
		"usage asked for": {good, good, nil, noUsage, Report{PromptTokens: 7, CompletionTokens: 3, Exact: true, Finish: FinishComplete}},
		"length": {event(evText) + event(evLength) + event("[DONE]"), event(evText) + event(evLength) + event("[DONE]"), nil, allowed,
			Report{CompletionTokens: 1, Finish: FinishLength}},
		"CR LF, comments, names, no space": {": ping\r\n\r\nevent: x\r\ndata:" + evText + "\r\nid: 1\r\n\r\n\r\ndata:" + evStop + "\r\n\r\ndata:[DONE]\r\n\r\n",
			": ping\r\n\r\nevent: x\r\ndata:" + evText + "\r\nid: 1\r\n\r\n\r\ndata:" + evStop + "\r\n\r\ndata:[DONE]\r\n\r\n", nil, allowed,
			Report{CompletionTokens: 1, Finish: FinishComplete}},
		"data in two lines": {"data: {\ndata: \"choices\":[{\"text\":\"x\",\"finish_reason\":\"stop\"}]}\n\n" + event("[DONE]"),
			"data: {\ndata: \"choices\":[{\"text\":\"x\",\"finish_reason\":\"stop\"}]}\n\n" + event("[DONE]"), nil, allowed, Report{CompletionTokens: 1, Finish: FinishComplete}},
		"usage in the last choice is kept": {event(`{"choices":[{"text":"x","finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`) + event("[DONE]"),
			event(`{"choices":[{"text":"x","finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`) + event("[DONE]"), nil, allowed,
			Report{PromptTokens: 1, CompletionTokens: 1, Exact: true, Finish: FinishComplete}},
		"behind the end":  {good + event(evText), strings.Replace(good, event(evUsage), "", 1), nil, allowed, Report{PromptTokens: 7, CompletionTokens: 3, Exact: true, Finish: FinishComplete}},
		"empty":           {"", failure, errTruncated, allowed, Report{Finish: FinishFailed}},
		"no end":          {event(evText) + event(evStop), event(evText) + event(evStop) + failure, errTruncated, allowed, Report{CompletionTokens: 1, Finish: FinishFailed}},
		"half an event":   {event(evText) + "data: {\"choi", event(evText) + failure, errTruncated, allowed, Report{CompletionTokens: 1, Finish: FinishFailed}},
		"no empty line":   {event(evText) + event(evStop) + "data: [DONE]\n", event(evText) + event(evStop) + failure, errTruncated, allowed, Report{CompletionTokens: 1, Finish: FinishFailed}},
		"no reason":       {event(evText) + event("[DONE]"), event(evText) + failure, errTruncated, allowed, Report{CompletionTokens: 1, Finish: FinishFailed}},
		"one of two":      {event(evText) + event(evStop) + event("[DONE]"), event(evText) + event(evStop) + failure, errTruncated, two, Report{CompletionTokens: 1, Finish: FinishFailed}},
		"error":           {event(evText) + event(evError) + event("[DONE]"), event(evText) + failure, errInStream, allowed, Report{CompletionTokens: 1, Finish: FinishFailed}},
		"not JSON":        {event("SECRET"), failure, errNotJSON, allowed, Report{Finish: FinishFailed}},
		"JSON of another": {event("[1]"), failure, errNotJSON, allowed, Report{Finish: FinishFailed}},
		"field twice":     {event(`{"choices":[],"choices":[]}`), failure, errNotJSON, allowed, Report{Finish: FinishFailed}},
		"choices":         {event(`{"choices":{}}`), failure, errChoice, allowed, Report{Finish: FinishFailed}},
		"choice":          {event(`{"choices":[1]}`), failure, errChoice, allowed, Report{Finish: FinishFailed}},
		"choice 1 of 1":   {event(`{"choices":[{"index":1}]}`), failure, errChoice, allowed, Report{Finish: FinishFailed}},
		"choice -1":       {event(`{"choices":[{"index":-1}]}`), failure, errChoice, allowed, Report{Finish: FinishFailed}},
		"usage type":      {event(`{"choices":[],"usage":{"prompt_tokens":"7"}}`), failure, errUsage, allowed, Report{Finish: FinishFailed}},
		"usage size":      {event(`{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1e3}}`), failure, errUsage, allowed, Report{Finish: FinishFailed}},
		"more than asked": {event(`{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":11}}`), failure, errUsage, allowed, Report{Finish: FinishFailed}},
		"usage shrinks":   {event(evUsage) + event(`{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}`), failure, errUsage, allowed, Report{PromptTokens: 7, CompletionTokens: 3, Finish: FinishFailed}},
		"runaway":         {strings.Repeat(event(evText), 200), strings.Repeat(event(evText), 84) + failure, errUsage, allowed, Report{CompletionTokens: 10, Finish: FinishFailed}},
		"large event":     {long, failure, errTooLarge, allowed, Report{Finish: FinishFailed}},
		"endless line":    {strings.Repeat("x", 2*maxEvent), failure, errTooLarge, allowed, Report{Finish: FinishFailed}},
	} {
		for cut, r := range map[string]io.Reader{"whole": strings.NewReader(c.in), "halves": iotest.HalfReader(strings.NewReader(c.in)),
			"data with error": iotest.DataErrReader(strings.NewReader(c.in)), "bytes": iotest.OneByteReader(strings.NewReader(c.in))} {
			if cut == "bytes" && len(c.in) > 1<<16 {
				continue
			}
			tp := newTap(r, newMeter(c.params), c.params.StripUsage)
			out, err := io.ReadAll(tp)
			if string(out) != c.out || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("%s, %s: error %v, want %v; passed on\n%.300s, want\n%.300s", name, cut, err, c.err, out, c.out)
			}
			if bytes.Contains(out, []byte("SECRET")) {
				t.Errorf("%s: the server's words are passed on: %s", name, out)
			}
			var got Report
			finish := FinishFailed
			if tp.ended() {
				finish = FinishComplete
			}
			if tp.meter.fill(&got, finish); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s, %s: report %+v, want %+v", name, cut, got, c.want)
			}
		}
	}
}

// Pieces of every kind count.
func TestMeterPieces(t *testing.T) {
	m := newMeter(allowed)
	for i, c := range []string{
		`{"delta":{"content":"x"}}`, `{"delta":{"reasoning_content":"x"}}`, `{"delta":{"reasoning":"x"}}`, `{"delta":{"refusal":"x"}}`,
		`{"delta":{"tool_calls":[{"index":0}]}}`, `{"text":"x"}`, `{"message":{"content":"x"}}`,
	} {
		if _, err := m.object([]byte(`{"choices":[` + c + `]}`)); err != nil || m.pieces != uint64(i+1) {
			t.Errorf("%s: %d pieces, %v", c, m.pieces, err)
		}
	}
	for _, c := range []string{`{"delta":{"content":"","tool_calls":[]}}`, `{"delta":{"role":"assistant"}}`, `{"text":""}`, `{}`} {
		if _, err := m.object([]byte(`{"choices":[` + c + `]}`)); err != nil || m.pieces != 7 {
			t.Errorf("%s: %d pieces, %v", c, m.pieces, err)
		}
	}
}

// However a stream is cut, the tap passes on the same bytes and counts the same;
// without stripping, what it passes on is the start of what came, and then at
// most our error.
func FuzzTap(f *testing.F) {
	f.Add([]byte(good), uint8(3), true)
	f.Add([]byte(": x\r\n\r\n"+event(evText)+event(evError)), uint8(1), false)
	f.Add([]byte(event(evLength)+event("[DONE]")+"x"), uint8(200), false)
	f.Fuzz(func(t *testing.T, in []byte, size uint8, strip bool) {
		run := func(n int) (string, string) {
			tp := newTap(&cutter{in, n}, newMeter(allowed), strip)
			out, err := io.ReadAll(tp)
			if (err == nil) != tp.ended() {
				t.Fatalf("ended %v with %v", tp.ended(), err)
			}
			return string(out), fmt.Sprint(err, *tp.meter)
		}
		out, end := run(int(size) + 1)
		if all, allEnd := run(len(in) + 1); out != all || end != allEnd {
			t.Fatalf("in pieces of %d: %q, %s\nwhole: %q, %s", int(size)+1, out, end, all, allEnd)
		}
		if rest := strings.TrimSuffix(out, failure); !strip && !bytes.HasPrefix(in, []byte(rest)) {
			t.Fatalf("%q becomes %q", in, out)
		}
	})
}

type cutter struct {
	b []byte
	n int
}

func (c *cutter) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.b[:min(c.n, len(c.b))])
	c.b = c.b[n:]
	return n, nil
}

// BenchmarkTap measures what metering costs for each event.
func BenchmarkTap(b *testing.B) {
	p := allowed
	p.MaxTokens = 1 << 20
	stream := []byte(strings.Repeat(event(evText), 1000) + event(evStop) + event(evUsage) + event("[DONE]"))
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, newTap(bytes.NewReader(stream), newMeter(p), true)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1003, "ns/event")
}
