package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
)

// replay runs the request of a receipt again on the embedded engine, whose
// arithmetic is the same on every machine, and compares every byte.
func replay(ctx context.Context, b *receipt.Body, request, response []byte) error {
	if b.ModelDigest != tinylm.Digest() {
		return attestation.Unknown("only answers of the embedded model can be run again; this one is of model %x…", b.ModelDigest[:8])
	}
	created, ok := tinylm.CreatedIn(response)
	if !ok {
		return attestation.Unknown("the answer shows no time, so it can't be run again")
	}
	got, err := tinylm.Replay(ctx, tinylm.Recorded{
		Request: request, Seed: b.Sampling.Seed, MaxTokens: b.Sampling.MaxTokens,
		Temperature: b.Sampling.Temperature, TopP: b.Sampling.TopP, Created: created,
		Cancelled: b.Finish == receipt.Cancelled, CompletionTokens: b.CompletionTokens,
	})
	switch {
	case errors.Is(err, tinylm.ErrContradiction):
		return attestation.False("replay: %w", err)
	case err != nil:
		return fmt.Errorf("replay: %w", err)
	}
	want := response
	if b.Finish == receipt.Cancelled {
		if !bytes.HasPrefix(got.Response, want) {
			return attestation.False("replay: running the request again gives another answer")
		}
		return nil
	}
	if !bytes.Equal(got.Response, want) {
		return attestation.False("replay: running the request again gives another answer")
	}
	if b.OutputTokens == nil || *b.OutputTokens != got.TokenIDs || b.PromptTokens != got.PromptTokens || b.CompletionTokens != got.CompletionTokens {
		return attestation.False("replay: the answer is right, and the receipt's token counts are not")
	}
	return nil
}
