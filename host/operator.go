package host

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Operator sends an operator's single messages to contracts, and waits for what
// the contracts say. Its methods must not be called concurrently.
type Operator struct {
	Client   *chain.Client
	Registry attestation.Address
	Node     attestation.Address // of the operator's index
	index    uint32
	writer   *chain.Writer
	reader   registry.Reader
}

// OpenOperator makes the operator of a wallet key. Journal is a directory that
// remembers payments, so that none is made twice.
func OpenOperator(ctx context.Context, c *chain.Client, wallet ed25519.PrivateKey, root attestation.Address, index uint32, journal string) (*Operator, error) {
	j, err := chain.OpenDirJournal(journal)
	if err != nil {
		return nil, err
	}
	o := &Operator{Client: c, Registry: root, index: index, reader: registry.Reader{Reader: c}}
	if o.writer, err = chain.NewWriter(ctx, c, wallet, j); err != nil {
		return nil, err
	}
	o.Node, _, err = contracts.NodeAddress(root, o.writer.Address(), index)
	return o, err
}

// Wallet returns the address of the operator's wallet.
func (o *Operator) Wallet() attestation.Address { return o.writer.Address() }

// Record returns the proved record of the operator's node.
func (o *Operator) Record(ctx context.Context) (*registry.Node, error) {
	return o.reader.Node(ctx, o.Node)
}

// Message is a body of one of the contracts' messages.
type Message interface{ Body() (*cell.Cell, error) }

// Refusal says that a contract answered with a code, or aborted with it; or that
// it would, and so nothing was sent.
type Refusal struct {
	Code     int
	Foreseen bool
}

func (e *Refusal) Error() string {
	verb := "refused"
	if e.Foreseen {
		verb = "would refuse"
	}
	return "the contract " + verb + ": " + contracts.ErrorName(e.Code)
}

// Send sends a message with a value and returns when the contract has answered
// it. A refusal is an [*attestation.RefusedError] that wraps a [*Refusal]; what
// was sent with it, less fees, comes back. queryID must be the message's.
func (o *Operator) Send(ctx context.Context, to attestation.Address, value, queryID uint64, m Message) error {
	return o.sendTo(ctx, value, queryID, m, to)
}

// sendTo is [Operator.Send] to the first of the contracts, of which each may
// answer.
func (o *Operator) sendTo(ctx context.Context, value, queryID uint64, m Message, to ...attestation.Address) error {
	body, err := m.Body()
	if err != nil {
		return err
	}
	id := fmt.Sprintf("operator-%d", queryID)
	sent, err := o.writer.Send(ctx, id, chain.Message{To: to[0], Amount: nano(value), Body: body})
	if err != nil {
		return err
	}
	return o.awaitDone(ctx, queryID, sent.LT, to...)
}

// NewQueryID returns a number that tells messages apart.
func NewQueryID() uint64 { return uint64(time.Now().UnixNano()) }

// answerTimeout is how long a contract's answer may take.
const answerTimeout = 2 * time.Minute

// awaitDone waits for the answer among the wallet's transactions after lt. The
// first of the contracts got the question; each may answer.
func (o *Operator) awaitDone(ctx context.Context, queryID, lt uint64, from ...attestation.Address) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for {
		acc, err := o.Client.Account(ctx, o.Wallet())
		if err != nil {
			return err
		}
		txs, err := o.Client.Transactions(ctx, acc, 16)
		if err != nil {
			return err
		}
		for _, t := range txs {
			if t.LT <= lt || t.In == nil {
				continue
			}
			done, bounced, err := answered(t.In, from, queryID)
			if bounced {
				err = o.thrown(ctx, from[0], queryID)
			}
			if done {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return attestation.Unknown("contract %v has not answered: %w", from[0], ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

// answered reads an incoming message: the answer to a query, or the bounce of
// it.
func answered(m *tlb.Message, from []attestation.Address, queryID uint64) (done, bounced bool, err error) {
	in, ok := m.Msg.(*tlb.InternalMessage)
	if !ok || !slices.Contains(from, source(in)) || in.Body == nil {
		return false, false, nil
	}
	if in.Bounced { // 0xffffffff, operation, query
		s, err := in.Body.BeginParse()
		if err != nil || s.BitsLeft() < 128 || s.MustLoadUInt(64)>>32 != 0xffffffff || s.MustLoadUInt(64) != queryID {
			return false, false, nil
		}
		return true, true, nil
	}
	if p, err := contracts.ParsePayout(in.Body); err == nil {
		return p.QueryID == queryID, false, nil
	}
	d, err := contracts.ParseDone(in.Body)
	if err != nil || d.QueryID != queryID {
		return false, false, nil
	}
	if d.Code != 0 {
		err = attestation.Refused("%w", &Refusal{Code: int(d.Code)})
	}
	return true, false, err
}

// source returns who sent a message, zero when that is no account.
func source(m *tlb.InternalMessage) (a attestation.Address) {
	if m.SrcAddr == nil || len(m.SrcAddr.Data()) != 32 {
		return a
	}
	return attestation.Address{Workchain: m.SrcAddr.Workchain(), Hash: [32]byte(m.SrcAddr.Data())}
}

// thrown finds the exit code of the transaction that bounced a query.
func (o *Operator) thrown(ctx context.Context, at attestation.Address, queryID uint64) error {
	acc, err := o.Client.Account(ctx, at)
	if err != nil {
		return err
	}
	txs, err := o.Client.Transactions(ctx, acc, 16)
	if err != nil {
		return err
	}
	for _, t := range txs {
		if t.In == nil {
			continue
		}
		in, ok := t.In.Msg.(*tlb.InternalMessage)
		if !ok || source(in) != o.Wallet() || in.Body == nil {
			continue
		}
		s, err := in.Body.BeginParse()
		if err == nil && s.BitsLeft() >= 96 && s.MustLoadUInt(32) != 0 && s.MustLoadUInt(64) == queryID {
			return attestation.Refused("%w; what was sent came back", &Refusal{Code: int(t.ExitCode)})
		}
	}
	return attestation.Refused("contract %v threw; what was sent came back", at)
}

// Deploy creates the node's contract with a profile, or changes the profile of
// one that is there.
func (o *Operator) Deploy(ctx context.Context, p contracts.Profile) error {
	m := &contracts.SetProfile{QueryID: NewQueryID(), Profile: p}
	if _, err := o.Record(ctx); !errors.Is(err, registry.ErrNoContract) {
		if err != nil {
			return err
		}
		return o.Send(ctx, o.Node, contracts.ValueSmall, m.QueryID, m)
	}
	_, init, err := contracts.NodeAddress(o.Registry, o.Wallet(), o.index)
	if err != nil {
		return err
	}
	var si tlb.StateInit
	if err := tlb.LoadFromCell(&si, init.MustBeginParse()); err != nil {
		return fmt.Errorf("initial state of the node: %w", err)
	}
	body, err := m.Body()
	if err != nil {
		return err
	}
	sent, err := o.writer.Send(ctx, "deploy-"+o.Node.String(),
		chain.Message{To: o.Node, Amount: nano(balance), StateInit: &si},
		chain.Message{To: o.Node, Amount: nano(contracts.ValueSmall), Body: body})
	if err != nil {
		return err
	}
	return o.awaitDone(ctx, m.QueryID, sent.LT, o.Node)
}

// Register registers a bundle as the node's next epoch. Before, it makes sure
// that the machine has a slot for the node, and deploys the machine's Platform
// contract where nobody has; see docs/spec/contracts-platform.md.
func (o *Operator) Register(ctx context.Context, b *attestation.Bundle) error {
	claims, err := b.Claims()
	if err != nil {
		return err
	}
	if claims.Node != o.Node {
		return attestation.BadInput("the bundle is of node %v, this wallet's is %v", claims.Node, o.Node)
	}
	rec, err := o.Record(ctx)
	if err != nil {
		return err
	}
	if e, ok := rec.Epoch(rec.Current); ok && e.ClaimsDigest == b.Digest() {
		return nil // it is registered
	}
	if claims.Epoch != rec.Current+1 {
		return attestation.ChainDisagrees("the bundle is of epoch %d, the node's next is %d", claims.Epoch, rec.Current+1)
	}
	if err := o.seekSlot(ctx, b, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	query := NewQueryID()
	body, err := registration(b, &claims.Heads, query)
	if err != nil {
		return err
	}
	return o.Send(ctx, o.Node, contracts.ValueRegister, query, raw{body})
}

// raw is a message whose body is made.
type raw struct{ body *cell.Cell }

func (r raw) Body() (*cell.Cell, error) { return r.body, nil }
