package host

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// What a node's contract would say to its operator, by a proved record: sections 4,
// 5 and 7 of docs/spec/contracts-node.md. What changes between the look and the
// message is the contract's to refuse.

// checkPending foresees what it says while a registration waits.
func checkPending(rec *registry.Node) error {
	p := rec.State.Pending
	if p == nil || rec.At.Time.Unix() >= int64(p.RegisteredAt)+pendingTimeout {
		return nil
	}
	return foreseen(contracts.CodePending, "a registration of node %v waits for the registry's answer: try again when it is there, or after %s",
		rec.Address, clock(p.RegisteredAt+pendingTimeout))
}

// checkUnstake foresees what it says to the way out for a part of the stake.
func checkUnstake(rec *registry.Node, amount uint64) error {
	if err := checkPending(rec); err != nil {
		return err
	}
	s := rec.State
	if amount > s.Stake {
		return foreseen(contracts.CodeNoStake, "node %v has a stake of %s, not of %s%s", rec.Address, coinsText(s.Stake), coinsText(amount), leaving(s))
	}
	if s.Params == nil || !live(rec) || s.Stake-amount >= s.Params.MinStake {
		return nil
	}
	can := "nothing"
	if s.Stake > s.Params.MinStake {
		can = coinsText(s.Stake - s.Params.MinStake)
	}
	return foreseen(contracts.CodeLive, "node %v is registered, which takes a stake of %s: it has %s, and %s can leave now; all of it after `cocoon-node unregister`",
		rec.Address, coinsText(s.Params.MinStake), coinsText(s.Stake), can)
}

// leaving says what is on its way out, if anything is.
func leaving(s *contracts.NodeState) string {
	if s.Unbonding == 0 {
		return ""
	}
	return fmt.Sprintf("; %s are on their way out, to be withdrawn from %s", coinsText(s.Unbonding), clock(s.Book.UnbondingAt))
}

// checkWithdraw foresees what it says to a withdrawal by the operator. The balance
// is the contract's.
func checkWithdraw(rec *registry.Node, balance *big.Int, surplus uint64) error {
	s := rec.State
	credit := s.Book.Credits[rec.Operator]
	over := s.Unbonding > 0 && rec.At.Time.Unix() >= int64(s.Book.UnbondingAt)
	pays := credit > 0 || surplus > 0
	switch free := spare(rec, balance); {
	case over && len(s.Book.Challenges) > 0 && !pays:
		return foreseen(contracts.CodeFrozen, "no stake of node %v leaves while a challenge is open: %s", rec.Address, challenges(rec))
	case free.Cmp(nano(surplus)) < 0 && surplus > 0:
		return foreseen(contracts.CodeBalance, "node %v can spare %s: its balance is %s, of which %s are stake and debts, and %s its reserve%s", rec.Address,
			coinsText(spareable(free)), coinsText(balance.Uint64()), coinsText(s.Protected()), coinsText(reserve(rec)), leaving(s))
	case !pays && !over:
		return foreseen(contracts.CodeNoCredit, "node %v has nothing to pay out%s%s", rec.Address, leaving(s), withChallenges(rec))
	}
	return nil
}

// reserve is what a node's contract keeps for its storage.
func reserve(rec *registry.Node) uint64 {
	if live(rec) {
		return contracts.NodeReserve
	}
	return contracts.NodeReserveRetired
}

// spare is what a node's balance holds beyond stake, debts and reserve; it may be
// negative.
func spare(rec *registry.Node, balance *big.Int) *big.Int {
	free := new(big.Int).Sub(balance, nano(rec.State.Protected()))
	return free.Sub(free, nano(reserve(rec)))
}

// storageDue is more than a node owes for its storage in three weeks: the balance in
// a record is without what it owes since its last transaction.
const storageDue = 5_000_000

// spareable is what of the spare coins can be asked for without knowing what the
// node owes for its storage.
func spareable(free *big.Int) uint64 {
	if left := new(big.Int).Sub(free, big.NewInt(storageDue)); left.Sign() > 0 {
		return left.Uint64()
	}
	return 0
}

// maxChallengesNamed is how many challenges an error names.
const maxChallengesNamed = 4

// challenges says which are open and until when, the first deadline first.
func challenges(rec *registry.Node) string {
	open := rec.State.Book.Challenges
	ids := slices.SortedFunc(maps.Keys(open), func(a, b [32]byte) int {
		return cmp.Or(cmp.Compare(open[a].Deadline, open[b].Deadline), bytes.Compare(a[:], b[:]))
	})
	var out []string
	for _, id := range ids[:min(maxChallengesNamed, len(ids))] {
		text := "%x, to be answered until %s (`cocoon-node answer`)"
		if rec.At.Time.Unix() > int64(open[id].Deadline) {
			text = "%x, not answered until %s, and open until somebody settles it"
		}
		out = append(out, fmt.Sprintf(text, id, clock(open[id].Deadline)))
	}
	if more := len(ids) - len(out); more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, "; ")
}

func withChallenges(rec *registry.Node) string {
	if rec.State.Unbonding == 0 || len(rec.State.Book.Challenges) == 0 {
		return ""
	}
	return ", and not while a challenge is open: " + challenges(rec)
}

// checkUnregister foresees what it says to the end of its registration.
func (o *Operator) checkUnregister(ctx context.Context, rec *registry.Node) error {
	switch {
	case live(rec):
		return checkPending(rec)
	case rec.Current == 0:
		return foreseen(contracts.CodeNotRegistered, "node %v was never registered", rec.Address)
	}
	end, err := o.ending(ctx, rec)
	if err != nil {
		return err
	}
	return foreseen(contracts.CodeNotRegistered, "node %v is not registered any more: %v", rec.Address, end)
}

// checkEpoch refuses the current epoch's own bundle when its registration is over:
// no epoch is registered twice.
func (o *Operator) checkEpoch(ctx context.Context, rec *registry.Node) error {
	if live(rec) {
		return nil
	}
	end, err := o.ending(ctx, rec)
	if err != nil {
		return err
	}
	return foreseen(contracts.CodeEpoch, "epoch %d of node %v is over (%v): boot the enclave again", rec.Current, rec.Address, end)
}

// clock writes a time of the chain.
func clock(unix uint32) string { return time.Unix(int64(unix), 0).UTC().Format(time.RFC3339) }
