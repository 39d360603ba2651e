package host

import (
	"errors"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

// TestTwoOperators opens one directory of payments twice: two processes that pay
// from one journal could pay twice, so the second is turned away.
func TestTwoOperators(t *testing.T) {
	p := newOnePlatform(t)
	dir := t.TempDir()
	first, err := OpenOperator(t.Context(), p.client, p.net.Operator, p.net.Registry, 0, dir)
	if err != nil {
		t.Fatal(err)
	}
	var bad *attestation.InputError
	if o, err := OpenOperator(t.Context(), p.client, p.net.Operator, p.net.Registry, 0, dir); !errors.As(err, &bad) || !strings.Contains(err.Error(), "wait until it has ended") {
		if o != nil {
			o.Close()
		}
		t.Errorf("the second: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := OpenOperator(t.Context(), p.client, p.net.Operator, p.net.Registry, 0, dir)
	if err != nil {
		t.Fatalf("after the first: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
