package openai

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/test/scenario/programs"
)

func TestMain(m *testing.M) { os.Exit(programs.Main(m)) }

// TestProxy: what any program with a base URL gets.
func TestProxy(t *testing.T) {
	demo := programs.Shared(t)
	before := len(receipts(t, demo))
	use(t, openai.NewClient(option.WithBaseURL(demo.BaseURL), option.WithAPIKey("sk-not-for-the-enclave"), option.WithMaxRetries(0)))
	if got := len(receipts(t, demo)) - before; got < 6 {
		t.Errorf("the proxy kept %d receipts, want one of every answer", got)
	}
}

// TestTransport: what a Go program gets without a proxy.
func TestTransport(t *testing.T) {
	kept := 0
	sdk := newSDK(t, func(f *receipt.File, n *client.Node) error {
		kept++
		if !n.Verified().Simulated() {
			t.Error("the node does not say that it is simulated")
		}
		return nil
	})
	use(t, openai.NewClient(option.WithBaseURL("http://cocoon/v1"), option.WithHTTPClient(&http.Client{Transport: sdk}),
		option.WithAPIKey("sk-not-for-the-enclave"), option.WithMaxRetries(0)))
	if kept < 6 {
		t.Errorf("%d receipts, want one of every answer", kept)
	}
}

func receipts(t *testing.T, demo *programs.Demo) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(demo.Work, demo.Receipts, "*.receipt"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// newSDK makes a client of this module from the demo's files.
func newSDK(t *testing.T, keep func(*receipt.File, *client.Node) error) *client.Client {
	t.Helper()
	demo := programs.Shared(t)
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(demo.Work, demo.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	policy, err := attestation.ParsePolicy(read("policy.toml"))
	if err != nil {
		t.Fatal(err)
	}
	ton, err := chain.ParseGlobalConfig(read("ton-global.json"))
	if err != nil {
		t.Fatal(err)
	}
	registry, err := attestation.ParseAddress(strings.TrimSpace(string(read("registry.txt"))))
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.Dial(t.Context(), ton)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	sdk, err := client.New(client.Config{Policy: policy, Chain: c, Registry: registry, Keep: keep})
	if err != nil {
		t.Fatal(err)
	}
	return sdk
}

// use goes through what programs do with the client.
func use(t *testing.T, c openai.Client) {
	t.Helper()
	model := firstModel(t, c)
	ask := openai.ChatCompletionNewParams{
		Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Tell me a story about an owl and a lamp.")},
		Seed: openai.Int(11), MaxCompletionTokens: openai.Int(48),
	}
	whole := chat(t, c, ask)
	if streamed := stream(t, c, ask); streamed != whole {
		t.Errorf("streamed %q, not streamed %q: the same seed gives another answer", streamed, whole)
	}
	completion, err := c.Completions.New(t.Context(), openai.CompletionNewParams{
		Model: openai.CompletionNewParamsModel(model), Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("Once upon a time")}, MaxTokens: openai.Int(8),
	})
	if err != nil {
		t.Fatalf("completion: %v", err)
	}
	if len(completion.Choices) != 1 || completion.Usage.CompletionTokens == 0 {
		t.Errorf("completion: %s", completion.RawJSON())
	}
	ask.Model = "no-such-model"
	_, err = c.Chat.Completions.New(t.Context(), ask)
	var api *openai.Error
	if !errors.As(err, &api) || api.StatusCode != http.StatusNotFound || !strings.Contains(api.Message, "no-such-model") {
		t.Errorf("another model: %v, want a 404 that names it", err)
	}
	ask.Model, ask.MaxCompletionTokens = model, openai.Int(-1)
	if _, err = c.Chat.Completions.New(t.Context(), ask); !errors.As(err, &api) || api.StatusCode != http.StatusBadRequest {
		t.Errorf("-1 tokens: %v, want a 400", err)
	}
}

func firstModel(t *testing.T, c openai.Client) shared.ChatModel {
	t.Helper()
	list, err := c.Models.List(t.Context())
	if err != nil {
		t.Fatalf("models: %v", err)
	}
	if len(list.Data) != 1 || list.Data[0].ID == "" {
		t.Fatalf("models: %s", list.RawJSON())
	}
	return shared.ChatModel(list.Data[0].ID)
}

func chat(t *testing.T, c openai.Client, ask openai.ChatCompletionNewParams) string {
	t.Helper()
	v, err := c.Chat.Completions.New(t.Context(), ask)
	if err != nil {
		t.Fatalf("chat: %v", err)
	}
	if len(v.Choices) != 1 || v.Choices[0].Message.Content == "" || v.Usage.CompletionTokens == 0 || v.Usage.PromptTokens == 0 ||
		v.Usage.TotalTokens != v.Usage.PromptTokens+v.Usage.CompletionTokens {
		t.Fatalf("chat: %s", v.RawJSON())
	}
	return fmt.Sprintf("%s (%s)", v.Choices[0].Message.Content, v.Choices[0].FinishReason)
}

func stream(t *testing.T, c openai.Client, ask openai.ChatCompletionNewParams) string {
	t.Helper()
	ask.StreamOptions.IncludeUsage = openai.Bool(true)
	s := c.Chat.Completions.NewStreaming(t.Context(), ask)
	defer s.Close()
	var all openai.ChatCompletionAccumulator
	events := 0
	for s.Next() {
		events++
		if !all.AddChunk(s.Current()) {
			t.Fatalf("event %d does not continue the answer: %s", events, s.Current().RawJSON())
		}
	}
	if err := s.Err(); err != nil {
		t.Fatalf("stream: %v", err)
	}
	if events < 5 || len(all.Choices) != 1 || all.Usage.CompletionTokens == 0 {
		t.Fatalf("%d events, %d choices, usage %+v", events, len(all.Choices), all.Usage)
	}
	return fmt.Sprintf("%s (%s)", all.Choices[0].Message.Content, all.Choices[0].FinishReason)
}
