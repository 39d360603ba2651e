package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var nodeCommand = &command.Command{
	Name: "node", Args: "ADDRESS", Short: "show a node: what the chain proves of it, and whether its relay says the same",
	Long: "State, epochs with their keys and measurements, price, stake, anchor and open challenges, as\n" +
		"proved from the trusted block. Then the node's relay is asked for bundle and log: they are\n" +
		"compared with the chain, and the node is judged under your policy. The exit code says what\n" +
		"came of that; a relay that can't be asked is \"could not find out\". --chain-only leaves it out.\n" +
		"--save keeps what the chain says, with its proof, for `cocoon verify record`.",
	Example: "cocoon node 0:a52ceb30…",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		s.registerEndorsements(fs)
		only := fs.Bool("chain-only", false, "do not ask the node's relay")
		save := fs.String("save", "", "new `file` for what the chain says, with its proof")
		head := fs.String("save-head", "", "new `file` for the log head that the relay signs for the chain now: `cocoon report` and `cocoon challenge --log` take it")
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 1, "one address"); err != nil {
				return err
			}
			if _, err := os.Lstat(*save); *save != "" && err == nil {
				return command.Exists(*save)
			}
			addr, err := command.ParseAddress(env.Args[0])
			if err != nil {
				return err
			}
			if err := headFile(*head, *only); err != nil {
				return err
			}
			sess, err := s.connect(ctx, env, nil)
			if err != nil {
				return err
			}
			defer sess.close()
			warnSimulated(env.Stderr, simulated(sess.policy))
			err = showNode(ctx, env, sess, addr, *only, *save)
			if *head != "" {
				err = errors.Join(err, saveHead(ctx, sess, addr, err, *head))
			}
			return err
		}
	},
}

func showNode(ctx context.Context, env *command.Env, sess *session, addr attestation.Address, chainOnly bool, save string) error {
	rec, err := sess.Record(ctx, addr)
	if err != nil {
		return err
	}
	file, err := rec.Encode()
	if err != nil {
		return err
	}
	if save != "" {
		if err := command.CreateFile(save, file, 0o644); err != nil {
			return err
		}
		env.Logf("what the chain says is in %s", save)
	}
	v := viewOf(rec, sess.trusted, len(file), simulated(sess.policy))
	var wrong error
	if !chainOnly {
		_, v.relay, wrong = sess.CheckNode(ctx, addr)
	}
	if err := printNode(env, v); err != nil {
		return err
	}
	sayContradicts(env, addr, v.relay)
	return reported(env, wrong)
}

func viewOf(rec *client.Record, trusted chain.BlockID, bytes int, simulated bool) *nodeView {
	n := rec.Node
	e, _ := n.Epoch(n.Current)
	return &nodeView{node: n, slot: slotOf(rec), revoked: rec.Root.State.Revoked[e.PlatformID], simulated: simulated, proof: proofLine{
		Block: n.At.Seqno, RootHash: hexOf(n.At.RootHash), Time: n.At.Time.UTC(), Trusted: trusted.Seqno, Bytes: bytes}}
}

// nodeView is all that is shown of a node.
type nodeView struct {
	node      *registry.Node
	slot      *slotLine
	proof     proofLine
	relay     client.Trail // nil: not asked
	revoked   bool         // its machine, by the registry
	simulated bool
}

// proofLine says what proves the record.
type proofLine struct {
	Block    uint32    `json:"block"`
	RootHash string    `json:"root_hash"`
	Time     time.Time `json:"time"`
	Trusted  uint32    `json:"trusted_block"` // that it leads from
	Bytes    int       `json:"bytes"`
}

type epochLine struct {
	Number       uint32    `json:"number"`
	Active       bool      `json:"active"`
	ClaimsDigest string    `json:"claims_digest"`
	Measurement  string    `json:"measurement"`
	Platform     string    `json:"platform"`
	Evidence     string    `json:"evidence"` // what the registration rests on
	ReceiptKey   string    `json:"receipt_key"`
	LogKey       string    `json:"log_key"`
	StartBlock   uint32    `json:"start_block"`
	RegisteredAt time.Time `json:"registered_at"`
	Expires      time.Time `json:"expires"`
	FinalSize    uint64    `json:"final_size,omitempty"`
}

type challengeLine struct {
	ID       string    `json:"id"`
	About    string    `json:"about"` // "receipt" or "log"
	Number   uint64    `json:"number"`
	Deadline time.Time `json:"deadline"`
	Loss     uint64    `json:"loss_nano"`
	Bond     uint64    `json:"bond_nano"`
}

// slotLine is the node's place on the machine of its current epoch.
type slotLine struct {
	Platform attestation.Address `json:"platform"` // contract
	Until    *time.Time          `json:"until"`    // null: the node holds no slot
	Held     int                 `json:"held"`     // by all nodes of the machine
	Limit    int                 `json:"limit"`
}

// slotOf returns nil where there is no slot to hold: no epoch yet, or a registry
// that counts none.
func slotOf(rec *client.Record) *slotLine {
	p := rec.Platform
	if p == nil {
		return nil
	}
	line := &slotLine{Platform: p.Address, Held: p.Held, Limit: p.Limit}
	if until, ok := p.Slot(rec.Node.Address); ok {
		line.Until = &until
	}
	return line
}

func (s *slotLine) String() string {
	if s == nil {
		return "none: this registry counts none, or the node has never registered"
	}
	own := "none"
	if s.Until != nil {
		own = "one until " + s.Until.Format(time.RFC3339)
	}
	return fmt.Sprintf("%s; nodes of its machine hold %d of %d", own, s.Held, s.Limit)
}

// What a registration rests on.
const (
	byContract  = "contract"
	byVerifiers = "verifiers"
)

var evidenceText = map[string]string{
	byContract:  "TDX quote, verified by the contract",
	byVerifiers: "TRUST ASSUMPTION: a certificate of the registry's verifiers; no contract verified the evidence (verify node does)",
}

func restsOn(e registry.Epoch) string {
	if e.ByQuorum {
		return byVerifiers
	}
	return byContract
}

// anchorLine is the newest anchor. Without one the size is 0 and there is no time.
type anchorLine struct {
	Size uint64    `json:"size"`
	Root string    `json:"root"`
	Time time.Time `json:"time,omitzero"`
}

func printNode(env *command.Env, v *nodeView) error {
	n, slot := v.node, v.slot
	var epochs []epochLine
	for _, number := range slices.Sorted(maps.Keys(n.Epochs)) {
		e := n.Epochs[number]
		epochs = append(epochs, epochLine{number, e.Active, hexOf(e.ClaimsDigest), hexOf(e.Measurement), hexOf(e.PlatformID), restsOn(e), hexOf(e.ReceiptKey), hexOf(e.LogKey),
			e.StartBlock, e.RegisteredAt, e.Expires, e.Final.Size})
	}
	challenges := []challengeLine{}
	for id, c := range n.State.Book.Challenges {
		about := "receipt"
		if c.Log {
			about = "log"
		}
		challenges = append(challenges, challengeLine{hexOf(id), about, c.Number, time.Unix(int64(c.Deadline), 0).UTC(), c.Loss, c.Bond})
	}
	slices.SortFunc(challenges, func(a, b challengeLine) int { return strings.Compare(a.ID, b.ID) })
	if env.JSON {
		return env.PrintJSON(map[string]any{
			"address": n.Address, "registry": n.Root, "operator": n.Operator, "index": n.Index, "endpoint": n.Endpoint, "status": n.Status,
			"price_prompt_nano_per_million": n.PromptPrice, "price_completion_nano_per_million": n.CompletionPrice,
			"stake_nano": n.Stake, "unbonding_nano": n.State.Unbonding, "epochs": epochs, "current_epoch": n.Current,
			"anchor": anchorLine{n.Anchor.Size, hexOf(n.Anchor.Root), n.Anchor.Time},
			"slot":   slot, "machine_revoked": v.revoked, "challenges": challenges, "block": n.At.Seqno, "block_time": n.At.Time.UTC(), "simulated": v.simulated,
			"proof": v.proof, "relay": stepsJSON(v.relay),
		})
	}
	log := anchored(n.Anchor.Size, n.Anchor.Time)
	if n.Anchor.Size > 0 {
		log += fmt.Sprintf("\n          root %x", n.Anchor.Root)
	}
	w := env.Stdout
	fmt.Fprintf(w, "node      %v\noperator  %v, number %d\nstatus    %s, epoch %d\nrelay     %s\nprice     %s\nstake     %s, on its way out %s\nslot      %v\nlog       %s\nproved by block %d of %s, root %s, from your trusted block %d (%d bytes)\n",
		n.Address, n.Operator, n.Index, n.Status, n.Current, n.Endpoint, command.Prices(n.PromptPrice, n.CompletionPrice), command.Coins(n.Stake), command.Coins(n.State.Unbonding), slot,
		log, v.proof.Block, v.proof.Time.Format(time.RFC3339), v.proof.RootHash, v.proof.Trusted, v.proof.Bytes)
	if v.revoked {
		fmt.Fprintf(w, "machine   %s\n", machineRevoked)
	}
	for _, e := range epochs {
		fmt.Fprintf(w, "epoch %d\n  registered  %s, until %s\n  claims      %s\n  measurement %s\n  platform    %s\n  evidence    %s\n  receipt key %s\n", e.Number,
			e.RegisteredAt.Format(time.RFC3339), e.Expires.Format(time.RFC3339), e.ClaimsDigest, e.Measurement, e.Platform, evidenceText[e.Evidence], e.ReceiptKey)
	}
	for _, c := range challenges {
		fmt.Fprintf(w, "challenge %s about %s %d: answer before %s or lose %s\n", c.ID, c.About, c.Number, c.Deadline.Format(time.RFC3339), command.Coins(c.Loss))
	}
	writeTrail(w, v.relay)
	return nil
}
