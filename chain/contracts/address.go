package contracts

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Workchain is where all contracts of this package live.
const Workchain = 0

// stateInit returns StateInit{code, data} without library or tick-tock.
func stateInit(code, data *cell.Cell) *cell.Cell {
	return build().MustStoreUInt(0b00110, 5).MustStoreRef(code).MustStoreRef(data).EndCell()
}

func place(code, data *cell.Cell) (attestation.Address, *cell.Cell) {
	si := stateInit(code, data)
	return attestation.Address{Workchain: Workchain, Hash: hash32(si)}, si
}

// LastState returns the StateInit that revives a frozen contract: sent with coins
// for what it owes, and any message that it takes. Code and data are those that it
// had last; the chain keeps the hash of the StateInit only, and with anything else
// a message is not executed.
func LastState(code, data *cell.Cell) *cell.Cell { return stateInit(code, data) }

func checkPlace(what string, a attestation.Address) error {
	if a.IsZero() {
		return attestation.BadInput("%s: no address", what)
	}
	if a.Workchain != Workchain {
		return attestation.BadInput("%s %s is not in workchain %d", what, a, Workchain)
	}
	return nil
}

// AccountOf returns the address of a contract whose initial data is one cell
// without references, as the contracts themselves compute it: from the code's
// hash and depth alone.
func (id CodeID) AccountOf(data *cell.Cell) attestation.Address {
	b := []byte{2, 1, 0x34}
	b = binary.BigEndian.AppendUint16(b, id.Depth)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = append(b, id.Hash[:]...)
	b = append(b, data.Hash()...)
	return attestation.Address{Workchain: Workchain, Hash: sha256.Sum256(b)}
}

// NodeKey is the initial data of a Node: what its address depends on.
type NodeKey struct {
	Root     attestation.Address
	Operator attestation.Address // its owner's wallet
	Index    uint32              // tells nodes of one operator apart
}

// Cell returns the initial data.
func (k NodeKey) Cell() *cell.Cell {
	return storeAddr(storeAddr(build(), k.Root), k.Operator).MustStoreUInt(uint64(k.Index), 32).EndCell()
}

func parseNodeKey(c *cell.Cell) (NodeKey, error) {
	r := read(c, "node key")
	k := NodeKey{Root: r.addr(), Operator: r.addr(), Index: r.u32()}
	r.end()
	return k, r.err
}

// NodeAddress returns the address of an operator's node under a Root, and the
// StateInit that deploys it. It is known before any enclave has booted.
func NodeAddress(root, operator attestation.Address, index uint32) (attestation.Address, *cell.Cell, error) {
	if err := checkPlace("root", root); err != nil {
		return attestation.Address{}, nil, err
	}
	if err := checkPlace("operator", operator); err != nil {
		return attestation.Address{}, nil, err
	}
	a, si := place(NodeCode(), NodeKey{root, operator, index}.Cell())
	return a, si, nil
}
