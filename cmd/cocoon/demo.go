package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
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
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/filelock"
)

var demoCommand = &command.Command{
	Name: "demo", Short: "see the whole system work on this machine, without hardware or network",
	Long: "Starts a dev chain, a node (cocoon-node) and its enclave (cocoon-enclave) on a simulated\n" +
		"platform, asks two questions, and checks the whole trail of the answers. What it wrote\n" +
		"stays in the folder, for the verifying commands. --keep leaves everything running.",
	Example: "cocoon demo --keep",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		keep := fs.Bool("keep", false, "leave chain, node and a proxy running until interrupted")
		dir := fs.String("dir", "demo", "`folder` to write; replaced only if an earlier demo made it")
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 0, "no arguments"); err != nil {
				return err
			}
			return demo(ctx, env, *dir, *keep)
		}
	},
}

// demoMarker is a file that says that a folder was made by this command.
const demoMarker = ".cocoon-demo"

// demoQuestions are what the demo asks; the second is streamed to the screen.
var demoQuestions = []struct {
	text   string
	stream bool
}{
	{"What does a receipt prove?", false},
	{"Tell me a story about an owl and a lamp.", true},
}

type demoRun struct {
	env   *command.Env
	dir   string
	out   io.Writer // for people; nowhere with --json
	net   *network.Network
	relay string
	sess  *session
	step  int
	steps []map[string]any
}

func demo(ctx context.Context, env *command.Env, dir string, keep bool) (err error) {
	start := time.Now()
	programs := map[string]string{}
	for _, p := range []string{"cocoon-node", "cocoon-enclave"} {
		if programs[p], err = demoSibling(p); err != nil {
			return err
		}
	}
	lock, err := demoFolder(dir)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	d := &demoRun{env: env, dir: dir, out: env.Stdout}
	if env.JSON {
		d.out = io.Discard
	}
	fmt.Fprintf(d.out, "%s\n\n", simulatedNotice)
	if d.net, err = startNetwork(ctx, dir, programs["cocoon-enclave"]); err != nil {
		return err
	}
	defer d.net.Close()
	d.say("dev chain runs, and its registry lists this enclave program and this simulated platform",
		"chain", d.net.Chain.GlobalID(), "registry", d.net.Registry.String())
	node, err := d.startNode(ctx, programs)
	if err != nil {
		return err
	}
	defer node.stop()
	s := settings{policy: filepath.Join(dir, "policy.toml"), ton: filepath.Join(dir, "ton-global.json"), registry: filepath.Join(dir, "registry.txt")}
	if d.sess, err = s.connect(ctx, env, nil); err != nil {
		return err
	}
	defer d.sess.close()
	if err := d.verifyNode(ctx); err != nil {
		return err
	}
	for i := range demoQuestions {
		if err := d.ask(ctx, i+1); err != nil {
			return fmt.Errorf("question %d: %w", i+1, err)
		}
	}
	if err := d.anchorAndProve(ctx); err != nil {
		return err
	}
	if err := d.verifyOffline(ctx, &s); err != nil {
		return err
	}
	d.summary(time.Since(start))
	if env.JSON {
		if err := env.PrintJSON(map[string]any{"simulated": true, "dir": dir, "seconds": time.Since(start).Seconds(), "steps": d.steps}); err != nil {
			return err
		}
	}
	if keep {
		return d.keepRunning(ctx, &s)
	}
	return nil
}

// say prints one step, with details for people who look closer.
func (d *demoRun) say(text string, kv ...any) {
	d.step++
	m := map[string]any{"step": text}
	fmt.Fprintf(d.out, "%2d  %s\n", d.step, text)
	for i := 0; i+1 < len(kv); i += 2 {
		m[fmt.Sprint(kv[i])] = kv[i+1]
		fmt.Fprintf(d.out, "      %-12s %v\n", kv[i], kv[i+1])
	}
	d.steps = append(d.steps, m)
}

func demoSibling(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	p := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(p); err != nil {
		return "", attestation.BadInput("the demo needs %s beside cocoon: build all three with `make build`, or run `make demo`", name)
	}
	out, err := exec.Command(p, "--version").Output()
	if err != nil {
		return "", attestation.BadInput("%s does not run: %w", name, err)
	}
	if want := name + " " + command.Version(); strings.TrimSpace(string(out)) != want {
		return "", attestation.BadInput("%s is of another build (%s, want %s): build all three with `make build`", name, strings.TrimSpace(string(out)), want)
	}
	return p, nil
}

// demoFolder empties the folder, or makes it, and locks it. A folder that no
// demo made, or that one is using, is left alone.
func demoFolder(dir string) (*filelock.Lock, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, attestation.BadInput("%w", err)
		}
	case err != nil:
		return nil, attestation.BadInput("%w", err)
	case len(entries) > 0:
		if _, err := os.Stat(filepath.Join(dir, demoMarker)); err != nil {
			return nil, attestation.BadInput("%s exists and was not made by a demo; name another folder with --dir", dir)
		}
	}
	lock, err := filelock.Acquire(dir)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, attestation.BadInput("a demo is running in %s; end it or name another folder with --dir", dir)
	} else if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if n := e.Name(); n == "lock" || n == demoMarker {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			lock.Unlock()
			return nil, err
		}
	}
	if err := atomicfile.Write(filepath.Join(dir, demoMarker), []byte("made by cocoon demo; replaced by the next one\n"), 0o644); err != nil {
		lock.Unlock()
		return nil, err
	}
	return lock, nil
}

// demoNode is the running cocoon-node.
type demoNode struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  *os.File
	work string
}

func (n *demoNode) stop() {
	_ = n.cmd.Process.Signal(os.Interrupt)
	select {
	case <-n.done:
	case <-time.After(20 * time.Second):
		_ = n.cmd.Process.Kill()
		<-n.done
	}
	os.RemoveAll(n.work)
}

// startNode starts the operator's side: the sibling program, with its data in a
// temporary directory.
func (d *demoRun) startNode(ctx context.Context, programs map[string]string) (_ *demoNode, err error) {
	n := &demoNode{done: make(chan struct{})}
	if n.log, err = os.Create(filepath.Join(d.dir, "node.log")); err != nil {
		return nil, err
	}
	if n.work, err = os.MkdirTemp("", "cocoon-demo-*"); err != nil {
		return nil, err
	}
	wallet := filepath.Join(n.work, "wallet.key")
	if err := atomicfile.Create(wallet, []byte(hex.EncodeToString(d.net.Operator.Seed())+"\n"), 0o600); err != nil {
		return nil, err
	}
	n.cmd = exec.Command(programs["cocoon-node"], "up", "--json",
		"--dir", filepath.Join(n.work, "node"), "--ton-config", filepath.Join(d.dir, "ton-global.json"),
		"--registry", filepath.Join(d.dir, "registry.txt"), "--wallet", wallet,
		"--simulated", filepath.Join(d.dir, "sim-platform"), "--endorsements", filepath.Join(d.dir, "endorsements"),
		"--enclave", programs["cocoon-enclave"], "--anchor-every", "1s")
	n.cmd.Stderr = n.log
	stdout, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan map[string]any, 1)
	go func() {
		var v map[string]any
		if json.NewDecoder(stdout).Decode(&v) == nil {
			ready <- v
		}
		_, _ = io.Copy(io.Discard, stdout)
		_ = n.cmd.Wait()
		n.log.Close()
		close(n.done)
	}()
	select {
	case v := <-ready:
		d.relay, _ = v["relay"].(string)
		d.say("the enclave booted in a process of its own, and TON itself verified its quote and registered it",
			"node", v["node"], "epoch", v["epoch"], "relay", d.relay)
		return n, nil
	case <-n.done:
		err = fmt.Errorf("cocoon-node ended before it served; see %s", n.log.Name())
	case <-time.After(2 * time.Minute):
		err = errors.New("cocoon-node did not serve within two minutes")
	case <-ctx.Done():
		err = ctx.Err()
	}
	n.stop()
	return nil, err
}

func (d *demoRun) verifyNode(ctx context.Context) error {
	n, err := d.sess.VerifyURL(ctx, d.relay)
	if err != nil {
		return err
	}
	v := n.Verified().Verdict()
	passed := 0
	for _, c := range v.Checks {
		if c.Outcome == attestation.Pass {
			passed++
		}
	}
	d.say("the client verified the node before sending anything",
		"checks", fmt.Sprintf("%d passed, %d refused", passed, len(v.Checks)-passed),
		"TCB", v.Facts.TCBStatus, "measurement", v.Facts.Measurement[:16]+"…", "claims", fmt.Sprintf("%x…", n.Verified().Digest())[:17])
	return atomicfile.Write(filepath.Join(d.dir, "bundle.cbor"), n.Bundle(), 0o644)
}

// ask asks one question and stores request, response and receipt.
func (d *demoRun) ask(ctx context.Context, number int) error {
	q := demoQuestions[number-1]
	body, err := json.Marshal(map[string]any{
		"messages": []map[string]string{{"role": "user", "content": q.text}},
		"stream":   q.stream, "max_tokens": 160, "temperature": 0.7,
	})
	if err != nil {
		return err
	}
	resp, err := post(ctx, d.sess.Client, "/v1/chat/completions", body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var raw bytes.Buffer
	fmt.Fprintf(d.out, "\n    > %s\n    ", q.text)
	body2 := io.TeeReader(resp.Body, &raw)
	if q.stream {
		err = printStream(indent{d.out}, withBody(resp, body2))
	} else {
		err = printAnswer(indent{d.out}, withBody(resp, body2))
	}
	fmt.Fprint(d.out, "\n\n")
	if err != nil {
		return err
	}
	f := client.ReceiptOf(resp)
	if f == nil {
		return errors.New("the answer has no receipt")
	}
	for name, data := range map[string][]byte{"request": body, "response": raw.Bytes()} {
		if err := atomicfile.Write(filepath.Join(d.dir, fmt.Sprintf("%d.%s", number, name)), data, 0o600); err != nil {
			return err
		}
	}
	if _, err := (&keeper{d.dir}).keep(fmt.Sprint(number), f, client.NodeOf(resp)); err != nil {
		return err
	}
	b := &f.Receipt.Body
	d.say("the answer came with a signed receipt, which commits to question and answer without revealing them",
		"index", f.Receipt.Head.Index, "finish", b.Finish, "tokens", fmt.Sprintf("%d in, %d out", b.PromptTokens, b.CompletionTokens), "seed", b.Sampling.Seed)
	return nil
}

// withBody reads a response's body through r, keeping its close.
func withBody(resp *http.Response, r io.Reader) *http.Response {
	out := *resp
	out.Body = struct {
		io.Reader
		io.Closer
	}{r, resp.Body}
	return &out
}

func printAnswer(w io.Writer, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK {
		return apiError(resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return err
	}
	var v struct {
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(data, &v); err != nil || len(v.Choices) == 0 {
		return attestation.BadInput("the engine's answer can't be read")
	}
	_, err = io.WriteString(w, v.Choices[0].Message.Content)
	return err
}

// indent indents every line but the first.
type indent struct{ w io.Writer }

func (i indent) Write(p []byte) (int, error) {
	if _, err := i.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\n    "))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// anchorAndProve waits until the chain covers the receipts and exports proofs.
func (d *demoRun) anchorAndProve(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for i := range demoQuestions {
		f, src, err := loadReceipt(filepath.Join(d.dir, fmt.Sprintf("%d.receipt", i+1)))
		if err != nil {
			return err
		}
		if _, err := d.sess.WaitAnchored(ctx, f.Receipt, 200*time.Millisecond); err != nil {
			return err
		}
		p, err := d.sess.Prove(ctx, src, f.Receipt)
		if err != nil {
			return err
		}
		enc, err := p.Encode()
		if err != nil {
			return err
		}
		if err := atomicfile.Write(filepath.Join(d.dir, fmt.Sprintf("%d.proof", i+1)), enc, 0o644); err != nil {
			return err
		}
		if i+1 < len(demoQuestions) {
			continue
		}
		tx, err := d.sess.AnchorTx(ctx, f.Receipt.Head.Node, p.Checkpoint.Size)
		if err != nil {
			return err
		}
		d.say("the log of receipts is anchored on the chain", "receipts", p.Checkpoint.Size, "transaction", fmt.Sprintf("%x", tx))
	}
	return nil
}

// verifyOffline checks the proofs as a stranger would: from files, with the
// trusted block of the config file. Nothing here has a connection.
func (d *demoRun) verifyOffline(ctx context.Context, s *settings) error {
	ton, err := s.loadTON()
	if err != nil {
		return err
	}
	for i := range demoQuestions {
		name := filepath.Join(d.dir, fmt.Sprint(i+1))
		p, err := readProof(name + ".proof")
		if err != nil {
			return err
		}
		if _, err := client.VerifyProof(p, client.Expect{Policy: d.sess.policy, Registry: d.sess.root, Trusted: []chain.BlockID{ton.Trusted()}}); err != nil {
			return fmt.Errorf("%s.proof: %w", name, err)
		}
		env := *d.env
		env.Args = []string{name + ".proof"}
		if _, err := openContents(ctx, &env, p, receiptOptions{request: name + ".request", response: name + ".response", replay: true}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	d.say("both receipts verify offline, from answer to hardware root, and running the questions again gives the same bytes")
	return nil
}

func (d *demoRun) summary(took time.Duration) {
	fmt.Fprintf(d.out, `
    checked                                                        not checked here
    the quote's signatures up to the (simulated) vendor root       real hardware: the platform is simulated
    revocation, TCB level, debug off, code and configuration       a GPU: the demo's engine runs on the CPU
    claims = what the chain registered, with proofs                side channels, availability
    prompt sealed to a key in verified claims (post-quantum)       that the model is any good
    receipt in the log, log anchored on the chain, replayed        who runs the node

    Done in %.1f s. Everything is in %s/; try
      cocoon verify receipt %[2]s/2.proof --policy %[2]s/policy.toml --ton-config %[2]s/ton-global.json --registry %[2]s/registry.txt
`, took.Seconds(), d.dir)
}

// keepRunning adds a proxy and waits for the user.
func (d *demoRun) keepRunning(ctx context.Context, s *settings) error {
	flags := fmt.Sprintf("--policy %[1]s/policy.toml --ton-config %[1]s/ton-global.json --registry %[1]s/registry.txt", d.dir)
	fmt.Fprintf(d.env.Stderr, "\nEverything keeps running; interrupt to end it. In another terminal:\n"+
		"  cocoon chat \"What is TON?\" %[1]s\n  cocoon nodes %[1]s\n  cocoon verify node %[2]s %[1]s\n  cocoon models %[1]s\n\n", flags, d.relay)
	return proxy(ctx, d.env, s, "127.0.0.1:0", filepath.Join(d.dir, "receipts"))
}

// startNetwork starts a dev chain whose registry lists the program. The
// measurement is computed here, from the file: never from what an enclave says.
func startNetwork(ctx context.Context, dir, program string) (*network.Network, error) {
	m, err := simdevice.Measurement(program)
	if err != nil {
		return nil, err
	}
	return network.Start(ctx, network.Options{
		Dir: dir, Measurements: [][32]byte{m},
		Models: map[[32]byte]contracts.Model{tinylm.Digest(): {Licence: "Apache-2.0", URL: "embedded"}},
	})
}
