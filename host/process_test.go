package host

import (
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

// Of the ways in which an enclave can fail to boot, a host ends with those that
// another try can't change.
func TestBootError(t *testing.T) {
	for code, want := range map[int]int{1: 0, 2: 0, 3: 0, 4: 4, 5: 5, 137: 0} {
		err := exec.Command("sh", "-c", fmt.Sprint("exit ", code)).Run()
		if err == nil {
			t.Fatal("sh did not fail")
		}
		lasting := (&bootError{err}).lasting()
		if (want == 0) != (lasting == nil) || want != 0 && attestation.ExitCode(lasting) != want {
			t.Errorf("exit code %d: %v", code, lasting)
		}
	}
	if err := (&bootError{errors.New("it ended by itself")}).lasting(); err != nil {
		t.Error(err)
	}
}
