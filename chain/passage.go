package chain

import (
	"fmt"

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
// 1 to 65,536 and of an unbroken row, for [VerifyPassage]. One that would be longer than
// [MaxPassage] is an [attestation.UnknownError]. Of the first hidden ones only their place and time are
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
