//go:build unix

package chain_test

import (
	"bytes"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/cocoon-go/cocoon/chain"
)

// TestJournalFull: on a disk that takes no more bytes, saving fails, and what was
// saved before stays, whole.
func TestJournalFull(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, dir)
	small := &chain.Intent{ID: "rent", Wallet: "0:00", Messages: [][]byte{{1}}}
	if err := j.Save(small); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := journalChild(t, "full", dir).Output()
	if err != nil || !bytes.Contains(out, []byte("child: ok")) {
		t.Fatalf("the process without room: %s, %v", out, err)
	}
	in, err := openJournal(t, dir).Pending()
	if err != nil || in == nil || len(in.Messages) != 1 || len(in.Messages[0]) != 1 {
		t.Errorf("pending %+v, %v", in, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 { // lock, pending, the payment
		t.Errorf("%v, %v", entries, err)
	}
}

// full saves in a process whose files can't grow beyond a limit, which is how a
// full disk looks to it.
func full(t *testing.T, dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	j := openJournal(t, dir)
	limit := syscall.Rlimit{Cur: 1024, Max: 1024}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Skip(err)
	}
	for _, in := range []*chain.Intent{
		{ID: "rent", Wallet: "0:00", Messages: [][]byte{make([]byte, 4096)}},
		{ID: "rent", Wallet: "0:00", Messages: [][]byte{make([]byte, 4096)}, Done: true, Sent: &chain.Sent{}},
	} {
		if err := j.Save(in); err == nil {
			t.Error("saved without room")
		}
	}
	if !t.Failed() {
		fmt.Println("child: ok")
	}
}
