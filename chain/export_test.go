package chain

import (
	"testing"

	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"
)

// What tests of links need that nobody else does.

// VerifyStep verifies one step of a liteserver's proof that starts at from.
func VerifyStep(step any, from BlockID) (Block, error) {
	l, err := newLink(step, from)
	if err != nil {
		return Block{}, err
	}
	h, _, err := l.verify(from)
	if err != nil {
		return Block{}, err
	}
	return h.of(l.to), nil
}

// EncodeSignatures writes a signature set as account proofs hold it.
func EncodeSignatures(set any) ([]byte, error) {
	s, err := encodeSigs(set)
	if err != nil {
		return nil, err
	}
	return proofEnc.Marshal(s)
}

// DecodeSignatures reads what EncodeSignatures writes.
func DecodeSignatures(b []byte) (any, error) {
	var s sigsCBOR
	if err := proofDec.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	return s.decode()
}

// Ext is the liteservers' form of a block identifier.
func (b BlockID) Ext() *ton.BlockIDExt { return b.ext() }

// CheckCells is the check of the levels and the number of the cells of proofs.
var CheckCells = checkCells

// WithMaxParts is an option that lowers the limit of the cells that show an account.
func WithMaxParts(bytes int) Option {
	return func(c *Client) error { c.maxParts = bytes; return nil }
}

// MaxLink is how large the cells of a link may be.
const MaxLink = maxLink

// MaxLinks is how many links a proof may have.
const MaxLinks = maxLinks

// TransactionCell is the whole of a transaction.
func TransactionCell(t Transaction) *cell.Cell { return t.cell }

// StateCell is the whole state of an account.
func StateCell(a *Account) *cell.Cell { return a.state }

// PassageOf writes a passage of a transaction and the state before it, whatever is
// left of them.
func PassageOf(t testing.TB, before, tx *cell.Cell) []byte {
	t.Helper()
	serialize := func(c *cell.Cell) []byte {
		proof, err := cell.CreateMerkleProof(c)
		if err != nil {
			t.Fatal(err)
		}
		b, err := boc(proof)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	w := passageCBOR{Type: passageType, Transactions: serialize(tx)}
	if before != nil {
		w.Before = serialize(before)
	}
	b, err := proofEnc.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ReadMessage reads a message out of a passage.
var ReadMessage = readMessage

// ParseCell reads one root out of an answer.
var ParseCell = parseCell

// CheckTransactions reads an account's transactions out of an answer.
var CheckTransactions = checkTransactions

// SerializeCells is the one serialisation of roots.
var SerializeCells = boc
