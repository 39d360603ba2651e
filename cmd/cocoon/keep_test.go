package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/client"
)

// While an enclave runs, the vendor's documents are renewed: the old ones stay,
// for receipts of their time.
func TestKeptSource(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odd[name]*")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, other := keptSource(dir, [32]byte{1}), keptSource(dir, [32]byte{2})
	doc := func(name, data string) client.EndorsementFile {
		return client.EndorsementFile{Name: name, Data: []byte(name + " " + data)}
	}
	for _, src := range []client.Source{
		{Endpoint: "http://old.test", Bundle: []byte("bundle"), Endorsements: []client.EndorsementFile{doc("crl", "of May"), doc("tcb", "of May")}},
		{Endpoint: "http://new.test", Bundle: []byte("bundle"), Endorsements: []client.EndorsementFile{doc("crl", "of June"), doc("tcb", "of May")}},
		{Endpoint: "http://new.test", Bundle: []byte("bundle"), Endorsements: []client.EndorsementFile{doc("crl", "of June"), doc("tcb", "of May")}},
	} {
		if err := s.add(src); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.add(client.Source{Endpoint: "http://other.test", Bundle: []byte("other"), Endorsements: []client.EndorsementFile{doc("crl", "of July")}}); err != nil {
		t.Fatal(err)
	}
	src, err := s.read()
	if err != nil {
		t.Fatal(err)
	}
	names, data := map[string]bool{}, map[string]bool{}
	for _, e := range src.Endorsements {
		names[e.Name], data[string(e.Data)] = true, true
	}
	if len(src.Endorsements) != 3 || len(names) != 3 || !data["crl of May"] || !data["crl of June"] || !data["tcb of May"] {
		t.Errorf("%v", data)
	}
	if string(src.Bundle) != "bundle" || src.Endpoint != "http://new.test" {
		t.Errorf("%q of %s", src.Bundle, src.Endpoint)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 7 { // a bundle and a relay each, two sets and one
		t.Errorf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		if fi, err := f.Info(); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", f.Name(), fi.Mode(), err)
		}
	}
	if _, err := keptSource(dir, [32]byte{3}).read(); attestation.ExitCode(err) != 3 {
		t.Errorf("nothing there: %v", err)
	}
}
