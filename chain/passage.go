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

// A passage is a proof of what came to an account, from its last transaction back
// to an older one, and of what the account's state was before that
// (docs/spec/light-client.md, section 5). What nobody asks about is pruned: it is
// as long as there are transactions, however large their messages are.

// MaxPassage is how long the proof of a passage may be, in bytes.
const MaxPassage = 16 << 20

const (
	passageType = "cocoon/passage/v1"
	maxPassage  = 1 << 16 // transactions
)

// Passage is what a proof of one showed.
type Passage struct {
	// Transactions are the newest of the account, newest first and without a gap.
	// Of one that is Hidden only LT, Hash and Time are known; of the others In and
	// Aborted too, and nothing else. What hangs below the first cell of a message's
	// body may be missing.
	Transactions []Transaction
	// Before is the state before the oldest of them; nil when it was not shown.
	Before *Before
	// Begins says that the oldest is the account's first.
	Begins bool
}

// Before is a part of the state of an account.
type Before struct {
	Active bool
	Data   *cell.Cell // its first cell; what it refers to may be missing. Nil unless active
}

type passageCBOR struct {
	Type         string `cbor:"0,keyasint"`
	Transactions []byte `cbor:"1,keyasint"`           // a Merkle proof of each, newest first
	Before       []byte `cbor:"2,keyasint,omitempty"` // Merkle proof of the account's state
}

// EncodePassage returns a proof of transactions as [Client.History] returned them,
// for [VerifyPassage]. Of the first hidden ones only their place and time are
// shown. before is the account as it was before the oldest; nil when that is not to
// be shown.
func EncodePassage(txs []Transaction, hidden int, before *Account) ([]byte, error) {
	if len(txs) == 0 || len(txs) > maxPassage {
		return nil, attestation.BadInput("passage: %d transactions, want 1 to %d", len(txs), maxPassage)
	}
	roots := make([]*cell.Cell, len(txs))
	for i := range txs {
		if txs[i].cell == nil {
			return nil, attestation.BadInput("passage: transactions that are not from a chain")
		}
		var err error
		if roots[i], err = proveTransaction(txs[i].cell, i >= hidden); err != nil {
			return nil, fmt.Errorf("passage: transaction %x: %w", txs[i].Hash, err)
		}
	}
	w := passageCBOR{Type: passageType}
	var err error
	if w.Transactions, err = boc(roots...); err != nil {
		return nil, fmt.Errorf("passage: %w", err)
	}
	if before != nil {
		root, err := proveBefore(before)
		if err != nil {
			return nil, fmt.Errorf("passage: the state before: %w", err)
		}
		if w.Before, err = boc(root); err != nil {
			return nil, fmt.Errorf("passage: %w", err)
		}
	}
	b, err := proofEnc.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("passage: %w", err)
	}
	if len(b) > MaxPassage {
		return nil, attestation.Unknown("passage: %d transactions make a proof of %d bytes, at most %d", len(txs), len(b), MaxPassage)
	}
	return b, nil
}

// proveTransaction makes the Merkle proof of a transaction: of its first cell and,
// if it is shown, of its message and what became of it.
func proveTransaction(tx *cell.Cell, shown bool) (*cell.Cell, error) {
	pb := cell.NewMerkleProofBuilder(tx)
	s, err := pb.Root().BeginParse()
	if err != nil {
		return nil, err
	}
	if !shown {
		return pb.CreateProof()
	}
	n := int(tx.RefsNum())
	for i := range n { // messages, [extra currencies], state update, description
		r, err := s.LoadRefCell()
		if err != nil {
			return nil, err
		}
		switch i {
		case 0:
			err = touch(r, 2) // message, and the first cells below it
		case n - 2:
			err = touch(r, 0)
		case n - 1:
			err = touch(r, 4)
		}
		if err != nil {
			return nil, err
		}
	}
	proof, err := pb.CreateProof()
	if err != nil {
		return nil, err
	}
	// What can't be read with parts missing is shown whole.
	if _, err := readTransaction(proof, tx.HashKey()); err != nil {
		return cell.CreateMerkleProof(tx)
	}
	return proof, nil
}

// touch loads a cell, and those below it so many levels deep.
func touch(c *cell.Cell, depth int) error {
	s, err := c.BeginParse()
	if err != nil {
		return err
	}
	for depth > 0 && s.RefsNum() > 0 {
		r, err := s.LoadRefCell()
		if err != nil {
			return err
		}
		if err := touch(r, depth-1); err != nil {
			return err
		}
	}
	return nil
}

// proveBefore makes the Merkle proof of the first cells of an account's state and
// of its data.
func proveBefore(a *Account) (*cell.Cell, error) {
	if !a.Exists {
		return cell.CreateMerkleProof(cell.BeginCell().MustStoreBoolBit(false).EndCell())
	}
	if a.state == nil {
		return nil, attestation.BadInput("an account that is not from a chain")
	}
	pb := cell.NewMerkleProofBuilder(a.state)
	var acc tlb.AccountState
	if err := tlb.Parse(&acc, pb.Root()); err != nil {
		return nil, err
	}
	if acc.Status == tlb.AccountStatusActive && acc.StateInit.Data != nil {
		if err := touch(acc.StateInit.Data, 0); err != nil {
			return nil, err
		}
	}
	proof, err := pb.CreateProof()
	if err != nil {
		return nil, err
	}
	if _, err := readBefore(proof, a.state.HashKey()); err != nil {
		return cell.CreateMerkleProof(a.state)
	}
	return proof, nil
}

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
