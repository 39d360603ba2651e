package registry

import (
	"testing"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

func TestVerifierOf(t *testing.T) {
	key := contracts.VerifierKey{Root: attestation.Address{Hash: [32]byte{1}}, Key: [32]byte{2}}
	addr, _, err := contracts.VerifierAddress(key.Root, key.Key[:])
	if err != nil {
		t.Fatal(err)
	}
	acc := func(data *cell.Cell) *chain.Account {
		return &chain.Account{Address: addr, Exists: true, Code: contracts.VerifierCode(), Data: data}
	}
	v, err := VerifierOf(acc(key.Cell()))
	if err != nil || v.State.Key != key || v.State.Operator != nil {
		t.Errorf("deployed: %+v, %v", v, err)
	}
	refusesOthers(t, VerifierOf, acc(key.Cell()), contracts.PlatformCode(), contracts.VerifierKey{Root: key.Root}.Cell())
}
