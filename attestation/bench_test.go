package attestation_test

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

// BenchmarkEvidenceHot verifies evidence of a known platform under known
// documents, from its bytes to facts.
func BenchmarkEvidenceHot(b *testing.B) {
	for kind, w := range map[string]*world{"tdx": newWorld(b), "snp": newSNPWorld(b)} {
		b.Run(kind, func(b *testing.B) {
			data := w.bundle().Evidence[0].Data
			v, e := w.verifier(), w.endorsements()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.VerifyEvidence(kind, data, e, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBundleHot verifies a bundle of a known platform with claims,
// registration and every rule of the policy.
func BenchmarkBundleHot(b *testing.B) {
	w := newWorld(b)
	bundle := w.bundle()
	v, e := w.verifier(), w.endorsements()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(attestation.Input{Bundle: bundle, Endorsements: e, Registered: w.registered, At: now}); err != nil {
			b.Fatal(err)
		}
	}
}
