package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

// stepJSON is a step of the trail.
type stepJSON struct {
	Step    string              `json:"step"`
	Text    string              `json:"text"`
	Outcome attestation.Outcome `json:"outcome"`
	At      *time.Time          `json:"at"` // null where time does not matter
	Detail  string              `json:"detail,omitempty"`
}

func stepsJSON(t client.Trail) []stepJSON {
	out := make([]stepJSON, len(t))
	for i, s := range t {
		out[i] = stepJSON{Step: s.Name, Text: s.Text, Outcome: s.Outcome, Detail: s.Detail}
		if !s.At.IsZero() {
			at := s.At.UTC()
			out[i].At = &at
		}
	}
	return out
}

// failedJSON is what `verify receipt --json` prints of any other receipt.
type failedJSON struct {
	Outcome   string               `json:"outcome"` // family of the error
	Simulated bool                 `json:"simulated"`
	Error     command.Failure      `json:"error"`
	Steps     []stepJSON           `json:"steps"`
	Verdict   *attestation.Verdict `json:"verdict"` // null when it did not come to one
}

// printFailedReceipt says why a receipt is not shown to be valid, and what was.
func printFailedReceipt(env *command.Env, file string, p *receipt.Proof, err error) error {
	v, trail := attestation.VerdictOf(err), client.TrailOf(err)
	simulated := v != nil && v.Simulated
	for _, s := range trail { // the evidence may have been good, and something else not
		simulated = simulated || s.Name == client.StepRoot && strings.HasPrefix(s.Detail, "SIMULATED")
	}
	if env.JSON {
		if perr := env.PrintJSON(failedJSON{command.FamilyName(err), simulated, command.FailureOf(err), stepsJSON(trail), v}); perr != nil {
			return perr
		}
		return reported(env, err)
	}
	warnSimulated(env.Stdout, simulated)
	writeTrail(env.Stdout, trail)
	if v != nil {
		for _, c := range v.Checks {
			if c.Outcome != attestation.Pass {
				fmt.Fprintf(env.Stdout, "             %s  %s\n", outcomeWord[c.Outcome], checkText(c))
			}
		}
	}
	h := &p.Receipt.Head
	fmt.Fprintf(env.Stdout, "%s  %s: receipt %d of epoch %d of node %v\n", resultWord(err, ""), file, h.Index, h.Epoch, h.Node)
	return reported(env, err)
}

// outcomeWord is how an outcome is printed.
var outcomeWord = map[attestation.Outcome]string{
	attestation.Pass: "PASS", attestation.Fail: "FAIL", attestation.NotSure: "UNKNOWN", client.NotChecked: "NOT CHECKED",
}

// writeTrail writes a line for each step.
func writeTrail(w io.Writer, t client.Trail) {
	for _, s := range t {
		line := s.Text
		if !s.At.IsZero() {
			line += ", at " + s.At.UTC().Format(time.RFC3339)
		}
		if s.Detail != "" {
			line += ": " + s.Detail
		}
		fmt.Fprintf(w, "%-12s %s\n", outcomeWord[s.Outcome], line)
	}
}

// reportJSON is what `verify receipt --json` prints of a receipt that is valid.
type reportJSON struct {
	Outcome    string               `json:"outcome"` // "valid"
	Simulated  bool                 `json:"simulated"`
	Node       attestation.Address  `json:"node"`
	Epoch      uint32               `json:"epoch"`
	Index      uint64               `json:"index"`
	Time       time.Time            `json:"time"` // the enclave's word
	Model      string               `json:"model_digest"`
	Engine     string               `json:"engine"`
	Finish     receipt.Finish       `json:"finish"`
	Prompt     uint64               `json:"prompt_tokens"`
	Completion uint64               `json:"completion_tokens"`
	AnchorSize uint64               `json:"anchor_size"`
	AnchoredAt time.Time            `json:"anchored_at"` // and judged at
	AnchorTx   string               `json:"anchor_transaction"`
	Block      uint32               `json:"block"`
	Steps      []stepJSON           `json:"steps"`
	Checked    []string             `json:"checked"`
	NotChecked []string             `json:"not_checked"`
	Verdict    *attestation.Verdict `json:"verdict"`

	trail client.Trail
}

func receiptReport(p *receipt.Proof, c *client.Checked) *reportJSON {
	h, b := &p.Receipt.Head, &p.Receipt.Body
	r := &reportJSON{
		Outcome: "valid", Simulated: c.Simulated, Node: h.Node, Epoch: h.Epoch, Index: h.Index,
		Time: time.Unix(int64(h.Time), 0).UTC(), Model: fmt.Sprintf("%x", b.ModelDigest), Engine: b.Engine,
		Finish: b.Finish, Prompt: b.PromptTokens, Completion: b.CompletionTokens,
		AnchorSize: p.Checkpoint.Size, AnchoredAt: c.AnchoredAt, AnchorTx: hexOf(c.AnchorTx), Block: c.Block.Seqno,
		Steps: stepsJSON(c.Trail), Checked: []string{}, Verdict: c.Verdict, trail: c.Trail,
	}
	for _, s := range c.Trail {
		if s.Outcome == attestation.Pass {
			r.Checked = append(r.Checked, s.Text)
		} else {
			r.NotChecked = append(r.NotChecked, s.Text+": "+s.Detail)
		}
	}
	r.NotChecked = append(r.NotChecked, "the exact time of the answer: its receipt has the enclave's word, the chain proves what it lies between")
	r.NotChecked = append(r.NotChecked, c.Verdict.NotChecked...)
	return r
}

func writeReceiptReport(w io.Writer, r *reportJSON) {
	warnSimulated(w, r.Simulated)
	writeTrail(w, r.trail)
	for _, c := range r.NotChecked[unpassed(r.trail):] {
		fmt.Fprintf(w, "NOT CHECKED  %s\n", c)
	}
	fmt.Fprintf(w, "VALID  receipt %d of epoch %d of node %v\n", r.Index, r.Epoch, r.Node)
	fmt.Fprintf(w, "       %s answered %s at %s (%d prompt, %d completion tokens)\n", r.Engine, r.Finish, r.Time.Format(time.RFC3339), r.Prompt, r.Completion)
	fmt.Fprintf(w, "       judged at %s, when the chain took the log of %d receipts\n", r.AnchoredAt.Format(time.RFC3339), r.AnchorSize)
}

// unpassed counts the steps that the trail of a valid receipt left out.
func unpassed(t client.Trail) (n int) {
	for _, s := range t {
		if s.Outcome != attestation.Pass {
			n++
		}
	}
	return n
}
