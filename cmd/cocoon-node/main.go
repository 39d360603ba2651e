// Command cocoon-node is the operator's program: it runs an enclave, relays its
// port, registers it on TON and anchors its log. Start with docs/operator.md.
package main

import (
	"context"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

func main() { app().Main() }

func app() *command.App {
	return &command.App{
		Name:  "cocoon-node",
		Short: "run a node of the Cocoon network",
		Commands: []*command.Command{
			upCommand, statusCommand, answerCommand, registerCommand, anchorCommand, unregisterCommand,
			profileCommand, stakeCommand, unstakeCommand, withdrawCommand, recheckCommand, pruneCommand, walletNewCommand,
			certificateRequestCommand, certificateShowCommand, certificateSignCommand, certificateReportCommand,
			verifierStakeCommand, verifierLeaveCommand, verifierRefreshCommand, verifierWithdrawCommand, verifierShowCommand,
			govInitCommand, govShowCommand, govProposeCommand, govSignCommand, govSubmitCommand, govExecuteCommand,
		},
		Footer: "See a node at work without hardware: cocoon demo --keep",
	}
}

// dial connects to the network that the flags name.
func dial(ctx context.Context, env *command.Env, ton tonfile.Flags) (*chain.Client, error) {
	return ton.Dial(ctx, func(s string) { env.Logf("warning: %s", s) })
}
