package vendors

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// FuzzAnswer: whatever a service answers, its header gives PEM or an error, and
// the file a name that is fit for a set.
func FuzzAnswer(f *testing.F) {
	f.Add("https://kdsintf.amd.com/vcek/v1/Milan/crl", "-----BEGIN%20CERTIFICATE-----%0AAA%3D%3D%0A-----END%20CERTIFICATE-----%0A", []byte{0x30})
	f.Add("https://rim.attestation.nvidia.com/v1/rim/NV_GPU", "", []byte(`{"rim":""}`))
	f.Add("", "%zz", []byte(" <x>"))
	f.Fuzz(func(t *testing.T, address, chain string, body []byte) {
		h := http.Header{}
		h.Set("TCB-Info-Issuer-Chain", chain)
		b, err := chainOf(h, "TCB-Info-Issuer-Chain")
		if err != nil && fault.FamilyOf(err) != fault.FamilyUnknown {
			t.Errorf("family of %v", err)
		}
		if err == nil && b != nil && !bytes.Contains(b, []byte("-----BEGIN ")) {
			t.Errorf("%q is no PEM", b)
		}
		if !strings.HasPrefix(address, "https://") {
			return // [Client.address] has refused it
		}
		if u, err := (&Client{}).address(address); err != nil || u.Host == "" {
			return
		}
		n := fileName(address, body)
		if _, err := endorse.Encode([]endorse.File{{Name: n, Data: []byte{1}}}); err != nil {
			t.Errorf("%q: %v", n, err)
		}
	})
}
