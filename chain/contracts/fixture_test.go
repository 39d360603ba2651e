package contracts

import (
	"crypto/ed25519"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// key returns a key made from a name.
func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func pub(k ed25519.PrivateKey) [32]byte { return [32]byte(k.Public().(ed25519.PublicKey)) }

// platform returns a simulated Intel machine, always the same for a name.
func platform(t testing.TB, name string, o sim.IntelOptions) *sim.Intel {
	t.Helper()
	if o.Now.IsZero() {
		o.Now = time.Unix(tvmtest.Start, 0)
	}
	p, err := sim.NewIntel(rand.NewChaCha8(sha256.Sum256([]byte(name))), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fixture is a registry that lists one simulated machine, and one node whose
// operator has staked.
type fixture struct {
	*tvmtest.World
	t          testing.TB
	intel      *sim.Intel
	governors  []ed25519.PrivateKey
	governance Quorum
	verifiers  VerifierSet
	verifier   []ed25519.PrivateKey
	start      *RootState
	root       attestation.Address
	operator   *tvmtest.Actor
	anybody    *tvmtest.Actor
	node       attestation.Address
	query      uint64
}

// testTD is the TD whose measurement the fixture's registry lists.
func testTD() sim.TD { return sim.TD{MRTD: [48]byte{1}, RTMR: [4][48]byte{{2}, {3}, {4}, {5}}} }

func mint(t testing.TB, p *sim.Intel, td sim.TD) []byte {
	t.Helper()
	q, err := p.Quote(td)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func newFixture(t testing.TB, edit ...func(*RootState)) *fixture {
	t.Helper()
	f := &fixture{World: tvmtest.New(t), t: t, intel: platform(t, "machine", sim.IntelOptions{})}
	var err error
	f.governors = []ed25519.PrivateKey{key("governor 0"), key("governor 1"), key("governor 2")}
	if f.governance, err = NewQuorum(2, publics(f.governors)...); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"a", "b", "c", "d"} {
		f.verifier = append(f.verifier, key("verifier "+n))
	}
	f.verifiers.Number = 1
	if f.verifiers.Quorum, err = NewQuorum(3, publics(f.verifier)...); err != nil {
		t.Fatal(err)
	}
	f.start = NewRoot(f.governance, DefaultParams())
	f.start.List(f.verifiers)
	f.start.Verifiers = &f.verifiers // as if all had told Root of their stakes
	info, err := ReadQuote(mint(t, f.intel, testTD()))
	if err != nil {
		t.Fatal(err)
	}
	f.start.AddCAKey(CAPlatform, info.CA)
	f.start.Floors[info.FMSPC] = FloorOf(info.TCB)
	f.start.Measurements[info.Measurement] = Measurement{Flags: MeasurementAccepted}
	for _, e := range edit {
		e(f.start)
	}
	f.anybody = f.Actor("anybody", 1000*tvmtest.Coin)
	f.operator = f.Actor("operator", 1000*tvmtest.Coin)
	var si *cell.Cell
	if f.root, si, err = RootAddress(f.start); err != nil {
		t.Fatal(err)
	}
	good(t, f.anybody.Send(tvmtest.Message{To: f.root, Value: tvmtest.Coin, StateInit: si}))
	if f.node, si, err = NodeAddress(f.root, f.operator.Address, 7); err != nil {
		t.Fatal(err)
	}
	good(t, f.operator.Send(tvmtest.Message{To: f.node, Value: tvmtest.Coin, StateInit: si}))
	return f
}

func publics(ks []ed25519.PrivateKey) (out []ed25519.PublicKey) {
	for _, k := range ks {
		out = append(out, k.Public().(ed25519.PublicKey))
	}
	return out
}

// good fails the test unless every transaction succeeded.
func good(t testing.TB, txs []tvmtest.Tx) []tvmtest.Tx {
	t.Helper()
	if len(txs) == 0 {
		t.Fatal("nothing happened")
	}
	for _, tx := range txs {
		if tx.To == burnAddress {
			continue // an account without code
		}
		if !tx.Accepted || tx.Aborted || tx.Skipped || tx.Action != 0 {
			t.Fatalf("%v: %s", tx, ErrorName(int(tx.ExitCode)))
		}
	}
	return txs
}

// refused fails the test unless the first transaction ended with code.
func refused(t testing.TB, txs []tvmtest.Tx, code int) {
	t.Helper()
	if len(txs) == 0 {
		t.Fatal("nothing happened")
	}
	if got := int(txs[0].ExitCode); got != code || txs[0].Accepted && !txs[0].Aborted {
		t.Fatalf("got %s, want %s: %v", ErrorName(got), ErrorName(code), txs[0])
	}
}

// done fails the test unless the actor's last letter says that its request ended
// with code.
func done(t testing.TB, a *tvmtest.Actor, code int) {
	t.Helper()
	d, err := ParseDone(a.Last().Body)
	if err != nil {
		t.Fatal(err)
	}
	if int(d.Code) != code {
		t.Fatalf("request %d ended with %s, want %s", d.QueryID, ErrorName(int(d.Code)), ErrorName(code))
	}
}

func (f *fixture) nodeState() *NodeState {
	f.t.Helper()
	s, err := ParseNode(f.Data(f.node))
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func (f *fixture) rootState() *RootState {
	f.t.Helper()
	s, err := ParseRoot(f.Data(f.root))
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// heads returns claims for the next epoch with keys made from its number.
func (f *fixture) heads() *attestation.Heads {
	f.t.Helper()
	e := f.nodeState().Epoch + 1
	n := string(rune('0' + e))
	return &attestation.Heads{
		ChainID: tvmtest.GlobalID, Node: f.node, Epoch: e,
		BlockSeqno: f.Blocks[0].Seqno, BlockRoot: f.Blocks[0].Root, BodyDigest: [32]byte{9},
		ReceiptKey: pub(key("receipt " + n)), LogKey: pub(key("log " + n)), IdentityKey: pub(key("identity " + n)),
	}
}

// registration returns a good mode A registration for the heads.
func (f *fixture) registration(h *attestation.Heads, edit ...func(*sim.TD)) *RegisterTDX {
	f.t.Helper()
	td := testTD()
	digest := h.Digest()
	copy(td.ReportData[:], digest[:])
	for _, e := range edit {
		e(&td)
	}
	c, ca, err := QuoteCells(mint(f.t, f.intel, td))
	if err != nil {
		f.t.Fatal(err)
	}
	f.query++
	return &RegisterTDX{QueryID: f.query, Heads: h, CA: PublicKey{X: [32]byte(ca[:32]), Y: [32]byte(ca[32:])}, Quote: c}
}

func (f *fixture) setProfile() {
	f.t.Helper()
	good(f.t, f.send(f.operator, ValueSmall, &SetProfile{QueryID: 1, Profile: Profile{PromptPrice: 1, CompletionPrice: 2, Endpoint: "https://node.example"}}))
	done(f.t, f.operator, 0)
}

type bodyMaker interface{ Body() (*cell.Cell, error) }

// send sends a message of a party to the node.
func (f *fixture) send(from *tvmtest.Actor, value uint64, m bodyMaker) []tvmtest.Tx {
	f.t.Helper()
	return f.sendTo(f.node, from, value, m)
}

func (f *fixture) sendTo(to attestation.Address, from *tvmtest.Actor, value uint64, m bodyMaker) []tvmtest.Tx {
	f.t.Helper()
	b, err := m.Body()
	if err != nil {
		f.t.Fatal(err)
	}
	return from.Send(tvmtest.Message{To: to, Value: value, Bounce: true, Body: b})
}

// register registers the next epoch by mode A.
func (f *fixture) register() []tvmtest.Tx {
	f.t.Helper()
	txs := good(f.t, f.send(f.operator, ValueRegister, f.registration(f.heads())))
	done(f.t, f.operator, 0)
	return txs
}
