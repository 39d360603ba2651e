package contracts

import (
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

func TestNodeEventOf(t *testing.T) {
	body := func(m interface{ Body() (*cell.Cell, error) }) *cell.Cell {
		b, err := m.Body()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	a := attestation.Address{Hash: [32]byte{1}}
	checked := func(purpose uint8, code uint16) *cell.Cell {
		return (&CurrentChecked{Purpose: purpose, Code: code, Requester: a, Params: DefaultParams()}).Body()
	}
	heads := &ReportHeads{A: Anchor{Epoch: 1, Size: 1}, B: Anchor{Epoch: 1, Size: 1, Root: [32]byte{1}}}
	receipts := &ReportReceipts{A: [124]byte{60: 1}}
	for name, c := range map[string]struct {
		body *cell.Cell
		want NodeEvent
		code int
	}{
		"retired":            {body(&Retire{}), EventRetired, 0},
		"staked":             {body(&Stake{}), EventStaked, 0},
		"two heads":          {body(heads), EventFault, 0},
		"two receipts":       {body(receipts), EventFault, 0},
		"silence":            {body(&Settle{}), EventFault, 0},
		"rechecked":          {checked(PurposeRecheck, CodeRevoked), EventRechecked, CodeRevoked},
		"rechecked, and yes": {checked(PurposeRecheck, 0), EventOther, 0},
		"taken off the list": {checked(PurposeRetire, 7), EventOther, 0},
		"asked":              {body(&Recheck{}), EventOther, 0},
		"unstaked":           {body(&Unbond{Amount: 1}), EventOther, 0},
		"a torn answer":      {build().MustStoreUInt(opCurrentChecked, 32).EndCell(), EventOther, 0},
		"empty":              {build().EndCell(), EventOther, 0},
		"nothing":            {nil, EventOther, 0},
	} {
		if got, code := NodeEventOf(c.body); got != c.want || code != c.code {
			t.Errorf("%s: %d with %d", name, got, code)
		}
	}
}
