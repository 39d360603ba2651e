package amd

import (
	"testing"

	"github.com/google/go-sev-guest/verify/testdata"
	"github.com/google/go-sev-guest/verify/trust"
)

// FuzzEndorsements covers the parsers of documents, of the certificate table
// and of AMD's extensions. Signatures are left out: they are slow, and not ours.
func FuzzEndorsements(f *testing.F) {
	f.Add(testdata.VcekBytes)
	f.Add(trust.AskArkMilanVcekBytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		if docs, err := ParseCertTable(b); err != nil && docs != nil {
			t.Fatal("documents with an error")
		}
		e, err := ParseEndorsements(b)
		if err != nil {
			return
		}
		for _, c := range e.set.Certs {
			l, err := parseLeaf(c)
			if err == nil && (l.product == UnknownProduct || l.key == nil || (l.kind == VCEK) != (len(l.hwid) == l.product.hwidSize())) {
				t.Fatalf("leaf %+v", l)
			}
		}
	})
}
