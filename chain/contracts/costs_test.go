package contracts

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/google/go-tdx-guest/testing/testdata"

	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
	"github.com/cocoon-go/cocoon/chain/p256hint/p256test"
)

// costsFile holds what every path costs, as "go test -update" measured it.
const costsFile = "testdata/costs.json"

var costsTo = flag.String("costs", "", "write what the paths cost to this file too")

// pathCost is what one path through the contracts costs, from the message that
// starts it to the last that follows from it. Amounts are in nano. Not in it is
// what the sender's own wallet takes: see the row wallet.
type pathCost struct {
	Name        string `json:"name"`
	Messages    int    `json:"messages"`           // transactions of contracts
	Gas         int64  `json:"gas"`                // of all of them
	Compute     uint64 `json:"compute"`            // fee for the gas
	Forward     uint64 `json:"forward"`            // fees of all messages, the first one and those to wallets too
	Storage     uint64 `json:"storage"`            // rent of the contracts for the time that the path waits
	Fees        uint64 `json:"fees"`               // sum of the three
	Kept        int64  `json:"kept"`               // what contracts keep besides, for their storage; negative: fees that their coins bore
	Value       uint64 `json:"value"`              // what the message must carry; 0: nothing in particular, or it comes from outside
	StorageYear int64  `json:"storage_year"`       // change of the rent of all contracts
	MaxGas      int64  `json:"max_gas,omitempty"`  // goal
	MaxFees     uint64 `json:"max_fees,omitempty"` // goal
}

// partCost is the gas of a part of a path.
type partCost struct {
	Name   string `json:"name"`
	Gas    int64  `json:"gas"`
	MaxGas int64  `json:"max_gas,omitempty"` // goal
}

// stateCost is the size of a contract and its rent.
type stateCost struct {
	Name        string `json:"name"`
	Cells       uint64 `json:"cells"`
	Bits        uint64 `json:"bits"`
	StorageYear uint64 `json:"storage_year"` // nano
}

type costTable struct {
	Prices  prices      `json:"prices"` // nano
	Paths   []pathCost  `json:"paths"`
	Parts   []partCost  `json:"parts"`
	Storage []stateCost `json:"storage"`
}

// TestCosts runs every path of all contracts at the prices of mainnet, and
// compares what it costs with what is committed: nothing gets dearer unseen.
func TestCosts(t *testing.T) {
	got := measureCosts(t)
	got.checkGoals(t)
	got.checkReserves(t)
	b, err := json.MarshalIndent(got, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	if *costsTo != "" {
		if err := os.WriteFile(*costsTo, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got.checkSheet(t)
	if *update {
		if err := os.WriteFile(costsFile, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	committed, err := os.ReadFile(costsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, committed) {
		t.Error("the contracts do not cost what " + costsFile + " says. If that is meant: go test ./chain/contracts -run TestCosts -update")
		got.explain(t, committed)
	}
}

// goals are what paths and parts of paths may take.
var (
	gasGoals = map[string]int64{
		"register-tdx": 115_000, "register-tdx-next": 115_000, "register-tdx-again": 115_000,
		"quote": 90_000, "quote-simulated": 90_000, "inclusion-level": 1100,
	}
	feeGoals = map[string]uint64{"anchor": 2_000_000}
)

// missed are goals that are known not to be met. One that is met must leave.
var missed = map[string]bool{}

func (c *costTable) checkGoals(t *testing.T) {
	t.Helper()
	goals := 0
	for i := range c.Paths {
		r := &c.Paths[i]
		r.MaxGas, r.MaxFees = gasGoals[r.Name], feeGoals[r.Name]
		goals += goal(t, r.Name, "gas", uint64(r.Gas), uint64(r.MaxGas))
		goals += goal(t, r.Name, "nano", r.Fees, r.MaxFees)
	}
	for i := range c.Parts {
		p := &c.Parts[i]
		p.MaxGas = gasGoals[p.Name]
		goals += goal(t, p.Name, "gas", uint64(p.Gas), uint64(p.MaxGas))
	}
	if want := len(gasGoals) + len(feeGoals); goals != want {
		t.Errorf("%d figures have a goal, want %d", goals, want)
	}
}

// goal compares a figure with its goal and returns 1; 0 if it has none.
func goal(t *testing.T, name, unit string, got, most uint64) int {
	t.Helper()
	switch {
	case most == 0:
		return 0
	case got > most && !missed[name]:
		t.Errorf("%s takes %d %s, at most %d", name, got, unit, most)
	case got <= most && missed[name]:
		t.Errorf("%s takes %d %s, and may take %d: it is no longer a missed goal", name, got, unit, most)
	}
	return 1
}

// explain names the rows that differ.
func (c *costTable) explain(t *testing.T, committed []byte) {
	t.Helper()
	var old costTable
	if err := json.Unmarshal(committed, &old); err != nil {
		t.Fatalf("%s: %v", costsFile, err)
	}
	if c.Prices != old.Prices {
		t.Errorf("prices are %+v, were %+v", c.Prices, old.Prices)
	}
	differ(t, c.Paths, old.Paths, func(r pathCost) (string, string) {
		return r.Name, fmt.Sprintf("%d gas, %d nano, keeps %d, for %d a year", r.Gas, r.Fees, r.Kept, r.StorageYear)
	})
	differ(t, c.Parts, old.Parts, func(r partCost) (string, string) { return r.Name, fmt.Sprintf("%d gas", r.Gas) })
	differ(t, c.Storage, old.Storage, func(r stateCost) (string, string) {
		return "storage of " + r.Name, fmt.Sprintf("%d cells, %d bits", r.Cells, r.Bits)
	})
}

func differ[R comparable](t *testing.T, got, old []R, say func(R) (name, figures string)) {
	t.Helper()
	before := map[string]R{}
	for _, r := range old {
		name, _ := say(r)
		before[name] = r
	}
	for _, r := range got {
		name, is := say(r)
		old, ok := before[name]
		delete(before, name)
		switch _, was := say(old); {
		case !ok:
			t.Errorf("%s is new: %s", name, is)
		case r != old:
			t.Errorf("%s: %s; was %s", name, is, was)
		}
	}
	for name := range before {
		t.Errorf("%s is gone", name)
	}
}

func measureCosts(t *testing.T) *costTable {
	t.Helper()
	m := &meter{t: t, p: readPrices(t), landlords: map[*tvmtest.World]*tvmtest.Actor{}}
	m.nodePaths()
	m.largePath()
	m.faultPaths()
	m.quorumPaths()
	m.verifierPaths()
	m.rootPaths()
	m.channelPaths()
	m.walletPath()
	c := &costTable{Prices: m.p, Paths: m.rows, Parts: m.parts(), Storage: m.states()}
	seen := map[string]bool{}
	for _, r := range c.Paths {
		if seen[r.Name] {
			t.Errorf("two rows are called %s", r.Name)
		}
		seen[r.Name] = true
	}
	return c
}

// row returns a row by name.
func (m *meter) row(name string) pathCost {
	m.t.Helper()
	for _, r := range m.rows {
		if r.Name == name {
			return r
		}
	}
	m.t.Fatalf("no row %s", name)
	return pathCost{}
}

// parts is the gas of parts of paths.
func (m *meter) parts() []partCost {
	m.t.Helper()
	quote := func(q []byte) int64 {
		c, ca, err := QuoteCells(q)
		if err != nil {
			m.t.Fatal(err)
		}
		r := call(m.t, tvmtest.Start, "verify", c, num(ca[:32]), num(ca[32:]))
		if r.exit != 0 {
			m.t.Fatal(ErrorName(int(r.exit)))
		}
		return r.gas
	}
	perLevel := func(name string) int64 { // of 28 levels, rounded up
		return (m.row(name+"-48").Gas - m.row(name+"-20").Gas + 27) / 28
	}
	ok, p256 := p256InTVM(m.t, p256test.RandomValid(rand.NewChaCha8([32]byte{'c'})).Args)
	if !ok {
		m.t.Fatal("a good signature is refused")
	}
	return []partCost{
		{Name: "quote", Gas: quote(testdata.RawQuote)},
		{Name: "quote-simulated", Gas: quote(mint(m.t, platform(m.t, "machine", sim.IntelOptions{}), testTD()))},
		{Name: "p256", Gas: p256},
		{Name: "inclusion-level", Gas: perLevel("inclusion")},
		{Name: "consistency-level", Gas: perLevel("consistency")},
	}
}
