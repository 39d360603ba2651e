package host

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
)

// TestVerifierLife stakes for verifiers, takes one off, and reports one.
func TestVerifierLife(t *testing.T) {
	a, b, stranger := verifierKey("a"), verifierKey("b"), verifierKey("stranger")
	q, err := contracts.NewQuorum(1, a.Public().(ed25519.PublicKey), b.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	const minStake = 2_000_000_000
	p := newOnePlatform(t, func(o *network.Options) {
		params := o.Params
		o.Params = func(c *contracts.Params) { params(c); c.MinStake = minStake }
		o.State = func(s *contracts.RootState) { s.List(contracts.VerifierSet{Number: 1, Quorum: q}) }
	})
	ctx, op := t.Context(), p.operator(0)
	public := func(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }
	counted := func(want int) {
		t.Helper()
		root, err := op.Root(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(root.State.Verifiers.Quorum.Keys); n != want {
			t.Errorf("the registry counts %d verifiers, want %d", n, want)
		}
	}
	says := func(err error, code int, text string) {
		t.Helper()
		wantRefusal(t, err, code, false, text)
	}
	for _, call := range []func() error{
		func() error { return op.LeaveVerifiers(ctx, public(a)) },
		func() error { return op.RefreshVerifier(ctx, public(a)) },
		func() error { return op.WithdrawVerifier(ctx, public(a)) },
	} {
		var refused *attestation.RefusedError
		if err := call(); !errors.As(err, &refused) || !strings.Contains(err.Error(), "nobody has staked for verifier") {
			t.Errorf("before any stake: %v", err)
		}
	}
	for _, none := range []ed25519.PrivateKey{nil, a[:32]} {
		if err := op.StakeVerifier(ctx, none, minStake); attestation.ExitCode(err) != 1 {
			t.Errorf("a key of %d bytes: %v", len(none), err)
		}
	}
	says(op.StakeVerifier(ctx, stranger, minStake), contracts.CodeVerifierSet, "the stake is in, and the registry does not count the verifier")
	says(op.RefreshVerifier(ctx, public(stranger)), contracts.CodeVerifierSet, "ERR_VERIFIER_SET")
	says(op.StakeVerifier(ctx, a, minStake-1), contracts.CodeStake, "the stake is in")
	counted(0)
	for _, k := range []ed25519.PrivateKey{a, b} {
		if err := op.StakeVerifier(ctx, k, minStake); err != nil {
			t.Fatal(err)
		}
	}
	counted(2)
	if err := op.LeaveVerifiers(ctx, public(a)); err != nil {
		t.Fatal(err)
	}
	counted(1)
	says(op.WithdrawVerifier(ctx, public(a)), contracts.CodeTooEarly, "ERR_TOO_EARLY")
	v, err := op.Verifier(ctx, public(a))
	if err != nil || v.State.Stake != 2*minStake-1 || v.State.Leaving == 0 || int64(v.State.LeaveAt) < p.now().Add(30*24*time.Hour).Unix() {
		t.Errorf("on its way out: %+v, %v", v, err)
	}

	// b signs two boots of one epoch.
	boot := newCertifiedBoot(t)
	boot.cert.ChainID = p.net.Chain.GlobalID()
	one := boot.signed("b")
	boot.cert.ClaimsDigest[0]++
	two := boot.signed("b", "a")
	key, err := op.ReportVerifier(ctx, one, two)
	if err != nil || string(key) != string(public(b)) {
		t.Fatalf("reported %x, %v", []byte(key), err)
	}
	counted(0)
	if _, err := op.ReportVerifier(ctx, two, one); err == nil {
		t.Error("reported twice")
	} else {
		says(err, contracts.CodeSettled, "ERR_SETTLED")
	}
	before := p.balance(op)
	if err := op.WithdrawVerifier(ctx, public(b)); err != nil {
		t.Fatal(err)
	}
	if got := p.balance(op) - before; got < minStake/2-20_000_000 || got > minStake/2 {
		t.Errorf("the reporter got %d", got)
	}
}

func TestConflict(t *testing.T) {
	boot := newCertifiedBoot(t)
	one := boot.signed("a", "b")
	longer := *boot
	longer.cert.Expiry++
	other := *boot
	other.cert.PlatformID[0]++
	forged := other.signed("a")
	for k := range forged.Signatures {
		forged.Signatures[k] = [64]byte{1}
	}
	key, m, err := Conflict(one, other.signed("x", "b"))
	if err != nil || string(key) != string(verifierKey("b").Public().(ed25519.PublicKey)) || m.Check(-3, key) != nil {
		t.Errorf("conflict of %x, %v", []byte(key), err)
	}
	for want, f := range map[string]*certificate.File{
		"an honest verifier may have": longer.signed("a"),
		"no verifier signed both":     other.signed("x"),
		"does not hold":               forged,
	} {
		if _, _, err := Conflict(one, f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
