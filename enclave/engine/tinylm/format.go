package tinylm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"

	"github.com/cocoon-go/cocoon/enclave/engine/tinylm/llama"
)

// sink receives an answer while it is made: for each choice begin, then tokens,
// then end; finish at the end of all.
type sink interface {
	begin(choice int)
	token(choice int, text string, lp *logprob)
	end(choice int, text, reason string)
	finish(*outcome)
}

// The JSON of answers. The order of the fields is that of the bytes.
type (
	answerJSON struct {
		ID          string          `json:"id"`
		Object      string          `json:"object"`
		Created     int64           `json:"created"`
		Model       string          `json:"model"`
		Fingerprint string          `json:"system_fingerprint"`
		Choices     []choiceJSON    `json:"choices"`
		Usage       json.RawMessage `json:"usage,omitempty"`
	}
	choiceJSON struct {
		Index    int           `json:"index"`
		Message  *messageJSON  `json:"message,omitempty"` // of a chat
		Delta    *deltaJSON    `json:"delta,omitempty"`   // of a chat's stream
		Text     *string       `json:"text,omitempty"`    // of a completion
		LogProbs *logprobsJSON `json:"logprobs"`
		Reason   *string       `json:"finish_reason"`
	}
	messageJSON struct {
		Role    string  `json:"role"`
		Content string  `json:"content"`
		Refusal *string `json:"refusal"`
	}
	deltaJSON struct {
		Role    string  `json:"role,omitempty"`
		Content *string `json:"content,omitempty"`
	}
	logprobsJSON struct {
		Content []*logprob `json:"content"`
		Refusal *string    `json:"refusal"`
	}
	tokenJSON struct {
		Token   string  `json:"token"`
		LogProb float64 `json:"logprob"`
		Bytes   []int   `json:"bytes"`
	}
	logprob struct {
		tokenJSON
		Top []tokenJSON `json:"top_logprobs"`
	}
	usageJSON struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
	}
)

func (w *weights) logprob(logits []float32, id, n int) *logprob {
	chosen, top := llama.LogProbs(logits, id, n)
	out := &logprob{w.tokenJSON(chosen), []tokenJSON{}}
	for _, t := range top {
		out.Top = append(out.Top, w.tokenJSON(t))
	}
	return out
}

func (w *weights) tokenJSON(p llama.LogProb) tokenJSON {
	piece := w.tokens.Piece(p.Token)
	if piece == nil {
		piece = []byte(w.control[p.Token])
	}
	t := tokenJSON{strings.ToValidUTF8(string(piece), "\uFFFD"), p.Value, []int{}}
	for _, b := range piece {
		t.Bytes = append(t.Bytes, int(b))
	}
	return t
}

// head returns what is the same in every piece of an answer. The id follows from
// the time and the seed: it identifies nothing but the answer.
func (w *weights) head(j *job) answerJSON {
	h := sha256.New()
	h.Write([]byte("cocoon/answer-id/v1\n"))
	_ = binary.Write(h, binary.BigEndian, []uint64{uint64(j.created), j.seed}) // never fails
	id := hex.EncodeToString(h.Sum(nil)[:12])
	a := answerJSON{ID: "cmpl-" + id, Object: "text_completion", Created: j.created, Model: ModelName,
		Fingerprint: "fp_" + Version + "_" + hex.EncodeToString(w.digest[:6])}
	switch {
	case j.chat && j.stream:
		a.ID, a.Object = "chatcmpl-"+id, "chat.completion.chunk"
	case j.chat:
		a.ID, a.Object = "chatcmpl-"+id, "chat.completion"
	}
	return a
}

func usage(o *outcome) json.RawMessage {
	return marshal(usageJSON{o.prompt, o.tokens(), o.prompt + o.tokens()})
}

// marshal encodes without the escapes for HTML, and without a newline.
func marshal(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("tinylm: an answer does not marshal: " + err.Error()) // numbers are finite, the rest always marshals
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// whole writes one JSON object when the answer is complete.
type whole struct {
	w     io.Writer
	head  answerJSON
	chat  bool
	texts []string
	probs bool
}

func newWhole(w io.Writer, head answerJSON, j *job) *whole {
	return &whole{w: w, head: head, chat: j.chat, probs: j.logprobs >= 0}
}

func (a *whole) begin(c int) {
	n := choiceJSON{Index: c}
	if a.probs {
		n.LogProbs = &logprobsJSON{Content: []*logprob{}}
	}
	a.head.Choices = append(a.head.Choices, n)
	a.texts = append(a.texts, "")
}

func (a *whole) token(c int, text string, lp *logprob) {
	a.texts[c] += text
	if lp != nil {
		p := a.head.Choices[c].LogProbs
		p.Content = append(p.Content, lp)
	}
}

func (a *whole) end(c int, text, reason string) {
	a.texts[c] += text
	n := &a.head.Choices[c]
	n.Reason = &reason
	if a.chat {
		n.Message = &messageJSON{Role: "assistant", Content: a.texts[c]}
	} else {
		n.Text = &a.texts[c]
	}
}

func (a *whole) finish(o *outcome) {
	a.head.Usage = usage(o)
	_, _ = a.w.Write(marshal(a.head)) // to memory
}

// events writes server-sent events, one for each token that completes text.
type events struct {
	w       io.Writer
	head    answerJSON
	chat    bool
	usage   bool
	pending []*logprob // of tokens whose text is not certain yet
}

func newEvents(w io.Writer, head answerJSON, j *job) *events {
	if j.usage {
		head.Usage = json.RawMessage("null")
	}
	return &events{w: w, head: head, chat: j.chat, usage: j.usage}
}

func (a *events) send(head answerJSON) {
	b := append([]byte("data: "), marshal(head)...)
	_, _ = a.w.Write(append(b, "\n\n"...)) // to memory
}

func (a *events) choice(c int, role string, text *string, reason *string) {
	n := choiceJSON{Index: c, Reason: reason}
	if len(a.pending) > 0 {
		n.LogProbs, a.pending = &logprobsJSON{Content: a.pending}, nil
	}
	if a.chat {
		n.Delta = &deltaJSON{role, text}
	} else {
		if text == nil {
			text = new(string)
		}
		n.Text = text
	}
	head := a.head
	head.Choices = []choiceJSON{n}
	a.send(head)
}

func (a *events) begin(c int) {
	if a.chat {
		a.choice(c, "assistant", new(string), nil)
	}
}

func (a *events) token(c int, text string, lp *logprob) {
	if lp != nil {
		a.pending = append(a.pending, lp)
	}
	if text != "" {
		a.choice(c, "", &text, nil)
	}
}

func (a *events) end(c int, text, reason string) {
	if text != "" || len(a.pending) > 0 {
		a.choice(c, "", &text, nil)
	}
	a.choice(c, "", nil, &reason)
}

func (a *events) finish(o *outcome) {
	if a.usage {
		head := a.head
		head.Choices, head.Usage = []choiceJSON{}, usage(o)
		a.send(head)
	}
	_, _ = a.w.Write([]byte("data: [DONE]\n\n"))
}
