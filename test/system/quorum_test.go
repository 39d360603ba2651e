package system

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tlb"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// snpLaunch is the launch digest of the simulated SEV-SNP guest.
var snpLaunch = [48]byte{0x5e, 0x0b}

// snpDevice is a guest of a simulated SEV-SNP machine.
type snpDevice struct {
	chip *sim.AMDChip
	mu   sync.Mutex
	host [32]byte // HOST_DATA, as the host sets it at launch
}

func (d *snpDevice) Kind() string { return attestation.KindSNP }

func (d *snpDevice) Configure(_ context.Context, digest [32]byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.host = digest
	return nil
}

func (d *snpDevice) Evidence(_ context.Context, reportData [64]byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.chip.Report(sim.AMDReport{Measurement: snpLaunch, HostData: d.host, ReportData: reportData})
}

// chamber is a network whose registry lists verifiers: two of three certify.
type chamber struct {
	*world
	vendor    *sim.AMD
	chip      *sim.AMDChip
	verifiers []ed25519.PrivateKey
	memories  []*certificate.DirMemory
	appraiser *attestation.Verifier
	trusted   *attestation.Endorsements
}

func newChamber(t testing.TB) *chamber {
	t.Helper()
	c := &chamber{world: &world{dir: t.TempDir()}}
	var err error
	if c.vendor, err = sim.NewAMD(sim.AMDConfig{Product: amd.Genoa}); err != nil {
		t.Fatal(err)
	}
	if c.chip, err = c.vendor.NewChip(sim.AMDChipConfig{}); err != nil {
		t.Fatal(err)
	}
	var keys []ed25519.PublicKey
	for range 3 {
		pub, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		keys, c.verifiers = append(keys, pub), append(c.verifiers, key)
		m, err := certificate.OpenDirMemory(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		c.memories = append(c.memories, m)
	}
	q, err := contracts.NewQuorum(2, keys...)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m, err := simdevice.Measurement(self)
	if err != nil {
		t.Fatal(err)
	}
	c.net, err = network.Start(testContext(t), network.Options{
		Dir: c.dir, Measurements: [][32]byte{m, attestation.MeasurementSNP(snpLaunch)},
		Models: map[[32]byte]contracts.Model{tinylm.Digest(): {Licence: "Apache-2.0", URL: "embedded"}},
		State:  func(s *contracts.RootState) { s.List(contracts.VerifierSet{Number: 1, Quorum: q}) },
		Chain:  devnet.Options{BlockInterval: 50 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.net.Close() })
	if c.client, err = c.dial(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.client.Close() })
	c.reader = registry.Reader{Reader: c.client}
	if c.writer, err = chain.NewWriter(testContext(t), c.client, c.net.Operator, nil); err != nil {
		t.Fatal(err)
	}
	c.equip(t)
	return c
}

// stake deploys the contract of a verifier with a stake, and waits until the
// registry counts it.
func (c *chamber) stake(t testing.TB, i int) {
	t.Helper()
	pub := c.verifiers[i].Public().(ed25519.PublicKey)
	addr, init, err := contracts.VerifierAddress(c.net.Registry, pub)
	if err != nil {
		t.Fatal(err)
	}
	m, err := contracts.NewStakeVerifier(c.verifiers[i], c.net.Chain.GlobalID(), c.net.Registry, c.writer.Address(), uint64(i))
	if err != nil {
		t.Fatal(err)
	}
	body, err := m.Body()
	if err != nil {
		t.Fatal(err)
	}
	var si tlb.StateInit
	if err := tlb.LoadFromCell(&si, init.MustBeginParse()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.writer.Send(testContext(t), fmt.Sprint("verifier ", i), chain.Message{To: addr, Amount: nano(contracts.ValueStakeVerifier + 1), StateInit: &si, Body: body}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.client.WaitAccount(testContext(t), c.net.Registry, func(a *chain.Account) bool {
		r, err := registry.RootOf(a)
		return err == nil && r.State.Verifiers.Quorum.Keys[uint8(i)] == [32]byte(pub)
	}); err != nil {
		t.Fatal(err)
	}
}

// equip makes what verifiers appraise with: a policy that names measurements and
// models itself, and endorsements that they trust.
func (c *chamber) equip(t testing.TB) {
	t.Helper()
	root, err := c.reader.Root(testContext(t), c.net.Registry)
	if err != nil {
		t.Fatal(err)
	}
	var measurements []string
	for _, m := range root.Measurements {
		measurements = append(measurements, fmt.Sprintf("%q", fmt.Sprintf("%x", m)))
	}
	from := " = \"from registry " + c.net.Registry.String() + `"`
	c.appraiser, err = attestation.NewVerifier(c.policyOf(t,
		"measurements"+from, "measurements = ["+strings.Join(measurements, ", ")+"]",
		"models"+from, fmt.Sprintf(`models = ["%x"]`, tinylm.Digest()),
		"[evidence]\n", "[evidence]\nunsafe_unregistered = true\n"))
	if err != nil {
		t.Fatal(err)
	}
	c.trusted = attestation.NewEndorsements()
	for _, f := range c.documents(t) {
		if err := c.trusted.AddFile(f.Name, f.Data); err != nil {
			t.Fatal(err)
		}
	}
}

// certify is one verifier's work: it appraises the bundle of a request, and signs.
func (c *chamber) certify(ctx context.Context, i int, data []byte) (*certificate.File, error) {
	r, err := certificate.ParseRequest(data)
	if err != nil {
		return nil, err
	}
	b, err := attestation.ParseBundle(r.Bundle)
	if err != nil {
		return nil, err
	}
	ok, err := c.appraiser.Verify(attestation.Input{Bundle: b, Endorsements: c.trusted, At: time.Now()})
	if err != nil {
		return nil, err
	}
	s := certificate.Signer{Key: c.verifiers[i], Registry: c.net.Registry, Chain: c.client, Memory: c.memories[i]}
	return s.Sign(ctx, ok, r)
}

// policyOf accepts both simulated vendors.
func (c *chamber) policyOf(t testing.TB, oldNew ...string) *attestation.Policy {
	t.Helper()
	text := attestation.PolicyTOML(attestation.PolicyOptions{
		SimulatedRoots: [][32]byte{c.net.Platform.RootFingerprint(), c.vendor.Root()}, Registry: c.net.Registry,
	})
	for i := 0; i+1 < len(oldNew); i += 2 {
		text = replaceOnce(t, text, oldNew[i], oldNew[i+1])
	}
	p, err := attestation.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// documents are the endorsements of both machines.
func (c *chamber) documents(t testing.TB) []endorse.File {
	t.Helper()
	files, err := endorse.Load(filepath.Join(c.dir, network.EndorsementsDir))
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.vendor.CRL(time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range append(c.chip.Documents(), list) {
		files = append(files, endorse.File{Name: fmt.Sprintf("amd-%d.der", i), Data: d})
	}
	return files
}

// A node on AMD hardware, which no contract verifies: verifiers certify it, the
// chain registers it by their word, and clients still appraise it themselves.
func TestQuorum(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	ctx := testContext(t)
	o := c.hostOptions(t, filepath.Join(t.TempDir(), "node"))
	op := c.operator(t, o.Wallet)
	if err := op.Deploy(ctx, contracts.Profile{Endpoint: "http://relay.invalid"}); err != nil {
		t.Fatal(err)
	}
	eng, err := tinylm.New(tinylm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { eng.Close() })
	c.program = filepath.Join(c.dir, "program")
	if err := os.WriteFile(c.program, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := c.launch(t, op.Node, t.TempDir(), func(o *enclave.Options) { o.Device, o.Engine = &snpDevice{chip: c.chip}, eng })
	bundle, err := attestation.ParseBundle(r.bundle(t))
	if err != nil {
		t.Fatal(err)
	}
	this := func(context.Context) (*attestation.Bundle, error) { return bundle, nil }
	req, err := certificate.NewRequest(bundle, uint32(time.Now().Add(time.Hour).Unix()), o.Wallet)
	if err != nil {
		t.Fatal(err)
	}
	request, err := req.Encode()
	if err != nil {
		t.Fatal(err)
	}

	_, err = c.certify(ctx, 0, request)
	wantError(t, err, refused, "", "does not count this verifier")
	before := c.balance(t, op)
	wantError(t, op.Register(ctx, this), badInput, "", "needs a certificate of the registry's verifiers")
	var files []*certificate.File
	for i := range 2 {
		c.stake(t, i)
		f, err := c.certify(ctx, i, request)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	wantError(t, op.Register(ctx, this, files[0]), refused, "", "signed by 1 verifiers that the registry counts, 2 are needed")
	if after := c.balance(t, op); after != before {
		t.Errorf("refusals before anything is sent cost %d", before-after)
	}
	if err := op.Register(ctx, this, files...); err != nil {
		t.Fatal(err)
	}
	r.awaitState(t, enclave.StateServe)
	rec, err := c.reader.Node(ctx, op.Node)
	if err != nil {
		t.Fatal(err)
	}
	if e := rec.Epochs[1]; !e.Active || !e.ByQuorum || e.Measurement != attestation.MeasurementSNP(snpLaunch) {
		t.Errorf("registered: %+v", e)
	}
	c.use(t, r)
}

func (c *chamber) balance(t testing.TB, o *host.Operator) uint64 {
	t.Helper()
	a, err := c.client.Account(testContext(t), o.Wallet())
	if err != nil {
		t.Fatal(err)
	}
	return a.Balance.Uint64()
}

// use has clients ask a node on AMD hardware.
func (c *chamber) use(t *testing.T, r *runtime) {
	t.Helper()
	l := r.newRelay(t, func(l *relay) {
		l.endorsements = func() []byte {
			enc, err := endorse.Encode(c.documents(t))
			if err != nil {
				t.Error(err)
			}
			return enc
		}
	})
	u := r.newUser(t, l, func(cfg *client.Config) { cfg.Policy = c.policyOf(t) })
	secret := newSecret()
	a, err := u.ask(t, secret, false)
	if err != nil {
		t.Fatal(err)
	}
	if v := client.NodeOf(a.resp).Verified(); !v.Simulated() || v.Kind() != attestation.KindSNP || v.PlatformID() != attestation.PlatformID("snp", c.chip.ChipID[:]) {
		t.Errorf("verified %v, kind %s", v.PlatformID(), v.Kind())
	}
	l.heardNothingOf(t, secret)
	posts := l.posts.Load()
	for want, edit := range map[string][]string{
		"expected tdx, got snp":       {`accept = ["tdx", "snp"]`, `accept = ["tdx"]`},
		"is not named":                nil,
		"the code that runs":          {`measurements = "from registry ` + c.net.Registry.String() + `"`, `measurements = ["` + strings.Repeat("11", 32) + `"]`},
		"the firmware is not too old": {"microcode = 84", "microcode = 85"},
	} {
		p := c.policyOf(t, edit...)
		if edit == nil {
			p = c.policy(t) // names the other vendor's simulated root only
		}
		secret := newSecret()
		_, err := r.newUser(t, l, func(cfg *client.Config) { cfg.Policy = p }).ask(t, secret, false)
		if err == nil {
			t.Errorf("%s: the client asks the node", want)
			continue
		}
		t.Log(want, ": ", err)
		if l.posts.Load() != posts {
			t.Errorf("%s: something was sent", want)
		}
		l.heardNothingOf(t, secret)
	}
}

// A host gets certificates through a directory, and registers by them.
func TestUpByCertificates(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	c.stake(t, 2)
	c.stake(t, 0)
	o := c.hostOptions(t, filepath.Join(t.TempDir(), "node"))
	o.Certificates, o.CertifiedFor = t.TempDir(), time.Hour
	for name, data := range map[string]string{"old" + host.CertificateSuffix: "nonsense", "notes.txt": ""} {
		if err := os.WriteFile(filepath.Join(o.Certificates, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	go c.attend(testContext(t), t, o.Certificates, 2, 0)
	n := up(t, o)
	rec, err := c.reader.Node(testContext(t), n.Node)
	if err != nil {
		t.Fatal(err)
	}
	if e := rec.Epochs[1]; !e.Active || !e.ByQuorum {
		t.Errorf("registered: %+v", e)
	}
	if left, _ := filepath.Glob(filepath.Join(o.Certificates, "*"+host.RequestSuffix)); len(left) > 0 {
		t.Errorf("requests are left: %v", left)
	}
	if err := n.stop(); err != nil {
		t.Error(err)
	}
}

// attend is what verifiers do with a directory of requests, until there was one.
func (c *chamber) attend(ctx context.Context, t testing.TB, dir string, verifiers ...int) {
	for ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
		found, _ := filepath.Glob(filepath.Join(dir, "*"+host.RequestSuffix))
		if len(found) == 0 {
			continue
		}
		data, err := os.ReadFile(found[0])
		if err != nil {
			t.Error(err)
			return
		}
		for _, i := range verifiers {
			f, err := c.certify(ctx, i, data)
			if err != nil {
				t.Error(err)
				return
			}
			enc, err := f.Encode()
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, fmt.Sprint(i, host.CertificateSuffix)), enc, 0o600)
			}
			if err != nil {
				t.Error(err)
			}
		}
		return
	}
}
