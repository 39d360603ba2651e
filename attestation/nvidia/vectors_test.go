package nvidia_test

import (
	"encoding/hex"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// TestVectors compares every real report of the manifest with its verdict:
// chain, signature, bindings, and the fields that are listed.
func TestVectors(t *testing.T) {
	kinds := map[string]nvidia.Kind{"HOPPER": nvidia.Hopper, "BLACKWELL": nvidia.Blackwell, "LS10": nvidia.LS10}
	v := nvidia.NewVerifier(bare, 0)
	for _, x := range nvidiaVectors(t) {
		t.Run(x.id(), func(t *testing.T) {
			nonce, err := hex.DecodeString(x.RequestNonce)
			if err != nil || len(nonce) != 32 {
				t.Fatalf("nonce %q", x.RequestNonce)
			}
			f, err := v.Verify(x.evidence(t), nvidia.WantNonce([32]byte(nonce)), &nvidia.Endorsements{}, at)
			if x.Expected != "report signature OK, device chain to NVIDIA Device Identity CA OK" {
				wantErr(t, err, fault.FamilyFalse, nvidia.StepSignature, "did not sign this report")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Simulated || f.Root != nvidia.DeviceRoot() || f.Kind != kinds[x.Arch] || !f.HasDeviceID || !f.NonceBound {
				t.Errorf("facts %+v", f)
			}
			o := &f.Report.Opaque
			if o.Driver != x.Driver || x.VBIOS != "" && o.VBIOS != x.VBIOS {
				t.Errorf("driver %q, VBIOS %q, want %q, %q", o.Driver, o.VBIOS, x.Driver, x.VBIOS)
			}
		})
	}
}
