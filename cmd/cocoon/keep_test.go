package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

func doc(name, data string) client.EndorsementFile {
	return client.EndorsementFile{Name: name, Data: []byte(name + " " + data)}
}

// said returns what documents say, and checks that their names are different.
func said(t *testing.T, files []client.EndorsementFile) []string {
	t.Helper()
	names, out := map[string]bool{}, []string{}
	for _, f := range files {
		names[f.Name] = true
		out = append(out, string(f.Data))
	}
	if len(names) != len(files) {
		t.Errorf("%d names of %d documents", len(names), len(files))
	}
	return out
}

// While an enclave runs, the vendor's documents are renewed: the old ones stay,
// for receipts of their time.
func TestKeptSource(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odd[name]*")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, other := keptSource(dir, [32]byte{1}), keptSource(dir, [32]byte{2})
	const may, june = 1_800_000_000, 1_802_600_000
	for _, x := range []struct {
		at  uint32
		src client.Source
	}{
		{may, client.Source{Endpoint: "http://old.test", Bundle: []byte("bundle"), Endorsements: []client.EndorsementFile{doc("crl", "of May"), doc("tcb", "of May")}}},
		{june, client.Source{Endpoint: "http://new.test", Bundle: []byte("bundle"), Endorsements: []client.EndorsementFile{doc("crl", "of June"), doc("tcb", "of May")}}},
		{june + 900, client.Source{Endpoint: "http://new.test", Bundle: []byte("bundle"), Endorsements: []client.EndorsementFile{doc("crl", "of June"), doc("tcb", "of May")}}},
	} {
		if err := s.add(x.src, x.at); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.add(client.Source{Endpoint: "http://other.test", Bundle: []byte("other"), Endorsements: []client.EndorsementFile{doc("crl", "of July")}}, june); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[uint32][]string{
		may - 1000: {"crl of May", "tcb of May", "crl of June"},
		may + 1000: {"crl of May", "tcb of May", "crl of June"},
		june:       {"crl of June", "tcb of May", "crl of May"},
		june + 1e6: {"crl of June", "tcb of May", "crl of May"},
	} {
		src, err := s.read(at)
		if got := said(t, src.Endorsements); err != nil || !slices.Equal(got, want) || string(src.Bundle) != "bundle" {
			t.Errorf("at %d: %v, %v", at, got, err)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if fi, err := f.Info(); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f.Name(), fi.Mode(), err)
		}
	}
	if src, err := keptSource(dir, [32]byte{3}).read(may); err != nil || src.Bundle != nil || src.Endorsements != nil {
		t.Errorf("nothing there: %+v, %v", src, err)
	}
}

// However often the documents are renewed, each receipt gets those of its time, and
// the same ones are not stored twice in a row.
func TestKeptSetsOfALongTime(t *testing.T) {
	dir := t.TempDir()
	s := keptSource(dir, [32]byte{1})
	const start, day = 1_800_000_000, 86_400
	of := func(n int) []client.EndorsementFile {
		var out []client.EndorsementFile
		for i := range 10 {
			out = append(out, doc(fmt.Sprintf("doc%d", i), fmt.Sprintf("of day %d", n)))
		}
		return out
	}
	const days = 100
	for n := range days {
		for hour := range uint32(2) {
			if err := s.add(client.Source{Bundle: []byte("bundle"), Endorsements: of(n)}, start+uint32(n)*day+3600*hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	if sets, err := s.sets(start); err != nil || len(sets) != days {
		t.Fatalf("%d sets, %v", len(sets), err)
	}
	for n := range days {
		src, err := s.read(start + uint32(n)*day + day/2)
		got := said(t, src.Endorsements)
		if err != nil || len(got) != 64 || !slices.Equal(got[:10], said(t, of(n))) {
			t.Fatalf("day %d: %d documents, %v", n, len(got), err)
		}
		for _, near := range []int{n - 1, n + 1} {
			if near >= 0 && near < days && !slices.Contains(got, string(of(near)[9].Data)) {
				t.Errorf("day %d: nothing of day %d", n, near)
			}
		}
	}
	// what came back after a day counts from then on
	if err := s.add(client.Source{Bundle: []byte("bundle"), Endorsements: of(3)}, start+days*day); err != nil {
		t.Fatal(err)
	}
	src, err := s.read(start + days*day + 5)
	if got := said(t, src.Endorsements); err != nil || !slices.Equal(got[:10], said(t, of(3))) {
		t.Errorf("%v, %v", got, err)
	}
}

// A client's own documents may have the names of a node's. Too many are refused, and
// what is kept of many sets is what a proof may have.
func TestKeptSourceLimits(t *testing.T) {
	dir := t.TempDir()
	s := keptSource(dir, [32]byte{1})
	const at = 1_800_000_000
	same := client.Source{Bundle: []byte("b"), Endorsements: []client.EndorsementFile{doc("a", "own"), doc("a", "the node's"), doc("a", "own")}}
	if err := s.add(same, at); err != nil {
		t.Fatal(err)
	}
	if src, err := s.read(at); err != nil || len(said(t, src.Endorsements)) != 2 {
		t.Errorf("%v, %v", src.Endorsements, err)
	}
	var many, large client.Source
	for i := range endorse.MaxFiles + 1 {
		many.Endorsements = append(many.Endorsements, doc(fmt.Sprint("d", i), ""))
	}
	for i := range 5 {
		large.Endorsements = append(large.Endorsements, client.EndorsementFile{Name: fmt.Sprint("l", i), Data: bytes.Repeat([]byte{byte(i)}, attestation.MaxEndorsementSize-100)})
	}
	for name, src := range map[string]client.Source{"too many": many, "too large": large} {
		if err := keptSource(dir, [32]byte{2}).add(src, at); attestation.ExitCode(err) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if src, err := keptSource(dir, [32]byte{2}).read(at); err != nil || src.Bundle != nil {
		t.Errorf("%d bytes, %v", len(src.Bundle), err)
	}
	large.Endorsements = large.Endorsements[:3]
	for i := range 3 { // sets of 12 MiB each
		large.Bundle = []byte("bundle")
		large.Endorsements[0].Data[0] = byte(i)
		if err := keptSource(dir, [32]byte{3}).add(large, at+uint32(i)*10_000); err != nil {
			t.Fatal(err)
		}
	}
	src, err := keptSource(dir, [32]byte{3}).read(at)
	if err != nil || len(src.Endorsements) != 3 {
		t.Errorf("%d documents, %v", len(src.Endorsements), err)
	}
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%x.then.00.endorsements", [16]byte{3})), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keptSource(dir, [32]byte{3}).read(at); attestation.ExitCode(err) != 1 {
		t.Errorf("a name of somebody else: %v", err)
	}
}

// A receipt is there whatever becomes of its papers, and they come with the next one.
func TestReceiptFirst(t *testing.T) {
	k := &keeper{dir: t.TempDir()}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	file := func(index uint64) *receipt.File {
		r, err := receipt.Sign(key, receipt.Head{Index: index, Epoch: 1, Time: 1_800_000_000}, &receipt.Body{ClaimsDigest: [32]byte{7}, Engine: "e", Finish: receipt.Complete})
		if err != nil {
			t.Fatal(err)
		}
		return &receipt.File{Receipt: r}
	}
	ends := time.Unix(1_900_000_000, 0)
	asked := 0
	source := func(err error) func() (client.Source, error) {
		return func() (client.Source, error) {
			asked++
			return client.Source{Endpoint: "http://node.test", Bundle: []byte("bundle"), Endorsements: []client.EndorsementFile{doc("crl", "")}}, err
		}
	}
	want := func(name string, papers bool) {
		t.Helper()
		f, src, err := loadReceipt(filepath.Join(k.dir, name+".receipt"))
		if err != nil || f == nil || (src.Bundle != nil) != papers {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	path, err := k.store("a", file(0), ends, source(attestation.Unknown("gone")))
	if path != "" || attestation.ExitCode(err) != 3 || !strings.Contains(err.Error(), "a.receipt is kept, but not what its proof needs: gone") {
		t.Errorf("%q, %v", path, err)
	}
	want("a", false)
	for i, name := range []string{"b", "c"} {
		if _, err := k.store(name, file(uint64(i+1)), ends, source(nil)); err != nil {
			t.Fatal(err)
		}
	}
	want("a", true)
	want("c", true)
	if asked != 2 {
		t.Errorf("asked the node %d times", asked)
	}
	if _, err := k.store("d", file(3), ends.Add(time.Hour), source(nil)); err != nil || asked != 3 {
		t.Errorf("another verdict: asked %d times, %v", asked, err)
	}
	if _, err := k.store("a", file(9), ends, source(nil)); !errors.Is(err, os.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
}

// What a killed process had begun to write goes when it is surely not written any
// more; nothing else does.
func TestSweep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a*b")
	k := &keeper{dir: dir}
	if err := k.open(); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * time.Hour)
	for name, stays := range map[string]bool{
		".1-ab-2.receipt.123456": false, ".ab.bundle.99": false, ".ab.1800000000.cd.endorsements.7": false, ".ab.relay.5": false,
		".notes.of.mine": true, "1-ab-2.receipt": true, "ab.bundle": true, "ab.1800000000.cd.endorsements": true, ".hidden": true,
	} {
		path := filepath.Join(dir, name)
		for _, age := range []time.Time{time.Now(), old} {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, age, age); err != nil {
				t.Fatal(err)
			}
			if err := k.open(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(path); (err == nil) != (stays || age != old) {
				t.Errorf("%s of %s: %v", name, age, err)
			}
		}
	}
}
