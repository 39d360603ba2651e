package attestation_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	sevdata "github.com/google/go-sev-guest/verify/testdata"
	tdxtest "github.com/google/go-tdx-guest/testing"
	tdxdata "github.com/google/go-tdx-guest/testing/testdata"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

// TestModuleQuote verifies the genuine quote inside go-tdx-guest with the
// genuine documents there, each in the form in which Intel's service serves it:
// real evidence in every clone. The machine is a pre-release stepping below
// every level of its TCB info, so the policy refuses it, with its facts.
func TestModuleQuote(t *testing.T) {
	at := time.Date(2023, 7, 1, 1, 0, 0, 0, time.UTC)
	docs := [][]byte{tdxdata.TcbInfoBody, tdxdata.QeIdentityBody, tdxdata.PckCrlBody, tdxdata.RootCrlBody}
	for _, header := range []map[string][]string{tdxtest.TcbInfoHeader, tdxtest.QeIdentityHeader, tdxtest.PckCrlHeader} {
		for _, v := range header {
			chain, err := url.QueryUnescape(v[0])
			if err != nil {
				t.Fatal(err)
			}
			docs = append(docs, []byte(chain))
		}
	}
	v := strict(t)
	f, err := v.VerifyEvidence("", tdxdata.RawQuote, setOf(t, docs...), at)
	if err != nil {
		t.Fatal(err)
	}
	got := v.Policy().Appraise(f, attestation.Subject{At: at})
	if !got.Authentic || got.Accepted || got.Simulated || got.Facts.TCBStatus != "NotSupported" || got.Facts.FMSPC != "50806f000000" || attestation.ExitCode(got.Err()) != 4 {
		t.Errorf("verdict %+v", got)
	}
	for i := range docs[:4] {
		rest := append(append([][]byte{}, docs[:i]...), docs[i+1:]...)
		if _, err := v.VerifyEvidence("", tdxdata.RawQuote, setOf(t, rest...), at); fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "is missing (https://") {
			t.Errorf("without document %d: %v", i, err)
		}
	}
	for _, x := range []time.Time{at.AddDate(0, -1, 0), at.AddDate(0, 1, 0)} {
		if _, err := v.VerifyEvidence("", tdxdata.RawQuote, setOf(t, docs...), x); fault.FamilyOf(err) != fault.FamilyUnknown {
			t.Errorf("at %v: %v", x, err)
		}
	}
}

// TestModuleReport verifies the genuine report inside go-sev-guest as far as
// the documents there reach: no revocation list is among them.
func TestModuleReport(t *testing.T) {
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	v := strict(t)
	_, err := v.VerifyEvidence("", sevdata.AttestationBytes, setOf(t, sevdata.VcekBytes), at)
	if fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "get it from https://kdsintf.amd.com/vcek/v1/Milan/crl") {
		t.Errorf("without a list: %v", err)
	}
	_, err = v.VerifyEvidence("", sevdata.AttestationBytes, nil, at)
	if fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "blSPL=02&teeSPL=00&snpSPL=05&ucodeSPL=68") {
		t.Errorf("without a certificate: %v", err)
	}
}
