package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

// headFile refuses, before anything is asked, a file that can't be made.
func headFile(path string, chainOnly bool) error {
	if path == "" {
		return nil
	}
	if chainOnly {
		return attestation.BadInput("--save-head asks the relay, and --chain-only does not")
	}
	if _, err := os.Lstat(path); err == nil {
		return command.Exists(path)
	}
	return nil
}

// saveHead writes a log head that is signed for the chain: the anchor that the log
// was found to contradict, else the one that the node's relay serves.
func saveHead(ctx context.Context, sess *session, addr attestation.Address, found error, path string) error {
	var h *client.LogHead
	var fork *client.ForkError
	if errors.As(found, &fork) {
		h = fork.Head
	} else {
		var err error
		if h, err = sess.LogHead(ctx, addr); err != nil {
			return fmt.Errorf("the log head for %s: %w", path, err)
		}
	}
	data, err := h.Encode()
	if err != nil {
		return err
	}
	return command.CreateFile(path, data, 0o644)
}

// sayContradicts says what to do about a log that contradicts the chain.
func sayContradicts(env *command.Env, addr attestation.Address, relay client.Trail) {
	for _, s := range relay {
		if s.Name == client.StepLogHead && s.Outcome == attestation.Fail {
			env.Logf("if the log of node %v forked, the chain punishes it: `cocoon node %v --save-head FILE` keeps what its enclave signed; then `cocoon report FILE` for a size that is anchored, `cocoon challenge --log FILE` for any other", addr, addr)
		}
	}
}
