package nvidia_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
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

// TestVectorRoots compares the built-in roots with the vectors' copies.
func TestVectorRoots(t *testing.T) {
	for name, want := range map[string][32]byte{"verifier_device_root.pem": nvidia.DeviceRoot(), "verifier_RIM_root.pem": nvidia.RIMRoot()} {
		p, _ := pem.Decode(vectortest.Read(t, "nvidia/roots/"+name))
		if p == nil || sha256.Sum256(p.Bytes) != want {
			t.Errorf("%s is not the built-in root", name)
		}
	}
}

// TestPins names the roots' digests once more.
func TestPins(t *testing.T) {
	for want, got := range map[string][32]byte{
		"102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48": nvidia.DeviceRoot(),
		"12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1": nvidia.RIMRoot(),
	} {
		if hex.EncodeToString(got[:]) != want {
			t.Errorf("built-in root %x, want %s", got, want)
		}
	}
}
