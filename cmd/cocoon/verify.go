package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var verifyEvidenceCommand = &command.Command{
	Name: "verify evidence", Args: "FILE", Short: "judge a piece of evidence, offline",
	Long: "FILE is a quote or report, or a bundle. Nothing is fetched: endorsements come from\n" +
		"--endorsements. A bundle's registration is not looked up; verify node does that.",
	Example: "cocoon verify evidence quote.bin --endorsements collateral/ --at 2026-01-02T15:04:05Z",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		fs.StringVar(&s.policy, "policy", "", "policy `file` (default: policy.toml in the configuration directory)")
		fs.StringVar(&s.endorsements, "endorsements", "", "`directory` or file with endorsements")
		at := fs.String("at", "", "`time` to judge at, RFC 3339 (default: now)")
		return func(_ context.Context, env *command.Env) error {
			if err := args(env, 1, "one file"); err != nil {
				return err
			}
			return verifyEvidence(env, &s, *at)
		}
	},
}

func verifyEvidence(env *command.Env, s *settings, at string) error {
	when := time.Now()
	if at != "" {
		var err error
		if when, err = time.Parse(time.RFC3339, at); err != nil {
			return attestation.BadInput("--at: want a time like 2026-01-02T15:04:05Z, got %q", at)
		}
	}
	policy, err := s.loadPolicy()
	if err != nil {
		return err
	}
	data, err := readFile(env.Args[0], attestation.MaxBundleSize)
	if err != nil {
		return err
	}
	extra, err := s.loadEndorsements()
	if err != nil {
		return err
	}
	kind, subject := "", attestation.Subject{At: when}
	if b, err := attestation.ParseBundle(data); err == nil {
		if subject.Claims, err = b.Claims(); err != nil {
			return err
		}
		for _, a := range b.Attachments {
			if a.Kind == attestation.AttachEndorsements {
				extra = append(extra, client.EndorsementFile{Name: "attached", Data: a.Data})
			}
		}
		if len(b.Evidence) == 0 {
			return attestation.BadInput("the bundle holds no evidence")
		}
		kind, data = b.Evidence[0].Kind, b.Evidence[0].Data
	}
	set, err := client.Endorsements(extra)
	if err != nil {
		return err
	}
	v, err := attestation.NewVerifier(policy)
	if err != nil {
		return err
	}
	facts, err := v.VerifyEvidence(kind, data, set, when)
	if err != nil {
		return printVerdict(env, attestation.FailedVerdict(detected(kind, data), when, err), err)
	}
	verdict := policy.Appraise(facts, subject)
	return printVerdict(env, verdict, verdict.Err())
}

func detected(kind string, data []byte) string {
	if kind != "" {
		return kind
	}
	return attestation.DetectKind(data)
}

// printVerdict prints a verdict for people or as JSON, and returns err as one
// that was explained.
func printVerdict(env *command.Env, v *attestation.Verdict, err error) error {
	if env.JSON {
		if perr := env.PrintJSON(v); perr != nil {
			return perr
		}
	} else {
		writeVerdict(env.Stdout, v)
	}
	if err != nil {
		if !env.JSON {
			env.Logf("%v", err)
		}
		return &command.ErrReported{Err: err}
	}
	return nil
}

func writeVerdict(w io.Writer, v *attestation.Verdict) {
	warnSimulated(w, v.Simulated)
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, c := range v.Checks {
		line := strings.ToUpper(string(c.Outcome)) + "\t" + c.Text
		if c.Outcome != attestation.Pass {
			line += fmt.Sprintf(" (expected %s, got %s)", orNothing(c.Expected), orNothing(c.Got))
		} else if c.Got != "" && len(c.Got) <= 48 {
			line += ": " + c.Got
		}
		fmt.Fprintln(tw, line)
	}
	tw.Flush()
	for _, n := range v.NotChecked {
		fmt.Fprintf(w, "NOT CHECKED  %s\n", n)
	}
	word := map[int]string{0: "ACCEPTED", 2: "FALSE", 3: "COULD NOT FIND OUT", 5: "CHAIN DISAGREES"}[attestation.ExitCode(v.Err())]
	if word == "" {
		word = "REFUSED"
	}
	fmt.Fprintf(w, "%s  %s evidence, judged at %s\n", word, strings.ToUpper(v.Kind), v.At.UTC().Format(time.RFC3339))
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

var verifyReceiptCommand = &command.Command{
	Name: "verify receipt", Args: "X.proof", Short: "check an answer's whole trail, offline",
	Long: "Receipt, log, anchor on TON, registration, evidence, hardware root: from one file, without\n" +
		"opening a socket. Policy, registry and trusted block are yours; nothing is taken from the\n" +
		"proof. --request and --response check that these contents are the ones committed to; the\n" +
		"salts for it come from X.receipt (found beside the proof) or from an opening in the proof.\n" +
		"--replay runs the request again on the embedded engine and compares every byte.",
	Example: "cocoon verify receipt demo/1.proof --request demo/1.request --response demo/1.response --replay",
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
		if v := attestation.VerdictOf(err); v != nil {
			return printVerdict(env, v, err)
		}
		return err
	}
	opened, err := openContents(ctx, env, p, o)
	if err != nil {
		return err
	}
	report := receiptReport(p, checked, opened)
	if env.JSON {
		return env.PrintJSON(report)
	}
	writeReceiptReport(env.Stdout, report)
	return nil
}

// openContents checks the contents that were given against the commitments, and
// replays. It returns what was checked, one line each.
func openContents(ctx context.Context, env *command.Env, p *receipt.Proof, o receiptOptions) ([]string, error) {
	if o.request == "" && o.response == "" && !o.replay {
		return nil, nil
	}
	reqSalt, respSalt, err := findSalts(env.Args[0], p, o)
	if err != nil {
		return nil, err
	}
	b := &p.Receipt.Body
	var done []string
	var request, response []byte
	if o.request != "" {
		if request, err = readFile(o.request, receipt.MaxContent); err != nil {
			return nil, err
		}
		if err := b.VerifyRequest(reqSalt, request); err != nil {
			return nil, fmt.Errorf("%s: %w", o.request, err)
		}
		done = append(done, "this request is the one that was answered")
	}
	if o.response != "" {
		if response, err = readFile(o.response, receipt.MaxContent); err != nil {
			return nil, err
		}
		if err := b.VerifyResponse(respSalt, response); err != nil {
			return nil, fmt.Errorf("%s: %w", o.response, err)
		}
		done = append(done, "this answer is the one that was given")
	}
	if !o.replay {
		return done, nil
	}
	if p.Opening != nil {
		if request == nil {
			request = p.Opening.Request
		}
		if response == nil {
			response = p.Opening.Response
		}
	}
	if request == nil || response == nil {
		return nil, attestation.BadInput("--replay needs --request and --response, or a proof exported --with-opening")
	}
	if err := replay(ctx, b, request, response); err != nil {
		return nil, err
	}
	return append(done, "running the request again gives the same bytes"), nil
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

type reportJSON struct {
	Valid      bool                 `json:"valid"`
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

func receiptReport(p *receipt.Proof, c *client.Checked, opened []string) *reportJSON {
	h, b := &p.Receipt.Head, &p.Receipt.Body
	r := &reportJSON{
		Valid: true, Simulated: c.Simulated, Node: h.Node, Epoch: h.Epoch, Index: h.Index,
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
	r.Checked = append(r.Checked, opened...)
	if len(opened) == 0 {
		r.NotChecked = append(r.NotChecked, "what was asked and answered: give --request and --response to open the commitments")
	}
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
