package tpm_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/tpm"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// flips yields positions of bits to flip: 500 seeded ones of n, or all of them
// when COCOON_LONG is set.
func flips(n int) []int {
	if os.Getenv("COCOON_LONG") != "" || n <= 500 {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		return all
	}
	return rand.New(rand.NewPCG(5, 6)).Perm(n)[:500]
}

// flipped returns the bytes with one bit changed.
func flipped(b []byte, i int) []byte {
	c := bytes.Clone(b)
	c[i/8] ^= 1 << (i % 8)
	return c
}

// TestFlipEvidence flips bits of the encoded evidence of a real boot: framing,
// key, quotes, signatures, registers. The key is named by its digest, so every
// bit counts.
func TestFlipEvidence(t *testing.T) {
	_, e := loadBoot(t, "p13")
	o := tpm.Options{UnsafeDevelopmentKeys: [][32]byte{sha(e.Public)}}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range flips(len(b) * 8) {
		e, err := tpm.ParseEvidence(flipped(b, i))
		if err != nil {
			continue
		}
		if _, err := tpm.Verify(e, nil, nil, o, now); err == nil {
			t.Errorf("accepted with bit %d of byte %d flipped", i%8, i/8)
		}
	}
}

// TestFlipAzure flips bits of real HCL reports, quotes and signatures. The
// hardware evidence inside the report is verified too, as a caller does it.
func TestFlipAzure(t *testing.T) {
	for name, v := range azureVectors {
		f, err := tpm.ParseAzureFile(vectortest.Read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		genuine, err := v.hardware(t, f)
		if err != nil {
			t.Fatal(err)
		}
		var skipped int
		for part, b := range map[string]*[]byte{"HCL report": &f.Evidence.HCL, "quote": &f.Evidence.Quotes[0].Attest, "signature": &f.Evidence.Quotes[0].Signature} {
			good := *b
			for _, i := range flips(len(good) * 8) {
				*b = flipped(good, i)
				if part == "HCL report" && v.kind == tpm.TDX && unsigned(i/8) {
					skipped++
					continue
				}
				hw, err := genuine, error(nil)
				if part == "HCL report" && i/8 < 32+1184 {
					hw, err = v.hardware(t, f)
				}
				if err == nil {
					_, err = tpm.Verify(f.Evidence, hw, nil, tpm.Options{}, v.at)
				}
				if err == nil {
					t.Errorf("%s: accepted with bit %d of byte %d of the %s flipped", name, i%8, i/8, part)
				}
			}
			*b = good
		}
		if (skipped != 0) != (v.kind == tpm.TDX) {
			t.Errorf("%s: %d unsigned bits", name, skipped)
		}
	}
}

// unsigned reports whether a byte of an HCL report is of the TD report but not
// of its report data. Only the machine itself can check a TD report's code, so
// nothing else of it is used; the TDX quote says the same, signed.
func unsigned(i int) bool { return i >= 32 && i < 32+1024 && (i < 32+128 || i >= 32+192) }

// TestFlipUnsigned: what is not used changes nothing.
func TestFlipUnsigned(t *testing.T) {
	const name = "azure-vtpm/az-tdx-vtpm-evidence-v1.json"
	v := azureVectors[name]
	f, err := tpm.ParseAzureFile(vectortest.Read(t, name))
	if err != nil {
		t.Fatal(err)
	}
	hw, err := v.hardware(t, f)
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.Evidence.HCL {
		if !unsigned(i) {
			continue
		}
		f.Evidence.HCL[i] ^= 0xff
	}
	if _, err := tpm.Verify(f.Evidence, hw, nil, tpm.Options{}, v.at); err != nil {
		t.Error(err)
	}
}

// TestFlipCertificates flips bits of certificates and of the key that they are
// for. Every bit of a certificate is signed or a signature; one of a public area
// is either seen or an attribute that no rule needs, and then the name of the
// key no longer fits the quote.
func TestFlipCertificates(t *testing.T) {
	good, e, err := setup{}.run(t)
	if err != nil || good.Hierarchy == 0 {
		t.Fatal(err)
	}
	o := tpm.Options{Roots: [][32]byte{vendor(t).RootFingerprint()}}
	for c := range e.Certificates {
		whole := e.Certificates[c]
		for _, i := range flips(len(whole) * 8) {
			e.Certificates[c] = flipped(whole, i)
			if _, err := tpm.Verify(e, nil, nil, o, now); err == nil {
				t.Errorf("accepted with bit %d of byte %d of certificate %d flipped", i%8, i/8, c)
			}
		}
		e.Certificates[c] = whole
	}
	whole := e.Public
	for _, i := range flips(len(whole) * 8) {
		e.Public = flipped(whole, i)
		if f, err := tpm.Verify(e, nil, nil, o, now); err == nil && f.Hierarchy != 0 {
			t.Errorf("bit %d of byte %d of the public area flipped unseen", i%8, i/8)
		}
	}
}
