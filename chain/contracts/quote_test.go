package contracts

import (
	"math/big"
	"testing"

	"github.com/google/go-tdx-guest/testing/testdata"
)

func TestMilestone(t *testing.T) {
	q := testdata.RawQuote
	c, ca, err := QuoteCells(q)
	if err != nil {
		t.Fatal(err)
	}
	res := call(t, 1750000000, "verify", c, new(big.Int).SetBytes(ca[:32]), new(big.Int).SetBytes(ca[32:]))
	t.Logf("exit %d gas %d", res.exit, res.gas)
	for _, v := range res.stack {
		if n, ok := v.(*big.Int); ok {
			t.Logf("%x", n)
			continue
		}
		t.Log(v)
	}
}
