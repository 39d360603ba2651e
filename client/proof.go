package client

import (
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Expect is what somebody who checks a proof brings along. All fields are
// required. Nothing of it may come from the proof.
type Expect struct {
	Policy   *attestation.Policy
	Registry attestation.Address
	Trusted  []chain.BlockID // masterchain blocks that the verifier trusts
}

// Checked is what a proof showed.
type Checked struct {
	Node       *registry.Node
	Epoch      registry.Epoch
	Claims     *attestation.Claims
	Verdict    *attestation.Verdict
	AnchoredAt time.Time   // when the chain took the anchor: the time that the evidence was judged at
	AnchorTx   [32]byte    // hash of the transaction that brought it
	Block      chain.Block // whose state shows all this
	Simulated  bool
	Trail      Trail
}

// walk is a proof on its way from step to step.
type walk struct {
	p      *receipt.Proof
	want   Expect
	acc    *chain.Account
	root   *registry.Root
	block  chain.Block // that the claims name
	claims *attestation.Claims
	models []attestation.Model // that the policy accepts

	anchorLT uint64
	*Checked
}

// VerifyProof checks a proof from bytes alone: it opens no socket and reads no
// clock, so it says the same in ten years. The trail of the result has every step,
// from the answer to the hardware root.
//
// The evidence, and the vendor's documents, are judged at the time of the
// transaction that anchored the receipt: the receipt was there at that time, by the
// chain's word and nobody else's. The receipt's own time, and the block that it
// names, are the enclave's word: they must fit, and make nothing younger.
//
// A proof that does not hold is a [*TrailError] in the family of the reason.
func VerifyProof(p *receipt.Proof, want Expect) (*Checked, error) {
	if want.Policy == nil || want.Registry.IsZero() || len(want.Trusted) == 0 {
		return nil, attestation.BadInput("verifying a proof needs a policy, a registry and a trusted block")
	}
	w := &walk{p: p, want: want, Checked: &Checked{Trail: newTrail()}}
	for _, s := range w.steps() {
		if p.Opening == nil && (s.name == StepRequest || s.name == StepResponse) {
			continue
		}
		at, detail, err := s.do()
		w.Trail.Set(s.name, at, detail, err)
		if s.name == StepEvidence {
			w.hardware(err)
		}
		if err != nil {
			return nil, &TrailError{w.Trail, err}
		}
	}
	return w.Checked, nil
}

// step is one of the walk: it returns the time that it was judged at, or that it
// proves, and what was found.
type step struct {
	name string
	do   func() (at time.Time, detail string, err error)
}

// steps are all of the walk, in order; hardware() tells [StepRoot] from the evidence.
func (w *walk) steps() []step {
	return []step{
		{StepChain, w.chain}, {StepNode, w.node}, {StepReceipt, w.receipt}, {StepCheckpoint, w.checkpoint},
		{StepInclusion, w.inclusion}, {StepAnchor, w.anchor}, {StepTime, w.time}, {StepRequest, w.request}, {StepResponse, w.response},
		{StepRegistry, w.registry}, {StepRegistration, w.registration}, {StepEvidence, w.evidence}, {StepModel, w.model},
	}
}

// chain walks from the trusted block to the node's account.
func (w *walk) chain() (at time.Time, detail string, err error) {
	if len(w.p.AccountProof) == 0 || len(w.p.RegistryProof) == 0 {
		return at, "", attestation.Unknown("%w: the proof was exported before the receipt was anchored; export it again", ErrNotAnchored)
	}
	if w.acc, err = chain.VerifyAccountProof(w.p.AccountProof, w.p.Receipt.Head.Node, w.want.Trusted...); err != nil {
		return at, "", fmt.Errorf("chain: node: %w", err)
	}
	w.Block = w.acc.Block
	return w.Block.Time, fmt.Sprintf("block %d of chain %d", w.Block.Seqno, w.acc.ChainID()), nil
}

// node reads the record of the node, and the epoch of the receipt.
func (w *walk) node() (at time.Time, detail string, err error) {
	at = w.Block.Time
	if w.Node, err = registry.NodeOf(w.acc); err != nil {
		return at, "", fmt.Errorf("chain: %w", err)
	}
	if w.Node.Root != w.want.Registry {
		return at, "", attestation.ChainDisagrees("node %v belongs to registry %v, not to %v", w.Node.Address, w.Node.Root, w.want.Registry)
	}
	h, ok := &w.p.Receipt.Head, false
	if w.Epoch, ok = w.Node.Epoch(h.Epoch); !ok {
		return at, "", attestation.ChainDisagrees("epoch %d of node %v is not on the chain", h.Epoch, h.Node)
	}
	return at, fmt.Sprintf("node %v, epoch %d", w.Node.Address, w.Epoch.Number), nil
}

func (w *walk) receipt() (at time.Time, detail string, err error) {
	if err := w.p.Receipt.Verify(w.Epoch.ReceiptKey); err != nil {
		return at, "", fmt.Errorf("receipt: %w", err)
	}
	if w.p.Receipt.Body.ClaimsDigest != w.Epoch.ClaimsDigest {
		return at, "", attestation.ChainDisagrees("the receipt names other claims than epoch %d registered", w.Epoch.Number)
	}
	return at, fmt.Sprintf("key %x", w.Epoch.ReceiptKey), nil
}

// checkpoint checks the head of the log that the proof is about. It may be older
// than the chain's, never newer.
func (w *walk) checkpoint() (at time.Time, detail string, err error) {
	cp, now := &w.p.Checkpoint, &w.Node.Anchor
	if cp.Size > now.Size || cp.Size == now.Size && cp.Root != now.Root {
		return at, "", attestation.ChainDisagrees("the checkpoint of the proof, of %d leaves, is not on the chain, whose head has %d", cp.Size, now.Size)
	}
	signer, ok := w.Node.Epoch(cp.Epoch)
	if !ok {
		return at, "", attestation.ChainDisagrees("epoch %d, whose key signed the checkpoint, is not on the chain", cp.Epoch)
	}
	log := w.p.Log(w.acc.ChainID())
	if err := log.VerifyAnchor(signer.LogKey, cp.Signature); err != nil {
		return at, "", fmt.Errorf("checkpoint: %w", err)
	}
	return at, fmt.Sprintf("%d leaves, root %x", cp.Size, cp.Root), nil
}

func (w *walk) inclusion() (at time.Time, detail string, err error) {
	index, size := w.p.Receipt.Head.Index, w.p.Checkpoint.Size
	if size <= index {
		return at, "", attestation.ChainDisagrees("the chain's head has %d leaves, the receipt claims to be leaf %d", size, index)
	}
	if err := w.p.VerifyInclusion(); err != nil {
		return at, "", fmt.Errorf("inclusion: %w", err)
	}
	return at, fmt.Sprintf("leaf %d of %d", index, size), nil
}

// time compares the enclave's word with what the chain proves.
func (w *walk) time() (at time.Time, detail string, err error) {
	h := &w.p.Receipt.Head
	made := time.Unix(int64(h.Time), 0).UTC()
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch {
	case made.Before(w.Epoch.RegisteredAt.Add(-maxClock)):
		err = attestation.False("the receipt says that it is of %s, its epoch was registered at %s", stamp(made), stamp(w.Epoch.RegisteredAt))
	case made.After(w.registrationEnd().Add(maxAnswer)):
		err = attestation.False("the receipt says that it is of %s, the registration of its epoch ended at %s", stamp(made), stamp(w.registrationEnd()))
	case made.After(w.AnchoredAt.Add(maxClock)):
		err = attestation.False("the receipt says that it is of %s, it was anchored at %s", stamp(made), stamp(w.AnchoredAt))
	case h.BlockSeqno < w.Epoch.StartBlock || h.BlockSeqno > w.Block.Seqno:
		err = attestation.False("the receipt names block %d, its epoch began after block %d and the proof is of block %d", h.BlockSeqno, w.Epoch.StartBlock, w.Block.Seqno)
	}
	return made, fmt.Sprintf("after %s, before %s", stamp(w.Epoch.RegisteredAt), stamp(w.AnchoredAt)), err
}

// maxAnswer is how much later than the end of a registration an answer may have been
// finished that was asked for before its client could know: clients use proofs of
// three minutes before, enclaves read a prompt for three and answer for ten.
const maxAnswer = 20 * time.Minute

// registrationEnd is when the registration of the receipt's epoch ended or will end,
// as the chain says after the block of the proof.
func (w *walk) registrationEnd() time.Time {
	end := w.Epoch.Expires
	if closed := w.Epoch.Final.Time; !closed.IsZero() && closed.Before(end) {
		end = closed // by the next epoch
	}
	return end
}

// request opens a commitment with what the proof holds.
func (w *walk) request() (at time.Time, detail string, err error) {
	if err := w.p.Receipt.Body.VerifyRequest(w.p.Opening.RequestSalt, w.p.Opening.Request); err != nil {
		return at, "", fmt.Errorf("opening: %w", err)
	}
	return at, "it is in the proof", nil
}

func (w *walk) response() (at time.Time, detail string, err error) {
	if err := w.p.Receipt.Body.VerifyResponse(w.p.Opening.ResponseSalt, w.p.Opening.Response); err != nil {
		return at, "", fmt.Errorf("opening: %w", err)
	}
	return at, "it is in the proof", nil
}
