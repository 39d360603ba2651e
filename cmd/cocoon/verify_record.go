package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var verifyRecordCommand = &command.Command{
	Name: "verify record", Args: "FILE", Short: "check what the chain said of a node, offline",
	Long: "FILE is what `cocoon node --save` wrote. It shows what the chain held after one block, the\n" +
		"same lines as `cocoon node`, without opening a socket; the trusted block and the registry are\n" +
		"yours. It says nothing of what came later, and nothing of the node's relay. --online is for a\n" +
		"file that is older than your trusted block: it asks the chain whether its block is its own.",
	Example: "cocoon verify record node.record",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.register(fs)
		online := fs.Bool("online", false, "ask the chain for the block that the file leads to")
		return func(ctx context.Context, env *command.Env) error {
			if err := args(env, 1, "one file"); err != nil {
				return err
			}
			return verifyRecord(ctx, env, &s, *online)
		}
	},
}

func verifyRecord(ctx context.Context, env *command.Env, s *settings, online bool) error {
	file := env.Args[0]
	data, err := command.ReadFile(file, client.MaxRecord)
	if err != nil {
		return err
	}
	way, err := client.RecordBlocks(data)
	if err != nil {
		return command.NotA(command.RecordFile, file, data, "`cocoon node --save` writes one", err)
	}
	policy, err := s.loadPolicy()
	if err != nil {
		return err
	}
	reg, err := s.loadRegistry()
	if err != nil {
		return err
	}
	ton, err := s.loadTON()
	if err != nil {
		return err
	}
	trusted := ton.Trusted()
	if online {
		if trusted, err = s.provedBlock(ctx, env, way[len(way)-1]); err != nil {
			return err
		}
	}
	rec, err := client.VerifyRecord(data, reg, trusted)
	if err != nil {
		if attestation.ExitCode(err) == exitUnknown && !online {
			env.Logf("when your trusted block is newer than the file, --online asks the chain for its block")
		}
		return err
	}
	warnSimulated(env.Stderr, simulated(policy))
	if err := printNode(env, viewOf(rec, trusted, len(data), simulated(policy))); err != nil {
		return err
	}
	if !env.JSON {
		fmt.Fprintf(env.Stdout, "NOT CHECKED  what came after %s, and what the node's relay says\n", rec.Node.At.Time.UTC().Format(time.RFC3339))
	}
	return nil
}

// exitUnknown is the exit code of what only could not be found out.
const exitUnknown = 3

// provedBlock asks the chain whether a block is its own.
func (s *settings) provedBlock(ctx context.Context, env *command.Env, id chain.BlockID) (chain.BlockID, error) {
	sess, err := s.connect(ctx, env, nil)
	if err != nil {
		return id, err
	}
	defer sess.close()
	return id, sess.ownBlock(ctx, id)
}
