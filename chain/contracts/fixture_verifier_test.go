package contracts

import (
	"crypto/ed25519"
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// verifierAt returns the contract of a verifier of the fixture.
func (f *fixture) verifierAt(i int) (attestation.Address, *cell.Cell) {
	f.t.Helper()
	a, si, err := VerifierAddress(f.root, f.verifier[i].Public().(ed25519.PublicKey))
	if err != nil {
		f.t.Fatal(err)
	}
	return a, si
}

func (f *fixture) verifierState(i int) *VerifierState {
	f.t.Helper()
	a, _ := f.verifierAt(i)
	s, err := ParseVerifier(f.Data(a))
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// stakeBy is the message by which a verifier's key names an operator.
func (f *fixture) stakeBy(i int, operator *tvmtest.Actor) *StakeVerifier {
	f.t.Helper()
	f.query++
	m, err := NewStakeVerifier(f.verifier[i], tvmtest.GlobalID, f.root, operator.Address, f.query)
	if err != nil {
		f.t.Fatal(err)
	}
	return m
}

// stakeVerifier stakes coins for a verifier; Root answers with code.
func (f *fixture) stakeVerifier(i int, operator *tvmtest.Actor, nano uint64, code int) []tvmtest.Tx {
	f.t.Helper()
	a, si := f.verifierAt(i)
	txs := good(f.t, operator.Send(tvmtest.Message{To: a, Value: nano + ValueStakeVerifier, Bounce: true, StateInit: si, Body: mustBody(f.t, f.stakeBy(i, operator))}))
	done(f.t, operator, code)
	return txs
}

// countAll gives every verifier a stake with which Root counts it.
func (f *fixture) countAll() {
	f.t.Helper()
	for i := range f.verifier {
		f.stakeVerifier(i, f.anybody, max(1, f.rootState().Params.MinStake), 0)
	}
}

// counted returns how many verifiers Root counts, and whether one of them is i.
func (f *fixture) counted(i int) (n int, is bool) {
	f.t.Helper()
	s := f.rootState()
	if err := s.Check(); err != nil {
		f.t.Error(err)
	}
	_, is = s.Verifiers.Quorum.Keys[uint8(i)]
	return len(s.Verifiers.Quorum.Keys), is
}

// newStaking is a registry that lists four verifiers without stakes.
func newStaking(t testing.TB, edit ...func(*RootState)) *fixture {
	t.Helper()
	return newFixture(t, append([]func(*RootState){func(s *RootState) { s.List(*s.Listed) }}, edit...)...)
}

// toVerifier sends a message to a verifier's contract.
func (f *fixture) toVerifier(i int, from *tvmtest.Actor, value uint64, m bodyMaker) []tvmtest.Tx {
	f.t.Helper()
	a, _ := f.verifierAt(i)
	return f.sendTo(a, from, value, m)
}

// refusesAtVerifier fails the test unless a verifier's contract refuses.
func (f *fixture) refusesAtVerifier(i, code int, from *tvmtest.Actor, value uint64, m bodyMaker) {
	f.t.Helper()
	a, _ := f.verifierAt(i)
	f.refusesBody(a, code, from, value, mustBody(f.t, m))
}

// statement returns a certificate about epoch 5 of some node.
func (f *fixture) statement(edit ...func(*Certificate)) Certificate {
	c := Certificate{
		ChainID: tvmtest.GlobalID, Node: account(0x77), Epoch: 5, Kind: KindSNP, PlatformID: of32(1), Measurement: of32(2),
		ClaimsDigest: of32(3), BlockSeqno: 48_000_000, Expiry: f.Now + day, Set: 1,
	}
	for _, e := range edit {
		e(&c)
	}
	return c
}

// signedBy signs a certificate by a verifier's key.
func (f *fixture) signedBy(i int, c Certificate) SignedCertificate {
	d := c.Digest()
	return SignedCertificate{c, [64]byte(ed25519.Sign(f.verifier[i], d[:]))}
}

// conflict is two certificates of a verifier for different claims.
func (f *fixture) conflict(i int) *ReportCertificates {
	f.query++
	other := f.statement(func(c *Certificate) { c.ClaimsDigest = of32(4) })
	return &ReportCertificates{QueryID: f.query, A: f.signedBy(i, f.statement()), B: f.signedBy(i, other)}
}
