package nvidia_test

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

const benchRIM = "nvidia/rims/1010_0200_882_96005E0001_PROD.swidtag"

// BenchmarkRIMParse reads and canonicalizes a real RIM document; no signature
// is checked.
func BenchmarkRIMParse(b *testing.B) {
	doc := vectortest.Read(b, benchRIM)
	b.ReportAllocs()
	b.SetBytes(int64(len(doc)))
	for b.Loop() {
		if _, err := nvidia.ParseRIM(doc); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOCSP is one more RIM document with OCSP responses for all of its
// chain, from bytes, less what BenchmarkRIMSimulated takes.
func BenchmarkOCSP(b *testing.B) {
	doc, o := rim(b, vendor(), sim.NVIDIARIM{}), nvidia.Options{SimulatedRoots: vendor().Roots()}
	responses := [][]byte{ocspOf(b, vendor(), 0, fresh), ocspOf(b, vendor(), 1, fresh), ocspOf(b, vendor(), 2, fresh)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nvidia.VerifyRIM(doc, responses, o, at); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRIMSimulated is a simulated RIM document without revocation.
func BenchmarkRIMSimulated(b *testing.B) {
	doc, o := rim(b, vendor(), sim.NVIDIARIM{}), nvidia.Options{SimulatedRoots: vendor().Roots(), WithoutRevocationUnsafe: true}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nvidia.VerifyRIM(doc, nil, o, at); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNRAS verifies the tokens of eight GPUs.
func BenchmarkNRAS(b *testing.B) {
	f := newNRAS(b, sim.NVIDIAConfig{})
	keys := f.keys(b, nil)
	tokens := f.tokens(b, sim.NRASTokens{Devices: []string{"GPU-0", "GPU-1", "GPU-2", "GPU-3", "GPU-4", "GPU-5", "GPU-6", "GPU-7"}})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nvidia.VerifyNRAS(tokens, keys, tokenNonce, f.o, at); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCompareGolden compares a report with its two documents.
func BenchmarkCompareGolden(b *testing.B) {
	r, driver, vbios := simReport(b, "GH100", sim.NVIDIAReport{}), driverRIM(b, 7, 21, 22, 23, 24, 25, 35), vbiosRIM(b, 0, 1, 2, 3, 4, 5, 6, 8, 9)
	b.ReportAllocs()
	for b.Loop() {
		if g, err := nvidia.CompareGolden(r, driver, vbios); err != nil || !g.Match() {
			b.Fatal(err)
		}
	}
}
