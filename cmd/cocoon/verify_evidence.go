package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var verifyEvidenceCommand = &command.Command{
	Name: "verify evidence", Args: "FILE", Short: "judge a piece of evidence, offline",
	Long: "FILE is a quote or report, tokens of NVIDIA's remote attestation service, or a bundle.\n" +
		"Nothing is fetched: endorsements come from --endorsements, and from the bundle.\n\n" +
		"A file that stands alone says nothing of its age. Give the nonce that was asked (--nonce):\n" +
		"without it, the result lists the nonce as not checked. An event log (--event-log) is\n" +
		"replayed into the registers that the evidence signs.\n\n" +
		"The chain is not looked at. Whether it has registered a bundle is listed as not checked,\n" +
		"and ACCEPTED does not say it: `cocoon verify node` does, and `cocoon verify receipt` from\n" +
		"a proof. A policy that takes the list of measurements or models \"from registry\" can't be\n" +
		"used here, and the result is \"could not find out\" (exit code 3): list the digests\n" +
		"in the policy (`cocoon policy init --measurement DIGEST --model DIGEST`).",
	Example: "cocoon verify evidence quote.bin --endorsements collateral/ --at 2026-01-02T15:04:05Z",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		fs.StringVar(&s.policy, "policy", "", "policy `file` (default: policy.toml in the configuration directory)")
		fs.StringVar(&s.endorsements, "endorsements", "", "`directory` or file with endorsements")
		at := fs.String("at", "", "`time` to judge at, RFC 3339 (default: now)")
		var in evidenceInput
		fs.StringVar(&in.nonce, "nonce", "", "`hex` of the 32 bytes that a bundle, GPUs, tokens or a TPM were asked to sign")
		fs.StringVar(&in.log, "event-log", "", "`file` with the event log of a TD or a TPM that stands alone")
		var page htmlFlag
		fs.Var(&page, "html", htmlUsage)
		return func(_ context.Context, env *command.Env) error {
			env.Args = page.take(env.Args)
			if err := args(env, 1, "one file"); err != nil {
				return err
			}
			in.at = *at
			return verifyEvidence(env, &s, &in, &page)
		}
	},
}

// evidenceInput is what the flags say beside the file.
type evidenceInput struct{ at, nonce, log string }

// subject reads the flags.
func (in *evidenceInput) subject() (s attestation.Subject, err error) {
	if s.At, err = timeFlag(in.at); err != nil {
		return s, err
	}
	if in.nonce != "" {
		b, err := hex.DecodeString(in.nonce)
		if err != nil || len(b) != 32 {
			return s, attestation.BadInput("--nonce: want 64 hexadecimal digits, got %q", in.nonce)
		}
		s.Nonce = (*[32]byte)(b)
	}
	if in.log != "" {
		s.EventLog, err = command.ReadFile(in.log, eventlog.MaxLog)
	}
	return s, err
}

func verifyEvidence(env *command.Env, s *settings, in *evidenceInput, page *htmlFlag) error {
	subject, err := in.subject()
	if err != nil {
		return err
	}
	if err := page.check(env); err != nil {
		return err
	}
	policy, err := s.loadPolicy()
	if err != nil {
		return err
	}
	data, err := command.ReadFile(env.Args[0], attestation.MaxBundleSize)
	if err != nil {
		return err
	}
	extra, err := s.loadEndorsements()
	if err != nil {
		return err
	}
	set, err := client.Endorsements(extra)
	if err != nil {
		return err
	}
	v, err := attestation.NewVerifier(policy)
	if err != nil {
		return err
	}
	verdict, err := judge(v, env.Args[0], data, set, subject)
	if verdict == nil {
		return err
	}
	err = offline(verdict, policy, err)
	printed, werr := page.write(env, env.Args[0], data, verdict, err)
	if werr != nil {
		return werr
	}
	show := printVerdict
	if printed {
		show = func(env *command.Env, _ *attestation.Verdict, err error) error { return reported(env, err) }
	}
	result := show(env, verdict, err)
	if slices.ContainsFunc(verdict.Checks, func(c attestation.Check) bool { return c.Outcome == attestation.NotSure && c.Got == noRegistry }) {
		env.Logf("hint: the policy takes lists from a registry, which is not read here: list the digests in it, or use `cocoon verify node`")
	}
	return result
}

// judge returns the verdict over a bundle, or over a single piece of evidence,
// and its error. There is no verdict when the file is none of both.
func judge(v *attestation.Verifier, name string, data []byte, set *attestation.Endorsements, s attestation.Subject) (*attestation.Verdict, error) {
	b, bundleErr := attestation.ParseBundle(data)
	if bundleErr == nil {
		if len(s.EventLog) > 0 {
			return nil, attestation.BadInput("--event-log: %s is a bundle, which carries its own event log", name)
		}
		if err := set.AddBundle(b); err != nil {
			return nil, err
		}
		verified, err := v.Verify(attestation.Input{Bundle: b, Endorsements: set, Nonce: s.Nonce, At: s.At})
		if err != nil {
			return attestation.VerdictOf(err), err
		}
		return verified.Verdict(), nil
	}
	kind := attestation.DetectKind(data)
	if kind == "" {
		return nil, notEvidence(name, data, bundleErr)
	}
	facts, err := v.VerifyEvidence(kind, data, set, s.At)
	if err != nil {
		return attestation.FailedVerdict(kind, s.At, err), err
	}
	verdict := v.Policy().Appraise(facts, s)
	return verdict, verdict.Err()
}

// notEvidence says what a file is instead.
func notEvidence(name string, data []byte, bundleErr error) error {
	switch kind, _ := describe(data); kind {
	case "proof":
		return attestation.BadInput("%s is the proof of a receipt: `cocoon verify receipt` checks it", name)
	case "receipt":
		return attestation.BadInput("%s is a receipt: `cocoon receipt export` makes a proof of it, which `cocoon verify receipt` checks", name)
	}
	if attestation.NewEndorsements().AddFile(name, data) == nil {
		return attestation.BadInput("%s holds endorsements, and no evidence that they could endorse: give it with --endorsements", name)
	}
	if _, err := eventlog.Parse(data); err == nil {
		return attestation.BadInput("%s is an event log, which nothing signs by itself: give it with --event-log beside the evidence whose registers it explains", name)
	}
	if bytes.Contains(data[:min(len(data), 64)], []byte("cocoon/bundle/")) {
		return attestation.BadInput("%s: %w", name, bundleErr)
	}
	if len(data) == 0 {
		return attestation.BadInput("%s is empty: give a file with evidence", name)
	}
	if k := command.KindOf(data); k != "" {
		return attestation.BadInput("%s is %v, and no evidence: a node's evidence is in its bundle", name, k)
	}
	return attestation.BadInput("%s is no evidence of a kind that is known here: give a TDX or SGX quote, an SEV-SNP report, a TPM's or GPU's evidence, tokens of NVIDIA's service, or a bundle", name)
}

// Rules of a verdict that need the chain, and what they got without it.
const (
	ruleRegistered   = "chain.registered"
	ruleMeasurements = "measurements"
	noRegistry       = "no registry was read"
)

// offline makes of a verdict that was reached without the chain what it can
// honestly say. That the chain registered the bundle is not this command's
// question: it becomes something that was not checked. Which code is accepted
// is its question: where only the registry knows, it stays unknown, also for a
// single piece of evidence.
func offline(v *attestation.Verdict, p *attestation.Policy, err error) error {
	if i := slices.IndexFunc(v.Checks, func(c attestation.Check) bool {
		return c.Rule == ruleRegistered && c.Outcome == attestation.NotSure
	}); i >= 0 {
		refusal := 0
		for _, c := range v.Checks[:i] {
			if c.Outcome != attestation.Pass {
				refusal++
			}
		}
		v.Checks = slices.Delete(v.Checks, i, i+1)
		v.Refusals = slices.Delete(v.Refusals, refusal, refusal+1)
		v.NotChecked = append([]string{"registration: whether the chain has registered these claims; `cocoon verify node` finds out"}, v.NotChecked...)
		v.Accepted = len(v.Refusals) == 0
		err = v.Err()
	}
	return unknownCode(v, p, err)
}

// unknownCode adds the check that a verdict over single evidence leaves out.
func unknownCode(v *attestation.Verdict, p *attestation.Policy, err error) error {
	known := slices.ContainsFunc(v.Checks, func(c attestation.Check) bool { return c.Rule == ruleMeasurements })
	if !v.Authentic || known || !slices.Contains([]string{attestation.KindTDX, attestation.KindSNP}, v.Kind) || !p.Measurements().Registry {
		return err // what runs elsewhere is judged by other rules
	}
	v.NotChecked = slices.DeleteFunc(v.NotChecked, func(s string) bool { return strings.HasPrefix(s, "measurement: ") })
	c := attestation.Check{Rule: ruleMeasurements, Text: "the registry lists the measurement", Outcome: attestation.NotSure, Got: noRegistry}
	sentence := fmt.Sprintf("could not find out whether %s: %s", c.Text, c.Got)
	v.Checks, v.Refusals, v.Accepted = append(v.Checks, c), append(v.Refusals, sentence), false
	return &attestation.VerdictError{Verdict: v, Err: errors.Join(err, attestation.Unknown("%s", sentence))}
}
