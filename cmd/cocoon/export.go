package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var receiptExportCommand = &command.Command{
	Name: "receipt export", Args: "X.receipt", Short: "collect the proof of a receipt into one file that travels",
	Long: "Fetches the log's proof and the chain's, and writes X.proof: everything that a stranger\n" +
		"needs to check the receipt offline, in years too. It reveals nothing of question and\n" +
		"answer unless --with-opening puts them in.",
	Example: "cocoon receipt export demo/1.receipt --out 1.proof",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		s.registerEndorsements(fs)
		out := fs.String("out", "", "`file` to write (default: X.proof beside it)")
		wait := fs.Duration("wait", 0, "`duration` to wait for the anchor when there is none yet, for example 15m")
		opening := fs.Bool("with-opening", false, "put salts, request and answer into the proof")
		request := fs.String("request", "", "`file` with the request's content, for --with-opening")
		response := fs.String("response", "", "`file` with the answer's content, for --with-opening")
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 1, "one receipt"); err != nil {
				return err
			}
			if *opening != (*request != "" && *response != "") {
				return attestation.BadInput("--with-opening needs both --request and --response, and they need it")
			}
			f, src, err := loadReceipt(env.Args[0])
			if err != nil {
				return err
			}
			var open *receipt.Opening
			if *opening {
				if open, err = readOpening(f, *request, *response); err != nil {
					return err
				}
			}
			dst := *out
			if dst == "" {
				dst = strings.TrimSuffix(env.Args[0], ".receipt") + ".proof"
			}
			if _, err := os.Lstat(dst); err == nil {
				return command.Exists(dst)
			}
			more, err := s.loadEndorsements()
			if err != nil {
				return err
			}
			sess, err := s.connect(ctx, env, nil)
			if err != nil {
				return err
			}
			defer sess.close()
			if src, err = complete(ctx, sess, env.Args[0], f.Receipt, src); err != nil {
				return err
			}
			src.Endorsements = joined(more, src.Endorsements)
			if *wait > 0 {
				wctx, cancel := context.WithTimeout(ctx, *wait)
				_, err := sess.WaitAnchored(wctx, f.Receipt, 500*time.Millisecond)
				cancel()
				if err != nil {
					return err
				}
			}
			p, err := sess.Prove(ctx, src, f.Receipt)
			if err != nil {
				return err
			}
			p.Opening = open
			return writeProof(env, sess, dst, p)
		}
	},
}

func readOpening(f *receipt.File, request, response string) (*receipt.Opening, error) {
	o := &receipt.Opening{RequestSalt: f.RequestSalt, ResponseSalt: f.ResponseSalt}
	var err error
	if o.Request, err = command.ReadFile(request, receipt.MaxContent); err != nil {
		return nil, err
	}
	if o.Response, err = command.ReadFile(response, receipt.MaxContent); err != nil {
		return nil, err
	}
	return o, nil
}

// relayNow returns where the log of a receipt's node is served now: where its
// record says, else where it was when the answer came.
func relayNow(ctx context.Context, sess *session, r *receipt.Receipt, then string) (string, error) {
	n, err := registry.Reader{Reader: sess.chain}.Node(ctx, r.Head.Node)
	if err != nil {
		return "", fmt.Errorf("the record of the receipt's node: %w", err)
	}
	if n.Endpoint == "" {
		return then, nil
	}
	return n.Endpoint, nil
}

func writeProof(env *command.Env, sess *session, dst string, p *receipt.Proof) error {
	warnSimulated(env.Stderr, simulated(sess.policy))
	if err := p.VerifyOpening(); err != nil {
		return err
	}
	enc, err := p.Encode()
	if err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if p.Opening != nil {
		mode = 0o600 // it holds question and answer
	}
	if err := command.CreateFile(dst, enc, mode); err != nil {
		return err
	}
	if env.JSON {
		return env.PrintJSON(map[string]any{"proof": dst, "bytes": len(enc), "anchor_size": p.Checkpoint.Size, "simulated": simulated(sess.policy)})
	}
	fmt.Fprintf(env.Stdout, "%s (%d bytes, anchor of %d receipts)\n", dst, len(enc), p.Checkpoint.Size)
	return nil
}

// joined returns what the user gives, and as many of the documents that were kept as
// a proof has room for, the first ones first.
func joined(given, kept []client.EndorsementFile) []client.EndorsementFile {
	out := slices.Clone(given)
	for _, f := range kept {
		if len(out) < receipt.MaxEndorsements && !slices.ContainsFunc(given, func(g client.EndorsementFile) bool { return g.Name == f.Name }) {
			out = append(out, f)
		}
	}
	return out
}
