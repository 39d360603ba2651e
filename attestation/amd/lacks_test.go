package amd_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// TestLacks: all that is missing or over is named at once, on one line, and
// nothing of it beside what is false.
func TestLacks(t *testing.T) {
	v := vendor(t, amd.Milan)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	trusted := func(o amd.Options) *amd.Options { o.SimulatedRoots = [][32]byte{v.Root()}; return &o }
	fresh, old := crl(t, v, day(-1), day(1)), crl(t, v, day(-2), day(-1))
	over := newVendor(t, sim.AMDConfig{Product: amd.Milan, NotBefore: day(-5), NotAfter: day(-1)})
	expired := sim.AMDChipConfig{NotBefore: day(-2), NotAfter: day(-1)}
	const noLeaf, noList = "VCEK certificate of this chip and TCB: missing", "revocation list of ARK-Milan: missing"
	for _, c := range []struct {
		name  string
		s     setup
		parts []string
	}{
		{"leaf and list", setup{docs: [][]byte{}}, []string{noLeaf, noList}},
		{"leaf", setup{docs: [][]byte{fresh}}, []string{noLeaf}},
		{"leaf, with a list that is over", setup{docs: [][]byte{old}}, []string{noLeaf, noList}},
		{"leaf, without revocation", setup{docs: [][]byte{}, options: trusted(amd.Options{WithoutRevocationUnsafe: true})}, []string{noLeaf}},
		{"all certificates over", setup{vendor: over, chip: expired},
			[]string{"VCEK certificate: expired", "SEV-Milan certificate: expired", "ARK-Milan certificate: expired"}},
		{"leaf and list over", setup{chip: expired, crl: old}, []string{"VCEK certificate: expired", "revocation list of ARK-Milan: expired"}},
	} {
		_, _, err := c.s.run(t)
		if fault.FamilyOf(err) != fault.FamilyUnknown || strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "; snp ") != len(c.parts)-1 {
			t.Errorf("%s: family %d, %v", c.name, fault.FamilyOf(err), err)
			continue
		}
		for _, p := range c.parts {
			if !strings.Contains(err.Error(), p) {
				t.Errorf("%s: %v, want %q", c.name, err, p)
			}
		}
	}
	_, _, err := setup{chip: expired, crl: crl(t, v, day(-1), day(1), v.ASK.SerialNumber)}.run(t)
	var m *amd.MissingError
	if wantErr(t, err, fault.FamilyFalse, amd.StepRevocation, "revoked"); errors.As(err, &m) {
		t.Errorf("revoked, and %v", m)
	}
}
