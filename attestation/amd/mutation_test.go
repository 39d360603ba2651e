package amd_test

import (
	"encoding/pem"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-sev-guest/verify/testdata"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// pemBody returns the base64 lines of a certificate.
func pemBody(der []byte) string {
	s := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return strings.TrimSuffix(strings.TrimPrefix(s, "-----BEGIN CERTIFICATE-----\n"), "-----END CERTIFICATE-----\n")
}

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
	return rand.New(rand.NewPCG(1, 2)).Perm(n)[:500]
}

// TestFlipReport flips bits of the real report. None is accepted, also outside
// the signed region: what follows the signature, and the padding of R and S,
// must be zero.
func TestFlipReport(t *testing.T) {
	e := endorsements(t, testdata.VcekBytes)
	v := amd.NewVerifier(amd.Options{WithoutRevocationUnsafe: true}, 0)
	for _, i := range flips(amd.ReportSize * 8) {
		b := append([]byte(nil), testdata.AttestationBytes...)
		b[i/8] ^= 1 << (i % 8)
		if _, err := v.Verify(b, e, shipped); err == nil {
			t.Errorf("accepted with bit %d of byte %#x flipped", i%8, i/8)
		}
	}
	if _, err := v.Verify(testdata.AttestationBytes, e, shipped); err != nil {
		t.Fatal(err)
	}
}

// TestFlipCertificate flips bits of the endorsement key's real certificate:
// everything in it is signed, or part of the signature.
func TestFlipCertificate(t *testing.T) {
	for _, i := range flips(len(testdata.VcekBytes) * 8) {
		b := append([]byte(nil), testdata.VcekBytes...)
		b[i/8] ^= 1 << (i % 8)
		e, err := amd.ParseEndorsements(b)
		if err != nil {
			continue
		}
		if _, err := amd.Verify(testdata.AttestationBytes, e, amd.Options{WithoutRevocationUnsafe: true}, shipped); err == nil {
			t.Errorf("accepted with bit %d of byte %d flipped", i%8, i/8)
		}
	}
}

// TestFlipRevocationList flips bits of AMD's real list. A flip is either
// refused or makes the list one of somebody else, which is the same as missing.
func TestFlipRevocationList(t *testing.T) {
	list := vectortest.Read(t, "snp/crl/milan-2025-05-06_2026-05-12.crl.der")
	at := shipped.AddDate(1, 8, 0)
	if _, err := amd.Verify(testdata.AttestationBytes, endorsements(t, testdata.VcekBytes, list), amd.Options{}, at); err != nil {
		t.Fatal(err)
	}
	for _, i := range flips(len(list) * 8) {
		b := append([]byte(nil), list...)
		b[i/8] ^= 1 << (i % 8)
		e, err := amd.ParseEndorsements(testdata.VcekBytes, b)
		if err != nil {
			continue
		}
		if _, err := amd.Verify(testdata.AttestationBytes, e, amd.Options{}, at); err == nil {
			t.Errorf("accepted with bit %d of byte %d flipped", i%8, i/8)
		}
	}
}
