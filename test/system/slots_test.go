package system

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
	"github.com/cocoon-go/cocoon/host"
)

// smallWorld is a network whose only machine has two slots.
func smallWorld(t testing.TB) *world {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m, err := simdevice.Measurement(self)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: t.TempDir()}
	w.net, err = network.Start(testContext(t), network.Options{
		Dir: w.dir, Measurements: [][32]byte{m},
		Models: map[[32]byte]contracts.Model{tinylm.Digest(): {Licence: "Apache-2.0", URL: "embedded"}},
		Params: func(p *contracts.Params) { p.PlatformSlots = 2 },
		Chain:  devnet.Options{BlockInterval: 100 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.net.Close() })
	if w.client, err = w.dial(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.client.Close() })
	w.reader = registry.Reader{Reader: w.client}
	return w
}

func (w *world) operator(t testing.TB, key ed25519.PrivateKey) *host.Operator {
	t.Helper()
	o, err := host.OpenOperator(testContext(t), w.client, key, w.net.Registry, 0, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// govern has the registry carry out something that tightens.
func (w *world) govern(t testing.TB, action string, value json.RawMessage) {
	t.Helper()
	o := w.operator(t, w.net.Operator)
	p, err := host.Propose(testContext(t), w.reader, w.net.Registry, action, value, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	root, err := o.Root(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Sign(root.State.Governance, w.net.Governor); err != nil {
		t.Fatal(err)
	}
	if err := o.Submit(testContext(t), p); err != nil {
		t.Fatal(err)
	}
}

// More hosts on one machine than it has slots: the first of them deploys the
// machine's contract, the last is told why it can't, at once and for nothing.
func TestSlots(t *testing.T) {
	t.Parallel()
	w := smallWorld(t)
	o := [3]host.Options{}
	for i := range o {
		o[i] = w.hostOptions(t, filepath.Join(t.TempDir(), "node"))
	}
	first := up(t, o[0])
	up(t, o[1])
	const noSlot = "the contract would refuse: ERR_NO_SLOT (every slot is held by another node): all 2 slots of platform 0:"
	wantError(t, host.Up(testContext(t), o[2]), refused, "", noSlot, "unregister one of them, or wait until ")

	// the next boot of a node keeps its slot
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	first = up(t, o[0])
	if first.Epoch != 2 {
		t.Errorf("epoch %d", first.Epoch)
	}
	wantError(t, host.Up(testContext(t), o[2]), refused, "", noSlot)

	// a slot that its node gave back is another's
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	if err := w.operator(t, o[0].Wallet).Unregister(testContext(t)); err != nil {
		t.Fatal(err)
	}
	third := up(t, o[2])
	if err := third.stop(); err != nil {
		t.Fatal(err)
	}

	// what the contract itself refuses is said as soon as it answers
	w.govern(t, "pause", nil)
	wantError(t, host.Up(testContext(t), o[2]), refused, "", "the contract would refuse: ERR_PAUSED (registration is paused)")
}
