package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var challengeCommand = &command.Command{
	Name: "challenge", Args: "X.receipt", Short: "demand on the chain that a receipt's node proves it to be in its log",
	Long: "For a receipt that is not in the log although the merge delay is over. The wallet pays a\n" +
		"bond; the node must prove the receipt to be in its log within the answer window, or lose\n" +
		"stake, of which you get a part. A node that has the receipt in its log gets half the bond:\n" +
		"so the log is looked at first, and nothing is sent when it holds the receipt. --collect ends a\n" +
		"challenge that was not answered in time, and pays out what the node owes the wallet.",
	Example: "cocoon challenge receipts/1795572000-ab12cd34-7.receipt --wallet wallet.key",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		unread := fs.Bool("unread", false, "send it also when the log can't be read, as when its node is gone")
		collect := fs.Bool("collect", false, "take what an earlier challenge of this receipt brought")
		wallet := fs.String("wallet", "", "`file` with the key of the wallet that pays and is paid")
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 1, "one receipt"); err != nil {
				return err
			}
			if *wallet == "" {
				return attestation.BadInput("challenge needs --wallet: the wallet that pays the bond; --help explains")
			}
			if *collect && *unread {
				return attestation.BadInput("--collect and --unread exclude each other")
			}
			return challenge(ctx, env, &s, *wallet, *unread, *collect)
		}
	},
}

func challenge(ctx context.Context, env *command.Env, s *settings, walletFile string, unread, collect bool) error {
	f, src, err := loadReceipt(env.Args[0])
	if err != nil {
		return err
	}
	data, err := command.ReadFile(walletFile, 4<<10)
	if err != nil {
		return err
	}
	key, err := chain.ParseWalletKey(string(data))
	if err != nil {
		return err
	}
	sess, err := s.connect(ctx, env, nil)
	if err != nil {
		return err
	}
	defer sess.close()
	warnSimulated(env.Stderr, simulated(sess.policy))
	root, err := registry.Reader{Reader: sess.chain}.Root(ctx, sess.root)
	if err != nil {
		return err
	}
	id, err := sess.chain.ChainID(ctx)
	if err != nil {
		return err
	}
	w, err := chain.NewWallet(key, id)
	if err != nil {
		return err
	}
	m := &contracts.ChallengeReceipt{ChainID: id, Payout: w.Address(), Head: f.Receipt.Head, SignReceipt: f.Receipt.Signature}
	m.Sign(f.HolderKey())
	check := func() error { return challengeable(ctx, sess, root, f.Receipt, src.Endpoint, unread) }
	payments := filepath.Join(filepath.Dir(env.Args[0]), "payments")
	if _, err := os.Stat(payments); err != nil && !collect { // nothing was begun here: nothing is made yet
		if err := check(); err != nil {
			return err
		}
		check = func() error { return nil } // it is done
	}
	o, err := host.OpenOperator(ctx, sess.chain, key, sess.root, 0, payments)
	if err != nil {
		return err
	}
	defer o.Close()
	o.Note = func(text string) { env.Logf("%s", text) }
	if collect {
		return collected(ctx, env, o, f.Receipt.Head.Node, m.ID())
	}
	bond := root.State.Params.ChallengeBond
	if err := open(ctx, o, m, f.Receipt.Head.Node, bond, check); err != nil {
		return err
	}
	if t := o.Repeated(); !t.IsZero() {
		env.Logf("this was begun at %s, and is done; nothing was paid for it again", t.Format(time.RFC3339))
	}
	deadline := time.Now().Add(time.Duration(root.State.Params.AnswerWindow) * time.Second).UTC()
	if env.JSON {
		err = env.PrintJSON(map[string]any{"challenge": hexOf(m.ID()), "node": f.Receipt.Head.Node, "bond_nano": bond, "answer_until": deadline, "simulated": simulated(sess.policy)})
	} else {
		_, err = fmt.Fprintf(env.Stdout, "challenge %x is open: the node must answer before about %s\nbond      %s\n", m.ID(), deadline.Format(time.RFC3339), command.Coins(bond))
	}
	return errors.Join(err, o.Told())
}

// open sends a challenge, unless that was begun before. The check comes in
// between: a challenge that is on its way changes what it finds.
func open(ctx context.Context, o *host.Operator, m *contracts.ChallengeReceipt, node attestation.Address, bond uint64, check func() error) error {
	what := fmt.Sprintf("challenge %x of node %v", m.ID(), node)
	if begun, err := o.Begun(ctx, what); begun || err != nil {
		return err
	}
	if err := check(); err != nil {
		return err
	}
	return o.Send(ctx, what, bond+contracts.ValueChallenge, func(q uint64) host.Message {
		m.QueryID = q
		return m
	}, node)
}

// collected takes what a challenge brought.
func collected(ctx context.Context, env *command.Env, o *host.Operator, node attestation.Address, id [32]byte) error {
	amount, err := o.Collect(ctx, node, id)
	if err != nil {
		return err
	}
	if t := o.Repeated(); !t.IsZero() {
		env.Logf("this was begun at %s, and is done", t.Format(time.RFC3339))
	}
	if env.JSON {
		err = env.PrintJSON(map[string]any{"challenge": hexOf(id), "node": node, "collected_nano": amount})
	} else {
		_, err = fmt.Fprintf(env.Stdout, "collected %s of challenge %x\n", command.Coins(amount), id)
	}
	return errors.Join(err, o.Told())
}

// challengeable finds out whether a challenge could be won, before anything is
// spent.
func challengeable(ctx context.Context, sess *session, root *registry.Root, r *receipt.Receipt, relay string, unread bool) error {
	n, err := registry.Reader{Reader: sess.chain}.Node(ctx, r.Head.Node)
	if err != nil {
		return err
	}
	e, ok := n.Epoch(r.Head.Epoch)
	if !ok {
		return attestation.Unknown("the node's record holds epoch %d no more: its windows are over", r.Head.Epoch)
	}
	if err := r.Verify(e.ReceiptKey); err != nil {
		return err
	}
	p := root.State.Params
	made := time.Unix(int64(r.Head.Time), 0)
	if open := made.Add(time.Duration(p.MergeDelay) * time.Second); n.At.Time.Before(open) {
		return attestation.Refused("the node may anchor the receipt until %s; try again then", open.UTC().Format(time.RFC3339))
	}
	if end := made.Add(time.Duration(p.Unbonding-p.AnswerWindow) * time.Second); n.At.Time.After(end) {
		return attestation.Refused("a challenge had to come before %s", end.UTC().Format(time.RFC3339))
	}
	if n.Endpoint != "" {
		relay = n.Endpoint
	}
	err = sess.Covered(ctx, relay, n, r)
	var false_ *attestation.FalseError
	switch {
	case err == nil:
		return attestation.Refused("the log holds the receipt, and the chain covers it: a challenge would be lost")
	case errors.Is(err, client.ErrNotAnchored), errors.As(err, &false_):
		return nil // not covered, or covered by another leaf
	case unread:
		return nil
	}
	return fmt.Errorf("the log can't be read, so it is not known whether a challenge would be won (--unread sends it all the same): %w", err)
}
