package contracts

import "github.com/xssnick/tonutils-go/tvm/cell"

// NodeEvent is what a message that a Node took means for its registration.
type NodeEvent uint8

const (
	EventOther     NodeEvent = iota // nothing
	EventRetired                    // the operator ended it
	EventRechecked                  // Root said no to it, when somebody asked
	EventFault                      // a fault was proved, or a challenge was not answered
	EventStaked                     // the operator added stake
)

// NodeEventOf reads the body of a message to a Node. code is Root's when it was
// rechecked. It says what the message asks for: who sent it, and whether the contract
// took it, the transaction tells. What can't be read means nothing.
func NodeEventOf(body *cell.Cell) (e NodeEvent, code int) {
	r := read(body, "message to a node")
	op := r.u32()
	if r.err != nil {
		return EventOther, 0
	}
	switch op {
	case opRetire:
		return EventRetired, 0
	case opStake:
		return EventStaked, 0
	case opReportHeads, opReportReceipts, opSettle:
		return EventFault, 0
	case opCurrentChecked:
		m, err := ParseCurrentChecked(body)
		if err == nil && m.Purpose == PurposeRecheck && m.Code != 0 {
			return EventRechecked, int(m.Code)
		}
	}
	return EventOther, 0
}
