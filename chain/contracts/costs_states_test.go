package contracts

import (
	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// states is the rent of contracts of typical size.
func (m *meter) states() []stateCost {
	m.t.Helper()
	f := m.newTypical()
	platform, _, err := PlatformAddress(f.root, f.platformID())
	if err != nil {
		m.t.Fatal(err)
	}
	f.register()
	first := m.state(f.World, "node-first-epoch", f.node)
	f.Now += day
	f.register()
	good(m.t, f.SendExternal(f.node, f.anchor(1000).Body()))
	out := []stateCost{
		m.state(f.World, "root", f.root), m.listedNode(f.start), first,
		m.state(f.World, "node", f.node), m.state(f.World, "platform", platform),
	}
	f.stakeVerifier(0, f.anybody, f.start.Params.MinStake, 0)
	verifier, _ := f.verifierAt(0)
	out = append(out, m.state(f.World, "verifier", verifier))
	c := newChannel(m.t)
	c.open(coin)
	c.say(c.anybody, &SettleVoucher{Voucher: c.voucher(coin / 2)})
	return append(out, m.state(c.World, "channel", c.at))
}

// state is the rent of a contract as it is.
func (m *meter) state(w *tvmtest.World, name string, at attestation.Address) stateCost {
	m.t.Helper()
	var boc []byte
	for _, s := range w.Record() {
		if s.To == at && s.Accepted {
			boc = s.AccountAfter
		}
	}
	if boc == nil {
		m.t.Fatalf("%s: no account", name)
	}
	a := readAccount(m.t, boc)
	return stateCost{name, a.cells, a.bits, m.p.storage(a.cells, a.bits, m.p.Year)}
}

// listedNode is what one node more takes in a registry's list, on average of the
// second thousand.
func (m *meter) listedNode(s *RootState) stateCost {
	m.t.Helper()
	measure := func() (cells, bits uint64) {
		c, err := s.Cell()
		if err != nil {
			m.t.Fatal(err)
		}
		return size(c)
	}
	cells, bits := measure()
	n := uint64(len(s.Nodes))
	listNodes(s, 2*len(s.Nodes))
	cells2, bits2 := measure()
	up := func(v uint64) uint64 { return (v + n - 1) / n }
	cells, bits = up(cells2-cells), up(bits2-bits)
	return stateCost{"root-listed-node", cells, bits, m.p.storage(cells, bits, m.p.Year)}
}
