package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var verifyReceiptCommand = &command.Command{
	Name: "verify receipt", Args: "X.proof", Short: "check an answer's whole trail, offline",
	Long: "Receipt, log, anchor on TON, registration, evidence, hardware root: from one file, without\n" +
		"opening a socket. Policy, registry and trusted block are yours; nothing is taken from the\n" +
		"proof. --request and --response check that these contents are the ones committed to; the\n" +
		"salts for it come from X.receipt (found beside the proof) or from an opening in the proof.\n" +
		"--replay runs the request again on the embedded engine and compares every byte.",
	Example: "cocoon verify receipt X.proof --request X.request --response X.response --replay",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		var o receiptOptions
		fs.StringVar(&o.request, "request", "", "`file` with the request's content")
		fs.StringVar(&o.response, "response", "", "`file` with the answer's content")
		fs.StringVar(&o.receipt, "receipt", "", "`file` X.receipt with the salts (default: beside the proof)")
		fs.BoolVar(&o.replay, "replay", false, "run the request again and compare (embedded engine only)")
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 1, "one proof"); err != nil {
				return err
			}
			return verifyReceipt(ctx, env, &s, o)
		}
	},
}

type receiptOptions struct {
	request, response, receipt string
	replay                     bool
}

func verifyReceipt(ctx context.Context, env *command.Env, s *settings, o receiptOptions) error {
	p, err := readProof(env.Args[0])
	if err != nil {
		return err
	}
	policy, err := s.loadPolicy()
	if err != nil {
		return err
	}
	ton, err := s.loadTON()
	if err != nil {
		return err
	}
	root, err := s.loadRegistry()
	if err != nil {
		return err
	}
	checked, err := client.VerifyProof(p, client.Expect{Policy: policy, Registry: root, Trusted: []chain.BlockID{ton.Trusted()}})
	if err != nil {
		return printFailedReceipt(env, env.Args[0], err)
	}
	opened, err := openContents(ctx, env.Args[0], p, o)
	var input *attestation.InputError
	if errors.As(err, &input) && attestation.ExitCode(err) == 1 {
		return err // a file that is missing or another one: nothing about the receipt
	} else if err != nil {
		return printFailedReceipt(env, env.Args[0], err)
	}
	report := receiptReport(p, checked, opened)
	if env.JSON {
		return env.PrintJSON(report)
	}
	writeReceiptReport(env.Stdout, report)
	return nil
}

// openedContents is what was found out about question and answer, one line
// each.
type openedContents struct{ checked, notChecked []string }

// openContents checks the contents that were given against the commitments of a
// proof that is valid, and replays. proof is the file it came from.
func openContents(ctx context.Context, proof string, p *receipt.Proof, o receiptOptions) (*openedContents, error) {
	done := &openedContents{}
	b := &p.Receipt.Body
	var request, response []byte
	if p.Opening != nil {
		request, response = p.Opening.Request, p.Opening.Response
		done.checked = append(done.checked, "question and answer in the proof are the ones that the receipt commits to")
	}
	if o.request != "" || o.response != "" {
		reqSalt, respSalt, err := findSalts(proof, p, o)
		if err != nil {
			return nil, err
		}
		if request, err = done.open(request, o.request, "this request is the one that was answered", func(c []byte) error { return b.VerifyRequest(reqSalt, c) }); err != nil {
			return nil, err
		}
		if response, err = done.open(response, o.response, "this answer is the one that was given", func(c []byte) error { return b.VerifyResponse(respSalt, c) }); err != nil {
			return nil, err
		}
	}
	if request == nil {
		done.notChecked = append(done.notChecked, "what was asked: give --request to open its commitment")
	}
	if response == nil {
		done.notChecked = append(done.notChecked, "what was answered: give --response to open its commitment")
	}
	if !o.replay {
		return done, nil
	}
	if request == nil || response == nil {
		return nil, attestation.BadInput("--replay needs --request and --response, or a proof exported --with-opening")
	}
	if err := replay(ctx, b, request, response); err != nil {
		return nil, err
	}
	done.checked = append(done.checked, "running the request again gives the same bytes")
	return done, nil
}

// open verifies the content in a file. Without a file, what the proof holds
// stays.
func (d *openedContents) open(held []byte, path, text string, verify func([]byte) error) ([]byte, error) {
	if path == "" {
		return held, nil
	}
	content, err := command.ReadFile(path, receipt.MaxContent)
	if err != nil {
		return nil, err
	}
	if err := verify(content); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	d.checked = append(d.checked, text)
	return content, nil
}

func findSalts(proof string, p *receipt.Proof, o receiptOptions) (req, resp [32]byte, err error) {
	if p.Opening != nil {
		return p.Opening.RequestSalt, p.Opening.ResponseSalt, nil
	}
	path := o.receipt
	if path == "" {
		path = strings.TrimSuffix(proof, ".proof") + ".receipt"
		if _, err := os.Stat(path); err != nil {
			return req, resp, attestation.BadInput("%w", errNoSalts)
		}
	}
	f, err := openWith(p.Receipt, path)
	if err != nil {
		return req, resp, err
	}
	return f.RequestSalt, f.ResponseSalt, nil
}

// openWith reads X.receipt, which must be of the receipt in the proof.
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
