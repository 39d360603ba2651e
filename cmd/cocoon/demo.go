package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

var demoCommand = &command.Command{
	Name: "demo", Short: "see the whole system work on this machine, without hardware or network",
	Long: "Starts a dev chain, a node (cocoon-node) and its enclave (cocoon-enclave) on a simulated\n" +
		"platform, asks two questions, and checks the whole trail of the answers. What it wrote\n" +
		"stays in the folder, for the verifying commands. --keep leaves everything running, adds a\n" +
		"proxy, and prints what to try.",
	Example: "cocoon demo --keep",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		keep := fs.Bool("keep", false, "leave chain, node and a proxy running until interrupted")
		dir := fs.String("dir", "demo", "`folder` to write; replaced only if an earlier demo made it")
		return func(ctx context.Context, env *command.Env) error {
			return demo(ctx, env, *dir, *keep)
		}
	},
}

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
	files settings  // in dir
	net   *network.Network
	node  *demoNode
	sess  *session
	start time.Time
	steps []map[string]any
}

func demo(ctx context.Context, env *command.Env, dir string, keep bool) error {
	d := &demoRun{env: env, dir: dir, out: env.Stdout, start: time.Now()}
	if env.JSON {
		d.out = io.Discard
	}
	programs, err := demoPrograms()
	if err != nil {
		return err
	}
	lock, err := demoFolder(dir)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	fmt.Fprintf(d.out, "%s\n\n", simulatedNotice)
	if err := d.startNetwork(ctx, programs.enclave); err != nil {
		return err
	}
	defer d.net.Close()
	if err := d.startNode(ctx, programs); err != nil {
		return err
	}
	defer d.node.stop()
	if d.sess, err = d.files.connect(ctx, env, nil); err != nil {
		return err
	}
	defer d.sess.close()
	if err := d.trail(ctx); err != nil {
		return err
	}
	d.summary(time.Since(d.start))
	if keep {
		return d.keepRunning(ctx)
	}
	if env.JSON {
		return env.PrintJSON(d.report())
	}
	return nil
}

// trail asks, and follows the answers from the screen to the hardware.
func (d *demoRun) trail(ctx context.Context) error {
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
	return d.verifyOffline(ctx)
}

// say prints one step, with details for people who look closer.
func (d *demoRun) say(text string, kv ...any) {
	m := map[string]any{"step": text}
	fmt.Fprintf(d.out, "%2d  %s\n", len(d.steps)+1, text)
	for i := 0; i+1 < len(kv); i += 2 {
		m[fmt.Sprint(kv[i])] = kv[i+1]
		fmt.Fprintf(d.out, "      %-12s %v\n", kv[i], kv[i+1])
	}
	d.steps = append(d.steps, m)
}

// startNetwork starts a dev chain whose registry lists the program, and writes
// the policy of a client that built this program itself. The measurement is
// computed here, from the file: never from what an enclave says.
func (d *demoRun) startNetwork(ctx context.Context, program string) error {
	m, err := simdevice.Measurement(program)
	if err != nil {
		return err
	}
	d.net, err = network.Start(ctx, network.Options{
		Dir: d.dir, Measurements: [][32]byte{m},
		Models: map[[32]byte]contracts.Model{tinylm.Digest(): {Licence: "Apache-2.0", URL: "embedded"}},
	})
	if err != nil {
		return err
	}
	d.files = settings{
		policy: filepath.Join(d.dir, network.PolicyFile), ton: tonfile.Flags{Config: filepath.Join(d.dir, network.TONFile)},
		registry: filepath.Join(d.dir, network.RegistryFile),
	}
	p := policyOptions{measurements: [][32]byte{m}, models: [][32]byte{tinylm.Digest()}}
	p.SimulatedRoots = [][32]byte{d.net.Platform.RootFingerprint()}
	text, err := p.toml()
	if err == nil {
		err = atomicfile.Write(d.files.policy, []byte(text), 0o644)
	}
	if err != nil {
		d.net.Close()
		return err
	}
	d.say("dev chain runs, and its registry lists this enclave program and this simulated platform",
		"chain", d.net.Chain.GlobalID(), "registry", d.net.Registry.String())
	return nil
}

func (d *demoRun) verifyNode(ctx context.Context) error {
	n, err := d.sess.VerifyURL(ctx, d.node.relay)
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
		"TCB", v.Facts.TCBStatus, "measurement", v.Facts.Measurement, "claims", fmt.Sprintf("%x", n.Verified().Digest()))
	src, err := n.Source(ctx)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(d.dir, "bundle.cbor"), src.Bundle, 0o644)
}
