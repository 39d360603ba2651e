package main

import (
	"context"
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
		return exists(path)
	}
	return nil
}

// saveHead writes the log head that the node's relay serves, signed for the chain.
func saveHead(ctx context.Context, sess *session, addr attestation.Address, path string) error {
	h, err := sess.LogHead(ctx, addr)
	if err != nil {
		return fmt.Errorf("the log head for %s: %w", path, err)
	}
	data, err := h.Encode()
	if err != nil {
		return err
	}
	return create(path, data, 0o644)
}

// sayContradicts says what to do about a log that contradicts the chain.
func sayContradicts(env *command.Env, addr attestation.Address, relay client.Trail) {
	for _, s := range relay {
		if s.Name == client.StepLogHead && s.Outcome == attestation.Fail {
			env.Logf("if the log of node %v forked, the chain punishes it: `cocoon node %v --save-head FILE` keeps what the enclave signs; then `cocoon report FILE` for a size that is anchored, `cocoon challenge --log FILE` for any other", addr, addr)
		}
	}
}
