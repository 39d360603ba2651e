package amd_test

import (
	"testing"

	"github.com/google/go-sev-guest/verify/testdata"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

func BenchmarkParseReport(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := amd.ParseReport(testdata.AttestationBytes); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCold is everything from bytes: certificate, chain, revocation list,
// report. It takes AMD's own chain and list when COCOON_VECTORS has them, else a
// simulated one, whose intermediate is not built in: one more RSA verification.
func BenchmarkCold(b *testing.B) {
	if !vectortest.Has() {
		BenchmarkColdSimulated(b)
		return
	}
	list := vectortest.Read(b, "snp/crl/milan-2025-05-06_2026-05-12.crl.der")
	b.ReportAllocs()
	for b.Loop() {
		e, err := amd.ParseEndorsements(testdata.VcekBytes, list)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := amd.Verify(testdata.AttestationBytes, e, amd.Options{}, shipped.AddDate(1, 8, 0)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkColdSimulated is the same for a simulated AMD.
func BenchmarkColdSimulated(b *testing.B) {
	v := vendor(b, amd.Milan)
	chip, err := v.NewChip(sim.AMDChipConfig{})
	if err != nil {
		b.Fatal(err)
	}
	report, err := chip.Report(sim.AMDReport{})
	if err != nil {
		b.Fatal(err)
	}
	docs := append(chip.Documents(), crl(b, v, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1)))
	o := amd.Options{SimulatedRoots: [][32]byte{v.Root()}}
	b.ReportAllocs()
	for b.Loop() {
		e, err := amd.ParseEndorsements(docs...)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := amd.Verify(report, e, o, now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNewChip is the first report of one more chip to a verifier that knows
// the vendor's intermediate and list.
func BenchmarkNewChip(b *testing.B) {
	v := vendor(b, amd.Milan)
	list := crl(b, v, now.AddDate(0, 0, -1), now.AddDate(0, 0, 1))
	var reports [][]byte
	var ends []*amd.Endorsements
	for range 4 {
		chip, err := v.NewChip(sim.AMDChipConfig{})
		if err != nil {
			b.Fatal(err)
		}
		report, err := chip.Report(sim.AMDReport{})
		if err != nil {
			b.Fatal(err)
		}
		reports, ends = append(reports, report), append(ends, endorsements(b, append(chip.Documents(), list)...))
	}
	ver := amd.NewVerifier(amd.Options{SimulatedRoots: [][32]byte{v.Root()}}, 1) // keeps the last chip only
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := ver.Verify(reports[i%4], ends[i%4], now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHot is one more report of a known platform.
func BenchmarkHot(b *testing.B) {
	v := amd.NewVerifier(amd.Options{WithoutRevocationUnsafe: true}, 0)
	e := endorsements(b, testdata.VcekBytes)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(testdata.AttestationBytes, e, shipped); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGoSEVGuest is the baseline: go-sev-guest v0.15.0, without
// revocation.
func BenchmarkGoSEVGuest(b *testing.B) {
	roots := oracleRoots(b, amd.Milan, genuineRoots(b, amd.Milan)...)
	b.ReportAllocs()
	for b.Loop() {
		if err := oracle(testdata.AttestationBytes, testdata.VcekBytes, amd.Milan, roots, shipped); err != nil {
			b.Fatal(err)
		}
	}
}
