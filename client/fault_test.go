package client

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// accusedNode is a node's record, what its keys signed, and what a test changes.
type accusedNode struct {
	rec   *registry.Node
	now   int64
	made  [2]*receipt.Receipt // with one index
	heads [2]*LogHead         // of one size; a third one is larger
	third *LogHead
	past  *LogHead // signed in the epoch before
	m     contracts.ChallengeReceipt
}

const accusedChain = -3

var (
	accusedReceiptKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("r", 32)))
	accusedLogKey     = ed25519.NewKeyFromSeed([]byte(strings.Repeat("l", 32)))
	accusedHolder     = ed25519.NewKeyFromSeed([]byte(strings.Repeat("h", 32)))
)

func pub(k ed25519.PrivateKey) [32]byte { return [32]byte(k.Public().(ed25519.PublicKey)) }

func newAccused(t *testing.T) *accusedNode {
	t.Helper()
	p := contracts.DefaultParams()
	n := &accusedNode{now: 1_800_000_000}
	at := attestation.Address{Hash: [32]byte{7}}
	e := registry.Epoch{ReceiptKey: pub(accusedReceiptKey), LogKey: pub(accusedLogKey)}
	n.rec = &registry.Node{
		Address: at, Current: 2, Epochs: map[uint32]registry.Epoch{1: e, 2: e},
		State: &contracts.NodeState{
			Status: contracts.StatusActive, Epoch: 2, Expires: uint32(n.now) + 1000, Stake: 150e9, Params: &p,
			Past: map[uint32]contracts.PastEpoch{1: {ClosedAt: uint32(n.now) - 1000}},
			Book: contracts.Book{Settled: map[[32]byte]bool{}, Challenges: map[[32]byte]contracts.Challenge{}},
		},
	}
	for i := range n.made {
		n.made[i] = n.receipt(t, 2, 5, uint64(i+1))
		n.heads[i] = n.head(2, 9, byte(i+1))
	}
	n.third, n.past = n.head(2, 12, 3), n.head(1, 9, 3)
	n.m = contracts.ChallengeReceipt{ChainID: accusedChain, Payout: attestation.Address{Hash: [32]byte{8}}, Head: n.made[0].Head, SignReceipt: n.made[0].Signature}
	n.m.Sign(accusedHolder)
	n.tick(0)
	return n
}

// tick sets the time of the block that proves the record.
func (n *accusedNode) tick(by int64) { n.rec.At.Time = time.Unix(n.now+by, 0) }

func (n *accusedNode) receipt(t *testing.T, epoch uint32, index, price uint64) *receipt.Receipt {
	t.Helper()
	r := &receipt.Receipt{Body: receipt.Body{Engine: "test", Finish: receipt.Complete, Price: price}}
	r.Head = receipt.Head{Node: n.rec.Address, Epoch: epoch, Index: index, Time: uint32(n.now) - 3600, Holder: receipt.Holder(pub(accusedHolder))}
	n.sign(t, r)
	return r
}

func (n *accusedNode) sign(t *testing.T, r *receipt.Receipt) {
	t.Helper()
	body, err := receipt.EncodeBody(&r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Head.BodyDigest = digestOf(body)
	r.Signature = [64]byte(ed25519.Sign(accusedReceiptKey, r.Head.AppendTo(nil)))
}

func (n *accusedNode) head(epoch uint32, size uint64, root byte) *LogHead {
	c := translog.Checkpoint{ChainID: accusedChain, Node: n.rec.Address, Epoch: epoch, Size: size, Root: [32]byte{root}}
	return &LogHead{n.rec.Address, contracts.SignedHead{Anchor: contracts.Anchor{Epoch: epoch, Size: size, Root: c.Root}, Signature: c.SignAnchor(accusedLogKey)}}
}

// The four ways to accuse.
func (n *accusedNode) receipts() (*Fault, error) { return reportReceipts(n.rec, n.made[0], n.made[1]) }

func (n *accusedNode) twoHeads() (*Fault, error) {
	return reportHeads(n.rec, accusedChain, n.heads[0], n.heads[1])
}

func (n *accusedNode) missing() (*Fault, error) { return challengeReceipt(n.rec, n.made[0], &n.m) }

func (n *accusedNode) log() (*Fault, error) {
	return challengeLog(n.rec, accusedChain, n.heads[0], n.third)
}

// Nodes judge by the parameters that they took when they registered: so does who
// accuses them, whatever the registry says by now.
func TestFaultByOwnParameters(t *testing.T) {
	n := newAccused(t)
	p := n.rec.State.Params
	p.ChallengeBond, p.ReceiptLoss, p.ForkLoss, p.AnswerWindow, p.MergeDelay, p.Unbonding = 3e9, 10e9, 100e9, 86400, 3600, 200_000
	for name, c := range map[string]struct {
		accuse            func() (*Fault, error)
		value, bond, loss uint64
		reward            uint64
		until             int64
		stake             uint64
	}{
		"receipts":               {n.receipts, contracts.ValueReport, 0, 10e9, 5e9, 0, 150e9},
		"heads":                  {n.twoHeads, contracts.ValueReport, 0, 100e9, 50e9, 0, 150e9},
		"missing":                {n.missing, 3e9 + contracts.ValueChallenge, 3e9, 10e9, 0, n.now + 86400, 150e9},
		"log":                    {n.log, 3e9 + contracts.ValueChallenge, 3e9, 100e9, 0, n.now + 86400, 150e9},
		"little is left":         {n.twoHeads, contracts.ValueReport, 0, 7, 3, 0, 7},
		"a registration is left": {n.receipts, contracts.ValueReport, 0, 0, 0, 0, 0},
	} {
		n.rec.State.Stake = c.stake
		f, err := c.accuse()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Value != c.value || f.Bond != c.bond || f.Loss != c.loss || f.Reward != c.reward || f.Node != n.rec.Address || !f.Until.IsZero() && f.Until.Unix() != c.until || f.Until.IsZero() != (c.until == 0) {
			t.Errorf("%s: %+v", name, f)
		}
		if body, err := f.Message(7).Body(); err != nil || body == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	n.rec.State.Stake = 150e9
	// A receipt of an hour ago: the merge delay is just over, the window just open.
	n.tick(-1)
	wantForeseen(t, "merge delay", contracts.CodeTooEarly, n.missing)
	n.tick(200_000 - 86400 - 3600)
	if _, err := n.missing(); err != nil {
		t.Error(err)
	}
	n.tick(200_000 - 86400 - 3600 + 1)
	wantForeseen(t, "window", contracts.CodeTooLate, n.missing)
	n.tick(1000 + 200_000 - 86400)
	if _, err := n.log(); err != nil {
		t.Error(err)
	}
	n.tick(1000 + 200_000 - 86400 + 1)
	wantForeseen(t, "window of the log", contracts.CodeTooLate, n.log)
}

func wantForeseen(t *testing.T, name string, code int, accuse func() (*Fault, error)) {
	t.Helper()
	f, err := accuse()
	var foreseen *ForeseenError
	var refused *attestation.RefusedError
	if f != nil || !errors.As(err, &refused) || !errors.As(err, &foreseen) || foreseen.Code != code {
		t.Errorf("%s: %+v, %v", name, f, err)
	}
}

// Everything for which the contract would refuse is found in the record before.
func TestForeseen(t *testing.T) {
	for name, c := range map[string]struct {
		code   int
		change func(*accusedNode)
		accuse string // which of the ways; each by default
	}{
		"never registered":   {contracts.CodeEpoch, func(n *accusedNode) { n.rec.State.Params = nil }, "rhml"},
		"epoch is forgotten": {contracts.CodeEpoch, func(n *accusedNode) { n.rec.Current = 3; delete(n.rec.Epochs, 2) }, "rhml"},
		"nothing left": {contracts.CodeNoStake, func(n *accusedNode) {
			n.rec.State.Stake, n.rec.State.Status = 0, contracts.StatusInactive
		}, "rhml"},
		"nothing left of an expired one": {contracts.CodeNoStake, func(n *accusedNode) { n.rec.State.Stake, n.rec.State.Expires = 0, uint32(n.now) }, "rhml"},
		"paid for": {contracts.CodeSettled, func(n *accusedNode) {
			n.rec.State.Book.Settled[(&contracts.ReportReceipts{A: [124]byte(n.made[0].Head.AppendTo(nil))}).ID()] = true
			n.rec.State.Book.Settled[(&contracts.ReportHeads{A: n.heads[0].Anchor}).ID()] = true
			n.rec.State.Book.Settled[n.made[0].Head.LeafHash()] = true
			n.rec.State.Book.Settled[n.logID()] = true
		}, "rhml"},
		"open": {contracts.CodeOpen, func(n *accusedNode) {
			n.rec.State.Book.Challenges[n.made[0].Head.LeafHash()] = contracts.Challenge{}
			n.rec.State.Book.Challenges[n.logID()] = contracts.Challenge{}
		}, "ml"},
		"an old epoch's head": {contracts.CodeTooLate, func(n *accusedNode) {
			n.heads[0] = n.past
			n.rec.State.Past[1] = contracts.PastEpoch{ClosedAt: uint32(n.now) - 5*86400 - 1}
		}, "l"},
	} {
		n := newAccused(t)
		c.change(n)
		for way, accuse := range map[string]func() (*Fault, error){"r": n.receipts, "h": n.twoHeads, "m": n.missing, "l": n.log} {
			if strings.Contains(c.accuse, way) {
				wantForeseen(t, name+" "+way, c.code, accuse)
			} else if _, err := accuse(); way != "h" && err != nil {
				t.Errorf("%s %s: %v", name, way, err)
			}
		}
	}
	n := newAccused(t) // unbonding stake can be lost too, and so can that of an old epoch
	n.rec.State.Stake, n.rec.State.Unbonding, n.rec.State.Status = 0, 1, contracts.StatusInactive
	n.heads[0] = n.past
	for name, accuse := range map[string]func() (*Fault, error){"receipts": n.receipts, "missing": n.missing, "log": n.log} {
		if _, err := accuse(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (n *accusedNode) logID() [32]byte {
	return (&contracts.ChallengeLog{Head: n.heads[0].SignedHead, Other: &n.third.SignedHead}).ID(contracts.Anchor{})
}

// What proves nothing is not sent.
func TestNoFault(t *testing.T) {
	for name, c := range map[string]struct {
		code   int
		change func(*accusedNode)
		accuse func(*accusedNode) (*Fault, error)
	}{
		"first receipt's signature":          {2, func(n *accusedNode) { n.made[0].Signature[1] ^= 1 }, (*accusedNode).receipts},
		"second receipt's signature":         {2, func(n *accusedNode) { n.made[1].Signature[1] ^= 1 }, (*accusedNode).receipts},
		"another body":                       {2, func(n *accusedNode) { n.made[1].Body.Price++ }, (*accusedNode).receipts},
		"receipts of an epoch to come":       {5, func(n *accusedNode) { n.made[0].Head.Epoch = 3 }, (*accusedNode).receipts},
		"first head's signature":             {2, func(n *accusedNode) { n.heads[0].Signature[1] ^= 1 }, (*accusedNode).twoHeads},
		"second head's signature":            {2, func(n *accusedNode) { n.heads[1].Signature[1] ^= 1 }, (*accusedNode).twoHeads},
		"heads for another chain":            {2, func(n *accusedNode) { n.heads[1].Signature = n.onChain(-239) }, (*accusedNode).twoHeads},
		"the challenged receipt's signature": {2, func(n *accusedNode) { n.made[0].Signature[1] ^= 1 }, (*accusedNode).missing},
		"another holder":                     {1, func(n *accusedNode) { n.m.HolderKey[1] ^= 1 }, (*accusedNode).missing},
		"the challenged head's signature":    {2, func(n *accusedNode) { n.heads[0].Signature[1] ^= 1 }, (*accusedNode).log},
		"the other head's signature":         {2, func(n *accusedNode) { n.third.Signature[1] ^= 1 }, (*accusedNode).log},
		"a head of an epoch to come":         {5, func(n *accusedNode) { n.third.Epoch = 3 }, (*accusedNode).log},
	} {
		n := newAccused(t)
		c.change(n)
		if f, err := c.accuse(n); f != nil || attestation.ExitCode(err) != c.code {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
	n := newAccused(t)
	elsewhere := *n.third
	elsewhere.Node.Hash[1] ^= 1
	empty := *n.third
	empty.Size = 0
	for name, err := range map[string]error{
		"one head":           OneSize(n.heads[0], n.heads[0]),
		"two sizes":          OneSize(n.heads[0], n.third),
		"two epochs":         OneSize(n.heads[0], n.past),
		"two nodes":          OneSize(n.third, &elsewhere),
		"log of two nodes":   mayDiffer(n.third, &elsewhere),
		"log of nothing":     mayDiffer(n.third, &empty),
		"log of one head":    mayDiffer(n.third, n.third),
		"log of a report":    mayDiffer(n.heads[0], n.heads[1]),
		"one receipt":        OneIndex(&n.made[0].Head, &n.made[0].Head),
		"two indexes":        OneIndex(&n.made[0].Head, &n.receipt(t, 2, 6, 1).Head),
		"epochs of an index": OneIndex(&n.made[0].Head, &n.receipt(t, 1, 5, 1).Head),
	} {
		var bad *attestation.InputError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := mayDiffer(n.heads[0], n.past); err != nil { // one size, two epochs: only a challenge is of use
		t.Error(err)
	}
}

func (n *accusedNode) onChain(id int32) [64]byte {
	c := translog.Checkpoint{ChainID: id, Node: n.rec.Address, Epoch: 2, Size: 9, Root: [32]byte{2}}
	return c.SignAnchor(accusedLogKey)
}

// A challenge of a log is found again by its heads, or by one of them.
func TestOpenLogChallenge(t *testing.T) {
	n := newAccused(t)
	a, b := n.heads[0], n.third
	id, me := n.logID(), attestation.Address{Hash: [32]byte{4}}
	n.rec.State.Book.Challenges[[32]byte{1}] = contracts.Challenge{Number: a.Size, Hash: a.Root, Payout: me} // about a receipt
	n.rec.State.Book.Challenges[[32]byte{2}] = contracts.Challenge{Log: true, Number: a.Size, Hash: a.Root}  // of somebody else
	if _, _, ok := OpenLogChallenge(n.rec, a, nil, me); ok {
		t.Error("none is open")
	}
	if got, _, ok := OpenLogChallenge(n.rec, b, a, me); ok || got != id {
		t.Errorf("%x, %v", got, ok)
	}
	n.rec.State.Book.Challenges[id] = contracts.Challenge{Log: true, Number: a.Size, Hash: a.Root, Size: b.Size, Root: b.Root, Deadline: 9, Payout: me}
	for _, heads := range [][2]*LogHead{{a, b}, {b, a}, {a, nil}, {b, nil}} {
		if got, c, ok := OpenLogChallenge(n.rec, heads[0], heads[1], me); !ok || got != id || c.Deadline != 9 {
			t.Errorf("%x, %v", got, ok)
		}
	}
	for _, other := range []*LogHead{n.heads[1], n.past} {
		if _, _, ok := OpenLogChallenge(n.rec, other, nil, me); ok {
			t.Error("it is about others")
		}
	}
}
