package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/filelock"
)

// heldError wants the error of a journal that is open already: it names the
// directory and says what to do.
func heldError(t *testing.T, err error, dir string) {
	t.Helper()
	var bad *attestation.InputError
	if !errors.As(err, &bad) || !errors.Is(err, filelock.ErrHeld) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "wait until it has ended") {
		t.Errorf("a journal that is open: %v", err)
	}
}

// TestJournalTwice opens a directory twice, then after the first is closed.
func TestJournalTwice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "payments")
	first := openJournal(t, dir)
	if err := first.Save(&chain.Intent{ID: "rent", Messages: [][]byte{{1}}}); err != nil {
		t.Fatal(err)
	}
	second, err := chain.OpenDirJournal(dir)
	heldError(t, err, dir)
	if second != nil {
		t.Fatal("a journal beside the first")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if in, err := openJournal(t, dir).Pending(); err != nil || in == nil || in.ID != "rent" {
		t.Errorf("pending %+v, %v", in, err)
	}
}

// TestJournalNoDirectory: what can't be a journal is bad input that names it.
func TestJournalNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var bad *attestation.InputError
	for _, dir := range []string{file, filepath.Join(file, "below"), "nul\x00"} {
		if j, err := chain.OpenDirJournal(dir); j != nil || !errors.As(err, &bad) {
			t.Errorf("%q: %v", dir, err)
		}
	}
}

// TestJournalLeftovers: what a crash left half-written goes; everything else
// stays.
func TestJournalLeftovers(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	if err := j.Save(&chain.Intent{ID: "rent", Messages: [][]byte{{1}}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pending.ABCD.tmp", "errand.json", "tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "d.tmp"), 0o700), j.Close()); err != nil {
		t.Fatal(err)
	}
	openJournal(t, dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); !strings.HasSuffix(got, ".json d.tmp errand.json lock pending tmp") {
		t.Errorf("left: %s", got)
	}
}

// childEnv makes the test binary a process that uses a journal.
const childEnv = "COCOON_TEST_JOURNAL"

// journalChild runs TestJournalChild in a process of its own.
func journalChild(t *testing.T, what, dir string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestJournalChild$", "-test.v")
	c.Env = append(os.Environ(), childEnv+"="+what+" "+dir)
	c.Stderr = os.Stderr
	return c
}

// TestJournalChild is what the other process does. Its output is for the first.
func TestJournalChild(t *testing.T) {
	what, dir, ok := strings.Cut(os.Getenv(childEnv), " ")
	if !ok {
		t.Skip("this is the other process of TestJournalProcesses and TestJournalFull")
	}
	if what == "full" {
		full(t, dir)
		return
	}
	if _, err := chain.OpenDirJournal(dir); err != nil {
		fmt.Println("child: error", err)
		return
	}
	fmt.Println("child: open")
	_, _ = io.ReadAll(os.Stdin) // until the first process ends it
}

// TestJournalProcesses: a journal that another process has open is refused, and
// is free as soon as that process is dead, however it died.
func TestJournalProcesses(t *testing.T) {
	dir := t.TempDir()
	c := journalChild(t, "hold", dir)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 0, 4096)
	for !bytes.Contains(said, []byte("child: ")) {
		b := make([]byte, 512)
		n, err := out.Read(b)
		if said = append(said, b[:n]...); err != nil {
			t.Fatalf("%s: %v", said, err)
		}
	}
	if !bytes.Contains(said, []byte("child: open")) {
		t.Fatalf("the other process: %s", said)
	}
	_, err = chain.OpenDirJournal(dir)
	heldError(t, err, dir)
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	j := openJournal(t, dir)
	got, err := journalChild(t, "hold", dir).Output()
	if err != nil || !bytes.Contains(got, []byte("child: error payment journal "+dir)) {
		t.Errorf("the other process: %s, %v", got, err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
