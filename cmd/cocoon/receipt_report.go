package main

import (
	"fmt"
	"io"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

// failedJSON is what `verify receipt --json` prints of any other receipt.
type failedJSON struct {
	Outcome string               `json:"outcome"` // family of the error
	Error   command.Failure      `json:"error"`
	Verdict *attestation.Verdict `json:"verdict"` // null when it did not come to one
}

// printFailedReceipt says why a receipt is not shown to be valid.
func printFailedReceipt(env *command.Env, file string, err error) error {
	v := attestation.VerdictOf(err)
	if env.JSON {
		if perr := env.PrintJSON(failedJSON{command.FamilyName(err), command.FailureOf(err), v}); perr != nil {
			return perr
		}
		return reported(env, err)
	}
	if v != nil {
		writeVerdict(env.Stdout, v, err)
	}
	fmt.Fprintf(env.Stdout, "%s  %s\n", resultWord(err, ""), file)
	return reported(env, err)
}

// reportJSON is what `verify receipt --json` prints of a receipt that is valid.
type reportJSON struct {
	Outcome    string               `json:"outcome"` // "valid"
	Simulated  bool                 `json:"simulated"`
	Node       attestation.Address  `json:"node"`
	Epoch      uint32               `json:"epoch"`
	Index      uint64               `json:"index"`
	Time       time.Time            `json:"time"`
	Model      string               `json:"model_digest"`
	Engine     string               `json:"engine"`
	Finish     receipt.Finish       `json:"finish"`
	Prompt     uint64               `json:"prompt_tokens"`
	Completion uint64               `json:"completion_tokens"`
	AnchorSize uint64               `json:"anchor_size"`
	AnchoredAt time.Time            `json:"anchored_at"`
	Block      uint32               `json:"block"`
	Checked    []string             `json:"checked"`
	NotChecked []string             `json:"not_checked"`
	Verdict    *attestation.Verdict `json:"verdict"`
}

func receiptReport(p *receipt.Proof, c *client.Checked, opened *openedContents) *reportJSON {
	h, b := &p.Receipt.Head, &p.Receipt.Body
	r := &reportJSON{
		Outcome: "valid", Simulated: c.Simulated, Node: h.Node, Epoch: h.Epoch, Index: h.Index,
		Time: time.Unix(int64(h.Time), 0).UTC(), Model: fmt.Sprintf("%x", b.ModelDigest), Engine: b.Engine,
		Finish: b.Finish, Prompt: b.PromptTokens, Completion: b.CompletionTokens,
		AnchorSize: c.Node.Anchor.Size, AnchoredAt: c.AnchoredAt, Block: c.Block.Seqno, Verdict: c.Verdict,
		Checked: []string{
			"your trusted block leads to the chain's block with validator signatures",
			"that block's state holds the node's record, under your registry",
			"the receipt is signed by the key that this record holds for its epoch",
			"the receipt is a leaf of the log whose head is anchored in the record",
			"the claims behind the receipt are the ones that were registered",
			"hardware signed those claims, and your policy accepts it, judged at the anchor's time",
		},
	}
	r.Checked = append(r.Checked, opened.checked...)
	r.NotChecked = append(r.NotChecked, opened.notChecked...)
	r.NotChecked = append(r.NotChecked, c.Verdict.NotChecked...)
	return r
}

func writeReceiptReport(w io.Writer, r *reportJSON) {
	warnSimulated(w, r.Simulated)
	for _, c := range r.Checked {
		fmt.Fprintf(w, "PASS         %s\n", c)
	}
	for _, c := range r.NotChecked {
		fmt.Fprintf(w, "NOT CHECKED  %s\n", c)
	}
	fmt.Fprintf(w, "VALID  receipt %d of epoch %d of node %v\n", r.Index, r.Epoch, r.Node)
	fmt.Fprintf(w, "       %s answered %s at %s (%d prompt, %d completion tokens)\n", r.Engine, r.Finish, r.Time.Format(time.RFC3339), r.Prompt, r.Completion)
	fmt.Fprintf(w, "       log of %d receipts anchored on chain at %s, shown by block %d\n", r.AnchorSize, r.AnchoredAt.UTC().Format(time.RFC3339), r.Block)
}
