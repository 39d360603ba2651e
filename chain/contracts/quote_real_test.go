package contracts

import (
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-tdx-guest/testing/testdata"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// realQuote is a quote of real hardware and a time at which Intel's own
// reference finds it good.
type realQuote struct {
	name  string
	quote []byte
	at    int64
}

// realQuotes returns the quotes that ship with go-tdx-guest, and with
// COCOON_VECTORS every TDX vector that was up to date.
func realQuotes(t *testing.T) []realQuote {
	t.Helper()
	all := []realQuote{{"go-tdx-guest", testdata.RawQuote, tvmtest.Start}}
	dir := os.Getenv("COCOON_VECTORS")
	if dir == "" {
		t.Log("COCOON_VECTORS is not set: ONE REAL QUOTE ONLY; set it to the directory that holds manifest.json")
		return all
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var manifest struct {
		TDX []struct {
			File     string
			Expected []struct {
				Now    int64
				Status string
			}
		}
	}
	if err := json.Unmarshal(read("manifest.json"), &manifest); err != nil {
		t.Fatal(err)
	}
	for _, v := range manifest.TDX {
		for _, e := range v.Expected {
			if e.Status == "UpToDate" {
				all = append(all, realQuote{filepath.Base(v.File), read(v.File), e.Now})
				break
			}
		}
	}
	if len(all) < 5 {
		t.Fatalf("only %d real quotes", len(all))
	}
	return all
}

// TestRealQuotes runs the quote library over real evidence: everything is read
// as ReadQuote reads it, and the floor made from a quote accepts it.
func TestRealQuotes(t *testing.T) {
	for _, q := range realQuotes(t) {
		c, ca, err := QuoteCells(q.quote)
		if err != nil {
			t.Errorf("%s: %v", q.name, err)
			continue
		}
		x, y := new(big.Int).SetBytes(ca[:32]), new(big.Int).SetBytes(ca[32:])
		r := call(t, q.at, "verify", c, x, y)
		if r.exit != 0 {
			t.Errorf("%s: %s", q.name, ErrorName(int(r.exit)))
			continue
		}
		compareFacts(t, factsOf(t, r), q.quote)
		if r.gas > 90_000 {
			t.Errorf("%s: verification takes %d gas", q.name, r.gas)
		}
		info, _ := ReadQuote(q.quote)
		j := call(t, q.at, "judge", info.TCB.Cell(), FloorOf(info.TCB).Cell())
		if j.exit != 0 || j.stack[0].(*big.Int).Sign() != 0 {
			t.Errorf("%s: its own floor refuses it: %v", q.name, j)
		}
	}
}

// TestRealQuotesDoNotRegister gives the same quotes to a production Node whose
// Root lists all that they need. They vouch for other claims.
func TestRealQuotesDoNotRegister(t *testing.T) {
	quotes := realQuotes(t)
	f := newFixture(t, noStake, func(s *RootState) {
		for _, q := range quotes {
			info, err := ReadQuote(q.quote)
			if err != nil {
				t.Fatal(err)
			}
			s.AddCAKey(CAPlatform, info.CA)
			s.Floors[info.FMSPC] = FloorOf(info.TCB)
			s.Measurements[info.Measurement] = Measurement{Flags: MeasurementAccepted}
		}
	})
	slices.SortFunc(quotes, func(a, b realQuote) int { return int(a.at - b.at) })
	for _, q := range quotes {
		f.Now = uint32(max(q.at, int64(f.Now)))
		c, ca, err := QuoteCells(q.quote)
		if err != nil {
			t.Fatal(err)
		}
		m := &RegisterTDX{Heads: f.heads(), CA: PublicKey{X: [32]byte(ca[:32]), Y: [32]byte(ca[32:])}, Quote: c}
		refused(t, f.send(f.operator, ValueRegister, m), CodeReportData)
	}
}
