package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// Probe is a question with a known answer.
type Probe struct {
	Model    string
	Question string
	// Want must be in the answer, in any case. What engines on GPUs say differs
	// in words from one version to the next; a broken one says nothing like it.
	Want string
	// MaxTokens bounds the answer, the model's reasoning included; default 16.
	MaxTokens uint64
}

// DefaultProbes returns questions that any model for conversation answers.
func DefaultProbes(models ...string) (out []Probe) {
	for _, m := range models {
		for _, p := range []Probe{
			{Question: "What is 17 + 25? Answer with the number only.", Want: "42"},
			{Question: "What is the capital of France? Answer with one word.", Want: "Paris"},
			{Question: "Repeat this word and say nothing else: cocoon", Want: "cocoon"},
		} {
			p.Model, p.MaxTokens = m, 512 // a model that reasons needs them
			out = append(out, p)
		}
	}
	return out
}

func checkProbes(probes []Probe, id Identity) error {
	asked := map[string]bool{}
	for _, p := range probes {
		if _, ok := id.Model(p.Model); !ok || strings.TrimSpace(p.Want) == "" || p.Question == "" {
			return fmt.Errorf("engine: probe of model %q lacks a question or an answer, or the model is not listed", p.Model)
		}
		asked[p.Model] = true
	}
	for _, m := range id.Models {
		if !asked[m.Name] {
			return fmt.Errorf("engine: no probe of model %q: it could not be tested", m.Name)
		}
	}
	return nil
}

// WaitHealthy asks the server for its models until it lists all of ours, or ctx
// ends; then the error is the last reason.
func (u *Upstream) WaitHealthy(ctx context.Context) error {
	wait := 100 * time.Millisecond
	var last error
	for {
		err := u.healthy(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // that ctx has ended is no reason
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("engine: upstream is not healthy: %w: %w", context.Cause(ctx), last)
		case <-u.life.Done():
			return errUpstreamClosed
		case <-time.After(wait):
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func (u *Upstream) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base+"/v1/models", nil)
	if err != nil {
		return err
	}
	req.Header = http.Header{"Accept": {"application/json"}, "User-Agent": {""}}
	resp, err := u.http.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if err := checkAnswer(resp, false); err != nil {
		return err
	}
	if _, err := scanObject(b); err != nil {
		return errNotJSON
	}
	have := map[string]bool{}
	for _, m := range gjson.GetBytes(b, "data.#.id").Array() {
		have[m.Str] = true
	}
	for _, m := range u.identity.Models {
		if !have[m.Name] {
			return fmt.Errorf("the server does not list model %q", m.Name)
		}
	}
	return nil
}

// SelfTest implements Engine. It waits until the server is healthy.
func (u *Upstream) SelfTest(ctx context.Context) (SelfTest, error) {
	if err := u.WaitHealthy(ctx); err != nil {
		return SelfTest{}, err
	}
	select {
	case u.retest <- struct{}{}:
		defer func() { <-u.retest }()
	case <-ctx.Done():
		return SelfTest{}, context.Cause(ctx)
	}
	answers, err := u.probe(ctx)
	u.once.Store(err == nil)
	if err != nil {
		return SelfTest{}, err
	}
	return SelfTest{Passed: true, Answers: AnswersDigest(answers)}, nil
}

// probe asks all questions and notes whether the engine may answer requests.
func (u *Upstream) probe(ctx context.Context) (answers []string, err error) {
	u.tested.Store(false)
	for i, p := range u.probes {
		a, err := u.ask(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("engine: self-test question %d: %w", i+1, err)
		}
		answers = append(answers, a)
	}
	u.tested.Store(true)
	return answers, nil
}

// ask asks one question through the same path as a client's.
func (u *Upstream) ask(ctx context.Context, p Probe) (string, error) {
	limit := p.MaxTokens
	if limit == 0 {
		limit = 16
	}
	body := fmt.Sprintf(`{"model":%s,"messages":[{"role":"user","content":%s}],"temperature":0,"seed":1,"max_tokens":%d}`,
		quote(p.Model), quote(p.Question), limit)
	shaped, params, err := Shape(http.MethodPost, "/v1/chat/completions", http.Header{"Content-Type": {"application/json"}}, []byte(body), u.limits)
	if err != nil {
		return "", err
	}
	r := NewReport(params)
	req, err := http.NewRequestWithContext(WithReport(ctx, r), http.MethodPost, u.base+params.Path, nil)
	if err != nil {
		return "", err
	}
	resp, err := u.send(req, r, shaped)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	m := gjson.GetBytes(b, "choices.0.message")
	answer := m.Get("content").String()
	for _, s := range []string{answer, m.Get("reasoning_content").String(), m.Get("reasoning").String()} {
		if strings.Contains(strings.ToLower(s), strings.ToLower(p.Want)) {
			return answer, nil
		}
	}
	return "", errors.New("wrong answer")
}

// retestPause is the shortest time between two self-tests that requests cause.
const retestPause = time.Second

// ready returns nil when the engine may answer, and tests it again when it has
// to: one request does, the others wait.
func (u *Upstream) ready(ctx context.Context) error {
	untested := Unavailable(http.StatusServiceUnavailable, "engine_untested", "the engine has not passed its self-test")
	switch {
	case u.life.Err() != nil:
		return errUpstreamClosed
	case u.tested.Load():
		return nil
	case !u.once.Load():
		return untested
	}
	select {
	case u.retest <- struct{}{}:
		defer func() { <-u.retest }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if u.tested.Load() {
		return nil
	}
	if time.Now().Before(u.next) {
		return untested
	}
	test, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if _, err := u.probe(test); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		u.next = time.Now().Add(retestPause)
		return untested
	}
	return nil
}
