package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// registration checks that the bundle is the one that was registered, and when the
// block was made that its claims name.
func (w *walk) registration() (at time.Time, detail string, err error) {
	at = w.Epoch.RegisteredAt
	bundle, err := attestation.ParseBundle(w.p.Bundle)
	if err != nil {
		return at, "", err
	}
	if bundle.Digest() != w.Epoch.ClaimsDigest {
		return at, "", attestation.ChainDisagrees("the bundle of the proof is not the one that epoch %d registered", w.Epoch.Number)
	}
	if w.claims, err = bundle.Claims(); err != nil {
		return at, "", err
	}
	if len(w.p.BlockHeader) == 0 {
		return at, "", attestation.Unknown("the proof does not hold the block that the claims name; export it again")
	}
	// The contract took the claims only with a block that the chain knew.
	if w.block, err = chain.VerifyHeader(w.p.BlockHeader, w.claims.BlockSeqno, w.claims.BlockRoot); err != nil {
		return at, "", fmt.Errorf("block of the claims: %w", err)
	}
	return at, fmt.Sprintf("claims %x, made after block %d of %s", w.Epoch.ClaimsDigest, w.block.Seqno, w.block.Time.UTC().Format(time.RFC3339)), nil
}

// evidence judges what the hardware signed, at the time of the anchor.
func (w *walk) evidence() (at time.Time, detail string, err error) {
	at = w.AnchoredAt
	bundle, err := attestation.ParseBundle(w.p.Bundle)
	if err != nil {
		return at, "", err
	}
	files := make([]EndorsementFile, len(w.p.Endorsements))
	for i, e := range w.p.Endorsements {
		files[i] = EndorsementFile{e.Name, e.Bytes}
	}
	set, err := Endorsements(files)
	if err != nil {
		return at, "", err
	}
	v, err := attestation.NewVerifier(w.want.Policy)
	if err != nil {
		return at, "", err
	}
	verified, err := v.Verify(attestation.Input{
		Bundle: bundle, Endorsements: set, At: at,
		Registered: &attestation.Registered{
			Registry: w.want.Registry, ChainID: w.acc.ChainID(), Node: w.Node.Address, Epoch: w.Epoch.Number,
			ClaimsDigest: w.Epoch.ClaimsDigest, BlockTime: w.block.Time, RegisteredAt: w.Epoch.RegisteredAt,
			Measurements: w.root.Measurements, Models: w.root.Models,
		},
	})
	if err != nil {
		return at, "", err
	}
	w.models = verified.Models()
	w.Claims, w.Verdict, w.Simulated = verified.Claims(), verified.Verdict(), verified.Simulated()
	return at, fmt.Sprintf("%d checks passed; the evidence was %s old", len(w.Verdict.Checks), at.Sub(w.block.Time).Round(time.Second)), nil
}

// hardware says what came of the part of the evidence that no policy decides.
func (w *walk) hardware(err error) {
	v := w.Verdict
	if err != nil {
		v = attestation.VerdictOf(err)
	}
	if v == nil || !v.Authentic {
		w.Trail.Set(StepRoot, w.AnchoredAt, "", err)
		e := w.Trail.Step(StepEvidence)
		e.Outcome, e.At, e.Detail = NotChecked, time.Time{}, ""
		return
	}
	detail := ""
	if f := v.Facts; f != nil {
		detail = fmt.Sprintf("%s evidence, root %s", v.Kind, f.Root)
	}
	if v.Simulated {
		detail = "SIMULATED: " + detail
	}
	w.Trail.Set(StepRoot, w.AnchoredAt, detail, nil)
}

// model checks that what answered is something that the policy accepts.
func (w *walk) model() (at time.Time, detail string, err error) {
	b := &w.p.Receipt.Body
	if b.CompletionTokens == 0 {
		return at, "no model answered", nil
	}
	i := slices.IndexFunc(w.models, func(m attestation.Model) bool { return m.Digest == b.ModelDigest })
	if i < 0 {
		return at, "", attestation.Refused("the model of the receipt is none that the policy accepts")
	}
	return at, fmt.Sprintf("%q, %x", w.models[i].Name, b.ModelDigest), nil
}

// TrailOf returns the trail of an error of VerifyProof, nil for others.
func TrailOf(err error) Trail {
	var t *TrailError
	if !errors.As(err, &t) {
		return nil
	}
	return t.Trail
}
