package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

// contents are question and answer, as far as they are there, and the salts that
// open the commitments to them.
type contents struct {
	request, response         []byte // nil when not there
	requestFile, responseFile string // that they came from; empty for the proof itself
	requestSalt, responseSalt [32]byte
	replay                    bool
}

// readContents reads what was given beside a proof. proof is the file it came from.
func readContents(proof string, p *receipt.Proof, o receiptOptions) (*contents, error) {
	c := &contents{requestFile: o.request, responseFile: o.response, replay: o.replay}
	if p.Opening != nil {
		c.request, c.response = p.Opening.Request, p.Opening.Response
		c.requestSalt, c.responseSalt = p.Opening.RequestSalt, p.Opening.ResponseSalt
	}
	if o.request == "" && o.response == "" {
		return c, nil
	}
	var err error
	if p.Opening == nil {
		if c.requestSalt, c.responseSalt, err = findSalts(proof, p, o); err != nil {
			return nil, err
		}
	}
	if c.request, err = contentOf(o.request, c.request); err != nil {
		return nil, err
	}
	if c.response, err = contentOf(o.response, c.response); err != nil {
		return nil, err
	}
	return c, nil
}

// contentOf reads a file. Without one, what the proof holds stays.
func contentOf(path string, held []byte) ([]byte, error) {
	if path == "" {
		return held, nil
	}
	return command.ReadFile(path, receipt.MaxContent)
}

// verify checks the contents against the commitments of a proof that holds, and
// replays.
func (c *contents) verify(ctx context.Context, p *receipt.Proof, trail client.Trail) error {
	b := &p.Receipt.Body
	for _, s := range []struct {
		step, file, flag string
		content          []byte
		open             func() error
	}{
		{client.StepRequest, c.requestFile, "--request", c.request, func() error { return b.VerifyRequest(c.requestSalt, c.request) }},
		{client.StepResponse, c.responseFile, "--response", c.response, func() error { return b.VerifyResponse(c.responseSalt, c.response) }},
	} {
		switch {
		case s.content == nil:
			trail.Step(s.step).Detail = "give " + s.flag + " to open its commitment"
		case s.file != "":
			err := s.open()
			if err != nil {
				err = fmt.Errorf("%s: %w", s.file, err)
			}
			if trail.Set(s.step, time.Time{}, "", err); err != nil {
				return err
			}
		}
	}
	if !c.replay {
		trail.Step(client.StepReplay).Detail = "give --replay, for answers of the embedded engine"
		return nil
	}
	err := replay(ctx, b, c.request, c.response)
	trail.Set(client.StepReplay, time.Time{}, b.Engine, err)
	return err
}

func findSalts(proof string, p *receipt.Proof, o receiptOptions) (req, resp [32]byte, err error) {
	path := o.receipt
	if path == "" {
		path = proofStem(proof) + ".receipt"
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
