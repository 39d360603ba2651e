package registry

import (
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// welcomed is the state of a platform as contracts-platform.md says: key, node
// code, slots, not revoked, holders.
func welcomed(key contracts.PlatformKey, slots uint8, holders map[byte]uint32) *cell.Cell {
	d := cell.NewDict(256)
	for node, expires := range holders {
		a := nodeAt(node)
		k := cell.BeginCell().MustStoreSlice(a.Hash[:], 256).EndCell()
		if err := d.Set(k, cell.BeginCell().MustStoreUInt(1, 64).MustStoreUInt(uint64(expires), 32).EndCell()); err != nil {
			panic(err)
		}
	}
	code := contracts.NodeCodeID()
	return cell.BeginCell().MustStoreBuilder(key.Cell().ToBuilder()).MustStoreSlice(code.Hash[:], 256).MustStoreUInt(uint64(code.Depth), 16).
		MustStoreUInt(uint64(slots), 8).MustStoreBoolBit(false).MustStoreDict(d).EndCell()
}

func nodeAt(b byte) attestation.Address { return attestation.Address{Hash: [32]byte{b}} }

func TestPlatformOf(t *testing.T) {
	key := contracts.PlatformKey{Root: attestation.Address{Hash: [32]byte{1}}, ID: [32]byte{2}}
	addr, _, err := contracts.PlatformAddress(key.Root, key.ID)
	if err != nil {
		t.Fatal(err)
	}
	acc := func(data *cell.Cell) *chain.Account {
		return &chain.Account{Address: addr, Exists: true, Code: contracts.PlatformCode(), Data: data, Block: chain.Block{Time: time.Unix(100, 0)}}
	}
	p, err := PlatformOf(acc(key.Cell()))
	if err != nil || p.Welcomed || p.Limit != 0 || p.Held != 0 || !p.NextFree().IsZero() {
		t.Errorf("deployed: %+v, %v", p, err)
	}
	p, err = PlatformOf(acc(welcomed(key, 200, map[byte]uint32{7: 100, 8: 101, 9: 120})))
	if err != nil || !p.Welcomed || p.Limit != contracts.MaxSlots || p.Held != 2 || p.NextFree().Unix() != 101 {
		t.Fatalf("welcomed: %+v, %v", p, err)
	}
	for node, want := range map[byte]int64{7: 0, 8: 101, 9: 120, 10: 0} {
		if until, ok := p.Slot(nodeAt(node)); ok != (want != 0) || ok && until.Unix() != want {
			t.Errorf("node %d holds a slot until %v, %v", node, until, ok)
		}
	}
	refusesOthers(t, PlatformOf, acc(key.Cell()), contracts.NodeCode(), contracts.PlatformKey{Root: key.Root}.Cell())
}
