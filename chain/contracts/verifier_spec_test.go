package contracts

import (
	"crypto/ed25519"
	"testing"
)

func TestVerifierSpecification(t *testing.T) {
	seed := of32(1)
	key := ed25519.NewKeyFromSeed(seed[:])
	k := VerifierKey{account(0x11), pub(key)}
	a, _, err := VerifierAddress(k.Root, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	digest := VerifierOperatorDigest(-239, a, account(0x33))
	stake, err := NewStakeVerifier(key, -239, k.Root, account(0x33), 9)
	if err != nil {
		t.Fatal(err)
	}
	m := &ReportCertificates{QueryID: 9}
	for i, s := range []*SignedCertificate{&m.A, &m.B} {
		s.Certificate = Certificate{
			ChainID: -239, Node: account(0x77), Epoch: 5, Kind: KindSNP, PlatformID: of32(1), Measurement: of32(2),
			ClaimsDigest: of32(3 + byte(i)), BlockSeqno: 48_000_000, Expiry: 1_800_000_000, Set: 1,
		}
		d := s.Certificate.Digest()
		s.Signature = [64]byte(ed25519.Sign(key, d[:]))
	}
	first := m.A.Certificate.Digest()
	checkExample(t, "contracts-verifier.md", map[string][]byte{
		"data": k.Cell().ToBOC(), "address": a.Hash[:], "digest": digest[:], "stake": body(stake).ToBOC(),
		"first": first[:], "report": body(m).ToBOC(),
	})
	if err := m.Check(-239, key.Public().(ed25519.PublicKey)); err != nil {
		t.Error(err)
	}
}
