package host

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// certifiedBoot is a registry with two verifiers, of whom both must sign, and
// evidence of a boot.
type certifiedBoot struct {
	root   *registry.Root
	bundle *attestation.Bundle
	heads  attestation.Heads
	cert   contracts.Certificate
}

func verifierKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func newCertifiedBoot(t *testing.T) *certifiedBoot {
	t.Helper()
	q, err := contracts.NewQuorum(2, verifierKey("a").Public().(ed25519.PublicKey), verifierKey("b").Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	s := contracts.NewRoot(q, contracts.DefaultParams())
	s.List(contracts.VerifierSet{Number: 1, Quorum: q})
	s.Verifiers = s.Listed
	s.Measurements[[32]byte{7}] = contracts.Measurement{Flags: contracts.MeasurementAccepted}
	s.Measurements[[32]byte{8}] = contracts.Measurement{}
	b := &certifiedBoot{root: &registry.Root{State: s, At: chain.Block{Seqno: 1000, Time: time.Unix(1_800_000_000, 0)}}}
	b.heads = attestation.Heads{ChainID: -3, Node: attestation.Address{Hash: [32]byte{4}}, Epoch: 2, BlockSeqno: 900, BodyDigest: [32]byte{1}}
	b.bundle = &attestation.Bundle{Evidence: []attestation.Item{{Kind: attestation.KindSNP, Data: []byte("report")}}}
	b.cert = contracts.NewCertificate(&b.heads)
	b.cert.Kind, b.cert.PlatformID, b.cert.Measurement, b.cert.Expiry, b.cert.Set = contracts.KindSNP, [32]byte{6}, [32]byte{7}, 1_800_000_001, 1
	return b
}

// signed returns the certificate with the signatures of some verifiers.
func (b *certifiedBoot) signed(who ...string) *certificate.File {
	f := &certificate.File{Certificate: b.cert, Signatures: map[[32]byte][64]byte{}}
	d := b.cert.Digest()
	for _, n := range who {
		k := verifierKey(n)
		f.Signatures[[32]byte(k.Public().(ed25519.PublicKey))] = [64]byte(ed25519.Sign(k, d[:]))
	}
	return f
}

func (b *certifiedBoot) prove(files ...*certificate.File) (*proof, error) {
	return certificateProof(b.root, b.bundle, &b.heads, files)
}

func TestCertificateProof(t *testing.T) {
	b := newCertifiedBoot(t)
	for _, files := range [][]*certificate.File{{b.signed("a", "b")}, {b.signed("a"), b.signed("b")}, {b.signed("x", "b", "a")}} {
		p, err := b.prove(files...)
		if err != nil {
			t.Fatal(err)
		}
		if p.check.PlatformID != b.cert.PlatformID {
			t.Errorf("platform %x", p.check.PlatformID)
		}
		if c, err := p.body(5); err != nil || c == nil {
			t.Errorf("body: %v", err)
		}
	}
}

// TestCertificateRefused: whatever the contracts would refuse is refused before
// anything is paid.
func TestCertificateRefused(t *testing.T) {
	for _, c := range []struct {
		name, want string
		code       int // exit code
		edit       func(*certifiedBoot)
	}{
		{"another chain", "for chain -4, the bundle for chain -3", 5, func(b *certifiedBoot) { b.cert.ChainID-- }},
		{"another node", "the certificate is of node", 1, func(b *certifiedBoot) { b.cert.Node.Hash[0]++ }},
		{"another epoch", "of epoch 3, the bundle of epoch 2", 1, func(b *certifiedBoot) { b.cert.Epoch++ }},
		{"another boot", "of another boot", 1, func(b *certifiedBoot) { b.cert.ClaimsDigest[0]++ }},
		{"another block", "over block 901, the bundle has", 1, func(b *certifiedBoot) { b.cert.BlockSeqno++ }},
		{"another kind", `about evidence of kind "tdx", the bundle holds none`, 1, func(b *certifiedBoot) { b.cert.Kind = contracts.KindTDXQuorum }},
		{"expired", "ERR_EXPIRED", 4, func(b *certifiedBoot) { b.cert.Expiry-- }},
		{"too old", "ERR_STALE_BLOCK", 4, func(b *certifiedBoot) { b.root.At.Seqno = 900 + contracts.KnownBlocks }},
		{"paused", "ERR_PAUSED", 4, func(b *certifiedBoot) { b.root.State.Paused = true }},
		{"no verifiers", "ERR_VERIFIER_SET", 4, func(b *certifiedBoot) { b.root.State.Verifiers = nil }},
		{"nobody has a stake", "signed by 0 verifiers", 4, func(b *certifiedBoot) { b.root.State.List(*b.root.State.Listed) }},
		{"another set", "of verifier set 2, the registry has set 1", 4, func(b *certifiedBoot) { b.cert.Set++ }},
		{"measurement not listed", "ERR_MEASUREMENT", 4, func(b *certifiedBoot) { b.cert.Measurement[0] = 9 }},
		{"measurement not for registration", "ERR_MEASUREMENT", 4, func(b *certifiedBoot) { b.cert.Measurement[0] = 8 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newCertifiedBoot(t)
			c.edit(b)
			p, err := b.prove(b.signed("a", "b"))
			if p != nil || attestation.ExitCode(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v", p, err)
			}
		})
	}
	b := newCertifiedBoot(t)
	if _, err := b.prove(b.signed("a", "x")); attestation.ExitCode(err) != 4 || !strings.Contains(err.Error(), "signed by 1 verifiers that the registry counts, 2 are needed") {
		t.Errorf("too few: %v", err)
	}
	if _, err := b.prove(); attestation.ExitCode(err) != 1 || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("none: %v", err)
	}
	b.root.At.Seqno = 900 + contracts.KnownBlocks - 1
	if _, err := b.prove(b.signed("a", "b")); err != nil {
		t.Errorf("the last block in time: %v", err)
	}
}

// TestCertified: what does not come in time is asked for again, with evidence so
// much newer that verifiers who signed may sign again.
func TestCertified(t *testing.T) {
	q, err := contracts.NewQuorum(2, verifierKey("a").Public().(ed25519.PublicKey), verifierKey("b").Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	p := newOnePlatform(t, func(o *network.Options) {
		o.State = func(s *contracts.RootState) {
			s.List(contracts.VerifierSet{Number: 1, Quorum: q})
			s.Verifiers = s.Listed
		}
	})
	op := p.operator(0)
	enclave := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		data, err := p.bundle(op).Encode()
		if err != nil {
			t.Error(err)
		}
		w.Write(data)
	}))
	t.Cleanup(enclave.Close)
	at, err := url.Parse(enclave.URL)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Options: Options{Certificates: t.TempDir(), Wallet: p.net.Operator, Log: slog.New(slog.DiscardHandler), CertifiedFor: time.Hour}, op: op}
	type result struct {
		bundle *attestation.Bundle
		files  []*certificate.File
		err    error
	}
	got := make(chan result, 1)
	go func() {
		b, files, err := n.certified(t.Context(), &process{url: at, http: enclave.Client()})
		got <- result{b, files, err}
	}()

	first := awaitRequest(t, n.Certificates, 0)
	certify(t, n.Certificates, first, "a") // one of two: not enough
	certify(t, n.Certificates, first, "x") // a stranger
	if err := p.net.Chain.Mine(contracts.KnownBlocks); err != nil {
		t.Fatal(err)
	}
	second := awaitRequest(t, n.Certificates, first.BlockSeqno+1)
	if second.BlockSeqno < first.BlockSeqno+contracts.KnownBlocks {
		t.Errorf("asked again over block %d after %d", second.BlockSeqno, first.BlockSeqno)
	}
	certify(t, n.Certificates, second, "x")
	certify(t, n.Certificates, second, "a", func(c *contracts.Certificate) { c.Expiry++ })
	certify(t, n.Certificates, second, "b", func(c *contracts.Certificate) { c.Set++ })
	certify(t, n.Certificates, second, "a")
	certify(t, n.Certificates, second, "b")
	r := <-got
	if r.err != nil || len(r.files) != 3 || r.bundle.Digest() != second.Digest() {
		t.Fatalf("%d certificates, %v", len(r.files), r.err)
	}
	if err := op.Register(t.Context(), always(r.bundle), r.files...); err != nil {
		t.Fatal(err)
	}
	rec, err := op.Record(t.Context())
	if err != nil || !rec.Epochs[1].Active || !rec.Epochs[1].ByQuorum {
		t.Errorf("registered %+v, %v", rec, err)
	}
}

// TestCertifiedWithoutVerifiers: where the registry lists none there is nothing to wait
// for.
func TestCertifiedWithoutVerifiers(t *testing.T) {
	p := newOnePlatform(t)
	op := p.operator(0)
	b := p.bundle(op)
	claims, err := b.Claims()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Options: Options{Certificates: t.TempDir(), Log: slog.New(slog.DiscardHandler)}, op: op}
	_, err = n.lookForCertificates(t.Context(), b, &claims.Heads)
	wantRefusal(t, err, contracts.CodeVerifierSet, true, "has no verifiers")
}

// awaitRequest waits for a request about a block or a later one.
func awaitRequest(t *testing.T, dir string, block uint32) *attestation.Claims {
	t.Helper()
	for t.Context().Err() == nil {
		found, _ := filepath.Glob(filepath.Join(dir, "*"+RequestSuffix))
		for _, path := range found {
			data, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			r, err := certificate.ParseRequest(data)
			if err != nil {
				t.Fatal(err)
			}
			b, err := attestation.ParseBundle(r.Bundle)
			if err != nil {
				t.Fatal(err)
			}
			claims, err := b.Claims()
			if err != nil {
				t.Fatal(err)
			}
			if claims.BlockSeqno >= block {
				return claims
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("no request")
	return nil
}

// certify has a verifier sign whatever is asked, or something else.
func certify(t *testing.T, dir string, claims *attestation.Claims, who string, edits ...func(*contracts.Certificate)) {
	t.Helper()
	var zero [48]byte
	c := contracts.NewCertificate(&claims.Heads)
	c.Kind, c.PlatformID, c.Measurement = contracts.KindTDXQuorum, [32]byte{6}, attestation.MeasurementTDX(zero, zero, zero, zero)
	c.Expiry, c.Set = uint32(time.Now().Add(time.Hour).Truncate(time.Hour).Unix())+3600, 1
	for _, edit := range edits {
		edit(&c)
	}
	b := certifiedBoot{cert: c}
	data, err := b.signed(who).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(claims.BlockSeqno, who, c.Expiry, c.Set, CertificateSuffix)), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// hooked is errands that call something when a registration is begun, and when
// it is asked what was begun before.
type hooked struct {
	errands
	begun, asked func()
}

func (h *hooked) save(e *errand) error {
	if h.begun != nil && strings.HasPrefix(e.What, "register") && !e.Done {
		h.begun()
	}
	return h.errands.save(e)
}

func (h *hooked) load() (*errand, error) {
	if h.asked != nil {
		h.asked()
	}
	return h.errands.load()
}

// staked is a platform whose registry counts some verifiers. The staker may take
// them off.
func staked(t *testing.T, threshold int, names ...string) (p *onePlatform, staker *Operator, q contracts.Quorum) {
	t.Helper()
	var keys []ed25519.PublicKey
	for _, n := range names {
		keys = append(keys, verifierKey(n).Public().(ed25519.PublicKey))
	}
	q, err := contracts.NewQuorum(threshold, keys...)
	if err != nil {
		t.Fatal(err)
	}
	p = newOnePlatform(t, func(o *network.Options) {
		o.State = func(s *contracts.RootState) { s.List(contracts.VerifierSet{Number: 1, Quorum: q}) }
	})
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	wallet, err := chain.WalletAddress(key.Public().(ed25519.PublicKey), p.net.Chain.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.net.Chain.Faucet(t.Context(), wallet, 5_000_000_000); err != nil {
		t.Fatal(err)
	}
	if staker, err = OpenOperator(t.Context(), p.client, key, p.net.Registry, 0, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if err := staker.StakeVerifier(t.Context(), verifierKey(n), 1); err != nil {
			t.Fatal(err)
		}
	}
	return p, staker, q
}

func leave(t *testing.T, staker *Operator, name string) {
	t.Helper()
	if err := staker.LeaveVerifiers(t.Context(), verifierKey(name).Public().(ed25519.PublicKey)); err != nil {
		t.Error(err)
	}
}

// TestRegisterWhileSetChanges: a verifier leaves when the message is on its way.
func TestRegisterWhileSetChanges(t *testing.T) {
	p, staker, q := staked(t, 1, "a", "b")
	op := p.operator(0)
	bundle := p.bundle(op)
	claims, err := bundle.Claims()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certify(t, dir, claims, "a")
	files, err := newPile(dir, slog.New(slog.DiscardHandler)).look(bundle.Digest(), contracts.VerifierSet{Number: 1, Quorum: q})
	if err != nil || len(files) != 1 {
		t.Fatal(err)
	}
	begun := 0
	op.errands = &hooked{errands: op.errands, begun: func() {
		if begun++; begun == 1 {
			leave(t, staker, "b")
		}
	}}
	if err := op.Register(t.Context(), always(bundle), files...); err != nil || begun != 2 {
		t.Fatalf("after %d messages: %v", begun, err)
	}
}

// TestCertifiedAnew: a verifier leaves when its certificate is in. The node asks
// for another, for the same boot, and pays nothing meanwhile.
func TestCertifiedAnew(t *testing.T) {
	p, staker, _ := staked(t, 2, "a", "b", "c")
	op := p.operator(0)
	bundle := p.bundle(op)
	data, err := bundle.Encode()
	if err != nil {
		t.Fatal(err)
	}
	claims, err := bundle.Claims()
	if err != nil {
		t.Fatal(err)
	}
	enclave := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(data) }))
	t.Cleanup(enclave.Close)
	at, err := url.Parse(enclave.URL)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{Options: Options{Certificates: t.TempDir(), Wallet: p.net.Operator, Log: slog.New(slog.DiscardHandler)}, op: op}
	asked, begun := 0, 0
	op.errands = &hooked{errands: op.errands, begun: func() { begun++ }, asked: func() {
		if asked++; asked == 1 {
			leave(t, staker, "b")
			certify(t, n.Certificates, claims, "c")
		}
	}}
	certify(t, n.Certificates, claims, "a")
	certify(t, n.Certificates, claims, "b")
	newest, err := n.registerBundle(t.Context(), &process{url: at, http: enclave.Client()})
	if err != nil || begun != 1 {
		t.Fatalf("after %d messages: %v", begun, err)
	}
	if b, err := newest(t.Context()); err != nil || b.Digest() != bundle.Digest() {
		t.Errorf("registered another bundle, %v", err)
	}
}

// TestRemoveRequests: a crash leaves the request of a boot that is over. It goes when
// the next boot asks; those of other nodes, and what is none, stay.
func TestRemoveRequests(t *testing.T) {
	p := newOnePlatform(t)
	op, other := p.operator(0), p.operator(1)
	n := &node{Options: Options{Certificates: t.TempDir(), Wallet: p.net.Operator, Log: slog.New(slog.DiscardHandler)}, op: op}
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(n.Certificates, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	request := func(o *Operator) []byte {
		t.Helper()
		r, err := certificate.NewRequest(p.bundle(o), uint32(time.Now().Add(time.Hour).Unix()), p.net.Operator)
		if err != nil {
			t.Fatal(err)
		}
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	write("old.request", request(op))
	write("other.request", request(other))
	write("torn.request", request(op)[:100])
	write("mine.txt", request(op))
	now := p.bundle(op)
	for range 2 { // asking again leaves it there
		path, err := n.request(now)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(n.Certificates)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if got, want := strings.Join(names, " "), filepath.Base(path)+" mine.txt other.request torn.request"; got != want {
			t.Errorf("left %s, want %s", got, want)
		}
	}
}
