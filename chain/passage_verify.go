package chain

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

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
