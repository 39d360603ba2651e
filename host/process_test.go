package host

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

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
		lasting := (&bootError{err: err}).lasting(false)
		if (want == 0) != (lasting == nil) || want != 0 && attestation.ExitCode(lasting) != want {
			t.Errorf("exit code %d: %v", code, lasting)
		}
	}
	if err := (&bootError{err: errors.New("it ended by itself")}).lasting(false); err != nil {
		t.Error(err)
	}
	n := new(node)
	_, err := listening(`refused "enclave.toml: line 3: no\x1b[2J"`)
	err = fmt.Errorf("outer: %w", err)
	if end := n.lasting(err); attestation.ExitCode(end) != 1 || end.Error() != "the enclave refuses its configuration: enclave.toml: line 3: no\ufffd[2J" {
		t.Error(end)
	}
	n.served = true
	if end := n.lasting(err); end != nil {
		t.Errorf("files that were changed since: %v", end)
	}
	for _, end := range []error{attestation.BadInput("a"), attestation.Refused("b"), &takenError{}} {
		if n.lasting(end) != end {
			t.Errorf("%v: tried again", end)
		}
	}
	if end := n.lasting(attestation.Unknown("c")); end != nil {
		t.Error(end)
	}
}

// TestLaunch: whatever a program says, and however much, the host finds out where it
// listens or why not, and can end it.
func TestLaunch(t *testing.T) {
	const listens = "echo listening on 127.0.0.1:5; "
	waits := "read x; exit 3" // until its standard input ends
	for _, tc := range []struct {
		name, script, want string
		code               int // of the error; 0: none
	}{
		{"good", listens + waits, "", 0},
		{"talks on", listens + "yes | head -c 1000000; " + waits, "", 0},
		{"says something else", "echo hello; " + waits, `the enclave said "hello"`, 1},
		{"listens elsewhere", "echo listening on 10.0.0.1:5; " + waits, "instead of where on this machine", 1},
		{"a line without end", "yes | tr -d '\\n' | head -c 1000000; exit 4", "the enclave did not boot: exit status 4", 1},
		{"refuses", `echo 'refused "url: \"3\""'; exit 1`, `the enclave refuses its configuration: url: "3"`, 1},
		{"refuses, and stays", `echo 'refused "it"'; ` + waits, "the enclave refuses its configuration: it", 1},
		{"refuses in other words", `echo 'refused it'; ` + waits, `the enclave said "refused it"`, 1},
		{"ends", "exit 5", "the enclave did not boot: exit status 5", 1},
		{"says nothing", waits, "did not boot within 300ms", 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, first, err := launch("sh", []string{"-c", tc.script})
			if err != nil {
				t.Fatal(err)
			}
			limit := 2 * time.Minute // sh may be slow to start
			if tc.name == "says nothing" {
				limit = 300 * time.Millisecond
			}
			err = p.listen(t.Context(), first, limit)
			if attestation.ExitCode(err) != tc.code || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v", err)
			}
			start := time.Now()
			p.stop()
			if d := time.Since(start); d >= stopTimeout { // it was killed
				t.Errorf("it took %s to end", d)
			}
		})
	}
	p, first, err := launch("sh", []string{"-c", waits})
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.listen(ctx, first, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end: %v", err)
	}
	if _, _, err := launch("/nowhere", nil); err == nil {
		t.Error("a program that is not there runs")
	}
}
