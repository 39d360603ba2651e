package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var verifyReceiptCommand = &command.Command{
	Name: "verify receipt", Args: "FILE", Short: "check an answer's whole trail",
	Long: "From the answer over receipt, log, anchor on TON, registration and evidence to the hardware\n" +
		"root, each step in a line. X.proof holds all of it and is checked without opening a socket;\n" +
		"of X.receipt the rest is read from chain and node. Policy, registry and trusted block are\n" +
		"yours; nothing is taken from the file. --request and --response check that these contents\n" +
		"are the ones committed to; the salts for it come from X.receipt (found beside the proof) or\n" +
		"from an opening in the proof. --replay runs the request again on the embedded engine and\n" +
		"compares every byte. --online is for a proof that is older than your trusted block: it asks\n" +
		"the chain whether the proof's blocks are its own.",
	Example: "cocoon verify receipt X.proof --request X.request --response X.response --replay",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		var o receiptOptions
		fs.StringVar(&o.request, "request", "", "`file` with the request's content")
		fs.StringVar(&o.response, "response", "", "`file` with the answer's content")
		fs.StringVar(&o.receipt, "receipt", "", "`file` X.receipt with the salts (default: beside the proof)")
		fs.BoolVar(&o.replay, "replay", false, "run the request again and compare (embedded engine only)")
		fs.BoolVar(&o.online, "online", false, "ask the chain for the blocks that the proof leads to")
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 1, "one proof or receipt"); err != nil {
				return err
			}
			return verifyReceipt(ctx, env, &s, o)
		}
	},
}

type receiptOptions struct {
	request, response, receipt string
	replay, online             bool
}

func verifyReceipt(ctx context.Context, env *command.Env, s *settings, o receiptOptions) error {
	name := env.Args[0]
	p, want, err := s.receiptToVerify(ctx, env, &o)
	if err != nil {
		return err
	}
	if o.replay && p.Opening == nil && (o.request == "" || o.response == "") {
		return attestation.BadInput("--replay needs --request and --response, or a proof exported --with-opening")
	}
	given, err := readContents(name, p, o)
	if err != nil {
		return err // a file that is missing or another one: nothing about the receipt
	}
	checked, err := client.VerifyProof(p, want)
	if err != nil {
		if t := client.TrailOf(err); t != nil && t.Step(client.StepChain).Outcome == attestation.NotSure && len(p.AccountProof) > 0 && !o.online {
			env.Logf("when your trusted block is newer than the proof, --online asks the chain for the proof's blocks")
		}
		return printFailedReceipt(env, name, p, err)
	}
	if err := given.verify(ctx, p, checked.Trail); err != nil {
		return printFailedReceipt(env, name, p, &client.TrailError{Trail: checked.Trail, Err: err})
	}
	report := receiptReport(p, checked)
	if env.JSON {
		return env.PrintJSON(report)
	}
	writeReceiptReport(env.Stdout, report)
	return nil
}

// receiptToVerify reads the file that was named, and what is expected of it.
func (s *settings) receiptToVerify(ctx context.Context, env *command.Env, o *receiptOptions) (*receipt.Proof, client.Expect, error) {
	var want client.Expect
	data, err := command.ReadFile(env.Args[0], receipt.MaxProof)
	if err != nil {
		return nil, want, err
	}
	var p *receipt.Proof
	kept, _ := receipt.ParseFile(data)
	if kept == nil {
		if p, err = readProof(env.Args[0]); err != nil {
			return nil, want, err
		}
	}
	if want.Policy, err = s.loadPolicy(); err != nil {
		return nil, want, err
	}
	if want.Registry, err = s.loadRegistry(); err != nil {
		return nil, want, err
	}
	ton, err := s.loadTON()
	if err != nil {
		return nil, want, err
	}
	want.Trusted = []chain.BlockID{ton.Trusted()}
	if kept == nil && !o.online {
		return p, want, nil
	}
	sess, err := s.connect(ctx, env, nil)
	if err != nil {
		return nil, want, err
	}
	defer sess.close()
	if kept == nil {
		want.Trusted, err = blocksOf(ctx, sess, p.AccountProof, p.RegistryProof)
		return p, want, err
	}
	if o.receipt == "" {
		o.receipt = env.Args[0]
	}
	p, err = proveNow(ctx, sess, env.Args[0])
	return p, want, err
}

// proveNow makes the proof of a receipt that was kept.
func proveNow(ctx context.Context, sess *session, path string) (*receipt.Proof, error) {
	f, src, err := loadReceipt(path)
	if err != nil {
		return nil, err
	}
	if src, err = complete(ctx, sess, path, f.Receipt, src); err != nil {
		return nil, err
	}
	return sess.Prove(ctx, src, f.Receipt)
}

// blocksOf asks the chain for the blocks that proofs lead to: that a block is the
// chain's own, newer ones show, whatever the proof itself starts at.
func blocksOf(ctx context.Context, sess *session, proofs ...[]byte) ([]chain.BlockID, error) {
	var out []chain.BlockID
	for _, proof := range proofs {
		if len(proof) == 0 {
			continue // not anchored: verifying says so
		}
		way, err := chain.ProofBlocks(proof)
		if err != nil {
			return nil, err
		}
		last := way[len(way)-1]
		if slices.Contains(out, last) {
			continue
		}
		if err := sess.ownBlock(ctx, last); err != nil {
			return nil, err
		}
		out = append(out, last)
	}
	if len(out) == 0 {
		return nil, attestation.Unknown("%w: the proof was exported before the receipt was anchored; export it again", client.ErrNotAnchored)
	}
	return out, nil
}

// ownBlock checks that a block is the chain's own.
func (s *session) ownBlock(ctx context.Context, id chain.BlockID) error {
	b, err := s.chain.Block(ctx, id.Seqno)
	if err != nil {
		return fmt.Errorf("the block of the proof: %w", err)
	}
	if b.ID() != id {
		return attestation.ChainDisagrees("the proof leads to block %s, the chain has block %s", id, b.ID())
	}
	return nil
}

func readProof(path string) (*receipt.Proof, error) {
	data, err := command.ReadFile(path, receipt.MaxProof)
	if err != nil {
		return nil, err
	}
	p, err := receipt.ParseProof(data)
	if err != nil {
		return nil, command.NotA(command.ProofFile, path, data, "`cocoon receipt export` makes one of a receipt", err)
	}
	return p, nil
}

// proofStem is the name of a proof or receipt without its ending.
func proofStem(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(path, ".proof"), ".receipt")
}
