package attestation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
)

// TestDocuments: every document of a set is listed with what it is for.
func TestDocuments(t *testing.T) {
	w, s := newWorld(t), newSNPWorld(t)
	w.bundle()
	s.bundle()
	for _, c := range []struct {
		w    *world
		want []string
	}{
		{w, []string{"intel certificate Intel SGX TCB Signing", "intel certificate Intel SGX Root CA", "intel certificate Intel SGX PCK Platform CA",
			"intel revocation list Intel SGX Root CA", "intel revocation list Intel SGX PCK Platform CA",
			"intel TCB info TDX, FMSPC 514d00000000, evaluation 18", "intel QE identity TD_QE, evaluation 18"}},
		{s, []string{"amd certificate SEV-VCEK, Genoa, TCB 0a00000000001754", "amd certificate SEV-Genoa", "amd certificate ARK-Genoa", "amd revocation list ARK-Genoa"}},
	} {
		e := c.w.endorsements()
		docs := e.Documents()
		var got []string
		for _, d := range docs {
			got = append(got, d.Vendor+" "+d.Kind+" "+d.Subject)
			if !d.InForce(now) || d.InForce(d.NotBefore.Add(-time.Second)) || d.InForce(d.NotAfter.Add(time.Second)) || !d.InForce(d.NotBefore) || !d.InForce(d.NotAfter) {
				t.Errorf("%s is valid from %v to %v", d.Subject, d.NotBefore, d.NotAfter)
			}
		}
		for _, want := range c.want {
			if !strings.Contains(strings.Join(got, "|"), want) {
				t.Errorf("no %q among %q", want, got)
			}
		}
		if len(docs) != e.Len() {
			t.Errorf("%d documents listed of %d: %q", len(docs), e.Len(), got)
		}
	}
	if got := attestation.NewEndorsements().Documents(); got == nil || len(got) != 0 {
		t.Errorf("%v", got)
	}
}
