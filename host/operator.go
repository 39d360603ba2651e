package host

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Operator does an operator's things on the chain, each once: it sends messages
// to contracts and waits for what they say. What costs coins is paid once,
// whatever happens: after an error or a crash the same call finds out what became
// of it. Its methods must not be called concurrently.
type Operator struct {
	Client   *chain.Client
	Registry attestation.Address
	Node     attestation.Address // of the operator's index
	Log      *slog.Logger        // default: silence
	Note     func(string)        // gets what the user should know of earlier calls; may be nil
	index    uint32
	writer   *chain.Writer
	journal  chain.Journal
	errands  errands
	states   lastStates
	reader   registry.Reader
	close    func() error // ends the lock of the directory
	repeated time.Time
	home     bool // the registry is on this chain
}

// OpenOperator makes the operator of a wallet key. Payments are remembered in a
// directory, which is made when it is missing, so that none is made twice; one
// operator at a time uses it ([chain.DirJournal] locks it). Close the operator when
// done.
func OpenOperator(ctx context.Context, c *chain.Client, wallet ed25519.PrivateKey, root attestation.Address, index uint32, dir string) (*Operator, error) {
	j, err := chain.OpenDirJournal(dir)
	if err != nil {
		return nil, err
	}
	o := &Operator{Client: c, Registry: root, Log: slog.New(slog.DiscardHandler), index: index, journal: j, errands: errandIn(dir), states: lastStates(dir), close: j.Close}
	if err := o.open(ctx, wallet); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return o, nil
}

func (o *Operator) open(ctx context.Context, wallet ed25519.PrivateKey) (err error) {
	o.reader = registry.Reader{Reader: o.Client}
	if o.writer, err = chain.NewWriter(ctx, o.Client, wallet, o.journal); err != nil {
		return err
	}
	o.Node, _, err = contracts.NodeAddress(o.Registry, o.writer.Address(), o.index)
	return err
}

// Close lets other processes use the directory of payments. The client stays
// open.
func (o *Operator) Close() error { return o.close() }

// Wallet returns the address of the operator's wallet.
func (o *Operator) Wallet() attestation.Address { return o.writer.Address() }

// Record returns the proved record of the operator's node.
func (o *Operator) Record(ctx context.Context) (*registry.Node, error) {
	return o.reader.Node(ctx, o.Node)
}

// Root returns the proved record of the registry.
func (o *Operator) Root(ctx context.Context) (*registry.Root, error) {
	return o.reader.Root(ctx, o.Registry)
}

// atHome makes sure, before anything is signed, that the registry is on this chain:
// with the config of another network the wallet would pay for contracts that
// nobody there knows.
func (o *Operator) atHome(ctx context.Context) error {
	if o.home {
		return nil
	}
	_, err := o.Root(ctx)
	if errors.Is(err, registry.ErrNoContract) {
		return fmt.Errorf("%w: is the TON global config of another network?", err)
	}
	o.home = err == nil
	return err
}

// Message is a body of one of the contracts' messages.
type Message interface{ Body() (*cell.Cell, error) }

// Send sends a message with a value, once, and returns when a contract has
// answered it. What says in words what it does, everything included that makes it
// another: see [Operator.Repeated]. The first of the contracts gets the message;
// each may answer. A refusal is an [*attestation.RefusedError] that wraps a
// [*RefusalError]; what was sent with it, less fees, comes back.
func (o *Operator) Send(ctx context.Context, what string, value uint64, message func(query uint64) Message, to ...attestation.Address) error {
	return o.do(ctx, what, func(query uint64) ([]chain.Message, error) {
		body, err := message(query).Body()
		return []chain.Message{{To: to[0], Amount: nano(value), Body: body}}, err
	}, to...)
}

// Deploy creates the node's contract with a profile, or changes the profile of
// one that is there.
func (o *Operator) Deploy(ctx context.Context, p contracts.Profile) error {
	what := fmt.Sprintf("profile %q of node %v, prices %d and %d", p.Endpoint, o.Node, p.PromptPrice, p.CompletionPrice)
	if found, err := o.resume(ctx, what); found || err != nil {
		return err // before the look at the record: the contract may be there by now
	}
	_, err := o.Record(ctx)
	if err != nil && !errors.Is(err, registry.ErrNoContract) {
		return err
	}
	exists := err == nil
	return o.do(ctx, what, func(query uint64) ([]chain.Message, error) {
		body, err := (&contracts.SetProfile{QueryID: query, Profile: p}).Body()
		set := chain.Message{To: o.Node, Amount: nano(contracts.ValueSmall), Body: body}
		if err != nil || exists {
			return []chain.Message{set}, err
		}
		first, err := o.deployment()
		return []chain.Message{first, set}, err
	}, o.Node)
}

// deployment is the message that makes the node's contract. It brings the coins that
// the contract keeps; the rest of the message after it comes back.
func (o *Operator) deployment() (m chain.Message, err error) {
	_, init, err := contracts.NodeAddress(o.Registry, o.Wallet(), o.index)
	if err != nil {
		return m, err
	}
	m = chain.Message{To: o.Node, Amount: nano(balance), StateInit: new(tlb.StateInit)}
	if err := tlb.LoadFromCell(m.StateInit, init.MustBeginParse()); err != nil {
		return m, fmt.Errorf("initial state of the node: %w", err)
	}
	return m, nil
}

// Anchor puts a signed log head on the chain, paid by the wallet. What the
// contract would refuse is refused before.
func (o *Operator) Anchor(ctx context.Context, h *contracts.SignedHead) error {
	what := fmt.Sprintf("anchor %d receipts of epoch %d of node %v", h.Size, h.Epoch, o.Node)
	if found, err := o.resume(ctx, what); found || err != nil {
		return err // before the look at the record: the head may be in it by now
	}
	rec, err := o.Record(ctx)
	if err != nil {
		return err
	}
	id, err := o.Client.ChainID(ctx)
	if err != nil {
		return err
	}
	if err := checkAnchor(rec, id, h); err != nil {
		return err
	}
	return o.Send(ctx, what, contracts.ValueSmall, func(q uint64) Message {
		m := contracts.AnchorInternal{QueryID: q, Anchor: h.Anchor, Signature: h.Signature}
		return raw{m.Body()}
	}, o.Node)
}

// checkAnchor foresees what a node's contract would say to a head.
func checkAnchor(rec *registry.Node, chainID int32, h *contracts.SignedHead) error {
	e, ok := rec.Epoch(h.Epoch)
	if !ok || h.Epoch != rec.Current {
		return attestation.ChainDisagrees("the head is of epoch %d, the node's current one is %d", h.Epoch, rec.Current)
	}
	digest := h.Digest(chainID, rec.Address)
	if !ed25519.Verify(e.LogKey[:], digest[:], h.Signature[:]) {
		return attestation.False("the head is not signed by the log key of the node's epoch %d: who sent it is not this node's enclave", h.Epoch)
	}
	if h.Size <= rec.Anchor.Size {
		return foreseen(contracts.CodeNotLarger, "the chain covers %d receipts, the head %d", rec.Anchor.Size, h.Size)
	}
	return nil
}

// raw is a message whose body is made.
type raw struct{ body *cell.Cell }

func (r raw) Body() (*cell.Cell, error) { return r.body, nil }
