package enclave

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// collect has the hardware sign the claims over the latest block whose number
// is a multiple of 100.
func (e *Enclave) collect(ctx context.Context) error {
	e.mu.Lock()
	seqno := e.head.Seqno / 100 * 100
	e.mu.Unlock()
	if seqno == 0 {
		return attestation.Unknown("the chain is younger than 100 blocks")
	}
	block, err := e.opts.Chain.Block(ctx, seqno)
	if err != nil {
		return fmt.Errorf("reading block %d: %w", seqno, err)
	}
	e.body.Created = e.opts.Now().Truncate(time.Second)
	claims := &attestation.Claims{
		Heads: attestation.Heads{
			ChainID: e.cfg.ChainID, Node: e.cfg.Node, Epoch: e.epoch,
			BlockSeqno: block.Seqno, BlockRoot: block.RootHash,
			ReceiptKey:  public(e.receiptKey),
			LogKey:      public(e.logKey),
			IdentityKey: public(e.identity),
		},
		Body: e.body,
	}
	gpus, err := e.claimGPUs(ctx, claims)
	if err != nil {
		return err
	}
	if _, _, err := claims.Encode(); err != nil {
		return err
	}
	digest := claims.Digest()
	data, err := e.opts.Device.Evidence(ctx, attestation.ReportData(digest, nil))
	if err != nil {
		return err
	}
	items := append([]attestation.Item{{Kind: e.opts.Device.Kind(), Data: data}}, gpus...)
	if items, err = e.quoteTPM(ctx, digest, items); err != nil {
		return err
	}
	bundle, err := attestation.NewBundle(claims, items...)
	if err != nil {
		return err
	}
	enc, err := bundle.Encode()
	if err != nil {
		return err
	}
	b := &booted{digest: digest, bytes: enc, made: e.opts.Now()}
	e.made = append(e.made, b)
	e.bundle.Store(b)
	e.log.Info("evidence made", "epoch", e.epoch, "block", block.Seqno, "claims", fmt.Sprintf("%x", digest[:8]))
	return nil
}

// claimGPUs has the GPUs sign the claims without them, and puts the digests of
// their evidence, which it returns, into the claims.
func (e *Enclave) claimGPUs(ctx context.Context, claims *attestation.Claims) ([]attestation.Item, error) {
	if e.gpus == nil {
		return nil, nil
	}
	nonce, err := claims.GPUNonce()
	if err != nil {
		return nil, err
	}
	items, err := e.gpus.evidence(ctx, nonce)
	if err != nil {
		return nil, fmt.Errorf("the GPUs: %w", err)
	}
	claims.Body.GPUEvidence = digests(items)
	return items, nil
}

// quoteTPM appends the TPM's quote over the claims digest.
func (e *Enclave) quoteTPM(ctx context.Context, digest [32]byte, items []attestation.Item) ([]attestation.Item, error) {
	if e.opts.TPM == nil {
		return items, nil
	}
	if e.cfg.TPM.Certificate == 0 {
		e.log.Warn("the TPM is one of development: nobody vouches for its key")
	}
	ev, err := e.opts.TPM.Evidence(ctx, tpm.ExtraData(digest, nil))
	if err != nil {
		return nil, err
	}
	data, err := ev.Encode()
	if err != nil {
		return nil, err
	}
	return append(items, attestation.Item{Kind: attestation.KindTPM, Data: data}), nil
}

func public(k ed25519.PrivateKey) [32]byte {
	return [32]byte(k.Public().(ed25519.PublicKey))
}
