package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/enclave/device"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// gpus are the simulated GPUs of one machine with their documents, and a driver
// that fails where a test says so.
type gpus struct {
	device.GPUs
	machine *sim.NVIDIAMachine
	files   []endorse.File

	mode  func(*device.GPUMode)
	list  func([]device.GPU) []device.GPU
	nonce func(round int64, n *[32]byte) // asked of the devices
	fail  error                          // of List
	dead  bool                           // being set ready does nothing

	rounds atomic.Int64 // lists that were asked for
	sets   atomic.Int64 // times that they were set ready
}

func newGPUs(t testing.TB, c sim.NVIDIAMachineConfig) *gpus {
	t.Helper()
	m, err := sim.NewNVIDIAMachine(c)
	if err != nil {
		t.Fatal(err)
	}
	g := &gpus{machine: m}
	g.endorse(t, time.Now())
	g.GPUs = simdevice.NewGPUs(m)
	return g
}

// endorse makes the documents for a time.
func (g *gpus) endorse(t testing.TB, at time.Time) {
	t.Helper()
	docs, err := g.machine.Endorsements(at.Add(-time.Hour), at.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	g.files = nil
	for _, d := range docs {
		g.files = append(g.files, endorse.File{Name: d.Name, Data: d.Data})
	}
}

// without leaves out documents whose name holds a text.
func (g *gpus) without(text string) {
	g.files = slices.DeleteFunc(g.files, func(f endorse.File) bool { return strings.Contains(f.Name, text) })
}

func (g *gpus) Mode(ctx context.Context) (device.GPUMode, error) {
	m, err := g.GPUs.Mode(ctx)
	if g.mode != nil {
		g.mode(&m)
	}
	return m, err
}

func (g *gpus) List(ctx context.Context) ([]device.GPU, error) {
	round := g.rounds.Add(1)
	all, err := g.GPUs.List(ctx)
	if g.list != nil {
		all = g.list(all)
	}
	for i := range all {
		all[i] = &gpu{all[i], g, round}
	}
	return all, errors.Join(err, g.fail)
}

func (g *gpus) SetReady(ctx context.Context, ready bool) error {
	if ready {
		g.sets.Add(1)
	}
	if g.dead {
		return nil
	}
	return g.GPUs.SetReady(ctx, ready)
}

func (g *gpus) isReady(t testing.TB) bool {
	t.Helper()
	ready, err := g.GPUs.Ready(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return ready
}

type gpu struct {
	device.GPU
	of    *gpus
	round int64
}

func (d *gpu) Evidence(ctx context.Context, nonce [32]byte) (*nvidia.Evidence, error) {
	if d.of.nonce != nil {
		d.of.nonce(d.round, &nonce)
	}
	return d.GPU.Evidence(ctx, nonce)
}

// reporting is a GPU that reports what a test wants.
type reporting struct {
	device.GPU
	g      *gpus
	change func(*sim.NVIDIAReport)
}

func (d *reporting) Evidence(_ context.Context, nonce [32]byte) (*nvidia.Evidence, error) {
	r := d.g.machine.Report(nonce)
	d.change(&r)
	report, err := d.g.machine.Devices[0].Report(d.g.machine.Vendor, r)
	if err != nil {
		return nil, err
	}
	data, err := d.g.machine.Devices[0].Evidence(report)
	if err != nil {
		return nil, err
	}
	return nvidia.ParseEvidence(data)
}

// section is the section of a configuration for these GPUs.
func (g *gpus) section() string {
	return string((&network.Network{GPUs: g.machine}).GPUSection())
}

// in puts the GPUs into an enclave whose configuration has this section.
func (g *gpus) in(t testing.TB, w *world, node attestation.Address, section string) func(*enclave.Options) {
	t.Helper()
	return func(o *enclave.Options) {
		e, err := enclave.GPUEndorsements(append(slices.Clone(w.endorsements), g.files...))
		if err != nil {
			t.Fatal(err)
		}
		o.Config, o.GPUs, o.GPUEndorsements = w.configuration(t, node, []byte(section)), g, e
	}
}

// relayOf returns an honest relay: it serves the documents of the GPUs too.
func (g *gpus) relayOf(t testing.TB, r *runtime, change ...func(*relay)) *relay {
	t.Helper()
	enc, err := endorse.Encode(append(slices.Clone(r.w.endorsements), g.files...))
	if err != nil {
		t.Fatal(err)
	}
	return r.newRelay(t, append([]func(*relay){func(l *relay) { l.endorsements = func() []byte { return enc } }}, change...)...)
}

// trusting makes a client whose policy names the roots of the GPUs and demands a
// number of them.
func (g *gpus) trusting(t testing.TB, w *world, count int) func(*client.Config) {
	t.Helper()
	return func(c *client.Config) {
		text := attestation.PolicyTOML(attestation.PolicyOptions{
			SimulatedRoots: append(g.machine.Vendor.Roots(), w.net.Platform.RootFingerprint()), Registry: w.net.Registry,
		})
		p, err := attestation.ParsePolicy([]byte(replaceOnce(t, text, "min_count = 0", fmt.Sprintf("min_count = %d", count))))
		if err != nil {
			t.Fatal(err)
		}
		c.Policy = p
	}
}

// Enclaves with GPUs serve clients that demand as many; the bundle names every
// device, and everything says that it is simulated.
func TestGPUs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		cfg           sim.NVIDIAMachineConfig
		gpus, devices int
	}{
		{"one", sim.NVIDIAMachineConfig{GPUs: 1}, 1, 1},
		{"eight", sim.NVIDIAMachineConfig{GPUs: 8}, 8, 8},
		{"a board with its switches", sim.NVIDIAMachineConfig{GPUs: 8, Feature: nvidia.PPCIE}, 8, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, g := shared, newGPUs(t, c.cfg)
			node := w.takeNode(t)
			var log bytes.Buffer
			r := w.boot(t, node, t.TempDir(), g.in(t, w, node, g.section()), func(o *enclave.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			if n := g.sets.Load(); n != 1 || !g.isReady(t) || g.rounds.Load() < 2 {
				t.Errorf("set ready %d times, ready %t, asked %d times", n, g.isReady(t), g.rounds.Load())
			}
			l := g.relayOf(t, r)
			u := r.newUser(t, l, g.trusting(t, w, c.gpus))
			u.mustAsk(t, newSecret())
			n, err := u.VerifyURL(testContext(t), l.url)
			if err != nil {
				t.Fatal(err)
			}
			v := n.Verified()
			facts := v.Verdict().Facts
			if !v.Simulated() || len(facts.GPUs) != c.devices || len(v.Claims().Body.GPUEvidence) != c.devices {
				t.Errorf("simulated %t, %d devices in the verdict, %d in the claims", v.Simulated(), len(facts.GPUs), len(v.Claims().Body.GPUEvidence))
			}
			for _, d := range facts.GPUs {
				if !d.Golden || !d.NonceBound {
					t.Errorf("%+v", d)
				}
			}
			// more than the node has; and roots that the policy does not name
			secret := newSecret()
			_, err = r.newUser(t, l, g.trusting(t, w, c.gpus+1)).ask(t, secret, false)
			wantError(t, err, refused, secret, "there are enough GPUs")
			_, err = r.newUser(t, l).ask(t, secret, false)
			wantError(t, err, isFalse, secret, "nor named by the caller")
			l.heardNothingOf(t, secret)
			r.end()
			if g.isReady(t) {
				t.Error("the GPUs accept work after the end of the enclave")
			}
			if !strings.Contains(log.String(), "SIMULATED: these GPUs") {
				t.Error("the enclave does not say that its GPUs are simulated")
			}
		})
	}
}

// What a relay does with the evidence of GPUs on its way to the client.
func TestGPUEvidenceChanged(t *testing.T) {
	t.Parallel()
	w, g := shared, newGPUs(t, sim.NVIDIAMachineConfig{GPUs: 2})
	var first []byte // evidence over the boot's own nonce
	list, err := g.GPUs.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ev, err := list[0].Evidence(t.Context(), [32]byte{1})
	if err == nil {
		first, err = ev.Encode()
	}
	if err != nil {
		t.Fatal(err)
	}
	node := w.takeNode(t)
	r := w.boot(t, node, t.TempDir(), g.in(t, w, node, g.section()))
	for _, c := range []struct {
		name   string
		want   family
		says   string
		change func(*attestation.Bundle)
	}{
		{"left out", isFalse, "name evidence of 2 GPUs", func(b *attestation.Bundle) { b.Evidence = b.Evidence[:2] }},
		{"once more", isFalse, "name evidence of 2 GPUs", func(b *attestation.Bundle) { b.Evidence = append(b.Evidence, b.Evidence[1]) }},
		{"in another order", isFalse, "is not what the claims name", func(b *attestation.Bundle) {
			b.Evidence[1], b.Evidence[2] = b.Evidence[2], b.Evidence[1]
		}},
		{"over another nonce", isFalse, "is not what the claims name", func(b *attestation.Bundle) { b.Evidence[1].Data = first }},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := g.relayOf(t, r, func(l *relay) {
				l.bundle = func(honest []byte) []byte {
					b, err := attestation.ParseBundle(honest)
					if err != nil {
						t.Error(err)
						return nil
					}
					c.change(b)
					out, err := b.Encode()
					if err != nil {
						t.Error(err)
					}
					return out
				}
			})
			secret := newSecret()
			_, err := r.newUser(t, l, g.trusting(t, w, 1)).ask(t, secret, false)
			wantError(t, err, c.want, secret, c.says)
			l.heardNothingOf(t, secret)
		})
	}
	// documents that the relay does not have
	l := g.relayOf(t, r, func(l *relay) { l.endorsements = func() []byte { return w.endorsementSet(t) } })
	secret := newSecret()
	_, err = r.newUser(t, l, g.trusting(t, w, 1)).ask(t, secret, false)
	wantError(t, err, unknown, secret, "OCSP")
	l.heardNothingOf(t, secret)
}

// Everything that is wrong with GPUs stops the boot, where the state's name
// says; the GPUs do not accept work then.
func TestGPUBootStops(t *testing.T) {
	t.Parallel()
	w := shared
	node := w.takeNode(t)
	const inGPUs, inEvidence = "boot stopped at gpus: ", "boot stopped at evidence: "
	onRound := func(n int64) func(int64, *[32]byte) {
		return func(round int64, nonce *[32]byte) {
			if round == n {
				nonce[0] ^= 1
			}
		}
	}
	two, board := sim.NVIDIAMachineConfig{GPUs: 2}, sim.NVIDIAMachineConfig{GPUs: 8, Feature: nvidia.PPCIE}
	for _, c := range []struct {
		name   string
		cfg    sim.NVIDIAMachineConfig
		want   family
		says   []string
		change func(t *testing.T, g *gpus)
		edit   func(section string) string
	}{
		{name: "not confidential", want: refused, says: []string{inGPUs, "confidential mode off"},
			change: func(_ *testing.T, g *gpus) { g.mode = func(m *device.GPUMode) { m.Confidential = false } }},
		{name: "not confidential, and in use", want: refused, says: []string{inGPUs, "confidential mode off"},
			change: func(t *testing.T, g *gpus) {
				g.mode = func(m *device.GPUMode) { m.Confidential = false }
				if err := g.GPUs.SetReady(t.Context(), true); err != nil {
					t.Fatal(err)
				}
			}},
		{name: "developer tools", want: refused, says: []string{inGPUs, "developer tools on"},
			change: func(_ *testing.T, g *gpus) { g.mode = func(m *device.GPUMode) { m.DevTools = true } }},
		{name: "accept work already", want: refused, says: []string{inGPUs, "before they were verified"},
			change: func(t *testing.T, g *gpus) {
				if err := g.GPUs.SetReady(t.Context(), true); err != nil {
					t.Fatal(err)
				}
			}},
		{name: "never accept work", want: unknown, says: []string{inGPUs, "do not accept work"},
			change: func(_ *testing.T, g *gpus) { g.dead = true }},
		{name: "the driver fails", want: unknown, says: []string{inGPUs, "off the bus"},
			change: func(_ *testing.T, g *gpus) { g.fail = attestation.Unknown("GPU 1 is off the bus") }},
		{name: "another nonce, first", want: isFalse, says: []string{inGPUs, "nonce"},
			change: func(_ *testing.T, g *gpus) { g.nonce = onRound(1) }},
		{name: "another nonce, then", want: isFalse, says: []string{inEvidence, "nonce"},
			change: func(_ *testing.T, g *gpus) { g.nonce = onRound(2) }},
		{name: "no document of the driver", want: unknown, says: []string{inGPUs, "NV_GPU_DRIVER_GH100_590.48.01", "missing; get it from https://rim"},
			change: func(_ *testing.T, g *gpus) { g.without("GH100-0.xml") }},
		{name: "no document of the VBIOS", want: unknown, says: []string{inGPUs, "NV_GPU_VBIOS_"},
			change: func(_ *testing.T, g *gpus) { g.without("GH100-1.xml") }},
		{name: "no OCSP responses", want: unknown, says: []string{inGPUs, "OCSP", "missing"},
			change: func(_ *testing.T, g *gpus) { g.without("ocsp") }},
		{name: "OCSP responses of last week", want: unknown, says: []string{inGPUs, "OCSP", "expired"},
			change: func(t *testing.T, g *gpus) { g.endorse(t, time.Now().Add(-7*24*time.Hour)) }},
		{name: "revoked", want: isFalse, says: []string{inGPUs, "revoked"},
			change: func(t *testing.T, g *gpus) {
				chain := g.machine.Devices[1].Chain
				der, err := g.machine.Vendor.OCSP(chain[1], chain[2], sim.NVIDIAOCSP{
					ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour), Status: ocsp.Revoked, Reason: ocsp.KeyCompromise})
				if err != nil {
					t.Fatal(err)
				}
				g.files = append(g.files, endorse.File{Name: "revoked.der", Data: der})
			}},
		{name: "fewer", want: refused, says: []string{inGPUs, "has 1 GPUs, the configuration wants 2"},
			change: func(_ *testing.T, g *gpus) { g.list = func(l []device.GPU) []device.GPU { return l[:1] } }},
		{name: "more", want: refused, says: []string{inGPUs, "has 2 GPUs, the configuration wants 1"},
			edit: func(s string) string { return strings.Replace(s, "count = 2", "count = 1", 1) }},
		{name: "none", want: refused, says: []string{inGPUs, "has 0 GPUs"},
			change: func(_ *testing.T, g *gpus) { g.list = func([]device.GPU) []device.GPU { return nil } }},
		{name: "more than claims hold", want: refused, says: []string{inGPUs, "at most 64"},
			change: func(_ *testing.T, g *gpus) {
				g.list = func(l []device.GPU) []device.GPU { return slices.Repeat(l, 33) }
			}},
		{name: "one of them twice", want: isFalse, says: []string{inGPUs, "is there twice"},
			change: func(_ *testing.T, g *gpus) {
				g.list = func(l []device.GPU) []device.GPU { return []device.GPU{l[0], l[0]} }
			}},
		{name: "another one the second time", want: isFalse, says: []string{inEvidence, "is not one of those that were verified before"},
			change: func(t *testing.T, g *gpus) {
				spare, err := g.machine.Vendor.NewDevice(sim.NVIDIADeviceConfig{})
				if err != nil {
					t.Fatal(err)
				}
				other := simdevice.NewGPUs(&sim.NVIDIAMachine{Vendor: g.machine.Vendor, Devices: []*sim.NVIDIADevice{spare}, Feature: g.machine.Feature})
				der, err := g.machine.Vendor.OCSP(spare.Chain[1], spare.Chain[2], sim.NVIDIAOCSP{ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)})
				if err != nil {
					t.Fatal(err)
				}
				g.files = append(g.files, endorse.File{Name: "spare.der", Data: der})
				g.list = func(l []device.GPU) []device.GPU {
					if g.rounds.Load() == 2 {
						o, _ := other.List(t.Context())
						l[1] = o[0]
					}
					return l
				}
			}},
		{name: "one less the second time", want: refused, says: []string{inEvidence, "has 1 GPUs"},
			change: func(_ *testing.T, g *gpus) {
				g.list = func(l []device.GPU) []device.GPU { return l[:3-g.rounds.Load()] }
			}},
		{name: "not confidential the second time", want: refused, says: []string{inEvidence, "confidential mode off"},
			change: func(_ *testing.T, g *gpus) {
				g.mode = func(m *device.GPUMode) { m.Confidential = g.rounds.Load() == 0 }
			}},
		{name: "unpublished firmware", want: refused, says: []string{inGPUs, "1 of its measurements are not those that NVIDIA published"},
			change: func(_ *testing.T, g *gpus) {
				g.list = func(l []device.GPU) []device.GPU {
					l[0] = &reporting{l[0], g, func(r *sim.NVIDIAReport) { r.Measurements = map[int][]byte{9: make([]byte, 48)} }}
					return l
				}
			}},
		{name: "another mode", want: refused, says: []string{inGPUs, `in mode "mpt", the configuration wants "hopper" in mode "spt"`},
			edit: func(s string) string { return strings.Replace(s, `"mpt"`, `"spt"`, 1) }},
		{name: "another kind", want: refused, says: []string{inGPUs, `of kind "hopper"`, `wants "blackwell"`},
			edit: func(s string) string { return strings.Replace(s, `"hopper"`, `"blackwell"`, 1) }},
		{name: "simulated, and not named so", want: isFalse, says: []string{inGPUs, "nor named by the caller"},
			edit: func(s string) string { return s[:strings.Index(s, "simulated_roots")] }},
		{name: "a switch of the board is missing", cfg: board, want: unknown, says: []string{inGPUs, "evidence of switch"},
			change: func(_ *testing.T, g *gpus) { g.list = func(l []device.GPU) []device.GPU { return l[:11] } }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cfg.GPUs == 0 {
				c.cfg = two
			}
			g := newGPUs(t, c.cfg)
			if c.change != nil {
				c.change(t, g)
			}
			section := g.section()
			if c.edit != nil {
				section = c.edit(section)
			}
			before := g.isReady(t)
			e, err := enclave.Boot(testContext(t), w.options(t, node, t.TempDir(), g.in(t, w, node, section)))
			if e != nil {
				t.Fatal("the enclave boots")
			}
			wantError(t, err, c.want, "", c.says...)
			if g.isReady(t) != before {
				t.Error("the GPUs accept work")
			}
			if c.says[0] == inGPUs && !g.dead && g.sets.Load() > 0 {
				t.Error("the GPUs were set ready before they were verified")
			}
		})
	}
}

// Evidence that is made again is the GPUs' too; a GPU that is another one by
// then ends the enclave.
func TestGPUEvidenceAgain(t *testing.T) {
	t.Parallel()
	w, g := shared, newGPUs(t, sim.NVIDIAMachineConfig{GPUs: 1})
	var off atomic.Bool
	g.mode = func(m *device.GPUMode) { m.Confidential = !off.Load() }
	var ahead atomic.Int64
	node := w.takeNode(t)
	r := w.launch(t, node, t.TempDir(), g.in(t, w, node, g.section()), func(o *enclave.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	})
	first := r.bundle(t)
	ahead.Store(int64(5 * time.Minute))
	for until := time.Now().Add(longest); bytes.Equal(r.bundle(t), first); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the evidence is not made again")
		}
	}
	var claims [2]*attestation.Claims
	for i, data := range [][]byte{first, r.bundle(t)} {
		b, err := attestation.ParseBundle(data)
		if err == nil {
			claims[i], err = b.Claims()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if claims[0].Body.GPUEvidence[0] == claims[1].Body.GPUEvidence[0] || claims[0].ReceiptKey != claims[1].ReceiptKey {
		t.Error("the second claims have the first evidence of the GPU, or other keys")
	}
	off.Store(true)
	ahead.Store(int64(10 * time.Minute))
	wantError(t, r.ended(t), refused, "", "making evidence again", "confidential mode off")
	if g.isReady(t) || r.e.State() != enclave.StateStopped {
		t.Errorf("ready %t at %s", g.isReady(t), r.e.State())
	}
}

// GPUs that the configuration does not have are never asked; ones that it has
// and that are not given are missed before anything is done.
func TestGPUOptions(t *testing.T) {
	t.Parallel()
	w, g := shared, newGPUs(t, sim.NVIDIAMachineConfig{GPUs: 1})
	node := w.takeNode(t)
	for says, change := range map[string]func(*enclave.Options){
		"the configuration has none":         func(o *enclave.Options) { o.Config = w.configuration(t, node) },
		"they or their endorsements are not": func(o *enclave.Options) { o.GPUs = nil },
		"their endorsements are not given":   func(o *enclave.Options) { o.GPUEndorsements = nil },
	} {
		_, err := enclave.Boot(testContext(t), w.options(t, node, t.TempDir(), g.in(t, w, node, g.section()), change))
		wantError(t, err, badInput, "", says)
	}
	if g.rounds.Load() != 0 {
		t.Error("the GPUs were asked")
	}
}
