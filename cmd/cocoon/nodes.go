package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

var nodesCommand = &command.Command{
	Name: "nodes", Short: "list the nodes of the registry, as the chain proves them",
	Long: "What is listed is what the chain says. --check also asks every node's relay whether it says\n" +
		"the same, and judges the node under your policy, as `cocoon node` does; the exit code is then\n" +
		"that of the worst node.",
	Example: "cocoon nodes --json",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		s.registerEndorsements(fs)
		check := fs.Bool("check", false, "ask the nodes' relays too")
		return func(ctx context.Context, env *command.Env) error {
			sess, err := s.connect(ctx, env, nil)
			if err != nil {
				return err
			}
			defer sess.close()
			warnSimulated(env.Stderr, simulated(sess.policy))
			return listNodes(ctx, env, sess, *check)
		}
	},
}

type nodeLine struct {
	Address     attestation.Address `json:"address"`
	Status      string              `json:"status"`
	Epoch       uint32              `json:"epoch"`
	Expires     time.Time           `json:"expires,omitzero"`
	Endpoint    string              `json:"endpoint"`
	Measurement string              `json:"measurement"`
	Prompt      uint64              `json:"price_prompt_nano_per_million"`
	Completion  uint64              `json:"price_completion_nano_per_million"`
	Stake       uint64              `json:"stake_nano"`
	AnchorSize  uint64              `json:"anchor_size"`
	AnchorTime  time.Time           `json:"anchor_time,omitzero"`
	Revoked     bool                `json:"machine_revoked"` // by the registry: clients send it nothing
	Block       uint32              `json:"block"`
	Relay       []stepJSON          `json:"relay"` // empty unless it was asked
	Error       *command.Failure    `json:"error"` // why there is no more, or what is wrong with it; null for nothing

	trail client.Trail
}

// readLine reads one node. What is wrong with it is in the line, and returned.
func readLine(ctx context.Context, sess *session, root *registry.Root, a attestation.Address, check bool) (nodeLine, error) {
	l := nodeLine{Address: a, Relay: []stepJSON{}}
	n, err := registry.Reader{Reader: sess.chain}.Node(ctx, a)
	if err == nil {
		e, _ := n.Epoch(n.Current)
		l = nodeLine{Address: a, Status: n.Status, Epoch: n.Current, Expires: e.Expires, Endpoint: n.Endpoint, Measurement: hexOf(e.Measurement),
			Prompt: n.PromptPrice, Completion: n.CompletionPrice, Stake: n.Stake, AnchorSize: n.Anchor.Size, AnchorTime: n.Anchor.Time, Block: n.At.Seqno, Relay: l.Relay, Revoked: root.State.Revoked[e.PlatformID]}
		if check {
			_, l.trail, err = sess.CheckNode(ctx, a)
			l.Relay = stepsJSON(l.trail)
		}
	}
	if err != nil {
		f := command.FailureOf(err)
		l.Error = &f
		err = fmt.Errorf("node %v: %w", a, err)
	}
	return l, err
}

// machineRevoked is said of a node wherever it is shown.
const machineRevoked = "REVOKED by the registry: clients send it nothing"

func listNodes(ctx context.Context, env *command.Env, sess *session, check bool) error {
	root, err := registry.Reader{Reader: sess.chain}.Root(ctx, sess.root)
	if err != nil {
		return err
	}
	lines, errs := make([]nodeLine, len(root.Nodes)), make([]error, len(root.Nodes))
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8) // nodes that are asked at the same time
	for i, a := range root.Nodes {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			lines[i], errs[i] = readLine(ctx, sess, root, a, check)
		})
	}
	wg.Wait()
	wrong := errors.Join(errs...)
	for _, l := range lines {
		sayContradicts(env, l.Address, l.trail)
	}
	if env.JSON {
		if err := env.PrintJSON(map[string]any{"registry": sess.root, "nodes": lines, "simulated": simulated(sess.policy)}); err != nil {
			return err
		}
		return reported(env, wrong)
	}
	for _, l := range lines {
		writeNodeLine(env.Stdout, &l)
	}
	if len(lines) == 0 {
		env.Logf("registry %v lists no node", sess.root)
	}
	return reported(env, wrong)
}

func writeNodeLine(w io.Writer, l *nodeLine) {
	if l.Status == "" {
		fmt.Fprintf(w, "%v\n  NOT READABLE  %s\n", l.Address, l.Error.Message)
		return
	}
	fmt.Fprintf(w, "%v\n  %s, epoch %d until %s\n  relay       %s\n  measurement %s\n  price       %s\n  stake       %s\n  log         %s\n",
		l.Address, l.Status, l.Epoch, moment(l.Expires), l.Endpoint, l.Measurement, command.Prices(l.Prompt, l.Completion), command.Coins(l.Stake), anchored(l.AnchorSize, l.AnchorTime))
	if l.Revoked {
		fmt.Fprintf(w, "  machine     %s\n", machineRevoked)
	}
	writeTrail(indented{w}, l.trail)
}

// anchored writes what of a node's log the chain holds.
func anchored(size uint64, at time.Time) string {
	if size == 0 {
		return "nothing anchored yet"
	}
	return fmt.Sprintf("%d receipts anchored at %s", size, moment(at))
}

// moment writes a time that may not have come.
func moment(t time.Time) string {
	if t.IsZero() {
		return "no time yet"
	}
	return t.UTC().Format(time.RFC3339)
}

// indented writes each line after two spaces. It gets whole lines.
type indented struct{ w io.Writer }

func (i indented) Write(p []byte) (int, error) {
	if _, err := i.w.Write(append([]byte("  "), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

var verifyNodeCommand = &command.Command{
	Name: "verify node", Args: "URL", Short: "verify the node behind a relay",
	Long: "Fetches the node's bundle and endorsements, reads its registration from the chain with\n" +
		"proofs, and judges all of it under your policy. --save keeps what was verified.",
	Example: "cocoon verify node http://127.0.0.1:9000 --save evidence/",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		s.registerEndorsements(fs)
		save := fs.String("save", "", "new `directory` for bundle, evidence and endorsements")
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 1, "one URL"); err != nil {
				return err
			}
			if *save != "" {
				if _, err := os.Lstat(*save); err == nil {
					return command.Exists(*save)
				}
				if fi, err := os.Stat(filepath.Dir(filepath.Clean(*save))); err != nil || !fi.IsDir() {
					return attestation.BadInput("there is no directory %s to make %s in", filepath.Dir(filepath.Clean(*save)), filepath.Base(*save))
				}
			}
			sess, err := s.connect(ctx, env, nil)
			if err != nil {
				return err
			}
			defer sess.close()
			n, err := sess.VerifyURL(ctx, env.Args[0])
			if err != nil {
				if v := attestation.VerdictOf(err); v != nil {
					return printVerdict(env, v, err)
				}
				return err
			}
			if *save != "" {
				src, err := n.Source(ctx)
				if err != nil {
					return err
				}
				if err := saveNode(*save, src); err != nil {
					return err
				}
				env.Logf("what was verified is in %s", *save)
			}
			return printVerdict(env, n.Verified().Verdict(), nil)
		}
	},
}

// saveNode writes what was verified into a new directory, whole or not at all.
func saveNode(dir string, src client.Source) (err error) {
	tmp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".cocoon-*")
	if err != nil {
		return attestation.BadInput("%w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	if err := os.Mkdir(filepath.Join(tmp, "endorsements"), 0o755); err != nil {
		return err
	}
	if err := atomicfile.Write(filepath.Join(tmp, "bundle.cbor"), src.Bundle, 0o644); err != nil {
		return err
	}
	b, err := attestation.ParseBundle(src.Bundle)
	if err != nil {
		return err
	}
	for i, e := range b.Evidence {
		if err := atomicfile.Write(filepath.Join(tmp, fmt.Sprintf("%d.%s", i+1, e.Kind)), e.Data, 0o644); err != nil {
			return err
		}
	}
	for _, f := range src.Endorsements {
		if err := atomicfile.Write(filepath.Join(tmp, "endorsements", f.Name), f.Data, 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}
