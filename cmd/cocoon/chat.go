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
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
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
		o := chatOptions{}
		fs.StringVar(&o.model, "model", "", "`name` of the model (default: the node's first)")
		fs.StringVar(&o.system, "system", "", "system `text`")
		fs.IntVar(&o.maxTokens, "max-tokens", 0, "`most` tokens of the answer (default: the enclave's)")
		fs.StringVar(&o.receipts, "receipts", "", "`directory` for receipts (default: receipts/ in the configuration directory)")
		fs.Func("seed", "`number` that makes sampling repeatable", func(v string) error { o.seed = json.Number(v); return nil })
		fs.Func("temperature", "sampling `temperature`, 0 for the likeliest tokens", func(v string) error { o.temperature = json.Number(v); return nil })
		return func(ctx context.Context, env *command.Env) error { return chat(ctx, env, &s, o) }
	},
}

type chatOptions struct {
	model, system, receipts string
	maxTokens               int
	seed, temperature       json.Number
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
	body, err := o.request(prompt)
	if err != nil {
		return err
	}
	resp, err := post(ctx, sess.Client, "/v1/chat/completions", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	node := client.NodeOf(resp)
	warnSimulated(env.Stderr, node.Verified().Simulated())
	var text strings.Builder
	out := io.Writer(&text)
	if !env.JSON {
		out = env.Stdout
	}
	if err := printStream(out, resp); err != nil {
		return err
	}
	path, err := keep.keep("", client.ReceiptOf(resp), node)
	if err != nil {
		return fmt.Errorf("keeping the receipt: %w", err)
	}
	r := client.ReceiptOf(resp).Receipt
	if env.JSON {
		return env.PrintJSON(map[string]any{
			"answer": text.String(), "receipt": path, "node": r.Head.Node, "index": r.Head.Index,
			"finish": r.Body.Finish, "prompt_tokens": r.Body.PromptTokens, "completion_tokens": r.Body.CompletionTokens,
			"simulated": node.Verified().Simulated(),
		})
	}
	fmt.Fprintln(env.Stdout)
	env.Logf("receipt %s (index %d, %s, %d tokens)", path, r.Head.Index, r.Body.Finish, r.Body.CompletionTokens)
	return nil
}

// request builds the body of a streaming chat request.
func (o chatOptions) request(prompt string) ([]byte, error) {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	v := struct {
		Model       string      `json:"model,omitempty"`
		Messages    []message   `json:"messages"`
		Stream      bool        `json:"stream"`
		MaxTokens   int         `json:"max_tokens,omitempty"`
		Seed        json.Number `json:"seed,omitempty"`
		Temperature json.Number `json:"temperature,omitempty"`
	}{Model: o.model, Stream: true, MaxTokens: o.maxTokens, Seed: o.seed, Temperature: o.temperature}
	if o.system != "" {
		v.Messages = append(v.Messages, message{"system", o.system})
	}
	v.Messages = append(v.Messages, message{"user", prompt})
	body, err := json.Marshal(v)
	if err != nil {
		return nil, attestation.BadInput("the request: a number is none")
	}
	return body, nil
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

var modelsCommand = &command.Command{
	Name: "models", Short: "list the models of a verified node",
	Example: "cocoon models",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 0, "no arguments"); err != nil {
				return err
			}
			sess, err := s.connect(ctx, env, nil)
			if err != nil {
				return err
			}
			defer sess.close()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cocoon/v1/models", nil)
			if err != nil {
				return err
			}
			resp, err := sess.RoundTrip(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			node := client.NodeOf(resp)
			warnSimulated(env.Stderr, node.Verified().Simulated())
			// The list is the verified claims', not the engine's word; the answer is
			// read to its end so that its receipt is checked too.
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				return err
			}
			type model struct {
				Name   string `json:"name"`
				Digest string `json:"digest"`
			}
			models := []model{}
			for _, m := range node.Verified().Models() {
				models = append(models, model{m.Name, fmt.Sprintf("%x", m.Digest)})
			}
			if env.JSON {
				return env.PrintJSON(map[string]any{"models": models, "node": node.Record().Address, "simulated": node.Verified().Simulated()})
			}
			for _, m := range models {
				fmt.Fprintf(env.Stdout, "%s  sha256:%s\n", m.Name, m.Digest)
			}
			return nil
		}
	},
}

// salts returns the two salts and the receipt from X.receipt, for opening
// commitments.
func openWith(r *receipt.Receipt, path string) (*receipt.File, error) {
	f, err := readReceiptFile(path)
	if err != nil {
		return nil, err
	}
	if f.Receipt.Head != r.Head || f.Receipt.Signature != r.Signature {
		return nil, attestation.BadInput("%s is another receipt than the one in the proof", path)
	}
	return f, nil
}

var errNoSalts = errors.New("the commitments can't be opened without the salts: give --receipt X.receipt, or export the proof with --with-opening")
