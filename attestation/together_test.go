package attestation

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// cores sets the number of cores for one test.
func cores(t *testing.T, n int) {
	old := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

// TestTogether: devices are verified at the same time, and the result is that of
// one after the other.
func TestTogether(t *testing.T) {
	cores(t, 4)
	if f, err := together(0, nil); err != nil || len(f) != 0 {
		t.Errorf("no devices: %v, %v", f, err)
	}
	// Each of the first four waits for the other three.
	var began atomic.Int32
	all := make(chan bool)
	facts, err := together(9, func(i int) (*nvidia.Facts, error) {
		if began.Add(1) == 4 {
			close(all)
		}
		<-all
		return &nvidia.Facts{Model: fmt.Sprint(i)}, nil
	})
	if err != nil || len(facts) != 9 || facts[0].Model != "0" || facts[8].Model != "8" {
		t.Errorf("%v, %v", facts, err)
	}
	for range 100 {
		facts, err := together(16, func(i int) (*nvidia.Facts, error) {
			if i < 5 {
				return &nvidia.Facts{}, nil
			}
			return nil, errors.New("broken")
		})
		if facts != nil || err == nil || !strings.Contains(err.Error(), "device 6 of 16: broken") {
			t.Fatalf("%v, %v", facts, err)
		}
	}
}

// What comes after a failure is not begun.
func TestTogetherStops(t *testing.T) {
	cores(t, 1)
	n := 0
	if _, err := together(8, func(i int) (*nvidia.Facts, error) { n++; return nil, errors.New("broken") }); err == nil || n != 1 {
		t.Errorf("%v after %d devices", err, n)
	}
}

// What could not be found out is named for all devices, in order and in one line;
// another error of one of them stands alone.
func TestTogetherUnknown(t *testing.T) {
	cores(t, 4)
	for range 20 {
		odd := func(i int) (*nvidia.Facts, error) {
			if i%2 == 0 {
				return &nvidia.Facts{}, nil
			}
			return nil, Unknown("no document %d", i)
		}
		facts, err := together(5, odd)
		if facts != nil || fault.FamilyOf(err) != fault.FamilyUnknown || err.Error() != "device 2 of 5: no document 1; device 4 of 5: no document 3" {
			t.Fatalf("%v, %v", facts, err)
		}
		_, err = together(5, func(i int) (*nvidia.Facts, error) {
			if i == 4 {
				return nil, False("revoked")
			}
			return odd(i)
		})
		if fault.FamilyOf(err) != fault.FamilyFalse || err.Error() != "device 5 of 5: revoked" {
			t.Fatal(err)
		}
	}
}
