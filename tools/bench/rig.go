package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
)

// rig is a node of real programs over a dev chain. Its engine is a server in
// this process that answers at once, so that what is measured is not a model.
type rig struct {
	dir      string
	network  *exec.Cmd // dev chain, see serveNetwork
	proxy    *exec.Cmd // baseline, see serveProxy
	plain    string    // URL of the baseline
	upstream *httptest.Server
	chain    *chain.Client
	client   *client.Client
	node     *exec.Cmd
}

// modelDigest stands for the weights of the engine that has none.
var modelDigest = [32]byte{1}

func newRig(ctx context.Context) (_ *rig, err error) {
	r := &rig{upstream: httptest.NewServer(http.HandlerFunc(answer))}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.dir, err = os.MkdirTemp("", "cocoon-bench-*"); err != nil {
		return nil, err
	}
	if err := buildPrograms(ctx, r.dir); err != nil {
		return nil, err
	}
	if r.network, err = startNetwork(ctx, r.dir); err != nil {
		return nil, err
	}
	if err := r.startNode(ctx); err != nil {
		return nil, err
	}
	if r.proxy, r.plain, err = startSelf(ctx, "proxy", r.upstream.URL); err != nil {
		return nil, err
	}
	return r, r.connect(ctx)
}

// startNetwork runs serveNetwork in a process of its own: the garbage of a chain
// must not be collected at the expense of what is measured.
func startNetwork(ctx context.Context, dir string) (*exec.Cmd, error) {
	cmd, line, err := startSelf(ctx, "network", dir)
	if err == nil && line != "ready" {
		end(cmd)
		err = errors.New("the dev chain did not start")
	}
	return cmd, err
}

// startSelf runs a part of this program in a process of its own, which ends with
// this one, and returns the first line that it says.
func startSelf(ctx context.Context, args ...string) (cmd *exec.Cmd, line string, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd = exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // ends with this process
		return nil, "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	if line, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		end(cmd)
		return nil, "", fmt.Errorf("%s did not start: %w", args[0], err)
	}
	return cmd, strings.TrimSpace(line), nil
}

// end ends a process of startSelf.
func end(cmd *exec.Cmd) {
	if cmd != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// serveNetwork runs a dev chain whose registry lists the enclave program in dir,
// until standard input ends.
func serveNetwork(ctx context.Context, dir string) error {
	m, err := simdevice.Measurement(filepath.Join(dir, "cocoon-enclave"))
	if err != nil {
		return err
	}
	n, err := network.Start(ctx, network.Options{
		Dir: dir, Measurements: [][32]byte{m},
		Models: map[[32]byte]contracts.Model{modelDigest: {Licence: "none", URL: "none"}},
	})
	if err != nil {
		return err
	}
	defer n.Close()
	if err := os.WriteFile(filepath.Join(dir, "wallet.key"), []byte(hex.EncodeToString(n.Operator.Seed())), 0o600); err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// buildPrograms builds the three programs into dir.
func buildPrograms(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", dir+string(filepath.Separator), "./cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return nil
}

func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) startNode(ctx context.Context) error {
	engine := fmt.Sprintf("[upstream]\nurl = %q\nprofile = \"vllm\"\nmodels = [{ name = \"m\", digest = \"%x\" }]\n[limits]\nconcurrent = 64\n", r.upstream.URL, modelDigest)
	if err := os.WriteFile(r.file("engine.toml"), []byte(engine), 0o600); err != nil {
		return err
	}
	r.node = exec.CommandContext(ctx, r.file("cocoon-node"), "up", "--json", "--dir", r.file("node"),
		"--ton-config", r.file(network.TONFile), "--registry", r.file(network.RegistryFile), "--wallet", r.file("wallet.key"),
		"--simulated", r.file(network.PlatformDir), "--endorsements", r.file(network.EndorsementsDir),
		"--engine", r.file("engine.toml"), "--anchor-every", "1s")
	var log strings.Builder
	r.node.Stderr = &log
	r.node.Cancel = func() error { return r.node.Process.Signal(os.Interrupt) }
	r.node.WaitDelay = 10 * time.Second
	out, err := r.node.StdoutPipe()
	if err != nil {
		return err
	}
	if err := r.node.Start(); err != nil {
		return err
	}
	var v map[string]any
	if err := json.NewDecoder(out).Decode(&v); err != nil {
		return fmt.Errorf("the node ended before it served: %s", log.String())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return nil
}

func (r *rig) connect(ctx context.Context) error {
	data, err := os.ReadFile(r.file(network.PolicyFile))
	if err != nil {
		return err
	}
	policy, err := attestation.ParsePolicy(data)
	if err != nil {
		return err
	}
	if data, err = os.ReadFile(r.file(network.TONFile)); err != nil {
		return err
	}
	cfg, err := chain.ParseGlobalConfig(data)
	if err != nil {
		return err
	}
	if data, err = os.ReadFile(r.file(network.RegistryFile)); err != nil {
		return err
	}
	root, err := attestation.ParseAddress(strings.TrimSpace(string(data)))
	if err != nil {
		return err
	}
	if r.chain, err = chain.Dial(ctx, cfg); err != nil {
		return err
	}
	r.client, err = client.New(client.Config{Policy: policy, Chain: r.chain, Registry: root})
	return err
}

func (r *rig) close() {
	if r.node != nil && r.node.Process != nil {
		_ = r.node.Process.Signal(os.Interrupt)
		_ = r.node.Wait()
	}
	if r.chain != nil {
		r.chain.Close()
	}
	end(r.network)
	end(r.proxy)
	r.upstream.Close()
	os.RemoveAll(r.dir)
}

// answer is the engine: 1 KB of text for everybody, and what a model would know
// when it is tested.
func answer(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if req.Method == http.MethodGet {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"m","object":"model"}]}`)
		return
	}
	text := strings.Repeat("an answer of 16 ", 48)
	for question, known := range map[string]string{"17 + 25": "42", "capital of France": "Paris", "Repeat this word": "cocoon"} {
		if strings.Contains(string(body), question) {
			text = known
		}
	}
	fmt.Fprintf(w, `{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":200,"total_tokens":400}}`, text)
}

// question is a request of 1 KB.
func question() string {
	return fmt.Sprintf(`{"model":"m","max_tokens":256,"messages":[{"role":"user","content":%q}]}`, strings.Repeat("a question of 17 ", 56))
}

// ask sends one request and reads the answer to its end.
func ask(ctx context.Context, c *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(question()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || len(data) < 900 {
		return errors.New("answered " + resp.Status)
	}
	return nil
}
