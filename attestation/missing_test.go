package attestation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
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
		{"SNP", s, nil, "VCEK certificate of this chip and TCB https://kdsintf.amd.com/vcek/v1/Genoa/07" + strings.Repeat("00", 63) + "?blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84 "},
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
