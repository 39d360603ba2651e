package tpm_test

import (
	"crypto/elliptic"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

func BenchmarkParseAttest(b *testing.B) {
	q := quote(b, simTPM(b, sim.TPMConfig{}), sim.TPMQuote{ExtraData: nonce})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tpm.ParseAttest(q.Attest); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerify is everything from the encoded evidence: a quote of 24
// registers, the key's certificate and the two above it.
func BenchmarkVerify(b *testing.B) {
	for name, cfg := range map[string]sim.TPMConfig{
		"P-256": {}, "P-384": {Curve: elliptic.P384(), Hash: eventlog.SHA384}, "RSA-2048": {Scheme: tpm.RSASSA},
	} {
		e, err := simTPM(b, cfg).Evidence(nonce)
		if err != nil {
			b.Fatal(err)
		}
		encoded, err := e.Encode()
		if err != nil {
			b.Fatal(err)
		}
		benchmark(b, name, encoded, nil, tpm.Options{Roots: [][32]byte{vendor(b).RootFingerprint()}})
	}
}

// BenchmarkVerifyHCL is everything from the encoded evidence of an Azure
// machine, without its hardware evidence.
func BenchmarkVerifyHCL(b *testing.B) {
	e, hw := azure(b, tpm.SNP)
	encoded, err := e.Encode()
	if err != nil {
		b.Fatal(err)
	}
	benchmark(b, "RSA-2048", encoded, hw, tpm.Options{})
}

func benchmark(b *testing.B, name string, encoded []byte, hw *tpm.Hardware, o tpm.Options) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e, err := tpm.ParseEvidence(encoded)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := tpm.Verify(e, hw, nil, o, now); err != nil {
				b.Fatal(err)
			}
		}
	})
}
