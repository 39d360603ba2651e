package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

var nodesCommand = &command.Command{
	Name: "nodes", Short: "list the nodes of the registry, as the chain proves them",
	Long:    "What is listed is what the chain says; whether a node passes your policy, verify node tells.",
	Example: "cocoon nodes --json",
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
			warnSimulated(env.Stderr, simulated(sess.policy))
			return listNodes(ctx, env, sess)
		}
	},
}

type nodeLine struct {
	Address     attestation.Address `json:"address"`
	Status      string              `json:"status"`
	Epoch       uint32              `json:"epoch"`
	Expires     time.Time           `json:"expires"`
	Endpoint    string              `json:"endpoint"`
	Measurement string              `json:"measurement"`
	Prompt      uint64              `json:"price_prompt_nano_per_million"`
	Completion  uint64              `json:"price_completion_nano_per_million"`
	Stake       uint64              `json:"stake_nano"`
	AnchorSize  uint64              `json:"anchor_size"`
	AnchorTime  time.Time           `json:"anchor_time"`
	Block       uint32              `json:"block"`
}

func listNodes(ctx context.Context, env *command.Env, sess *session) error {
	reader := registry.Reader{Reader: sess.chain}
	root, err := reader.Root(ctx, sess.root)
	if err != nil {
		return err
	}
	lines := []nodeLine{}
	for _, a := range root.Nodes {
		n, err := reader.Node(ctx, a)
		if err != nil {
			return fmt.Errorf("node %v: %w", a, err)
		}
		e, _ := n.Epoch(n.Current)
		lines = append(lines, nodeLine{a, n.Status, n.Current, e.Expires, n.Endpoint, fmt.Sprintf("%x", e.Measurement),
			n.PromptPrice, n.CompletionPrice, n.Stake, n.Anchor.Size, n.Anchor.Time, n.At.Seqno})
	}
	if env.JSON {
		return env.PrintJSON(map[string]any{"registry": sess.root, "nodes": lines, "simulated": simulated(sess.policy)})
	}
	for _, l := range lines {
		fmt.Fprintf(env.Stdout, "%v\n  %s, epoch %d until %s\n  relay       %s\n  measurement %s\n  price       %d / %d nano coins per million prompt / completion tokens\n  log         %d receipts anchored at %s\n",
			l.Address, l.Status, l.Epoch, l.Expires.Format(time.RFC3339), l.Endpoint, l.Measurement, l.Prompt, l.Completion, l.AnchorSize, l.AnchorTime.Format(time.RFC3339))
	}
	if len(lines) == 0 {
		env.Logf("registry %v lists no node", sess.root)
	}
	return nil
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
					return exists(*save)
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
