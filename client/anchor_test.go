package client

import (
	"errors"
	"testing"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// The first anchor that covers a leaf is the one that counts, and a passage that
// does not show that it was the first is not enough.
func TestFirstAnchor(t *testing.T) {
	anchor := func(size uint64) chain.Transaction {
		body := (&contracts.AnchorExternal{Anchor: contracts.Anchor{Epoch: 1, Size: size}}).Body()
		return chain.Transaction{LT: size, In: &tlb.Message{MsgType: tlb.MsgTypeExternalIn, Msg: &tlb.ExternalMessage{Body: body}}}
	}
	inside := func(size uint64) chain.Transaction {
		body := (&contracts.AnchorInternal{Anchor: contracts.Anchor{Epoch: 1, Size: size}}).Body()
		return chain.Transaction{LT: size, In: &tlb.Message{MsgType: tlb.MsgTypeInternal, Msg: &tlb.InternalMessage{Body: body}}}
	}
	edited := func(x chain.Transaction, f func(*chain.Transaction)) chain.Transaction { f(&x); return x }
	asInternal := edited(anchor(9), func(x *chain.Transaction) {
		x.In = &tlb.Message{MsgType: tlb.MsgTypeInternal, Msg: &tlb.InternalMessage{Body: x.In.Msg.Payload()}}
	})
	asExternal := edited(inside(9), func(x *chain.Transaction) {
		x.In = &tlb.Message{MsgType: tlb.MsgTypeExternalIn, Msg: &tlb.ExternalMessage{Body: x.In.Msg.Payload()}}
	})
	aborted := edited(anchor(9), func(x *chain.Transaction) { x.Aborted = true })
	hidden := chain.Transaction{Hidden: true}
	topUp := chain.Transaction{In: &tlb.Message{MsgType: tlb.MsgTypeInternal, Msg: &tlb.InternalMessage{Body: cell.BeginCell().EndCell()}}}
	state := func(size uint64) *chain.Before {
		data := cell.BeginCell().MustStoreSlice(make([]byte, 73), 584).MustStoreUInt(size, 64).MustStoreRef(cell.BeginCell().EndCell()).EndCell()
		return &chain.Before{Active: true, Data: data}
	}
	const leaf = 5
	list := func(txs ...chain.Transaction) []chain.Transaction { return txs } // newest first
	var unknown *attestation.UnknownError
	var disagrees *attestation.ChainError
	var input *attestation.InputError
	for name, c := range map[string]struct {
		p    chain.Passage
		want any // LT of the anchor, or kind of error
	}{
		"from the state before it":         {chain.Passage{Transactions: list(anchor(6)), Before: state(5)}, uint64(6)},
		"from inside":                      {chain.Passage{Transactions: list(inside(6)), Before: state(5)}, uint64(6)},
		"after other transactions":         {chain.Passage{Transactions: list(anchor(6), topUp, aborted, asInternal, asExternal, topUp), Before: state(0)}, uint64(6)},
		"before others":                    {chain.Passage{Transactions: list(hidden, anchor(7), topUp, anchor(6)), Before: state(5)}, uint64(6)},
		"from the anchor before it":        {chain.Passage{Transactions: list(anchor(6), topUp, anchor(5))}, uint64(6)},
		"from the account's start":         {chain.Passage{Transactions: list(anchor(6)), Begins: true}, uint64(6)},
		"from before there was a contract": {chain.Passage{Transactions: list(anchor(6)), Before: &chain.Before{}}, uint64(6)},

		"an earlier anchor covered it":    {chain.Passage{Transactions: list(anchor(7)), Before: state(6)}, &disagrees},
		"nothing shows what was before":   {chain.Passage{Transactions: list(anchor(7), topUp)}, &unknown},
		"it may not be the first":         {chain.Passage{Transactions: list(anchor(7))}, &unknown},
		"one before that was aborted":     {chain.Passage{Transactions: list(anchor(7), edited(anchor(5), func(x *chain.Transaction) { x.Aborted = true }))}, &unknown},
		"one before is hidden":            {chain.Passage{Transactions: list(anchor(7), hidden, topUp), Before: state(5)}, &unknown},
		"none covers it":                  {chain.Passage{Transactions: list(anchor(5), topUp), Before: state(3)}, &disagrees},
		"one that was aborted":            {chain.Passage{Transactions: list(aborted), Before: state(3)}, &disagrees},
		"one that came as something else": {chain.Passage{Transactions: list(asInternal, asExternal), Before: state(3)}, &disagrees},
		"a state that is no node's":       {chain.Passage{Transactions: list(anchor(6)), Before: &chain.Before{Active: true, Data: cell.BeginCell().MustStoreRef(cell.BeginCell().EndCell()).EndCell()}}, &input},
	} {
		tx, err := firstAnchor(&c.p, leaf)
		if lt, ok := c.want.(uint64); ok {
			if err != nil || tx.LT != lt {
				t.Errorf("%s: %+v, %v", name, tx, err)
			}
		} else if tx != nil || !errors.As(err, c.want) {
			t.Errorf("%s: %+v, %v", name, tx, err)
		}
	}
}
