package registry

import (
	"errors"
	"strings"
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
	if _, err := VerifierOf(&chain.Account{Address: addr}); !errors.Is(err, ErrNoContract) {
		t.Errorf("no contract: %v", err)
	}
	other := acc(key.Cell())
	other.Code = contracts.PlatformCode()
	elsewhere := acc(key.Cell())
	elsewhere.Address.Hash[0] ^= 1
	for want, a := range map[string]*chain.Account{
		"runs other code":   other,
		"says that it is":   elsewhere,
		"can't be read":     acc(cell.BeginCell().EndCell()),
		"which is at 0:000": acc(contracts.VerifierKey{Root: key.Root}.Cell()),
	} {
		var disagrees *attestation.ChainError
		if v, err := VerifierOf(a); v != nil || !errors.As(err, &disagrees) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", want, v, err)
		}
	}
}
