package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

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
	show := printAnswer
	if q.stream {
		show = printStream
	}
	err = show(indent{d.out}, withBody(resp, io.TeeReader(resp.Body, &raw)))
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
	if _, err := (&keeper{dir: d.dir}).keep(ctx, fmt.Sprint(number), f, client.NodeOf(resp)); err != nil {
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
func (d *demoRun) verifyOffline(ctx context.Context) error {
	ton, err := d.files.loadTON()
	if err != nil {
		return err
	}
	want := client.Expect{Policy: d.sess.policy, Registry: d.sess.root, Trusted: []chain.BlockID{ton.Trusted()}}
	for i := range demoQuestions {
		name := filepath.Join(d.dir, fmt.Sprint(i+1))
		p, err := readProof(name + ".proof")
		if err != nil {
			return err
		}
		checked, err := client.VerifyProof(p, want)
		if err != nil {
			return fmt.Errorf("%s.proof: %w", name, err)
		}
		given, err := readContents(name+".proof", p, receiptOptions{request: name + ".request", response: name + ".response", replay: true})
		if err != nil {
			return err
		}
		if err := given.verify(ctx, p, checked.Trail); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	d.say("both receipts verify offline, from answer to hardware root, and running the questions again gives the same bytes")
	return nil
}
