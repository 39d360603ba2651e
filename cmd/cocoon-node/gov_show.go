package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

func govShow(ctx context.Context, env *command.Env, ton tonfile.Flags, reg string) error {
	if len(env.Args) == 1 {
		return showProposal(ctx, env, env.Args[0], ton, reg)
	}
	if len(env.Args) > 1 {
		return attestation.BadInput("gov show takes at most one file; --help explains")
	}
	c, root, err := openRegistry(ctx, env, ton, reg)
	if err != nil {
		return err
	}
	defer c.Close()
	return showRoot(ctx, env, registry.Reader{Reader: c}, root)
}

// showProposal shows a file, with what the chain says when it can be asked.
func showProposal(ctx context.Context, env *command.Env, file string, ton tonfile.Flags, reg string) error {
	p, err := readProposal(file)
	if err != nil {
		return err
	}
	if !ton.Given() {
		return printUnchecked(env, p)
	}
	root, err := registryFlag(reg, p)
	if err != nil {
		return err
	}
	c, err := dial(ctx, env, ton)
	if err != nil {
		return err
	}
	defer c.Close()
	r, _, err := review(ctx, c, p, root)
	if err != nil {
		return err
	}
	if err := printReview(env, r); err != nil || r.Err() == nil {
		return err
	}
	env.Logf("%v", r.Err())
	return &command.ReportedError{Err: r.Err()}
}

// printUnchecked prints a proposal as the file says it.
func printUnchecked(env *command.Env, p *host.Proposal) error {
	if env.JSON {
		return env.PrintJSON(p)
	}
	fmt.Fprintf(env.Stdout, "registry   %v\nchain      %d\nproposal   %d\naction     %s\nexpires    %s\napprovals  %d\n",
		p.Registry, p.ChainID, p.Number, actionText(p.Action, p.Value), p.Expires.UTC().Format(time.RFC3339), len(p.Approvals))
	fmt.Fprintln(env.Stdout, "not checked: what it changes, whether approvals hold, whether it can still be submitted; give --ton-config")
	return nil
}

func printReview(env *command.Env, r *host.Review) error {
	if env.JSON {
		return env.PrintJSON(r)
	}
	writeReview(env.Stdout, r)
	return nil
}

// writeReview writes everything that whoever signs has to know.
func writeReview(w io.Writer, r *host.Review) {
	when := "at once when it is submitted"
	if r.Waits {
		when = "after the governance delay: submitted now, it may be executed from " + r.From + " to " + r.Until
	}
	fmt.Fprintf(w, "registry   %v\nchain      %d\nproposal   %d\naction     %s\n", r.Registry, r.ChainID, r.Number, actionText(r.Action, r.Value))
	writeEffect(w, r.Effect, r.Waits)
	fmt.Fprintf(w, "happens    %s\nexpires    %s, for approvals and submission\nsigned     digest %s\n", when, r.Expires.UTC().Format(time.RFC3339), r.Digest)
	for _, s := range r.Signers {
		holds := "holds"
		if !s.Valid {
			holds = "DOES NOT HOLD"
		}
		fmt.Fprintf(w, "  key %-4d %s  %s\n", s.Number, s.Key, holds)
	}
	fmt.Fprintf(w, "approvals  %d of %d needed\n", r.Valid(), r.Needed)
	if r.Problem != "" {
		fmt.Fprintf(w, "problem    %s\n", r.Problem)
	}
}

// writeEffect writes what an action changes, from what to what.
func writeEffect(w io.Writer, e *host.Effect, waits bool) {
	for _, c := range e.Changes {
		fmt.Fprintf(w, "  change   %s\n           from %s\n           to   %s\n", c.What, c.Old, c.New)
	}
	if len(e.Changes) == 0 {
		fmt.Fprintln(w, "  change   none: it is so already")
	}
	fmt.Fprintf(w, "  means    %s\n", e.Means)
	if e.Refused != 0 && waits {
		fmt.Fprintf(w, "  but      as things stand its execution would be refused: %s\n", contracts.ErrorName(e.Refused))
	}
}

// effect is what a proposal that waits would do now.
func effect(p contracts.Proposal, s *contracts.RootState) *host.Effect {
	a, err := contracts.ParseAction(p.Action)
	if err != nil {
		return &host.Effect{Means: "its action can't be read: " + err.Error()}
	}
	return host.Explain(a, s)
}

// actionText writes an action with its value, if it takes one.
func actionText(action string, value json.RawMessage) string {
	return strings.TrimSuffix(action+" "+valueText(value), " ")
}

// valueText writes a whole value, as whoever signs it has to read it: on one
// line, and without characters that terminals obey or hide.
func valueText(raw json.RawMessage) string {
	var b bytes.Buffer
	if len(raw) == 0 || json.Compact(&b, raw) != nil {
		return ""
	}
	return plain(b.String())
}

// plain writes the characters that terminals obey or hide as numbers.
func plain(text string) string {
	var out strings.Builder
	for _, r := range text {
		if r == ' ' || unicode.IsPrint(r) {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, "\\u%04x", r)
		}
	}
	return out.String()
}
