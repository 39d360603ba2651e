package tpm_test

import (
	"bytes"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

func FuzzAttest(f *testing.F) {
	x := simTPM(f, sim.TPMConfig{Banks: []eventlog.Alg{eventlog.SHA256, eventlog.SHA384}})
	f.Add(quote(f, x, sim.TPMQuote{ExtraData: nonce}).Attest)
	f.Add(quote(f, x, sim.TPMQuote{Bank: eventlog.SHA384, PCRs: []int{0, 7, 23}}).Attest)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := tpm.ParseAttest(b)
		if (a == nil) == (err == nil) {
			t.Fatal("neither quote nor error")
		}
		if a == nil {
			return
		}
		if err := oracleAttest(b, a); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzPublic(f *testing.F) {
	f.Add(simTPM(f, sim.TPMConfig{}).Public)
	f.Add(rsaTPM(f).Public)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := tpm.ParsePublic(b)
		if (p == nil) == (err == nil) {
			t.Fatal("neither key nor error")
		}
		if p == nil {
			return
		}
		if !bytes.Equal(p.Bytes(), b) || p.Key == nil {
			t.Fatalf("public area %x became %x", b, p.Bytes())
		}
		if err := oraclePublic(b, p); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzSignature(f *testing.F) {
	f.Add(quote(f, simTPM(f, sim.TPMConfig{}), sim.TPMQuote{}).Signature)
	f.Add(quote(f, rsaTPM(f), sim.TPMQuote{}).Signature)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := tpm.ParseSignature(b)
		if (s == nil) == (err == nil) {
			t.Fatal("neither signature nor error")
		}
		if s == nil {
			return
		}
		if err := oracleSignature(b, s); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzHCL(f *testing.F) {
	for _, k := range []tpm.HardwareKind{tpm.SNP, tpm.TDX} {
		e, _ := azure(f, k)
		f.Add(e.HCL)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := tpm.ParseHCL(b)
		if (h == nil) == (err == nil) {
			t.Fatal("neither report nor error")
		}
		if h == nil {
			return
		}
		if again := sim.HCLReport(h.Kind, h.Report, h.RuntimeData()); h.Version == 2 && !bytes.Equal(bytes.TrimRight(again, "\x00"), bytes.TrimRight(b, "\x00")) {
			t.Fatalf("%x became %x", b, again)
		}
		if h.Runtime.Key == nil || len(h.Runtime.UserData) > 64 {
			t.Fatalf("runtime data %+v", h.Runtime)
		}
	})
}

func FuzzEvidence(f *testing.F) {
	e, _ := azure(f, tpm.SNP)
	e.Public, e.Certificates = rsaTPM(f).Public, [][]byte{rsaTPM(f).Certificate.Raw}
	b, err := e.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := tpm.ParseEvidence(b)
		if (e == nil) == (err == nil) {
			t.Fatal("neither evidence nor error")
		}
		if e == nil {
			return
		}
		if again, err := e.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x: %v", b, again, err)
		}
		_, _, _ = e.Hardware()
		if f, err := tpm.Verify(e, &tpm.Hardware{Kind: tpm.SNP}, nil, tpm.Options{}, now); f != nil || err == nil {
			t.Fatal("accepted evidence of hardware that never was")
		}
	})
}

func FuzzAzureFile(f *testing.F) {
	f.Add([]byte(`{"version":1,"tpm_quote":{"message":"ff54","signature":"00","pcrs":[]},"hcl_report":"AAAA","td_quote":"AAAA"}`))
	f.Add([]byte(`{"quote":{"message":[1],"signature":[2],"pcrs":[[3]]},"report":[255],"vcek":"-----BEGIN "}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = tpm.IsAzureFile(b)
		a, err := tpm.ParseAzureFile(b)
		if (a == nil) == (err == nil) {
			t.Fatal("neither evidence nor error")
		}
	})
}

// FuzzEndorsements covers the reader of documents; what it holds is left to
// crypto/x509.
func FuzzEndorsements(f *testing.F) {
	f.Add(vendor(f).Root.Raw)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e := &tpm.Endorsements{}
		if err := e.Add(b); err == nil && e.Len() == 0 {
			t.Fatal("a document without content")
		}
	})
}
