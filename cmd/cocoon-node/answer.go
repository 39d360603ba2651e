package main

import (
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var answerCommand = &command.Command{
	Name: "answer", Short: "answer challenges of the node's log, without an enclave",
	Long: "For an operator whose node does not run: who has left and waits for his stake, whose machine is\n" +
		"gone and its disk is saved, whose registration is refused. It needs the log and coins for fees,\n" +
		"neither an enclave nor a registration; `up` does the same by itself, and they exclude each other.\n" +
		"Receipts that no anchor covers are anchored first, by the newest head that `up` stored.\n\n" +
		"Runs until interrupted, or until nothing of the node is at stake any more. With --once it looks\n" +
		"once; the exit code is 0 when no challenge is left open.",
	Example: "cocoon-node answer" + flagsExample,
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var f operatorFlags
		f.register(fs)
		once := fs.Bool("once", false, "answer what is open now, and end")
		log := fs.String("log", "", "`directory` that holds the log, or URL of a relay that serves it (default: log, below --dir)")
		return func(ctx context.Context, env *command.Env) error { return answer(ctx, env, &f, *log, *once) }
	},
}

func answer(ctx context.Context, env *command.Env, f *operatorFlags, log string, once bool) error {
	if err := f.check(env); err != nil {
		return err
	}
	unlock, err := host.LockNode(f.dir)
	if err != nil {
		return err
	}
	defer unlock()
	o, err := f.openIn(ctx, env, filepath.Join(f.dir, host.PaymentsDir))
	if err != nil {
		return err
	}
	defer o.Client.Close()
	defer o.Close()
	if _, err := o.Record(ctx); errors.Is(err, registry.ErrNoContract) {
		return fmt.Errorf("%w: are registry, wallet, --index and network those of the node?", err)
	} else if err != nil {
		return err
	}
	source := logSource(f.dir, log, o.Node)
	if once {
		return answerOnce(ctx, env, o, source)
	}
	o.Log = slog.New(slog.NewTextHandler(env.Stderr, nil)).With("program", "cocoon-node")
	if !env.JSON {
		fmt.Fprintf(env.Stdout, "challenges of node %v are answered until this is interrupted\n", o.Node)
	}
	if err := o.KeepAnswering(ctx, source); err != nil || ctx.Err() != nil {
		return err
	}
	return printRecord(ctx, env, o)
}

// logSource is the log that a flag names.
func logSource(dir, log string, node attestation.Address) host.LogSource {
	if strings.HasPrefix(log, "http://") || strings.HasPrefix(log, "https://") {
		return host.LogSource{
			Tiles: func(ctx context.Context, path string) ([]byte, error) {
				return get(ctx, log, "/log/"+path, translog.TileWidth*32)
			},
			Head: func(ctx context.Context) (*contracts.SignedHead, error) {
				data, err := get(ctx, log, "/log/anchor", 1<<12)
				if err != nil {
					return nil, err
				}
				return host.ParseAnchor(data)
			},
		}
	}
	if log == "" {
		log = filepath.Join(dir, host.LogDir)
	}
	return host.StoredLog(log, dir, node)
}

// answered is what answer --once prints as JSON.
type answered struct {
	Node     attestation.Address `json:"node"`
	Answered []string            `json:"answered"` // challenges, in hexadecimal
	Open     []string            `json:"open"`
	Error    *command.Failure    `json:"error,omitempty"` // why some are open
}

func answerOnce(ctx context.Context, env *command.Env, o *host.Operator, source host.LogSource) error {
	done, problem := o.Answer(ctx, source)
	rec, err := o.Record(ctx)
	if err != nil {
		return errors.Join(problem, err)
	}
	v, problem := answeredOf(done, rec, problem)
	if env.JSON {
		err = env.PrintJSON(v)
	} else {
		printAnswered(env, v, rec)
	}
	if err != nil || problem == nil {
		return err
	}
	env.Logf("%v", problem)
	return &command.ReportedError{Err: problem}
}

// answeredOf says what was answered and what is open, by a record of afterwards. What
// is open is always a problem: who gets none may stop.
func answeredOf(done [][32]byte, rec *registry.Node, problem error) (answered, error) {
	v := answered{Node: rec.Address, Answered: []string{}, Open: []string{}}
	for _, id := range done {
		v.Answered = append(v.Answered, hex.EncodeToString(id[:]))
	}
	for id := range rec.State.Book.Challenges {
		v.Open = append(v.Open, hex.EncodeToString(id[:]))
	}
	if problem == nil && len(v.Open) > 0 {
		problem = attestation.Unknown("%d challenges were made while others were answered: run it again", len(v.Open))
	}
	if problem != nil {
		f := command.FailureOf(problem)
		v.Error = &f
	}
	return v, problem
}

func printAnswered(env *command.Env, v answered, rec *registry.Node) {
	fmt.Fprintf(env.Stdout, "node      %v\n", v.Node)
	for _, id := range v.Answered {
		fmt.Fprintf(env.Stdout, "answered  %s\n", id)
	}
	for _, id := range v.Open {
		fmt.Fprintf(env.Stdout, "open      %s\n", id)
	}
	if len(v.Answered)+len(v.Open) == 0 {
		fmt.Fprintln(env.Stdout, "no challenge is open")
	}
	if s := rec.State; s.Unbonding > 0 {
		fmt.Fprintf(env.Stdout, "leaving   %s, from %s\n", command.Coins(s.Unbonding), time.Unix(int64(s.Book.UnbondingAt), 0).UTC().Format(time.RFC3339))
	}
}
