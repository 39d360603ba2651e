package registry

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

func disagrees(err error, want string) bool {
	var e *attestation.ChainError
	return errors.As(err, &e) && strings.Contains(err.Error(), want)
}

// refusesOthers checks that a record is read from no account but that of a
// contract of its kind: good, with the code and the key that it has.
func refusesOthers[T any](t *testing.T, of func(*chain.Account) (*T, error), good *chain.Account, otherCode, otherKey *cell.Cell) {
	t.Helper()
	if r, err := of(&chain.Account{Address: good.Address}); r != nil || !errors.Is(err, ErrNoContract) {
		t.Errorf("no contract: %v, %v", r, err)
	}
	for want, edit := range map[string]func(*chain.Account){
		"runs other code":   func(a *chain.Account) { a.Code = otherCode },
		"says that it is":   func(a *chain.Account) { a.Address.Hash[0] ^= 1 },
		"can't be read":     func(a *chain.Account) { a.Data = cell.BeginCell().EndCell() },
		"which is at 0:000": func(a *chain.Account) { a.Data = otherKey },
	} {
		a := *good
		edit(&a)
		if r, err := of(&a); r != nil || !disagrees(err, want) {
			t.Errorf("%s: %v, %v", want, r, err)
		}
	}
}

// TestNodeOf: only the account at the address that follows from registry, operator
// and index is a node; whatever else says that it is one, with the node's own code
// and any state, is not.
func TestNodeOf(t *testing.T) {
	root, operator := attestation.Address{Hash: [32]byte{1}}, attestation.Address{Hash: [32]byte{2}}
	addr, _, err := contracts.NodeAddress(root, operator, 7)
	if err != nil {
		t.Fatal(err)
	}
	account := func(key contracts.NodeKey) *chain.Account {
		return &chain.Account{Address: addr, Exists: true, Code: contracts.NodeCode(), Data: key.Cell(), Block: chain.Block{Time: time.Unix(100, 0)}}
	}
	key := contracts.NodeKey{Root: root, Operator: operator, Index: 7}
	if n, err := NodeOf(account(key)); err != nil || n.Root != root || n.Operator != operator || n.Index != 7 || n.Current != 0 {
		t.Errorf("deployed: %+v, %v", n, err)
	}
	elsewhere := account(key)
	elsewhere.Address.Hash[0] ^= 1
	code := account(key)
	code.Code = contracts.PlatformCode()
	garbled := account(key)
	garbled.Data = cell.BeginCell().EndCell()
	frozen := account(key)
	frozen.Frozen = true
	for name, c := range map[string]struct {
		acc  *chain.Account
		want string
	}{
		"at another address":  {elsewhere, "which is at " + addr.String()},
		"of another registry": {account(contracts.NodeKey{Root: attestation.Address{Hash: [32]byte{9}}, Operator: operator, Index: 7}), "says that it is node 7"},
		"of another operator": {account(contracts.NodeKey{Root: root, Operator: attestation.Address{Hash: [32]byte{9}}, Index: 7}), "says that it is node 7"},
		"another index":       {account(contracts.NodeKey{Root: root, Operator: operator, Index: 8}), "says that it is node 8"},
		"other code":          {code, "runs other code"},
		"no state":            {garbled, "can't be read"},
		"frozen":              {frozen, "is frozen"},
		"nothing there":       {&chain.Account{Address: addr}, "there is no contract"},
	} {
		if n, err := NodeOf(c.acc); n != nil || !disagrees(err, c.want) {
			t.Errorf("%s: %+v, %v", name, n, err)
		}
	}
}

// TestExpires: a registration ends when the contract says, and when the evidence
// does, whichever is earlier.
func TestExpires(t *testing.T) {
	for _, c := range []struct{ notAfter, expires, want uint32 }{{1000, 300, 300}, {300, 1000, 300}, {500, 500, 500}} {
		s := &contracts.NodeState{Status: contracts.StatusActive, Epoch: 2, Expires: c.expires, Current: &contracts.EpochRecord{NotAfter: c.notAfter},
			Past: map[uint32]contracts.PastEpoch{1: {FinalSize: 5, ClosedAt: 90, Record: contracts.EpochRecord{NotAfter: 7}}}}
		n := record(&chain.Account{}, s)
		e, ok := n.Epoch(2)
		if !ok || !e.Active || e.Expires.Unix() != int64(c.want) {
			t.Errorf("%+v: epoch ends at %d, active %v", c, e.Expires.Unix(), e.Active)
		}
		if old, ok := n.Epoch(1); !ok || old.Active || old.Final.Size != 5 || old.Final.Time.Unix() != 90 {
			t.Errorf("past epoch %+v", old)
		}
	}
	s := &contracts.NodeState{Status: contracts.StatusInactive, Epoch: 2, Expires: 1000, Current: &contracts.EpochRecord{NotAfter: 1000}}
	if e, _ := record(&chain.Account{}, s).Epoch(2); e.Active {
		t.Error("an epoch that ended is active")
	}
}

// TestRootOf: what is listed counts only with the flag that says so.
func TestRootOf(t *testing.T) {
	q := contracts.Quorum{Threshold: 1, Keys: map[uint8][32]byte{0: {1}}}
	s := contracts.NewRoot(q, contracts.DefaultParams())
	on, off, more := [32]byte{1}, [32]byte{2}, [32]byte{3}
	s.Measurements[on] = contracts.Measurement{Flags: contracts.MeasurementAccepted}
	s.Measurements[off] = contracts.Measurement{Flags: 0}
	s.Measurements[more] = contracts.Measurement{Flags: contracts.MeasurementAccepted | 2}
	s.Models[[32]byte{5}] = contracts.Model{}
	data, err := s.Cell()
	if err != nil {
		t.Fatal(err)
	}
	acc := &chain.Account{Address: attestation.Address{Hash: [32]byte{8}}, Exists: true, Code: contracts.RootCode(), Data: data}
	r, err := RootOf(acc)
	if err != nil || !slices.Equal(r.Measurements, [][32]byte{on, more}) || !slices.Equal(r.Models, [][32]byte{{5}}) {
		t.Errorf("registry %+v, %v", r, err)
	}
	other := *acc
	other.Code = contracts.NodeCode()
	if _, err := RootOf(&other); !disagrees(err, "runs other code") {
		t.Errorf("other code: %v", err)
	}
	other = *acc
	other.Data = cell.BeginCell().EndCell()
	if _, err := RootOf(&other); !disagrees(err, "can't be read") {
		t.Errorf("no state: %v", err)
	}
	if _, err := RootOf(&chain.Account{}); !errors.Is(err, ErrNoContract) {
		t.Errorf("nothing there: %v", err)
	}
}
