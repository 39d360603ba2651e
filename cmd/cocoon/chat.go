package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var chatCommand = &command.Command{
	Name: "chat", Args: "PROMPT|-", Short: "ask a verified node",
	Long: "The node is verified before one byte of the prompt leaves. The answer streams to\n" +
		"standard output; its receipt is kept. A dash reads the prompt from standard input.",
	Example: `cocoon chat "What is a receipt?"`,
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		s.registerEndorsements(fs)
		o := chatOptions{}
		fs.StringVar(&o.model, "model", "", "`name` of the model (default: the node's first)")
		fs.StringVar(&o.system, "system", "", "system `text`")
		fs.Func("max-tokens", "at most this `number` of tokens in the answer (default: the enclave's limit)", o.setMaxTokens)
		fs.StringVar(&o.receipts, "receipts", "", "`directory` for receipts (default: receipts/ in the configuration directory)")
		fs.Func("seed", "`number` that makes sampling repeatable", o.setSeed)
		fs.Func("temperature", "`number` from 0 (the likeliest tokens) to 2", o.setTemperature)
		return func(ctx context.Context, env *command.Env) error { return chat(ctx, env, &s, o) }
	},
}

type chatOptions struct {
	model, system, receipts string
	maxTokens               int
	seed                    *int64
	temperature             *float64
}

func (o *chatOptions) setMaxTokens(v string) error {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || n == 0 {
		return errors.New("want a number of 1 or more")
	}
	o.maxTokens = int(n)
	return nil
}

func (o *chatOptions) setSeed(v string) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return errors.New("want a whole number")
	}
	o.seed = &n
	return nil
}

func (o *chatOptions) setTemperature(v string) error {
	t, err := strconv.ParseFloat(v, 64)
	if err != nil || !(t >= 0 && t <= 2) {
		return errors.New("want a number from 0 to 2")
	}
	o.temperature = &t
	return nil
}

// maxPrompt bounds what is read from standard input.
const maxPrompt = 16 << 20

func chat(ctx context.Context, env *command.Env, s *settings, o chatOptions) error {
	if err := args(env, 1, "one prompt, or - to read it"); err != nil {
		return err
	}
	prompt := env.Args[0]
	if prompt == "-" {
		data, err := io.ReadAll(io.LimitReader(env.Stdin, maxPrompt+1))
		if err != nil {
			return err
		}
		if len(data) > maxPrompt {
			return attestation.BadInput("the prompt is larger than %d MiB", maxPrompt>>20)
		}
		prompt = string(data)
	}
	if strings.TrimSpace(prompt) == "" {
		return attestation.BadInput("the prompt is empty")
	}
	keep, err := newKeeper(o.receipts)
	if err != nil {
		return err
	}
	sess, err := s.connect(ctx, env, nil)
	if err != nil {
		return err
	}
	defer sess.close()
	if err := keep.open(); err != nil {
		return err
	}
	body, err := o.request(prompt)
	if err != nil {
		return err
	}
	resp, err := post(ctx, sess.Client, "/v1/chat/completions", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return apiError(resp)
	}
	warnSimulated(env.Stderr, client.NodeOf(resp).Verified().Simulated())
	var text strings.Builder
	out := io.Writer(&text)
	if !env.JSON {
		out = env.Stdout
	}
	if err := printStream(out, resp); err != nil {
		if !env.JSON {
			fmt.Fprintln(env.Stdout)
		}
		return fmt.Errorf("the answer is not to be relied on: %w", err)
	}
	return keepAnswer(ctx, env, keep, resp, text.String())
}

// keepAnswer stores the receipt of an answer that is complete, and says where.
func keepAnswer(ctx context.Context, env *command.Env, keep *keeper, resp *http.Response, text string) error {
	f, node := client.ReceiptOf(resp), client.NodeOf(resp)
	path, err := keep.keep(ctx, "", f, node)
	if err != nil {
		return fmt.Errorf("keeping the receipt: %w", err)
	}
	h, b := &f.Receipt.Head, &f.Receipt.Body
	if env.JSON {
		return env.PrintJSON(map[string]any{
			"answer": text, "receipt": path, "node": h.Node, "epoch": h.Epoch, "index": h.Index,
			"finish": b.Finish, "prompt_tokens": b.PromptTokens, "completion_tokens": b.CompletionTokens,
			"simulated": node.Verified().Simulated(),
		})
	}
	fmt.Fprintln(env.Stdout)
	env.Logf("receipt %s (index %d, %s, %d tokens)", path, h.Index, b.Finish, b.CompletionTokens)
	return nil
}

// request builds the body of a streaming chat request.
func (o chatOptions) request(prompt string) ([]byte, error) {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	v := struct {
		Model       string    `json:"model,omitempty"`
		Messages    []message `json:"messages"`
		Stream      bool      `json:"stream"`
		MaxTokens   int       `json:"max_tokens,omitempty"`
		Seed        *int64    `json:"seed,omitempty"`
		Temperature *float64  `json:"temperature,omitempty"`
	}{Model: o.model, Stream: true, MaxTokens: o.maxTokens, Seed: o.seed, Temperature: o.temperature}
	if o.system != "" {
		v.Messages = append(v.Messages, message{"system", o.system})
	}
	v.Messages = append(v.Messages, message{"user", prompt})
	return json.Marshal(v)
}

func post(ctx context.Context, rt http.RoundTripper, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://cocoon"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return rt.RoundTrip(req)
}

// printStream writes the text of a streamed answer as it comes. It returns nil
// only when the answer is complete and its receipt right.
func printStream(w io.Writer, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return apiError(resp)
	}
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(make([]byte, 64<<10), 4<<20)
	for sc.Scan() {
		data, ok := strings.CutPrefix(sc.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var ev struct {
			Choices []struct {
				Delta struct {
					Content string `json:"content"`
				} `json:"delta"`
			} `json:"choices"`
			Error *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(data), &ev); err != nil {
			return attestation.BadInput("the engine sent an event that is not JSON")
		}
		if ev.Error != nil {
			return fmt.Errorf("the engine failed: %.200q", ev.Error.Message)
		}
		for _, c := range ev.Choices {
			if _, err := io.WriteString(w, c.Delta.Content); err != nil {
				return err
			}
		}
	}
	return sc.Err()
}

// apiError reads an error of the engine to its end, receipt included.
func apiError(resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	var v struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(data, &v) != nil || v.Error.Message == "" {
		return fmt.Errorf("the engine answers %d", resp.StatusCode)
	}
	return attestation.BadInput("the engine refuses (%d): %.500s", resp.StatusCode, v.Error.Message)
}
