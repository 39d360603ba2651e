package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
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
	return &command.ErrReported{Err: r.Err()}
}

// printUnchecked prints a proposal as the file says it.
func printUnchecked(env *command.Env, p *host.Proposal) error {
	if env.JSON {
		return env.PrintJSON(p)
	}
	fmt.Fprintf(env.Stdout, "registry   %v\nchain      %d\nproposal   %d\naction     %s %s\nexpires    %s\napprovals  %d\n",
		p.Registry, p.ChainID, p.Number, p.Action, valueText(p.Value), p.Expires.UTC().Format(time.RFC3339), len(p.Approvals))
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
	fmt.Fprintf(w, "registry   %v\nchain      %d\nproposal   %d\naction     %s %s\n", r.Registry, r.ChainID, r.Number, r.Action, valueText(r.Value))
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

func showRoot(ctx context.Context, env *command.Env, r registry.Reader, addr attestation.Address) error {
	root, err := r.Root(ctx, addr)
	if err != nil {
		return err
	}
	s := root.State
	var keys, measurements, models []string
	for i := range len(s.Governance.Keys) {
		k := s.Governance.Keys[uint8(i)]
		keys = append(keys, hex.EncodeToString(k[:]))
	}
	for _, m := range root.Measurements {
		measurements = append(measurements, hex.EncodeToString(m[:]))
	}
	for _, m := range root.Models {
		models = append(models, hex.EncodeToString(m[:]))
	}
	if env.JSON {
		open := map[uint32]any{}
		for n, p := range s.Proposals {
			open[n] = map[string]any{"execute_after": unix(p.ExecuteAfter), "execute_before": unix(p.ExecuteBefore), "action_hash": hex.EncodeToString(p.Action.Hash()), "effect": effect(p, s)}
		}
		return env.PrintJSON(map[string]any{
			"registry": root.Address, "block": root.At.Seqno, "paused": root.Paused, "threshold": s.Governance.Threshold, "keys": keys,
			"measurements": measurements, "models": models, "verifiers": verifiersOf(s), "params": s.Params, "next_proposal": s.NextProposal, "proposals": open, "nodes": len(root.Nodes),
		})
	}
	fmt.Fprintf(env.Stdout, "registry      %v (block %d)\nregistration  %s\ngovernance    %d of %d keys\n", root.Address, root.At.Seqno,
		map[bool]string{true: "paused", false: "open"}[root.Paused], s.Governance.Threshold, len(keys))
	for i, k := range keys {
		fmt.Fprintf(env.Stdout, "  key %-8d %s\n", i, k)
	}
	for _, m := range measurements {
		fmt.Fprintf(env.Stdout, "measurement   %s\n", m)
	}
	for _, m := range models {
		fmt.Fprintf(env.Stdout, "model         %s\n", m)
	}
	printVerifiers(env.Stdout, verifiersOf(s))
	fmt.Fprintf(env.Stdout, "nodes         %d\nnext proposal %d\n", len(root.Nodes), s.NextProposal)
	for _, n := range slices.Sorted(maps.Keys(s.Proposals)) {
		p := s.Proposals[n]
		fmt.Fprintf(env.Stdout, "proposal %-4d may be executed from %s to %s, action hash %x\n", n, unix(p.ExecuteAfter), unix(p.ExecuteBefore), p.Action.Hash())
		writeEffect(env.Stdout, effect(p, s), true)
	}
	return nil
}

func unix(t uint32) string { return time.Unix(int64(t), 0).UTC().Format(time.RFC3339) }

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
