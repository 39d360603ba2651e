package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var challengeCommand = &command.Command{
	Name: "challenge", Args: "FILE [FILE]", Short: "demand on the chain that a node proves its log to hold a receipt, or to have only grown",
	Long: "For X.receipt that is not in the log although the merge delay is over. The wallet pays a\n" +
		"bond; the node must prove the receipt to be in its log within the answer window, or lose\n" +
		"stake, of which you get a part. A node that has the receipt in its log gets half the bond:\n" +
		"so the log is looked at first, and nothing is sent when it holds the receipt.\n\n" +
		"--log is for two log heads of which the larger does not continue the smaller: each is X.proof\n" +
		"or a head that `cocoon node --save-head` wrote; a single one is compared with the newest anchor.\n" +
		"The node must prove that its log only grew. Two heads of one size are for `cocoon report`.\n\n" +
		"--collect ends a challenge that was not answered in time, and pays out what the node owes the\n" +
		"wallet. What the contract would refuse is found out before anything is paid.",
	Example: "cocoon challenge receipts/1795572000-ab12cd34-7.receipt --wallet wallet.key",
	Setup: func(flags *flag.FlagSet) func(context.Context, *command.Env) error {
		var f accuserFlags
		f.register(flags, "challenge")
		log := flags.Bool("log", false, "challenge the log by one or two of its heads")
		unread := flags.Bool("unread", false, "send it also when the log can't be read, as when its node is gone")
		return func(ctx context.Context, env *command.Env) error {
			if *log && len(env.Args) != 1 && len(env.Args) != 2 {
				return attestation.BadInput("want one or two log heads, got %d arguments; --help explains", len(env.Args))
			} else if !*log {
				if err := args(env, 1, "one receipt"); err != nil {
					return err
				}
			}
			if f.wallet == "" {
				return attestation.BadInput("challenge needs --wallet: the wallet that pays the bond; --help explains")
			}
			if f.collect && *unread {
				return attestation.BadInput("--collect and --unread exclude each other")
			}
			read := challengeOfReceipt
			if *log {
				read = challengeOfLog
			}
			a, err := read(env.Args, *unread)
			if err != nil {
				return err
			}
			return f.accuse(ctx, env, a)
		}
	},
}

// openFunc finds a challenge in a node's record. The id is known also of one that
// is not there, unless it depends on what a head was compared with.
type openFunc func(rec *registry.Node, wallet attestation.Address) (id [32]byte, c contracts.Challenge, ok bool)

// challenge makes an accusation of one.
func challenge(node attestation.Address, what string, look func(context.Context, *accuser) (*client.Fault, error), open openFunc) *accusation {
	return &accusation{
		kind: "challenge", node: node, what: what,
		look: func(ctx context.Context, p *accuser) (*client.Fault, error) {
			f, err := look(ctx, p)
			if errors.Is(err, client.ErrUnread) {
				err = fmt.Errorf("%w (--unread sends it all the same)", err)
			}
			return f, err
		},
		id: func(rec *registry.Node, wallet attestation.Address) [32]byte {
			id, _, _ := open(rec, wallet)
			return id
		},
		show: func(env *command.Env, p *accuser, rec *registry.Node) error {
			return showChallenge(env, p, rec, open)
		},
	}
}

func challengeOfReceipt(files []string, unread bool) (*accusation, error) {
	f, err := readReceiptFile(files[0])
	if err != nil {
		return nil, err
	}
	relay, err := keptRelay(files[0], f)
	if err != nil {
		return nil, err
	}
	h := &f.Receipt.Head
	return challenge(h.Node, fmt.Sprintf("challenge %x of node %v", h.LeafHash(), h.Node),
		func(ctx context.Context, p *accuser) (*client.Fault, error) {
			return p.sess.ChallengeReceipt(ctx, f, p.wallet, relay, unread)
		},
		func(rec *registry.Node, _ attestation.Address) ([32]byte, contracts.Challenge, bool) {
			c, ok := rec.State.Book.Challenges[h.LeafHash()]
			return h.LeafHash(), c, ok
		}), nil
}

// keptRelay returns where the node's relay was when the receipt was kept; "" where
// that was not kept. The chain may say better.
func keptRelay(path string, f *receipt.File) (string, error) {
	data, err := command.ReadFile(string(keptSource(filepath.Dir(path), f.Receipt.Body.ClaimsDigest))+".relay", 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSuffix(string(data), "\n"), err
}

func challengeOfLog(files []string, unread bool) (*accusation, error) {
	read, err := readAllSigned(files)
	if err != nil {
		return nil, err
	}
	var heads [2]*client.LogHead
	for i, f := range read {
		if heads[i] = f.head; f.head == nil {
			return nil, attestation.BadInput("%s is a receipt, and holds no log head: X.proof does, and `cocoon node --save-head` writes one", f.path)
		}
	}
	a, b := heads[0], heads[1]
	what := fmt.Sprintf("challenge of the log of node %v by %d receipts with root %x", a.Node, a.Size, a.Root)
	if b != nil {
		what += fmt.Sprintf(" and %d with root %x", b.Size, b.Root)
	}
	return challenge(a.Node, what,
		func(ctx context.Context, p *accuser) (*client.Fault, error) {
			return p.sess.ChallengeLog(ctx, a, b, p.wallet, unread)
		},
		func(rec *registry.Node, wallet attestation.Address) ([32]byte, contracts.Challenge, bool) {
			return client.OpenLogChallenge(rec, a, b, wallet)
		}), nil
}

// showChallenge says what became of a challenge that was sent: the node may have
// answered by now.
func showChallenge(env *command.Env, p *accuser, rec *registry.Node, find openFunc) error {
	id, c, open := find(rec, p.wallet)
	v := openChallenge{Node: rec.Address, Simulated: simulated(p.sess.policy)}
	if open {
		name, until := hexOf(id), time.Unix(int64(c.Deadline), 0).UTC()
		v.Challenge, v.Bond, v.Loss, v.Until = &name, &c.Bond, &c.Loss, &until
	}
	switch {
	case env.JSON:
		return env.PrintJSON(v)
	case open:
		_, err := fmt.Fprintf(env.Stdout, "challenge %s is open: the node must answer before %s, or lose %s\nbond      %s\n", *v.Challenge, v.Until.Format(time.RFC3339), command.Coins(c.Loss), command.Coins(c.Bond))
		return err
	}
	_, err := fmt.Fprintln(env.Stdout, "the challenge was opened, and is over: the same command with --collect pays out what came of it")
	return err
}

// openChallenge is what is printed of one; nulls say that it is over.
type openChallenge struct {
	Challenge *string             `json:"challenge"`
	Node      attestation.Address `json:"node"`
	Bond      *uint64             `json:"bond_nano"`
	Loss      *uint64             `json:"loss_nano"` // of silence
	Until     *time.Time          `json:"answer_until"`
	Simulated bool                `json:"simulated"`
}
