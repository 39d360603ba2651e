package contracts

import (
	"fmt"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

var opNames = map[uint32]string{
	opRegisterQuorum: "RegisterQuorum", opRegisterTDX: "RegisterTdx", opRegisterTDXAgain: "RegisterTdxAgain",
	opAnchorInternal: "AnchorInternal", opSetProfile: "SetProfile", opStake: "Stake", opUnbond: "Unbond", opWithdraw: "Withdraw",
	opRetire: "Retire", opRecheck: "Recheck", opReportHeads: "ReportHeads", opReportReceipts: "ReportReceipts",
	opChallengeReceipt: "ChallengeReceipt", opChallengeLog: "ChallengeLog", opAnswer: "Answer", opSettle: "Settle",
	opCheckRegistration: "CheckRegistration", opCheckCurrent: "CheckCurrent", opRegistrationAnswer: "RegistrationAnswer",
	opCurrentChecked: "CurrentChecked", opDone: "Done", opPayout: "Payout",
	opPlatformHello: "PlatformHello", opPlatformWelcome: "PlatformWelcome", opPlatformRevoke: "PlatformRevoke",
	opClaimSlot: "ClaimSlot", opReleaseSlot: "ReleaseSlot", opRenewPlatform: "RenewPlatform",
	opGovern: "Govern", opExecute: "Execute", opPrune: "Prune",
	opCountVerifier: "CountVerifier", opVerifierCounted: "VerifierCounted", opStakeVerifier: "StakeVerifier",
	opLeaveVerifiers: "LeaveVerifiers", opRefreshVerifier: "RefreshVerifier", opWithdrawVerifier: "WithdrawVerifier",
	opReportCertificates: "ReportCertificates",
}

// nameOf returns how a story calls an account.
func (c *crossing) nameOf(a attestation.Address) string {
	if n, ok := c.names[a]; ok {
		return n
	}
	return a.String()
}

// tell adds a line to the story, if there is one.
func (c *crossing) tell(format string, a ...any) {
	if c.story == nil {
		return
	}
	at := c.Now - tvmtest.Start
	fmt.Fprintf(c.story, "%3dd %02d:%02d:%02d  %s\n", at/day, at%day/3600, at%3600/60, at%60, fmt.Sprintf(format, a...))
}

// tellDelivery says what came of a message.
func (c *crossing) tellDelivery(d tvmtest.Delivery) {
	if c.story == nil {
		return
	}
	name := opNames[d.Op()]
	if name == "" {
		name = fmt.Sprintf("message %#x", d.Op())
	}
	if d.Bounced {
		name = "bounce of " + name
	} else {
		name += content(d.Body)
	}
	late := ""
	if w := c.Now - d.Sent; w > 0 {
		late = fmt.Sprintf(", %d s late", w)
	}
	result := ""
	if d.Tx != nil && (!d.Tx.Accepted || d.Tx.Aborted || d.Tx.ExitCode != 0) {
		result = fmt.Sprintf(": ended with %s, action %d", ErrorName(int(d.Tx.ExitCode)), d.Tx.Action)
	}
	to := c.nameOf(d.To)
	if d.To == burnAddress {
		to = "nobody"
	}
	c.tell("   %s -> %s  %s (%.3f)%s%s", c.nameOf(d.From), to, name, float64(d.Value)/coin, late, result)
	if r := c.dwellerAt(d.To); r != nil {
		s := r.state()
		c.tell("      %s: epoch %d %v until %d, pending %v, stake %d, unbonding %d, owed %d", r.name, s.Epoch, s.Status, int64(s.Expires)-tvmtest.Start,
			s.Pending != nil, s.Stake, s.Unbonding, s.Owed)
	}
}

// content says what matters in a message between contracts.
func content(body *cell.Cell) string {
	if m, err := ParseCheckRegistration(body); err == nil {
		return fmt.Sprintf("{lt %d}", m.LT)
	}
	if m, err := ParseCheckCurrent(body); err == nil {
		return fmt.Sprintf("{purpose %d, lt %d}", m.Purpose, m.LT)
	}
	if m, err := ParseCurrentChecked(body); err == nil {
		return fmt.Sprintf("{purpose %d, code %d, lt %d}", m.Purpose, m.Code, m.LT)
	}
	if m, err := ParseRegistrationAnswer(body); err == nil {
		return fmt.Sprintf("{code %d, until %d, lt %d}", m.Code, int64(m.Expires)-tvmtest.Start, m.LT)
	}
	if m, err := ParseClaimSlot(body); err == nil {
		return fmt.Sprintf("{until %d, lt %d}", int64(m.Expires)-tvmtest.Start, m.LT)
	}
	if m, err := ParseReleaseSlot(body); err == nil {
		return fmt.Sprintf("{lt %d}", m.LT)
	}
	if m, err := ParseCountVerifier(body); err == nil {
		return fmt.Sprintf("{stake %d, leaving %d}", m.Stake, m.Leaving)
	}
	if m, err := ParseDone(body); err == nil && m.Code != 0 {
		return fmt.Sprintf("{%s}", ErrorName(int(m.Code)))
	}
	return ""
}
