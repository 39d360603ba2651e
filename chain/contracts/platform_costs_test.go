package contracts

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

var costRow = regexp.MustCompile("(?m)^\\| (`[A-Z]\\w+`[^|]*) \\| ([0-9,]+) \\| ([0-9,]+) \\|$")

// checkCosts compares what transactions cost with the table of a page: gas, and
// all fees in nano with the forwarding of the message that caused them. -update
// writes the table.
func checkCosts(t *testing.T, page string, got map[string]tvmtest.Tx) {
	t.Helper()
	b, err := os.ReadFile("../../docs/spec/" + page)
	if err != nil {
		t.Fatal(err)
	}
	number := func(s []byte) int64 {
		n, err := strconv.ParseInt(strings.ReplaceAll(string(s), ",", ""), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	rows, text := costRow.FindAllSubmatch(b, -1), string(b)
	if len(rows) != len(got) {
		t.Errorf("%s has %d costs, the test %d", page, len(rows), len(got))
	}
	for _, r := range rows {
		tx, ok := got[string(r[1])]
		if !ok {
			t.Errorf("nothing costs %q", r[1])
			continue
		}
		gas, fees := number(r[2]), number(r[3])
		if tx.Gas == gas && tx.Fees.Int64() == fees {
			continue
		}
		if row := fmt.Sprintf("| %s | %s | %s |", r[1], thousands(uint64(tx.Gas)), thousands(tx.Fees.Uint64())); *update {
			text = strings.Replace(text, string(r[0]), row, 1)
		} else {
			t.Errorf("%s: %s costs %d gas and %s nano, the page says %d and %d", page, r[1], tx.Gas, tx.Fees, gas, fees)
		}
	}
	if text != string(b) {
		if err := os.WriteFile("../../docs/spec/"+page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// at returns the transaction of a contract with an operation.
func at(t *testing.T, txs []tvmtest.Tx, op uint32) tvmtest.Tx {
	t.Helper()
	for _, tx := range txs {
		if tx.Op == op {
			return tx
		}
	}
	t.Fatalf("no operation %#x among %v", op, txs)
	return tvmtest.Tx{}
}

func TestPlatformCosts(t *testing.T) {
	f := newFixture(t, noStake, withPlatforms)
	a := f.deployPlatform()
	renew := good(t, f.sendTo(a, f.anybody, ValueRenew, &RenewPlatform{}))
	register := f.register()
	again := f.register()
	revoke := f.govern(RevokePlatform{f.platformID()})
	release := good(t, f.send(f.anybody, ValueCheck, &Recheck{}))
	checkCosts(t, "contracts-platform.md", map[string]tvmtest.Tx{
		"`RenewPlatform`":              at(t, renew, opRenewPlatform),
		"`PlatformWelcome`":            at(t, renew, opPlatformWelcome),
		"`ClaimSlot`, the first":       at(t, register, opClaimSlot),
		"`ClaimSlot`, a renewal":       at(t, again, opClaimSlot),
		"`ClaimSlot`, 16 slots to try": full(t),
		"`ReleaseSlot`":                at(t, release, opReleaseSlot),
		"`PlatformRevoke`":             at(t, revoke, opPlatformRevoke),
	})
}

// full is the dearest claim: every slot is held and its time over.
func full(t *testing.T) tvmtest.Tx {
	l := newAlone(t, MaxSlots)
	for i := range uint32(MaxSlots) {
		node, _ := l.nodePuppet("operator", i)
		good(t, l.claim(node, 1, l.Now+100))
	}
	l.Now += 100
	node, _ := l.nodePuppet("late", 1)
	return good(t, l.claim(node, 1, l.Now+100))[0]
}
