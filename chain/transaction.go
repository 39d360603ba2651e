package chain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// maxTransactions bounds one call of Transactions.
const maxTransactions = 10_000

// Transaction is a transaction of an account, proved by the hash that the state
// of the account holds (block.tlb, Transaction). It must not be changed.
type Transaction struct {
	LT   uint64
	Hash [32]byte
	Time time.Time // of its block, to the second

	// InHash is the hash of the inbound message as it came; zero when there is
	// none.
	InHash [32]byte
	In     *tlb.Message
	Out    []*tlb.Message

	Aborted  bool  // compute or action phase failed; the state did not change
	ExitCode int32 // of the compute phase; 0 or 1: good. Zero when it did not run
	Result   int32 // of the action phase; 0: good
	GasUsed  uint64
	Fees     *big.Int // nanocoins

	Hidden bool // of a [Passage] that does not show more of it

	prevLT   uint64
	prevHash [32]byte
	cell     *cell.Cell
}

// parseTransaction reads a transaction cell.
func parseTransaction(c *cell.Cell) (t Transaction, account []byte, err error) {
	var tx tlb.Transaction
	if err := tlb.Parse(&tx, c); err != nil {
		return t, nil, err
	}
	t = Transaction{
		LT: tx.LT, Hash: c.HashKey(), Time: time.Unix(int64(tx.Now), 0), Fees: tx.TotalFees.Coins.Nano(),
		In: tx.IO.In, prevLT: tx.PrevTxLT, prevHash: [32]byte(tx.PrevTxHash), cell: c,
	}
	if t.In != nil {
		if t.InHash, err = inHash(c); err != nil {
			return t, nil, err
		}
	}
	if tx.IO.Out != nil {
		out, err := tx.IO.Out.ToSlice()
		if err != nil {
			return t, nil, err
		}
		for i := range out {
			t.Out = append(t.Out, &out[i])
		}
	}
	if d, ok := tx.Description.(tlb.TransactionDescriptionOrdinary); ok {
		t.Aborted = d.Aborted
		if vm, ok := d.ComputePhase.Phase.(tlb.ComputePhaseVM); ok {
			t.ExitCode = vm.Details.ExitCode
			t.GasUsed = vm.Details.GasUsed.Uint64()
		}
		if d.ActionPhase != nil {
			t.Result = d.ActionPhase.ResultCode
		}
	}
	return t, tx.AccountAddr, nil
}

// inHash is the hash of the inbound message's cell: the first cell of
// ^[ in_msg:(Maybe ^(Message Any)) out_msgs:(HashmapE 15 ^(Message Any)) ].
func inHash(tx *cell.Cell) (h [32]byte, err error) {
	io, err := tx.PeekRef(0)
	if err != nil {
		return h, err
	}
	m, err := io.PeekRef(0)
	if err != nil {
		return h, err
	}
	return m.HashKey(), nil
}

// Transactions implements [Reader]. acc must come from Account.
func (c *Client) Transactions(ctx context.Context, acc *Account, limit int) ([]Transaction, error) {
	return c.History(ctx, acc, limit, nil)
}

// History implements [Reader].
func (c *Client) History(ctx context.Context, acc *Account, limit int, last func(*Transaction) bool) ([]Transaction, error) {
	if acc == nil || limit < 0 || limit > maxTransactions {
		return nil, attestation.BadInput("transactions: limit %d, want at most %d", limit, maxTransactions)
	}
	var out []Transaction
	lt, hash := acc.LastLT, acc.LastHash
	for lt != 0 && len(out) < limit {
		page, err := c.page(ctx, acc.Address, lt, hash, limit-len(out))
		if err != nil {
			return nil, err
		}
		for i := range page {
			if out = append(out, page[i]); last != nil && last(&page[i]) {
				return out, nil
			}
		}
		lt, hash = page[len(page)-1].prevLT, page[len(page)-1].prevHash
	}
	return out, nil
}

// After reports whether a transaction is the first of those that came after a state
// of its account, or the account's first.
func (t *Transaction) After(a *Account) bool {
	return t.prevLT == 0 || a != nil && t.prevLT == a.LastLT
}

// page fetches transactions from a known one backward, and checks the chain of
// hashes.
func (c *Client) page(ctx context.Context, addr attestation.Address, lt uint64, hash [32]byte, limit int) (out []Transaction, err error) {
	const what = "transactions"
	err = c.ask(ctx, what+" of "+addr.String(), func(ctx context.Context, s *server) error {
		resp, err := s.query(ctx, ton.GetTransactions{
			Limit: int32(min(limit, 16)), AccID: &ton.AccountID{Workchain: addr.Workchain, ID: addr.Hash[:]}, LT: int64(lt), TxHash: hash[:],
		})
		if err != nil {
			return err
		}
		r, err := answerOf[ton.TransactionList](s, what, resp)
		if err != nil {
			return err
		}
		if out, err = checkTransactions(r.Transactions, addr, lt, hash, limit); err != nil {
			return s.lie(what, err)
		}
		return nil
	})
	return out, err
}

func checkTransactions(boc []byte, addr attestation.Address, lt uint64, hash [32]byte, limit int) (out []Transaction, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("malformed transactions: %v", r)
		}
	}()
	if len(boc) == 0 {
		return nil, errNoTransactions
	}
	roots, err := parseRoots(boc)
	if err != nil {
		return nil, err
	}
	if len(roots) > limit {
		return nil, fmt.Errorf("%d, asked for %d", len(roots), limit)
	}
	return checkRoots(roots, addr, lt, hash)
}

// checkRoots reads transactions that lead back from a known one.
func checkRoots(roots []*cell.Cell, addr attestation.Address, lt uint64, hash [32]byte) (out []Transaction, err error) {
	defer func() {
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("malformed transactions: %v", r)
		}
	}()
	if err := checkLevels(roots...); err != nil {
		return nil, err
	}
	for _, c := range roots {
		if err := whole(c); err != nil {
			return nil, err
		}
		if c.HashKey() != hash {
			return nil, errors.New("a transaction that the account does not have")
		}
		t, account, err := parseTransaction(c)
		if err != nil {
			return nil, err
		}
		if t.LT != lt || !bytes.Equal(account, addr.Hash[:]) {
			return nil, errors.New("a transaction of another account or time")
		}
		out = append(out, t)
		lt, hash = t.prevLT, t.prevHash
	}
	if len(out) == 0 {
		return nil, errNoTransactions
	}
	return out, nil
}
