package host

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts"
)

// TestDescribeNumbers: keys of governance keep the numbers by which approvals name
// them, and times are text.
func TestDescribeNumbers(t *testing.T) {
	s := contracts.NewRoot(contracts.Quorum{Threshold: 1, Keys: map[uint8][32]byte{2: {1}, 7: {2}}}, contracts.DefaultParams())
	s.Measurements[[32]byte{1}] = contracts.Measurement{Flags: contracts.MeasurementAccepted}
	s.Measurements[[32]byte{2}] = contracts.Measurement{Flags: contracts.MeasurementAccepted, Since: 1_800_000_000}
	d := Describe(s)
	if want := map[uint8]string{2: "01" + strings.Repeat("00", 31), 7: "02" + strings.Repeat("00", 31)}; !reflect.DeepEqual(d.Keys, want) {
		t.Errorf("keys %v", d.Keys)
	}
	if len(d.Measurements) != 2 || d.Measurements[0].Since != "" || d.Measurements[1].Since != "2027-01-15T08:00:00Z" {
		t.Errorf("measurements %+v", d.Measurements)
	}
}
