package chain

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// VerifyPassage checks that a passage ends at the last transaction of a proved
// account. Like [VerifyAccountProof] it opens no socket and reads no clock.
// Malformed bytes are bad input, what the account does not have is false.
func VerifyPassage(proof []byte, acc *Account) (*Passage, error) {
	if acc == nil || !acc.Exists {
		return nil, attestation.BadInput("passage: no account that has transactions")
	}
	txs, before, err := decodePassage(proof)
	if err != nil {
		return nil, attestation.BadInput("passage: %w", err)
	}
	p, err := checkPassage(txs, before, acc)
	if err != nil {
		return nil, attestation.False("passage: %w", err)
	}
	return p, nil
}

func decodePassage(proof []byte) (txs []*cell.Cell, before *cell.Cell, err error) {
	if len(proof) == 0 || len(proof) > MaxPassage {
		return nil, nil, fmt.Errorf("%d bytes, want 1 to %d", len(proof), MaxPassage)
	}
	var w passageCBOR
	if err := proofDec.Unmarshal(proof, &w); err != nil {
		return nil, nil, err
	}
	if again, err := proofEnc.Marshal(w); err != nil || !bytes.Equal(again, proof) {
		return nil, nil, errors.New("not in deterministic encoding")
	}
	if w.Type != passageType {
		return nil, nil, fmt.Errorf("type %.40q, want %q", w.Type, passageType)
	}
	if txs, err = parseRoots(w.Transactions); err != nil {
		return nil, nil, err
	}
	if len(txs) == 0 || len(txs) > maxPassage {
		return nil, nil, fmt.Errorf("%d transactions, want 1 to %d", len(txs), maxPassage)
	}
	if again, err := boc(txs...); err != nil || !slices.Equal(again, w.Transactions) {
		return nil, nil, errors.New("cells are not in the canonical serialisation")
	}
	if w.Before != nil {
		roots, err := unboc(w.Before, 1)
		if err != nil {
			return nil, nil, err
		}
		before = roots[0]
	}
	return txs, before, nil
}

func checkPassage(txs []*cell.Cell, before *cell.Cell, acc *Account) (p *Passage, err error) {
	defer func() { // malformed cells
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("malformed: %v", r)
		}
	}()
	all := txs
	if before != nil {
		all = append(slices.Clip(txs), before)
	}
	if err := checkLevels(all...); err != nil {
		return nil, err
	}
	p = &Passage{}
	lt, hash := acc.LastLT, acc.LastHash
	var oldest shownTransaction
	for _, c := range txs {
		if oldest, err = readTransaction(c, hash); err != nil {
			return nil, err
		}
		if oldest.LT != lt || oldest.account != acc.Address.Hash {
			return nil, errors.New("a transaction of another account or time")
		}
		p.Transactions = append(p.Transactions, oldest.Transaction)
		lt, hash = oldest.prevLT, oldest.prevHash
	}
	p.Begins = lt == 0
	if before == nil {
		return p, nil
	}
	if p.Before, err = readBefore(before, oldest.before); err != nil {
		return nil, fmt.Errorf("the state before: %w", err)
	}
	return p, nil
}

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
