package chain_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// FuzzDirJournal reads a journal whose files hold anything. What can be read is
// written again as the same.
func FuzzDirJournal(f *testing.F) {
	for _, in := range []chain.Intent{
		{ID: "rent", Wallet: "0:00", Seqno: 3, Messages: [][]byte{{1}}, Orders: [][]byte{{2}}, ExpiresAt: 9},
		{ID: "rent", Done: true, Sent: &chain.Sent{Seqno: 1, LT: 2}},
		{ID: "rent", Done: true, Void: true, Fail: "too late"},
	} {
		b, err := json.Marshal(in)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte("rent"), b)
	}
	f.Add([]byte(""), []byte(`{"id":""}`))
	f.Add([]byte("rent"), []byte(`{"id":"rent","sent":{"hash":[1,2]}}`))
	dir := f.TempDir()
	j, err := chain.OpenDirJournal(dir)
	if err != nil {
		f.Fatal(err)
	}
	if err := j.Save(&chain.Intent{ID: "rent"}); err != nil {
		f.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 1 {
		f.Fatal(files, err)
	}
	f.Fuzz(func(t *testing.T, name, file []byte) {
		for path, b := range map[string][]byte{files[0]: file, filepath.Join(dir, "pending"): name} {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		pending, err := j.Pending()
		if pending != nil && (err != nil || pending.Done || pending.ID != string(name)) {
			t.Errorf("pending %+v, err %v", pending, err)
		}
		in, err := j.Load("rent")
		if err != nil {
			if in != nil {
				t.Errorf("loaded %+v, err %v", in, err)
			}
			return
		}
		if in == nil || in.ID != "rent" {
			t.Fatalf("loaded %+v", in)
		}
		if err := j.Save(in); err != nil {
			t.Fatal(err)
		}
		again, err := j.Load("rent")
		if err != nil || !reflect.DeepEqual(in, again) {
			t.Errorf("loaded %+v, saved and loaded %+v, err %v", in, again, err)
		}
	})
}

// TestWriterEmptyIntent has a journal say that a payment was begun for which
// nothing is signed, or that is of nothing: no writer saves that.
func TestWriterEmptyIntent(t *testing.T) {
	t.Parallel()
	c := start(t, devnet.Options{BlockInterval: 20 * time.Millisecond})
	cl := dial(t, c)
	for name, in := range map[string]chain.Intent{
		"no message":       {Orders: [][]byte{{1}}, ExpiresAt: 1 << 40},
		"no order":         {Messages: [][]byte{{1}}, ExpiresAt: 1 << 40},
		"nothing, expired": {},
	} {
		t.Run(name, func(t *testing.T) {
			j := &chain.MemoryJournal{}
			w := fundedWriter(t, c, cl, 0x8a, j)
			in.ID, in.Wallet = "rent", w.Address().String()
			if err := j.Save(&in); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Send(testContext(t), "rent", pay(addr(0xe1), 1e9)); err == nil || !strings.Contains(err.Error(), "payment journal") {
				t.Errorf("error %v", err)
			}
			if err := w.Settle(testContext(t)); err == nil || !strings.Contains(err.Error(), "payment journal") {
				t.Errorf("settled: error %v", err)
			}
		})
	}
	if got := received(t, cl, addr(0xe1)); got != 0 {
		t.Errorf("receiver got %d", got)
	}
}
