package attestation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

// TestMissingDocuments: what is missing is named one by one, with an address,
// through every wrapping.
func TestMissingDocuments(t *testing.T) {
	w, s := newWorld(t), newSNPWorld(t)
	w.bundle()
	s.bundle()
	old := newWorld(t)
	old.collateral.Valid = -time.Minute
	old.bundle()
	lists := newSNPWorld(t) // one is over
	lists.crl[1] = now.Add(-time.Hour)
	lists.bundle()
	for _, c := range []struct {
		name string
		w    *world
		e    *attestation.Endorsements
		want string
	}{
		{"nothing at hand", w, nil, `revocation list of "Intel SGX Root CA" https://certificates.trustedservices.intel.com/IntelSGXRootCA.der |` +
			`revocation list of "Intel SGX PCK Platform CA" https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der SGX-PCK-CRL-Issuer-Chain|` +
			`TCB info for FMSPC 514d00000000 https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=514d00000000 TCB-Info-Issuer-Chain|` +
			`QE identity TD_QE https://api.trustedservices.intel.com/tdx/certification/v4/qe/identity SGX-Enclave-Identity-Issuer-Chain`},
		{"all expired", old, old.endorsements(), `revocation list of "Intel SGX Root CA" https://certificates.trustedservices.intel.com/IntelSGXRootCA.der |` +
			`revocation list of "Intel SGX PCK Platform CA" https://api.trustedservices.intel.com/sgx/certification/v4/pckcrl?ca=platform&encoding=der SGX-PCK-CRL-Issuer-Chain|` +
			`TCB info for FMSPC 514d00000000 https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=514d00000000 TCB-Info-Issuer-Chain|` +
			`QE identity TD_QE https://api.trustedservices.intel.com/tdx/certification/v4/qe/identity SGX-Enclave-Identity-Issuer-Chain`},
		{"SNP", s, nil, "VCEK certificate of this chip and TCB https://kdsintf.amd.com/vcek/v1/Genoa/07" + strings.Repeat("00", 63) + `?blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84 |` +
			`revocation list of ARK-Genoa https://kdsintf.amd.com/vcek/v1/Genoa/crl `},
		{"SNP, list expired", lists, lists.endorsements(), "revocation list of ARK-Genoa https://kdsintf.amd.com/vcek/v1/Genoa/crl "},
		{"nothing", w, w.endorsements(), ""},
	} {
		_, err := c.w.verifier().VerifyEvidence("", c.w.evidence().Data, c.e, now)
		var got []string
		for _, m := range attestation.MissingDocuments(fmt.Errorf("node: %w", err)) {
			got = append(got, m.What+" "+strings.Join(m.URLs, " or ")+" "+m.ChainHeader)
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, strings.Join(got, "|"), c.want)
		}
	}
}

// TestMissingGPUDocuments: all OCSP responses and RIM documents of a GPU are named
// at once, and what is false beside them is not hidden.
func TestMissingGPUDocuments(t *testing.T) {
	names := func(err error) string {
		var got []string
		for _, m := range attestation.MissingDocuments(err) {
			if (m.Request != nil) != strings.HasPrefix(m.What, "OCSP") {
				t.Errorf("%s: request of %d bytes", m.What, len(m.Request))
			}
			got = append(got, m.What)
		}
		return strings.Join(got, "|")
	}
	device := `OCSP response for "GH100 A01 GSP BROM"|OCSP response for "NVIDIA GH100 Provisioner ICA 1"|OCSP response for "NVIDIA GH100 Identity"`
	rims := `|RIM document NV_GPU_VBIOS_G520_0200_885_96005E0001|RIM document NV_GPU_DRIVER_GH100_590.48.01`
	signers := `|OCSP response for "NVIDIA Reference Value L4"|OCSP response for "NVIDIA Reference Value L3 GH100 001"|OCSP response for "NVIDIA Reference Value GH100 CA"`
	cpu := `revocation list of "Intel SGX Root CA"|revocation list of "Intel SGX PCK Platform CA"|TCB info for FMSPC 514d00000000|QE identity TD_QE`
	for _, c := range []struct {
		name   string
		change func(*gpuWorld)
		family fault.Family
		want   string
	}{
		{"all", func(w *gpuWorld) { w.endorse = nil }, fault.FamilyUnknown, device + rims},
		{"responses", func(w *gpuWorld) { w.endorse = addRIMs(t) }, fault.FamilyUnknown, device + signers},
		{"all, of the CPU too", func(w *gpuWorld) { w.endorse, w.collateral.Valid = nil, -time.Minute }, fault.FamilyUnknown, cpu + "|" + device + rims},
		{"all, and another nonce", func(w *gpuWorld) { w.endorse, w.report.Nonce = nil, [32]byte{9} }, fault.FamilyFalse, ""},
	} {
		w := newGPUWorld(t)
		c.change(w)
		_, err := w.verify()
		if got := names(err); got != c.want || fault.FamilyOf(err) != c.family {
			t.Errorf("%s: family %d, %s\nwant %s", c.name, fault.FamilyOf(err), got, c.want)
		}
		for _, r := range attestation.VerdictOf(err).Refusals {
			if strings.Contains(r, "\n") {
				t.Errorf("%s: more than a line: %s", c.name, r)
			}
		}
	}
}

// addRIMs adds the RIM documents of the device, and no OCSP response.
func addRIMs(t *testing.T) func(*attestation.Endorsements) {
	return func(e *attestation.Endorsements) {
		docs, err := gpuDevice().RIMs(gpuVendor())
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range docs {
			if err := e.AddFile(fmt.Sprint(i), d); err != nil {
				t.Fatal(err)
			}
		}
	}
}
