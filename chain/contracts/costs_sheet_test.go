package contracts

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"os"
	"strings"
	"testing"
)

// Marks around what this file writes into the cost sheet.
const (
	sheetFile  = "../../docs/costs.md"
	sheetBegin = "<!-- measured: go test ./chain/contracts -run TestCosts -update -->\n"
	sheetEnd   = "<!-- end of measured -->\n"
)

// checkSheet compares the figures in the cost sheet with a table, or writes them.
func (c *costTable) checkSheet(t *testing.T) {
	t.Helper()
	old, err := os.ReadFile(sheetFile)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	rest := old
	for _, table := range []string{c.dayTable(), c.aggregatorTable(), c.logTable(), c.onceTable(), c.pathTable(), c.rentTable()} {
		before, after, ok := bytes.Cut(rest, []byte(sheetBegin))
		_, after, ok2 := bytes.Cut(after, []byte(sheetEnd))
		if !ok || !ok2 {
			t.Fatalf("%s has too few places for figures", sheetFile)
		}
		out.Write(before)
		out.WriteString(sheetBegin + table + sheetEnd)
		rest = after
	}
	out.Write(rest)
	if *update {
		if err := os.WriteFile(sheetFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(old, out.Bytes()) {
		t.Error(sheetFile + " is older than " + costsFile + ": go test ./chain/contracts -run TestCosts -update")
	}
}

// What the sheet assumes: a node registers when its last registration is over,
// and anchors when the merge delay asks for it.
var (
	anchorsADay       = float64(day) / float64(DefaultParams().MergeDelay)
	registrationsADay = float64(day) / float64(DefaultParams().RegistrationValidity)
	outputsADay       = []float64{1e3, 1e6, 1e7, 1e9}
	networkSizes      = []float64{1, 100, 10_000}
)

func (c *costTable) path(name string) pathCost {
	for _, r := range c.Paths {
		if r.Name == name {
			return r
		}
	}
	panic("no path " + name)
}

func (c *costTable) rent(name string) float64 {
	for _, r := range c.Storage {
		if r.Name == name {
			return float64(r.StorageYear)
		}
	}
	panic("no contract " + name)
}

// sent is the fees of a path that a wallet starts.
func (c *costTable) sent(name string) float64 {
	return float64(c.path(name).Fees + c.path("wallet").Fees)
}

// standing is what a node costs a day without an output: registration and rent.
func (c *costTable) standing() float64 {
	return registrationsADay*c.sent("register-tdx-again") + (c.rent("node")+c.rent("platform"))/365
}

// root is the rent of the registry a day.
func (c *costTable) root(nodes float64) float64 {
	return (c.rent("root") + (nodes-typicalNodes)*c.rent("root-listed-node")) / 365
}

// anchors is what the anchors of a day cost one log.
func (c *costTable) anchors(outputs float64) float64 {
	return min(outputs, anchorsADay) * float64(c.path("anchor").Fees)
}

// dayTable is coins a day where each node anchors its own log.
func (c *costTable) dayTable() string {
	var b strings.Builder
	b.WriteString("| outputs a day, of all nodes | 1 node | 100 nodes | 10,000 nodes |\n|---|---|---|---|\n")
	for _, o := range outputsADay {
		fmt.Fprintf(&b, "| %s |", count(o))
		for _, n := range networkSizes {
			one := c.standing() + c.anchors(o/n)
			all := n*one + c.root(n)
			fmt.Fprintf(&b, " %s (%s; %s) |", coinText(all), coinText(one), coinText(all/o*1e6))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// aggregatorTable is coins a day where nodes leave anchoring to an aggregator, but
// for one a day, whatever the number of outputs. The aggregator is one node more.
func (c *costTable) aggregatorTable() string {
	var b strings.Builder
	b.WriteString("| the aggregator anchors | 1 node | 100 nodes | 10,000 nodes |\n|---|---|---|---|\n")
	for _, every := range []uint32{DefaultParams().MergeDelay, DefaultParams().AnchorInterval} {
		fmt.Fprintf(&b, "| every %d s |", every)
		for _, n := range networkSizes {
			all := (n+1)*c.standing() + n*c.anchors(1) + c.root(n) + day/float64(every)*float64(c.path("anchor").Fees)
			fmt.Fprintf(&b, " %s (%s) |", coinText(all), coinText(all/n))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// logTable is what one log of so many outputs a day grows to.
func (c *costTable) logTable() string {
	var b strings.Builder
	b.WriteString("| outputs a day | leaves a year | levels | proof, bytes | tiles a year | needless challenge, coins | leaves on chain instead, coins a day |\n|---|---|---|---|---|---|---|\n")
	perLevel := (float64(c.path("inclusion-48").Fees) - float64(c.path("inclusion-20").Fees)) / 28
	onChain := 256*float64(c.Prices.MessageBit) + float64(c.Prices.MessageCell)/3
	for _, o := range outputsADay {
		leaves := 365 * o
		levels := bits.Len64(uint64(leaves) - 1)
		answer := float64(c.path("inclusion-20").Fees) + float64(levels-20)*perLevel
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %s | %s | %s |\n", count(o), count(leaves), levels, 32*levels, byteText(leaves*32*256/255),
			coinText(c.sent("challenge-receipt")+answer+float64(c.path("wallet").Fees)), coinText(o*onChain))
	}
	return b.String()
}

// onceTable is what comes once, or once in a while.
func (c *costTable) onceTable() string {
	var b strings.Builder
	b.WriteString("| what | coins | stays in contracts |\n|---|---|---|\n")
	row := func(what string, paths ...string) {
		var fees, kept float64
		for _, p := range paths {
			fees += c.sent(p)
			kept += float64(max(0, c.path(p).Kept))
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", what, coinText(fees), coinText(kept))
	}
	row("the first day of a node: platform, node, profile, stake, registration", "platform-deploy", "node-deploy", "profile", "stake", "register-tdx")
	row("a new boot, or 30 days more, mode A", "register-tdx-again")
	row("the same, mode B", "register-quorum-again")
	row("the last day of a node: retire, unbond, withdraw", "retire", "unbond", "withdraw")
	row("a verifier from beginning to end: stake, leave, withdraw", "verifier-stake", "verifier-leave", "verifier-withdraw")
	row("a channel from beginning to end: open, two settlements, close", "channel-open", "voucher-settle", "voucher-settle", "channel-close-now")
	row("a settlement more", "voucher-settle")
	row("a registry", "root-deploy")
	row("a decision of governance that waits", "govern-propose", "govern-execute")
	return b.String()
}

// pathTable is every path.
func (c *costTable) pathTable() string {
	var b strings.Builder
	b.WriteString("| path | messages | gas | compute | forward | storage | fees | kept | value | rent a year |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range c.Paths {
		fmt.Fprintf(&b, "| %s | %d | %d | %.6f | %.6f | %.6f | %.6f | %.6f | %s | %.6f |\n", r.Name, r.Messages, r.Gas, inCoins(r.Compute), inCoins(r.Forward),
			inCoins(r.Storage), inCoins(r.Fees), inCoins(r.Kept), valueText(r.Value), inCoins(r.StorageYear))
	}
	b.WriteString("\n| part of a path | gas |\n|---|---|\n")
	for _, r := range c.Parts {
		fmt.Fprintf(&b, "| %s | %d |\n", r.Name, r.Gas)
	}
	return b.String()
}

func (c *costTable) rentTable() string {
	var b strings.Builder
	b.WriteString("| contract | cells | bits | coins a year | reserve | lasts, years |\n|---|---|---|---|---|---|\n")
	for _, r := range c.Storage {
		reserve, lasts := "", ""
		if kept, ok := reserves[r.Name]; ok {
			reserve, lasts = valueText(kept.nano), fmt.Sprintf("%.1f", kept.years(r))
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %.6f | %s | %s |\n", r.Name, r.Cells, r.Bits, inCoins(r.StorageYear), reserve, lasts)
	}
	return b.String()
}

// reserve is what a contract keeps for its storage, and how many years that has
// to pay for.
type reserve struct {
	nano  uint64
	least float64
}

func (r reserve) years(s stateCost) float64 { return float64(r.nano) / float64(s.StorageYear) }

var reserves = map[string]reserve{
	"node": {NodeReserve, 1.2}, "node-first-epoch": {NodeReserve, 1.2},
	"platform": {PlatformReserve, 5}, "verifier": {VerifierReserve, 4}, "channel": {ChannelReserve, 2.5},
}

// checkReserves fails the test where a reserve does not pay for its time.
func (c *costTable) checkReserves(t *testing.T) {
	t.Helper()
	n := 0
	for _, s := range c.Storage {
		r, ok := reserves[s.Name]
		if !ok {
			continue
		}
		if n++; r.years(s) < r.least {
			t.Errorf("the reserve of %s lasts %.2f years, and must last %.2f", s.Name, r.years(s), r.least)
		}
	}
	if n != len(reserves) {
		t.Errorf("%d states have a reserve, want %d", n, len(reserves))
	}
}

func inCoins[T int64 | uint64](nano T) float64 { return float64(nano) / 1e9 }

func valueText(nano uint64) string {
	if nano == 0 {
		return ""
	}
	return fmt.Sprint(inCoins(nano))
}

// coinText shows nano as coins with three digits that count.
func coinText(nano float64) string {
	v := nano / 1e9
	if v == 0 {
		return "0"
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(v))))
	return fmt.Sprintf("%.*f", decimals, v)
}

func count(n float64) string {
	for _, u := range []struct {
		of   float64
		name string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if n >= u.of {
			return fmt.Sprintf("%.4g%s", n/u.of, u.name)
		}
	}
	return fmt.Sprint(n)
}

func byteText(n float64) string { return count(n) + "B" }
