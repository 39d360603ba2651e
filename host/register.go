package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// registerTimeout is how long a registration may take before it is an error.
const registerTimeout = 3 * time.Minute

// Register registers an enclave's bundle as the node's next epoch: by its TDX
// quote, which the contract verifies, or by certificates of the registry's
// verifiers where there are any. Before, it makes sure that a certificate will be
// taken and that the machine has a slot for the node, and deploys the machine's
// Platform contract where nobody has; see docs/spec/contracts-platform.md. newest
// returns the enclave's newest bundle: one is too old soon, since it names a
// block. A certificate is of one bundle, which newest must return then.
func (o *Operator) Register(ctx context.Context, newest func(context.Context) (*attestation.Bundle, error), certificates ...*certificate.File) error {
	b, claims, err := o.next(ctx, newest)
	if err != nil || b == nil {
		return err
	}
	p, err := o.proofOf(ctx, b, &claims.Heads, certificates)
	if err != nil {
		return err
	}
	if err := o.judged(ctx, &p.check); err != nil {
		return err
	}
	if err := o.seekSlot(ctx, p.check.PlatformID, o.Log); err != nil {
		return err
	}
	if b, claims, err = o.next(ctx, newest); err != nil || b == nil { // again: that took time
		return err
	}
	if p, err = o.proofOf(ctx, b, &claims.Heads, certificates); err != nil {
		return err
	}
	digest := b.Digest()
	o.Log.Info("registering", "epoch", claims.Epoch, "claims", fmt.Sprintf("%x", digest[:8]))
	err = o.sendProof(ctx, b, p)
	if changed := (&RefusalError{}); errors.As(err, &changed) && changed.Code == contracts.CodeVerifierSet && !changed.Foreseen {
		// Some verifier came or went on the way: the certificate is good all the same.
		if p, err = o.proofOf(ctx, b, &claims.Heads, certificates); err == nil {
			err = o.sendProof(ctx, b, p)
		}
	}
	return err
}

func (o *Operator) sendProof(ctx context.Context, b *attestation.Bundle, p *proof) error {
	err := o.do(ctx, registering(b), func(query uint64) ([]chain.Message, error) {
		body, err := p.body(query)
		return []chain.Message{{To: o.Node, Amount: nano(contracts.ValueRegister), Body: body}}, err
	}, o.Node, o.Registry) // the registry answers when it has taken a node off its list
	if err == nil {
		o.remember(ctx, o.Log, p.check.PlatformID)
	}
	return err
}

// registering names the registration of a bundle.
func registering(b *attestation.Bundle) string {
	return fmt.Sprintf("register the bundle with claims %x", b.Digest())
}

// next returns a bundle that can be the node's next epoch; nil when it is
// registered. One whose registration is over is refused.
func (o *Operator) next(ctx context.Context, newest func(context.Context) (*attestation.Bundle, error)) (*attestation.Bundle, *attestation.Claims, error) {
	b, err := newest(ctx)
	if err != nil {
		return nil, nil, err
	}
	claims, err := b.Claims()
	if err != nil {
		return nil, nil, err
	}
	if claims.Node != o.Node {
		return nil, nil, attestation.BadInput("the bundle is of node %v, this wallet's is %v", claims.Node, o.Node)
	}
	id, err := o.Client.ChainID(ctx)
	if err != nil {
		return nil, nil, err
	}
	if claims.ChainID != id {
		return nil, nil, attestation.ChainDisagrees("the bundle is for chain %d, this is chain %d", claims.ChainID, id)
	}
	if found, err := o.resume(ctx, registering(b)); found || err != nil {
		return nil, nil, err
	}
	rec, err := o.Record(ctx)
	if err != nil {
		return nil, nil, err
	}
	if e, ok := rec.Epoch(rec.Current); ok && e.ClaimsDigest == b.Digest() {
		return nil, nil, o.checkEpoch(ctx, rec)
	}
	if claims.Epoch != rec.Current+1 {
		return nil, nil, attestation.ChainDisagrees("the bundle is of epoch %d, the node's next is %d", claims.Epoch, rec.Current+1)
	}
	return b, claims, nil
}

// register puts the enclave's bundle on the chain as the node's next epoch, and
// returns the record once it is active.
func (n *node) register(ctx context.Context, proc *process) (*registry.Node, error) {
	if err := n.checkAlone(ctx, proc); err != nil {
		return nil, err
	}
	newest, err := n.registerBundle(ctx, proc)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	b, err := newest(ctx)
	if err != nil {
		return nil, err
	}
	claims, err := b.Claims()
	if err != nil {
		return nil, err
	}
	rec, err := n.awaitNode(ctx, func(r *registry.Node) bool {
		e, ok := r.Epoch(claims.Epoch)
		return ok && r.Current == claims.Epoch && e.Active && e.ClaimsDigest == b.Digest()
	})
	if err != nil {
		return nil, err
	}
	n.served = true
	n.busy.Lock()
	defer n.busy.Unlock()
	return rec, n.op.Told()
}

// registerBundle sends the registration and returns where the bundle is that it
// was for. That it could not be found out whether it was taken is no error: the
// record says it.
func (n *node) registerBundle(ctx context.Context, proc *process) (func(context.Context) (*attestation.Bundle, error), error) {
	newest, certificates := proc.bundle, []*certificate.File(nil)
	for {
		if n.Certificates != "" {
			if err := n.op.staked(ctx); err != nil {
				return nil, err // before anybody is asked to certify in vain
			}
			b, files, err := n.certified(ctx, proc)
			if err != nil {
				return nil, err
			}
			newest, certificates = func(context.Context) (*attestation.Bundle, error) { return b, nil }, files
		}
		err := n.sendRegistration(ctx, newest, certificates)
		var more *uncertifiedError
		var unknown *attestation.UnknownError
		switch {
		case n.Certificates != "" && (errors.As(err, &more) || tooOld(err)):
			n.Log.Warn("the certificates do not suffice any more; asking for others", "err", err)
		case err != nil && !errors.As(err, &unknown):
			return nil, err
		default:
			return newest, nil
		}
	}
}

func (n *node) sendRegistration(ctx context.Context, newest func(context.Context) (*attestation.Bundle, error), certificates []*certificate.File) error {
	n.busy.Lock()
	defer n.busy.Unlock()
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	return n.op.Register(ctx, newest, certificates...)
}

// takenError says that another host runs the node.
type takenError struct{ err error }

func (e *takenError) Error() string { return e.err.Error() }
func (e *takenError) Unwrap() error { return e.err }

// checkAlone refuses to take a node over once this process has served it: of two
// hosts that both do, each would end the other's epoch, and pay for it, for good.
func (n *node) checkAlone(ctx context.Context, proc *process) error {
	b, err := proc.bundle(ctx)
	if err != nil {
		return err
	}
	claims, err := b.Claims()
	if err != nil {
		return err
	}
	rec, err := n.op.Record(ctx)
	if err != nil {
		return err
	}
	if e, ok := rec.Epoch(rec.Current); ok && n.served && !n.booted[e.ReceiptKey] {
		return &takenError{attestation.ChainDisagrees("another host has registered epoch %d of this node: end one of them, then start the other again", rec.Current)}
	}
	n.booted[claims.ReceiptKey] = true
	return nil
}

// bundle returns the enclave's newest.
func (p *process) bundle(ctx context.Context) (*attestation.Bundle, error) {
	data, err := p.get(ctx, "/.well-known/cocoon/bundle", attestation.MaxBundleSize)
	if err != nil {
		return nil, err
	}
	return attestation.ParseBundle(data)
}

// registration builds the message of mode A.
func registration(tdx []byte, heads *attestation.Heads, query uint64) (*cell.Cell, error) {
	quote, ca, err := contracts.QuoteCells(tdx)
	if err != nil {
		return nil, err
	}
	m := &contracts.RegisterTDX{
		QueryID: query, Heads: heads,
		CA: contracts.PublicKey{X: [32]byte(ca[:32]), Y: [32]byte(ca[32:])}, Quote: quote,
	}
	return m.Body()
}

// laterRegistration builds the message of mode A for a boot on the machine of the
// current registration: it costs half.
func laterRegistration(tdx []byte, heads *attestation.Heads, query uint64) (*cell.Cell, error) {
	body, signature, err := contracts.TDReportCells(tdx)
	if err != nil {
		return nil, err
	}
	m := &contracts.RegisterTDXAgain{QueryID: query, Heads: heads, TDBody: body, Signature: signature}
	return m.Body()
}
