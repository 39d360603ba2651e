package certificate

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

const chainID = -239

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// ledger is a chain at some block, with the accounts that it was given.
type ledger struct {
	chain.Reader // anything else panics
	head         uint32
	accounts     map[attestation.Address]*chain.Account
	id           int32
}

func (l *ledger) ChainID(context.Context) (int32, error) { return l.id, nil }
func (l *ledger) Head(context.Context) (chain.Block, error) {
	return chain.Block{Seqno: l.head, Time: now}, nil
}
func (l *ledger) Block(_ context.Context, seqno uint32) (chain.Block, error) {
	return chain.Block{Seqno: seqno, RootHash: rootOf(seqno), Time: now}, nil
}
func (l *ledger) Account(_ context.Context, a attestation.Address) (*chain.Account, error) {
	if acc := l.accounts[a]; acc != nil {
		return acc, nil
	}
	return &chain.Account{Address: a}, nil
}

func rootOf(seqno uint32) (h [32]byte) {
	h[0], h[1], h[2] = byte(seqno), byte(seqno>>8), byte(seqno>>16)
	return h
}

// notes is a memory that forgets nothing while the test runs.
type notes struct {
	mu     sync.Mutex
	kept   map[About]contracts.Certificate
	broken error
}

func (n *notes) Update(_ context.Context, about About, decide func(*contracts.Certificate) (*contracts.Certificate, error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var last *contracts.Certificate
	if c, ok := n.kept[about]; ok {
		last = &c
	}
	next, err := decide(last)
	if err != nil {
		return err
	}
	if n.broken != nil {
		return n.broken
	}
	n.kept[about] = *next
	return nil
}

// office is one verifier of a registry, a node of it, and a simulated machine.
type office struct {
	*testing.T
	ledger *ledger
	notes  *notes
	signer *Signer
	wallet ed25519.PrivateKey
	node   attestation.Address
	root   *contracts.RootState
	intel  *sim.Intel
}

var td = sim.TD{MRTD: [48]byte{5}, RTMR: [4][48]byte{{1}, {2}, {3}, attestation.ConfigurationRTMR3(of32(8))}}

var measurement = attestation.MeasurementTDX(td.MRTD, td.RTMR[0], td.RTMR[1], td.RTMR[2])

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{T: t, wallet: testKey("wallet"), notes: &notes{kept: map[About]contracts.Certificate{}}}
	o.ledger = &ledger{head: 48_000_150, id: chainID, accounts: map[attestation.Address]*chain.Account{}}
	var err error
	if o.intel, err = sim.NewIntel(nil, sim.IntelOptions{Now: now}); err != nil {
		t.Fatal(err)
	}
	q, err := contracts.NewQuorum(1, testKey("verifier").Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	o.root = contracts.NewRoot(q, contracts.DefaultParams())
	o.root.List(contracts.VerifierSet{Number: 3, Quorum: q})
	o.root.Verifiers = o.root.Listed
	registry, _, err := contracts.RootAddress(o.root)
	if err != nil {
		t.Fatal(err)
	}
	o.saveRoot(registry)
	operator, err := chain.WalletAddress(o.wallet.Public().(ed25519.PublicKey), chainID)
	if err != nil {
		t.Fatal(err)
	}
	if o.node, _, err = contracts.NodeAddress(registry, operator, 0); err != nil {
		t.Fatal(err)
	}
	o.save(o.node, contracts.NodeCode(), contracts.NodeKey{Root: registry, Operator: operator}.Cell())
	o.signer = &Signer{Key: testKey("verifier"), Registry: registry, Chain: o.ledger, Memory: o.notes}
	return o
}

func (o *office) save(a attestation.Address, code, data *cell.Cell) {
	o.ledger.accounts[a] = &chain.Account{Address: a, Exists: true, Code: code, Data: data, Block: chain.Block{Seqno: o.ledger.head, Time: now}}
}

func (o *office) saveRoot(at attestation.Address) {
	o.Helper()
	c, err := o.root.Cell()
	if err != nil {
		o.Fatal(err)
	}
	o.save(at, contracts.RootCode(), c)
}

// boot is evidence of a fresh boot of the node's first epoch, appraised.
func (o *office) boot(block uint32, edit ...func(*attestation.Claims)) (*attestation.Verified, *attestation.Bundle) {
	o.Helper()
	c := &attestation.Claims{
		Heads: attestation.Heads{ChainID: chainID, Node: o.node, Epoch: 1, BlockSeqno: block, BlockRoot: rootOf(block)},
		Body: attestation.Body{
			KeyConfigs: []attestation.KeyConfig{{Config: []byte{1}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(20 * 24 * time.Hour)}},
			Models:     []attestation.Model{{Name: "m", Digest: of32(1)}}, SelfTest: attestation.SelfTest{Passed: true},
			Configuration: of32(8), Software: "test", Created: now, Engine: "test/1",
		},
	}
	for _, k := range []*[32]byte{&c.ReceiptKey, &c.LogKey, &c.IdentityKey} {
		for i := range k {
			k[i] = byte(rand.Uint32())
		}
	}
	for _, e := range edit {
		e(c)
	}
	if _, _, err := c.Encode(); err != nil {
		o.Fatal(err)
	}
	td := td
	td.ReportData = attestation.ReportData(c.Digest(), nil)
	quote, err := o.intel.Quote(td)
	if err != nil {
		o.Fatal(err)
	}
	b, err := attestation.NewBundle(c, attestation.Item{Kind: attestation.KindTDX, Data: quote})
	if err != nil {
		o.Fatal(err)
	}
	return o.appraise(b), b
}

// appraise judges evidence by a policy that names measurement and models itself.
func (o *office) appraise(b *attestation.Bundle) *attestation.Verified {
	o.Helper()
	text := attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{o.intel.RootFingerprint()}})
	text = strings.NewReplacer(
		`measurements = "from registry"`, fmt.Sprintf(`measurements = ["%x"]`, measurement),
		`models = "from registry"`, fmt.Sprintf(`models = ["%x"]`, of32(1)),
		"[evidence]\n", "[evidence]\nunsafe_unregistered = true\n", // it is to be registered
	).Replace(text)
	p, err := attestation.ParsePolicy([]byte(text))
	if err != nil {
		o.Fatal(err)
	}
	v, err := attestation.NewVerifier(p)
	if err != nil {
		o.Fatal(err)
	}
	e := attestation.NewEndorsements()
	collateral, err := o.intel.Endorsements(sim.Collateral{At: now})
	if err != nil {
		o.Fatal(err)
	}
	if err := e.AddFile("collateral.json", collateral); err != nil {
		o.Fatal(err)
	}
	ok, err := v.Verify(attestation.Input{Bundle: b, Endorsements: e, At: now})
	if err != nil {
		o.Fatal(err)
	}
	return ok
}

var valid = uint32(now.Add(24 * time.Hour).Unix())

func (o *office) request(b *attestation.Bundle, expiry uint32) *Request {
	o.Helper()
	r, err := NewRequest(b, expiry, o.wallet)
	if err != nil {
		o.Fatal(err)
	}
	data, err := r.Encode()
	if err != nil {
		o.Fatal(err)
	}
	if r, err = ParseRequest(data); err != nil {
		o.Fatal(err)
	}
	return r
}

func (o *office) sign(v *attestation.Verified, r *Request) (*File, error) {
	return o.signer.Sign(o.Context(), v, r)
}

// refuses wants an error of a family that says something.
func refuses[E error](o *office, want string, v *attestation.Verified, r *Request) {
	o.Helper()
	var family E
	if f, err := o.sign(v, r); f != nil || !errors.As(err, &family) || !strings.Contains(err.Error(), want) {
		o.Errorf("want %q: %v, %v", want, f, err)
	}
}

func TestSign(t *testing.T) {
	o := newOffice(t)
	v, b := o.boot(48_000_100)
	f, err := o.sign(v, o.request(b, valid))
	if err != nil {
		t.Fatal(err)
	}
	ppid := o.intel.PPID()
	want := contracts.Certificate{
		ChainID: chainID, Node: o.node, Epoch: 1, Kind: contracts.KindTDXQuorum, PlatformID: attestation.PlatformID("tdx", ppid[:]),
		Measurement: measurement, ClaimsDigest: b.Digest(), BlockSeqno: 48_000_100, Expiry: valid, Set: 3,
	}
	if f.Certificate != want || f.Verify() != nil || len(f.Signatures) != 1 {
		t.Errorf("signed %+v", f)
	}
	if _, err := f.Approvals(*o.root.Verifiers); err != nil {
		t.Error(err)
	}
}

// TestSignOneBoot: a verifier signs one boot of an epoch at a time, whatever it is
// asked, and so never two certificates in conflict.
func TestSignOneBoot(t *testing.T) {
	o := newOffice(t)
	var signed []*File
	sign := func(v *attestation.Verified, b *attestation.Bundle, expiry uint32) {
		t.Helper()
		f, err := o.sign(v, o.request(b, expiry))
		if err != nil {
			t.Fatal(err)
		}
		signed = append(signed, f)
	}
	first, firstBundle := o.boot(48_000_100)
	sign(first, firstBundle, valid)
	sign(first, firstBundle, valid+100)
	sign(first, firstBundle, valid-100)
	o.root.List(contracts.VerifierSet{Number: 4, Quorum: o.root.Listed.Quorum})
	o.root.Verifiers = o.root.Listed
	o.saveRoot(o.signer.Registry)
	sign(first, firstBundle, valid)

	second, secondBundle := o.boot(48_000_100)
	refuses[*attestation.RefusedError](o, "register that one, or ask again with claims over block 48001700", second, o.request(secondBundle, valid))
	o.ledger.head = 48_001_699
	late, lateBundle := o.boot(48_001_600)
	refuses[*attestation.RefusedError](o, "another boot of epoch 1", late, o.request(lateBundle, valid))
	o.ledger.head = 48_001_700
	third, thirdBundle := o.boot(48_001_700)
	sign(third, thirdBundle, valid)
	refuses[*attestation.RefusedError](o, "too old to register with", first, o.request(firstBundle, valid))
	o.ledger.head = 48_001_699 // by a liteserver that is behind
	refuses[*attestation.RefusedError](o, "another boot of epoch 1", first, o.request(firstBundle, valid))
	for _, a := range signed {
		for _, b := range signed {
			if a.Certificate.ConflictsWith(&b.Certificate) {
				t.Errorf("in conflict: %+v, %+v", a.Certificate, b.Certificate)
			}
		}
	}
	if len(signed) != 5 {
		t.Errorf("%d certificates were signed", len(signed))
	}
}

// TestSignForgets: nothing is signed that could not be remembered.
func TestSignForgets(t *testing.T) {
	o := newOffice(t)
	v, b := o.boot(48_000_100)
	o.notes.broken = errors.New("disk full")
	if f, err := o.sign(v, o.request(b, valid)); f != nil || err == nil {
		t.Errorf("signed %v, %v", f, err)
	}
}

// TestSignDays: keys of an enclave are good for a day each, and a verifier keeps few
// of them. What it signs is good for as long as the evidence.
func TestSignDays(t *testing.T) {
	o := newOffice(t)
	v, b := o.boot(48_000_100, func(c *attestation.Claims) {
		c.Body.KeyConfigs = nil
		for i := range 20 {
			from := now.Add(time.Duration(23*i-1) * time.Hour)
			c.Body.KeyConfigs = append(c.Body.KeyConfigs, attestation.KeyConfig{Config: []byte{byte(i)}, NotBefore: from, NotAfter: from.Add(24 * time.Hour)})
		}
	})
	days := now.Add(144 * time.Hour)
	if !v.NotAfter().Before(days) || v.EvidenceNotAfter().Before(days) {
		t.Fatalf("keys until %s, evidence until %s", v.NotAfter(), v.EvidenceNotAfter())
	}
	f, err := o.sign(v, o.request(b, uint32(days.Unix())))
	if err != nil || f.Certificate.Expiry != uint32(days.Unix()) {
		t.Errorf("signed %+v, %v", f, err)
	}
}

func TestSignRefused(t *testing.T) {
	o := newOffice(t)
	v, b := o.boot(48_000_100)
	good := o.request(b, valid)

	stranger := *o
	stranger.wallet = testKey("stranger")
	refuses[*attestation.RefusedError](o, "the node's operator is", v, stranger.request(b, valid))
	longer := *good
	longer.Expiry++
	refuses[*attestation.FalseError](o, "did not sign this request", v, &longer)
	_, other := o.boot(48_000_100)
	refuses[*attestation.FalseError](o, "did not sign this request", v, o.request(other, valid))

	refuses[*attestation.RefusedError](o, "the verification is good until", v, o.request(b, uint32(v.EvidenceNotAfter().Unix())+1))
	refuses[*attestation.RefusedError](o, "would have expired", v, o.request(b, uint32(now.Unix())))

	for want, edit := range map[string]func(*attestation.Claims){
		"for chain -3":         func(c *attestation.Claims) { c.ChainID = -3 },
		"the node's next is 1": func(c *attestation.Claims) { c.Epoch = 2 },
		"name another block":   func(c *attestation.Claims) { c.BlockRoot[9]++ },
		"name block 48000200":  func(c *attestation.Claims) { c.BlockSeqno, c.BlockRoot = 48_000_200, rootOf(48_000_200) },
		"there is no contract": func(c *attestation.Claims) { c.Node.Hash[0]++ },
	} {
		v, b := o.boot(48_000_100, edit)
		refuses[*attestation.ChainError](o, want, v, o.request(b, valid))
	}

	old, oldBundle := o.boot(47_000_100)
	refuses[*attestation.RefusedError](o, "too old to register with", old, o.request(oldBundle, valid))
	o.ledger.id = -3
	refuses[*attestation.ChainError](o, "this is chain -3", v, good)
	o.ledger.id = chainID

	elsewhere := *o.signer
	elsewhere.Registry = attestation.Address{Hash: of32(9)}
	if _, err := elsewhere.Sign(t.Context(), v, good); err == nil || !strings.Contains(err.Error(), "belongs to registry") {
		t.Errorf("another registry: %v", err)
	}
	for name, edit := range map[string]func(*contracts.RootState){
		"no stake": func(s *contracts.RootState) { s.List(*s.Listed) },
		"no set":   func(s *contracts.RootState) { s.Listed, s.Verifiers = nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			v, b := o.boot(48_000_100)
			edit(o.root)
			o.saveRoot(o.signer.Registry)
			refuses[*attestation.RefusedError](o, "does not count this verifier", v, o.request(b, valid))
		})
	}
	if len(o.notes.kept) != 0 {
		t.Errorf("what was refused is remembered: %v", o.notes.kept)
	}
	for name, s := range map[string]*Signer{
		"no key":      {Registry: o.signer.Registry, Chain: o.ledger, Memory: o.notes},
		"no registry": {Key: o.signer.Key, Chain: o.ledger, Memory: o.notes},
		"no chain":    {Key: o.signer.Key, Registry: o.signer.Registry, Memory: o.notes},
		"no memory":   {Key: o.signer.Key, Registry: o.signer.Registry, Chain: o.ledger},
	} {
		if _, err := s.Sign(t.Context(), v, good); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	for _, x := range []struct {
		v *attestation.Verified
		r *Request
	}{{nil, good}, {v, nil}} {
		if _, err := o.sign(x.v, x.r); err == nil {
			t.Error("nothing was signed")
		}
	}
	if _, err := o.sign(v, good); err != nil {
		t.Error(err)
	}
}
