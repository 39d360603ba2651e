package contracts

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

const aggregatorPage = "aggregator-log.md"

// aggregateLeaf is the leaf of aggregator-log.md, section 3.
func aggregateLeaf(c translog.Checkpoint, signature [64]byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte("CCG1"), uint32(c.ChainID))
	b = binary.BigEndian.AppendUint32(c.Node.AppendTo(b), c.Epoch)
	b = append(binary.BigEndian.AppendUint64(b, c.Size), c.Root[:]...)
	return append(b, signature[:]...)
}

func aggregateLeafHash(leaf []byte) [32]byte { return sha256.Sum256(append([]byte{0}, leaf...)) }

// aggregateDigest is what an aggregator signs, section 5.
func aggregateDigest(chain int32, at attestation.Address, size uint64, root [32]byte) [32]byte {
	b := binary.BigEndian.AppendUint32([]byte("cocoon/aggregate/v1\n"), uint32(chain))
	b = binary.BigEndian.AppendUint64(at.AppendTo(b), size)
	return sha256.Sum256(append(b, root[:]...))
}

// TestAggregatorSpecification compares the page's example with its definitions.
func TestAggregatorSpecification(t *testing.T) {
	node := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	aggregator := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	c := translog.Checkpoint{ChainID: -239, Node: account(0x11), Epoch: 3, Size: 1235} // that of log.md
	if _, err := hex.Decode(c.Root[:], []byte("4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2")); err != nil {
		t.Fatal(err)
	}
	signature := c.SignAnchor(node)
	leaf := aggregateLeaf(c, signature)
	hash := aggregateLeafHash(leaf)

	log := newTestLog(t, 0)
	for i := range byte(5) {
		if i == 2 {
			log.add(hash)
		} else {
			log.add(of32(i))
		}
	}
	root := log.root(5)
	proof := log.inclusion(2, 5)
	if err := translog.VerifyInclusion(hash, 2, 5, root, proof); err != nil {
		t.Error(err)
	}
	digest := aggregateDigest(-239, account(0x77), 5, root)
	logKey, aggregatorKey := pub(node), pub(aggregator)
	var list []byte
	for _, h := range proof {
		list = append(list, h[:]...)
	}
	checkExample(t, aggregatorPage, map[string][]byte{
		"node key": logKey[:], "leaf": leaf, "leaf hash": hash[:], "proof": list, "root": root[:],
		"digest": digest[:], "aggregator key": aggregatorKey[:], "signature": ed25519.Sign(aggregator, digest[:]),
	})
}

// TestAggregatorLeafAnchors checks what the page builds on: who has a leaf can
// anchor it on the node's own contract, and the two leaves of a fork cost the
// node its stake.
func TestAggregatorLeafAnchors(t *testing.T) {
	l := newFaulty(t)
	leafOf := func(size uint64, root [32]byte) []byte {
		c := translog.Checkpoint{ChainID: tvmtest.GlobalID, Node: l.node, Epoch: 1, Size: size, Root: root}
		return aggregateLeaf(c, c.SignAnchor(logKey(1)))
	}
	// Only the bytes of leaves are used from here on.
	head := func(leaf []byte) SignedHead {
		if len(leaf) != 152 || string(leaf[:4]) != "CCG1" {
			t.Fatalf("leaf %x", leaf)
		}
		return SignedHead{
			Anchor{binary.BigEndian.Uint32(leaf[44:]), binary.BigEndian.Uint64(leaf[48:]), [32]byte(leaf[56:88])},
			[64]byte(leaf[88:]),
		}
	}
	log := newTestLog(t, 40)
	a := head(leafOf(40, log.root(40)))
	good(t, l.send(l.anybody, ValueSmall, internal(&AnchorExternal{a.Anchor, a.Signature})))
	if s := l.nodeState(); s.Anchor != a.Anchor {
		t.Errorf("anchored %+v", s.Anchor)
	}
	b := head(leafOf(40, [32]byte{1}))
	before := l.nodeState()
	txs := l.send(l.anybody, ValueReport, &ReportHeads{QueryID: 1, A: a.Anchor, B: b.Anchor, SignA: a.Signature, SignB: b.Signature})
	done(t, l.anybody, 0)
	l.wantSlashed(before, txs, l.anybody, l.params.ForkLoss)

	// A log that does not go on where a leaf said it was is challenged by both.
	l = newFaulty(t)
	older, newer := head(leafOf(20, [32]byte{2})), head(leafOf(40, log.root(40)))
	g := &logged{lone: l, log: log}
	id, c := g.openLog(&ChallengeLog{QueryID: 1, Head: older, Other: &newer})
	if c.Number != 20 || c.Size != 40 || c.Verify(log.consistency(20, 40)) == nil {
		t.Errorf("open is %+v", c)
	}
	l.Now = c.Deadline + 1
	before = l.nodeState()
	txs = l.send(l.anybody, ValueReport, &Settle{Challenge: id})
	l.wantLost(before, txs, l.anybody, l.params.ForkLoss, l.params.ChallengeBond)
}
