package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var reportCommand = &command.Command{
	Name: "report", Args: "FILE [FILE]", Short: "prove to the chain that a node signed two things that contradict each other",
	Long: "Two receipts with one index, or two log heads of one size: a file is X.receipt, X.proof, which\n" +
		"holds both, or a head that `cocoon node --save-head` wrote. Of a single head the second is looked\n" +
		"for among the node's anchors. The contract takes stake from the node and ends its registration;\n" +
		"half of the loss is burned, half is the wallet's: --collect pays it out. What the contract would\n" +
		"refuse is found out before anything is paid.",
	Example: "cocoon report a.receipt b.receipt --wallet wallet.key",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var f accuserFlags
		f.register(fs, "report")
		return func(ctx context.Context, env *command.Env) error {
			if n := len(env.Args); n != 1 && n != 2 {
				return attestation.BadInput("want one or two files, got %d arguments; --help explains", n)
			}
			if f.wallet == "" {
				return attestation.BadInput("report needs --wallet: the wallet that pays and is paid; --help explains")
			}
			files, err := readAllSigned(env.Args)
			if err != nil {
				return err
			}
			fork, err := forkOf(files)
			if err != nil {
				return err
			}
			return f.accuse(ctx, env, fork.accusation())
		}
	},
}

// fork is two statements of one key that can't both be true: receipts, or heads of
// which the second may be left to the chain.
type fork struct {
	receipts [2]*receipt.Receipt
	heads    [2]*client.LogHead
}

// forkOf finds it in files, or says why there is none.
func forkOf(files []*signed) (*fork, error) {
	a := files[0]
	if len(files) == 1 {
		if a.head == nil {
			return nil, attestation.BadInput("%s is one receipt, which contradicts nothing: bring another with its index", a.path)
		}
		return &fork{heads: [2]*client.LogHead{a.head}}, nil
	}
	b := files[1]
	var why []error
	if a.receipt != nil && b.receipt != nil {
		err := client.OneIndex(&a.receipt.Head, &b.receipt.Head)
		if err == nil {
			return &fork{receipts: [2]*receipt.Receipt{a.receipt, b.receipt}}, nil
		}
		why = append(why, err)
	}
	if a.head != nil && b.head != nil {
		err := client.OneSize(a.head, b.head)
		if err == nil {
			return &fork{heads: [2]*client.LogHead{a.head, b.head}}, nil
		}
		why = append(why, err)
	}
	if len(why) == 0 {
		return nil, attestation.BadInput("one of the files is a receipt and the other a log head: they contradict nothing")
	}
	return nil, errors.Join(why...)
}

// fault returns the node and the name of the fault in its record.
func (f *fork) fault() (attestation.Address, [32]byte) {
	if h := f.heads[0]; h != nil {
		return h.Node, (&contracts.ReportHeads{A: h.Anchor}).ID()
	}
	h := &f.receipts[0].Head
	return h.Node, (&contracts.ReportReceipts{A: [receipt.HeadSize]byte(h.AppendTo(nil))}).ID()
}

func (f *fork) accusation() *accusation {
	node, id := f.fault()
	a := &accusation{
		kind: "fault", node: node, show: f.show,
		id: func(*registry.Node, attestation.Address) [32]byte { return id },
	}
	if h := f.heads; h[0] != nil {
		a.what = fmt.Sprintf("report that the log of node %v has two heads of %d receipts, one with root %x", node, h[0].Size, h[0].Root)
		a.look = func(ctx context.Context, p *accuser) (*client.Fault, error) {
			return p.sess.ReportHeads(ctx, h[0], h[1])
		}
		return a
	}
	r := f.receipts
	a.what = fmt.Sprintf("report receipts %x and %x of node %v", r[0].Head.LeafHash(), r[1].Head.LeafHash(), node)
	a.look = func(ctx context.Context, p *accuser) (*client.Fault, error) {
		return p.sess.ReportReceipts(ctx, r[0], r[1])
	}
	return a
}

func (f *fork) show(env *command.Env, p *accuser, rec *registry.Node) (err error) {
	node, id := f.fault()
	owed := rec.State.Book.Credits[p.wallet]
	if env.JSON {
		return env.PrintJSON(map[string]any{"fault": hexOf(id), "node": node, "status": rec.Status, "stake_nano": rec.Stake, "owed_nano": owed, "simulated": simulated(p.sess.policy)})
	}
	_, err = fmt.Fprintf(env.Stdout, "fault %x is proved: node %v is %s\nstake     %s is left\nreward    %s: the same command with --collect pays it out\n", id, node, rec.Status, command.Coins(rec.Stake), command.Coins(owed))
	return err
}
