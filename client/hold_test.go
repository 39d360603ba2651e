package client

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

// feed gives a hold pieces, and returns what could be taken after each of them.
func feed(t *testing.T, h *hold, pieces ...string) []string {
	t.Helper()
	var out []string
	for _, p := range pieces {
		if err := h.add([]byte(p)); err != nil {
			t.Fatal(err)
		}
		out = append(out, drain(h))
	}
	return out
}

func drain(h *hold) string {
	var b strings.Builder
	for p := make([]byte, 3); ; {
		n := h.take(p)
		if n == 0 {
			return b.String()
		}
		b.Write(p[:n])
	}
}

func TestHold(t *testing.T) {
	const sse = "text/event-stream; charset=utf-8"
	for _, tt := range []struct {
		kind           string
		pieces, before []string
		after          string // once released
	}{
		{"application/json", []string{`{"a":`, `1}`}, []string{`{"a"`, `:1`}, `}`},
		{"application/json", []string{`x`}, []string{``}, `x`},
		{"", []string{"data: [DONE]\n\n"}, []string{"data: [DONE]\n"}, "\n"},
		{sse, []string{"data: a\n\n", "data: b\n\n"}, []string{"data: a\n\n", "data: b\n\n"}, ""},
		{sse, []string{"data: a\n\ndata: [DONE]\n\n"}, []string{"data: a\n\n"}, "data: [DONE]\n\n"},
		{sse, []string{"data: a\r\n\r\ndata: [DONE]\r\n\r\n"}, []string{"data: a\r\n\r\n"}, "data: [DONE]\r\n\r\n"},
		{sse, []string{"data:[DONE]\n\n"}, []string{""}, "data:[DONE]\n\n"},
		{sse, []string{"data: [DONE]\n", "\n", ": end\n"}, []string{"", "", ""}, "data: [DONE]\n\n: end\n"},
		{sse, []string{"da", "ta: ", "[DO", "NE]", "\n", "\n"}, []string{"", "", "", "", "", ""}, "data: [DONE]\n\n"},
		{sse, []string{"da", "ta: ", "[DON", "T]\n\n"}, []string{"", "", "", "data: [DONT]\n\n"}, ""},
		{sse, []string{`data: {"x":"`, `data: [DONE]`, "\"}\n\n"}, []string{`data: {"x":"`, `data: [DONE]`, "\"}\n\n"}, ""},
		{sse, []string{"data: [DONE] not\n\n"}, []string{"data: [DONE] not\n\n"}, ""},
		{sse, []string{": ping\n\n", "data: [DONE]"}, []string{": ping\n\n", ""}, "data: [DONE]"},
	} {
		t.Run(fmt.Sprintf("%.4s %q", tt.kind, tt.pieces), func(t *testing.T) {
			h := newHold(tt.kind)
			got := feed(t, h, tt.pieces...)
			if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.before) {
				t.Errorf("before: %q, want %q", got, tt.before)
			}
			h.release()
			if got := drain(h); got != tt.after {
				t.Errorf("after: %q, want %q", got, tt.after)
			}
		})
	}
}

func TestHoldIsBounded(t *testing.T) {
	h := newHold("text/event-stream")
	if err := h.add([]byte("data: [DONE]\n\n")); err != nil {
		t.Fatal(err)
	}
	err := h.add(bytes.Repeat([]byte("x"), maxHeld))
	if attestation.ExitCode(err) != 2 {
		t.Errorf("%v, want false", err)
	}
}

// FuzzHold: whatever comes in whatever pieces, it comes out unchanged, and the
// event [DONE] only after the release.
func FuzzHold(f *testing.F) {
	f.Add([]byte("data: a\n\ndata: [DONE]\n\n"), uint8(3), true)
	f.Add([]byte("data: [DONE]"), uint8(1), true)
	f.Add([]byte("{}"), uint8(1), false)
	f.Fuzz(func(t *testing.T, data []byte, size uint8, events bool) {
		h := &hold{events: events}
		var early strings.Builder
		for rest := data; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			if h.add(rest[:n]) != nil {
				return
			}
			rest = rest[n:]
			early.WriteString(drain(h))
		}
		if strings.Contains("\n"+early.String(), "\ndata: [DONE]\n") && events {
			t.Errorf("[DONE] came early: %q", early.String())
		}
		if !events && early.Len() >= len(data) && len(data) > 0 {
			t.Errorf("%d of %d bytes came early", early.Len(), len(data))
		}
		h.release()
		if got := early.String() + drain(h); got != string(data) {
			t.Errorf("got %q, want %q", got, data)
		}
	})
}
