package nvidia_test

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// realGPU returns the evidence of one real H100.
func realGPU(b *testing.B) *nvidia.Evidence {
	for _, x := range nvidiaVectors(b) {
		if x.id() == "42b1775a6e04" {
			return x.evidence(b)
		}
	}
	b.Fatal("no vector 42b1775a6e04")
	return nil
}

func BenchmarkParseReport(b *testing.B) {
	ev := realGPU(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nvidia.ParseReport(ev.Report); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGPUCold is everything of one real GPU from bytes: container, five
// certificates, report. RIM documents and OCSP responses are measured below.
func BenchmarkGPUCold(b *testing.B) {
	data, err := realGPU(b).Encode()
	if err != nil {
		b.Fatal(err)
	}
	e := &nvidia.Endorsements{}
	b.ReportAllocs()
	for b.Loop() {
		ev, err := nvidia.ParseEvidence(data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := nvidia.Verify(ev, nvidia.AnyNonceUnsafe(), e, bare, at); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGPUHot is one more report of a known real GPU.
func BenchmarkGPUHot(b *testing.B) {
	data, err := realGPU(b).Encode()
	if err != nil {
		b.Fatal(err)
	}
	v, e := nvidia.NewVerifier(bare, 0), &nvidia.Endorsements{}
	b.ReportAllocs()
	for b.Loop() {
		ev, err := nvidia.ParseEvidence(data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := v.Verify(ev, nvidia.AnyNonceUnsafe(), e, at); err != nil {
			b.Fatal(err)
		}
	}
}

// strictGPU is a simulated GPU with all documents that the strict default wants.
func strictGPU(b *testing.B) ([]byte, [][]byte, nvidia.Options) {
	d := newDevice(b, vendor(), sim.NVIDIADeviceConfig{})
	report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
	if err != nil {
		b.Fatal(err)
	}
	data, err := evidence(b, d, report).Encode()
	if err != nil {
		b.Fatal(err)
	}
	return data, documents(b, d), nvidia.Options{SimulatedRoots: vendor().Roots()}
}

// BenchmarkGPUStrictCold adds two RIM documents and six OCSP responses, all from
// bytes.
func BenchmarkGPUStrictCold(b *testing.B) {
	data, docs, o := strictGPU(b)
	b.ReportAllocs()
	for b.Loop() {
		e, err := nvidia.ParseEndorsements(docs...)
		if err != nil {
			b.Fatal(err)
		}
		ev, err := nvidia.ParseEvidence(data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := nvidia.Verify(ev, nvidia.WantNonce(nonce), e, o, at); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGPUStrictHot is one more report of that GPU.
func BenchmarkGPUStrictHot(b *testing.B) {
	data, docs, o := strictGPU(b)
	e, err := nvidia.ParseEndorsements(docs...)
	if err != nil {
		b.Fatal(err)
	}
	v := nvidia.NewVerifier(o, 0)
	b.ReportAllocs()
	for b.Loop() {
		ev, err := nvidia.ParseEvidence(data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := v.Verify(ev, nvidia.WantNonce(nonce), e, at); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEightGPUs verifies eight simulated GPUs of one machine with the RIM
// documents of their driver and VBIOS, from bytes: cold with a verifier that
// knows nothing, hot with one that knows them, strict with OCSP responses for
// all certificates too.
func BenchmarkEightGPUs(b *testing.B) {
	var devices [][]byte
	var rims, all [][]byte
	for i := range 8 {
		d := newDevice(b, vendor(), sim.NVIDIADeviceConfig{})
		report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
		if err != nil {
			b.Fatal(err)
		}
		data, err := evidence(b, d, report).Encode()
		if err != nil {
			b.Fatal(err)
		}
		devices = append(devices, data)
		docs := documents(b, d)
		if i == 0 {
			rims, all = docs[:2], docs[:2]
		}
		all = append(all, docs[2:]...)
	}
	verify := func(b *testing.B, v *nvidia.Verifier, e *nvidia.Endorsements) {
		var facts []*nvidia.Facts
		for _, data := range devices {
			ev, err := nvidia.ParseEvidence(data)
			if err != nil {
				b.Fatal(err)
			}
			f, err := v.Verify(ev, nvidia.WantNonce(nonce), e, at)
			if err != nil || !f.Golden.Match() {
				b.Fatal(err)
			}
			facts = append(facts, f)
		}
		if _, err := nvidia.CheckTopology(facts); err != nil {
			b.Fatal(err)
		}
	}
	loose := nvidia.Options{SimulatedRoots: vendor().Roots(), WithoutRevocationUnsafe: true}
	strict := nvidia.Options{SimulatedRoots: vendor().Roots()}
	for _, x := range []struct {
		name string
		o    nvidia.Options
		docs [][]byte
	}{{"", loose, rims}, {"Strict", strict, all}} {
		b.Run(x.name+"Cold", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				verify(b, nvidia.NewVerifier(x.o, 0), parsed(b, x.docs...))
			}
		})
		b.Run(x.name+"Hot", func(b *testing.B) {
			v, e := nvidia.NewVerifier(x.o, 0), parsed(b, x.docs...)
			verify(b, v, e)
			b.ReportAllocs()
			for b.Loop() {
				verify(b, v, e)
			}
		})
	}
}
