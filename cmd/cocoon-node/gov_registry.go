package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

// registryReport is what `gov show` prints of a registry.
type registryReport struct {
	Address attestation.Address `json:"registry"`
	Block   uint32              `json:"block"` // of the masterchain, whose proof this is; 0: not read from a chain
	*host.Registry
	Verifiers *verifierSet            `json:"verifiers"` // null: none are listed
	Proposals map[uint32]openProposal `json:"proposals"` // by number
	Nodes     int                     `json:"nodes"`     // on the list
	// Hits are the nodes on the list whose registration the registry would not
	// confirm any more, after a message that can cause that.
	Hits []*rechecked `json:"hits,omitempty"`
}

type openProposal struct {
	ExecuteAfter  string       `json:"execute_after"`
	ExecuteBefore string       `json:"execute_before"`
	ActionHash    string       `json:"action_hash"`
	Effect        *host.Effect `json:"effect"`
}

func showRoot(ctx context.Context, env *command.Env, r registry.Reader, addr attestation.Address) error {
	root, err := r.Root(ctx, addr)
	if err != nil {
		return err
	}
	return printRegistry(env, root)
}

func printRegistry(env *command.Env, root *registry.Root) error {
	return reportOf(root).print(env, root.State.Params)
}

func reportOf(root *registry.Root) *registryReport {
	s := root.State
	report := &registryReport{
		Address: root.Address, Block: root.At.Seqno, Registry: host.Describe(s),
		Verifiers: verifiersOf(s), Proposals: map[uint32]openProposal{}, Nodes: len(root.Nodes),
	}
	for n, p := range s.Proposals {
		report.Proposals[n] = openProposal{unix(p.ExecuteAfter), unix(p.ExecuteBefore), hex.EncodeToString(p.Action.Hash()), effect(p, s)}
	}
	return report
}

func (r *registryReport) print(env *command.Env, params contracts.Params) error {
	if env.JSON {
		return env.PrintJSON(r)
	}
	r.write(env.Stdout, params)
	if len(r.Hits) == 0 {
		return nil
	}
	fmt.Fprintf(env.Stdout, "hits          %d nodes, whose registrations go on until they are rechecked\n", len(r.Hits))
	writeRechecked(env.Stdout, r.Hits)
	for _, n := range r.Hits {
		if !n.Done {
			fmt.Fprintln(env.Stdout, "end them by   cocoon-node recheck --all")
			break
		}
	}
	return nil
}

func (r *registryReport) write(w io.Writer, params contracts.Params) {
	from := fmt.Sprintf("block %d", r.Block)
	if r.Block == 0 {
		from = "not read from a chain"
	}
	fmt.Fprintf(w, "registry      %v (%s)\nregistration  %s\ngovernance    %d of %d keys\n", r.Address, from,
		map[bool]string{true: "paused", false: "open"}[r.Paused], r.Threshold, len(r.Keys))
	for _, i := range slices.Sorted(maps.Keys(r.Keys)) {
		fmt.Fprintf(w, "  key %-8d %s\n", i, r.Keys[i])
	}
	for _, m := range r.Measurements {
		since := ""
		if m.Since != "" { // else from the beginning
			since = " since " + m.Since
		}
		fmt.Fprintf(w, "measurement   %s  %s%s\n", m.Digest, m.Status, since)
	}
	for _, m := range r.Models {
		fmt.Fprintf(w, "model         %s  licence %s, from %s\n", m.Digest, plain(m.Licence), plain(m.URL))
	}
	for _, k := range r.CAKeys {
		fmt.Fprintf(w, "CA key        %s  PCK %s CA\n", k.Digest, k.Kind)
	}
	for _, fmspc := range slices.Sorted(maps.Keys(r.Floors)) {
		fmt.Fprintf(w, "floor         FMSPC %s\n", fmspc)
		for _, part := range r.Floors[fmspc] {
			fmt.Fprintf(w, "  %-42s %s\n", part.Name, part.Text)
		}
	}
	for _, id := range r.Revoked {
		fmt.Fprintf(w, "revoked       machine %s\n", id)
	}
	printVerifiers(w, r.Verifiers)
	fmt.Fprintln(w, "parameters")
	for _, p := range host.Lines(params) {
		fmt.Fprintf(w, "  %-42s %s\n", p.Name, p.Text)
	}
	fmt.Fprintf(w, "nodes         %d\nnext proposal %d\n", r.Nodes, r.NextProposal)
	for _, n := range slices.Sorted(maps.Keys(r.Proposals)) {
		p := r.Proposals[n]
		fmt.Fprintf(w, "proposal %-4d may be executed from %s to %s, action hash %s\n", n, p.ExecuteAfter, p.ExecuteBefore, p.ActionHash)
		writeEffect(w, p.Effect, true)
	}
}

func unix(t uint32) string { return time.Unix(int64(t), 0).UTC().Format(time.RFC3339) }
