package chain

import (
	"errors"
	"fmt"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// shownTransaction is what a Merkle proof of a transaction shows.
type shownTransaction struct {
	Transaction
	account [32]byte
	before  [32]byte // hash of the account's state before it; unless hidden
}

// readTransaction reads the Merkle proof of the transaction with a hash:
//
//	transaction$0111 account_addr:bits256 lt:uint64 prev_trans_hash:bits256
//	  prev_trans_lt:uint64 now:uint32 outmsg_cnt:uint15 orig_status:AccountStatus
//	  end_status:AccountStatus ^[ in_msg:(Maybe ^(Message Any)) ... ]
//	  total_fees:CurrencyCollection state_update:^(HASH_UPDATE Account)
//	  description:^TransactionDescr = Transaction;
func readTransaction(proof *cell.Cell, hash [32]byte) (t shownTransaction, err error) {
	c, err := unwrap(proof, hash)
	if err != nil {
		return t, err
	}
	s, err := c.BeginParse()
	if err != nil {
		return t, err
	}
	var now uint64
	for _, f := range []struct {
		bits uint
		n    *uint64
		b    *[32]byte
	}{{4, new(uint64), nil}, {256, nil, &t.account}, {64, &t.LT, nil}, {256, nil, &t.prevHash}, {64, &t.prevLT, nil}, {32, &now, nil}} {
		if f.b != nil {
			b, err := s.LoadSlice(f.bits)
			if err != nil {
				return t, err
			}
			*f.b = [32]byte(b)
		} else if *f.n, err = s.LoadUInt(f.bits); err != nil {
			return t, err
		}
	}
	t.Hash, t.Time = hash, time.Unix(int64(now), 0)
	refs, err := refsOf(c)
	if err != nil {
		return t, err
	}
	if len(refs) != 3 && len(refs) != 4 {
		return t, errors.New("it is no transaction")
	}
	if t.Hidden = refs[0].GetType() == cell.PrunedCellType; t.Hidden {
		return t, nil
	}
	return t, t.read(refs[0], refs[len(refs)-2], refs[len(refs)-1])
}

// read reads message, state update and description.
func (t *shownTransaction) read(messages, update, description *cell.Cell) error {
	var d tlb.TransactionDescriptionOrdinary
	if prefix, err := peek(description, 4); err != nil {
		return err
	} else if prefix == 0 { // no other kind has a message
		if err := tlb.Parse(&d, description); err != nil {
			return fmt.Errorf("description: %w", err)
		}
		t.Aborted = d.Aborted
		some, err := peek(messages, 1)
		if err != nil {
			return err
		}
		if some == 1 {
			m, err := messages.PeekRef(0)
			if err != nil {
				return err
			}
			if t.In, err = readMessage(m); err != nil {
				return fmt.Errorf("message: %w", err)
			}
		}
	}
	var u tlb.HashUpdate
	if err := tlb.Parse(&u, update); err != nil {
		return fmt.Errorf("state update: %w", err)
	}
	t.before = [32]byte(u.OldHash)
	return nil
}

// readMessage reads a message of which at least the first cell of its body is there.
func readMessage(c *cell.Cell) (*tlb.Message, error) {
	if err := shown(c); err != nil {
		return nil, err
	}
	m := new(tlb.Message)
	if err := tlb.Parse(m, c); err != nil {
		return nil, err
	}
	if body := m.Msg.Payload(); body != nil {
		return m, shown(body)
	}
	return m, nil
}

// readBefore reads the Merkle proof of the state of an account with a hash.
func readBefore(proof *cell.Cell, hash [32]byte) (*Before, error) {
	c, err := unwrap(proof, hash)
	if err != nil {
		return nil, err
	}
	var acc tlb.AccountState
	if err := tlb.Parse(&acc, c); err != nil {
		return nil, err
	}
	if acc.IsValid && acc.Status == tlb.AccountStatusFrozen {
		return nil, errors.New("the account was frozen, which does not show what it held")
	}
	if !acc.IsValid || acc.Status != tlb.AccountStatusActive {
		return &Before{}, nil
	}
	data := acc.StateInit.Data
	if data == nil {
		data = cell.BeginCell().EndCell()
	}
	return &Before{Active: true, Data: data}, shown(data)
}

// shown fails for a pruned cell: what would be read of one is not what is there.
func shown(c *cell.Cell) error {
	if c.GetType() == cell.PrunedCellType {
		return errors.New("it is not shown")
	}
	return nil
}

// unwrap returns the body of the Merkle proof of a cell with a hash.
func unwrap(proof *cell.Cell, hash [32]byte) (*cell.Cell, error) {
	c, err := cell.UnwrapProof(proof, hash[:])
	if err != nil {
		return nil, err
	}
	return c, shown(c)
}

func refsOf(c *cell.Cell) ([]*cell.Cell, error) {
	out := make([]*cell.Cell, c.RefsNum())
	for i := range out {
		var err error
		if out[i], err = c.PeekRef(i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// peek reads the first bits of a cell.
func peek(c *cell.Cell, bits uint) (uint64, error) {
	if err := shown(c); err != nil {
		return 0, err
	}
	s, err := c.BeginParse()
	if err != nil {
		return 0, err
	}
	return s.LoadUInt(bits)
}
