package fault_test

import (
	"errors"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// TestJoinUnknown: what is not known is joined in one line; nothing else is, and
// nothing hides it.
func TestJoinUnknown(t *testing.T) {
	a, b := fault.Unknown("no list"), fault.Unknown("no response")
	no, worse, plain := fault.False("revoked"), fault.False("another key"), errors.New("broken")
	for _, c := range []struct {
		errs []error
		want string
		f    fault.Family
	}{
		{nil, "", fault.FamilyNone},
		{[]error{nil, nil}, "", fault.FamilyNone},
		{[]error{nil, a}, "no list", fault.FamilyUnknown},
		{[]error{a, nil, b}, "no list; no response", fault.FamilyUnknown},
		{[]error{a, no, b, worse}, "revoked", fault.FamilyFalse},
		{[]error{a, plain}, "broken", fault.FamilyInput},
	} {
		err := fault.JoinUnknown(c.errs...)
		if fault.FamilyOf(err) != c.f || err != nil && err.Error() != c.want || err == nil && c.want != "" {
			t.Errorf("%v: %v, family %d", c.errs, err, fault.FamilyOf(err))
		}
	}
	if err := fault.JoinUnknown(a, b); !errors.Is(err, a) || !errors.Is(err, b) {
		t.Error("the reasons are lost")
	}
}
