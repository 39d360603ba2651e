package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
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
		out := fs.String("out", "", "`file` to write (default: X.proof beside it)")
		wait := fs.Duration("wait", 0, "how long to wait for the `anchor` when there is none yet")
		opening := fs.Bool("with-opening", false, "put salts, request and answer into the proof")
		request := fs.String("request", "", "`file` with the request's content, for --with-opening")
		response := fs.String("response", "", "`file` with the answer's content, for --with-opening")
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 1, "one receipt"); err != nil {
				return err
			}
			if *opening != (*request != "" && *response != "") {
				return attestation.BadInput("--with-opening, --request and --response belong together")
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
			sess, err := s.connect(ctx, env, nil)
			if err != nil {
				return err
			}
			defer sess.close()
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
			return writeProof(env, dst, p)
		}
	},
}

func readOpening(f *receipt.File, request, response string) (*receipt.Opening, error) {
	o := &receipt.Opening{RequestSalt: f.RequestSalt, ResponseSalt: f.ResponseSalt}
	var err error
	if o.Request, err = readFile(request, receipt.MaxContent); err != nil {
		return nil, err
	}
	if o.Response, err = readFile(response, receipt.MaxContent); err != nil {
		return nil, err
	}
	return o, nil
}

func writeProof(env *command.Env, dst string, p *receipt.Proof) error {
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
	if err := atomicfile.Create(dst, enc, mode); err != nil {
		if errors.Is(err, os.ErrExist) {
			return attestation.BadInput("%s exists; nothing is overwritten", dst)
		}
		return err
	}
	if env.JSON {
		return env.PrintJSON(map[string]any{"proof": dst, "bytes": len(enc), "anchor_size": p.Checkpoint.Size})
	}
	fmt.Fprintf(env.Stdout, "%s (%d bytes, anchor of %d receipts)\n", dst, len(enc), p.Checkpoint.Size)
	return nil
}
