package p256hint_test

import (
	"math/big"
	"os"
	"regexp"
	"testing"

	"github.com/cocoon-go/cocoon/chain/p256hint/p256test"
)

// TestSpecification checks the numbers of docs/spec/p256.md.
func TestSpecification(t *testing.T) {
	page, err := os.ReadFile("../../docs/spec/p256.md")
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]big256{}
	for _, m := range regexp.MustCompile(`(?m)^    (\w+) +(?:= )?([0-9a-f]{64})\b`).FindAllSubmatch(page, -1) {
		n, _ := new(big.Int).SetString(string(m[2]), 16)
		v[string(m[1])] = big256{Int: n}
	}
	if len(v) != 11 {
		t.Fatalf("the page has %d numbers", len(v))
	}
	if v["z1"].Cmp(big256{Int: p256test.Z1}) != 0 || v["z2"].Cmp(big256{Int: p256test.Z2}) != 0 {
		t.Error("z1 or z2")
	}
	a := p256test.Args[big256]{Z: v["z"], QX: v["qx"], QY: v["qy"], R: v["r"], S: v["s"],
		RInverse: v["rInverse"], DX: v["dx"], DY: v["dy"], Slope: v["slope"]}
	if !p256test.P256().Verify(a) {
		t.Error("the example is refused")
	}
	checkHint(t, p256test.Case{Name: "example", Args: a, Valid: true})
}

// TestGenerator checks what the proof needs of G, z1 and z2.
func TestGenerator(t *testing.T) {
	n, gx := p256test.N, p256test.G.X
	if gx.Sign() <= 0 || gx.Cmp(n) >= 0 || new(big.Int).Add(gx, n).Cmp(p256test.P) <= 0 {
		t.Error("a point other than G and -G may have an x of Gx modulo n")
	}
	if d := new(big.Int).Sub(p256test.Z1, p256test.Z2); d.Mod(d, n).Sign() == 0 {
		t.Error("z1 and z2 are equal modulo n")
	}
}
