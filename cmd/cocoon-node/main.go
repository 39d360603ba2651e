// Command cocoon-node is the operator's program: it runs an enclave, relays its
// port, registers it on TON and anchors its log. Start with docs/operator.md.
package main

import (
	"context"
	"fmt"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/internal/command"
)

func main() { app().Main() }

func app() *command.App {
	return &command.App{
		Name:  "cocoon-node",
		Short: "run a node of the Cocoon network",
		Commands: []*command.Command{
			upCommand, statusCommand, registerCommand, anchorCommand, unregisterCommand,
			stakeCommand, unstakeCommand, withdrawCommand, walletNewCommand,
			govShowCommand, govProposeCommand, govSignCommand, govSubmitCommand, govExecuteCommand,
		},
		Footer: "See a node at work without hardware: cocoon demo --keep",
	}
}

func readTON(path string) (*chain.GlobalConfig, error) {
	data, err := command.ReadFile(path, 1<<20)
	if err != nil {
		return nil, err
	}
	cfg, err := chain.ParseGlobalConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return cfg, nil
}

// dial connects to the network of a TON global config file.
func dial(ctx context.Context, path string) (*chain.Client, error) {
	cfg, err := readTON(path)
	if err != nil {
		return nil, err
	}
	return chain.Dial(ctx, cfg)
}
