package programs

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/host"
)

// Liar is a registered node whose keys a test has: it signs what the test wants,
// and its relay serves the log that the test gives it.
type Liar struct {
	*host.Operator
	client *chain.Client
	relay  *httptest.Server
	device *simdevice.Device
	now    func() time.Time

	chainID    int32
	epoch      uint32
	receiptKey ed25519.PrivateKey
	logKey     ed25519.PrivateKey
	bundle     *attestation.Bundle

	mu     sync.Mutex
	leaves [][32]byte // that the relay serves; guarded by mu
}

// NewLiar makes one on a network, as the node of a number, with a stake in nano
// coins. It says that it runs the program, whose measurement the registry must list.
// Close it when done.
func NewLiar(ctx context.Context, n *network.Network, index uint32, program, dir string, stake uint64, now func() time.Time) (l *Liar, err error) {
	l = &Liar{now: now}
	if l.device, err = simdevice.New(n.Platform, program); err != nil {
		return nil, err
	}
	cfg, err := chain.ParseGlobalConfig(n.Chain.GlobalConfig())
	if err != nil {
		return nil, err
	}
	if l.client, err = chain.Dial(ctx, cfg, chain.WithClock(now)); err != nil {
		return nil, err
	}
	if l.Operator, err = host.OpenOperator(ctx, l.client, n.Operator, n.Registry, index, dir); err != nil {
		l.client.Close()
		return nil, err
	}
	l.relay = httptest.NewServer(http.HandlerFunc(l.serve))
	if err := l.begin(ctx, stake); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Liar) begin(ctx context.Context, stake uint64) error {
	if err := errors.Join(l.Deploy(ctx, contracts.Profile{Endpoint: l.relay.URL}), l.Told()); err != nil {
		return err
	}
	if err := errors.Join(l.Stake(ctx, stake), l.Told()); err != nil {
		return err
	}
	return l.Boot(ctx)
}

// Close ends the relay; the node stays registered.
func (l *Liar) Close() error {
	l.relay.Close()
	return errors.Join(l.Operator.Close(), l.client.Close())
}

// Relay returns the URL of the node's relay.
func (l *Liar) Relay() string { return l.relay.URL }

// Boot registers the next epoch, with new keys.
func (l *Liar) Boot(ctx context.Context) error {
	b, err := l.claim(ctx)
	if err != nil {
		return err
	}
	if err := l.Register(ctx, func(context.Context) (*attestation.Bundle, error) { return b, nil }); err != nil {
		return err
	}
	l.bundle = b
	return l.Told()
}

func (l *Liar) claim(ctx context.Context) (*attestation.Bundle, error) {
	rec, err := l.Record(ctx)
	if err != nil {
		return nil, err
	}
	head, err := l.client.Head(ctx)
	if err != nil {
		return nil, err
	}
	block, err := l.client.Block(ctx, head.Seqno/100*100)
	if err != nil {
		return nil, err
	}
	if l.chainID, err = l.client.ChainID(ctx); err != nil {
		return nil, err
	}
	l.epoch = rec.Current + 1
	c := &attestation.Claims{
		Heads: attestation.Heads{ChainID: l.chainID, Node: l.Node, Epoch: l.epoch, BlockSeqno: block.Seqno, BlockRoot: block.RootHash},
		Body: attestation.Body{
			KeyConfigs: []attestation.KeyConfig{{Config: []byte{1}, NotBefore: time.Unix(1, 0), NotAfter: time.Unix(2, 0)}},
			Models:     []attestation.Model{{Name: "m", Digest: [32]byte{1}}},
			SelfTest:   attestation.SelfTest{Passed: true}, Software: "test", Created: l.now().Truncate(time.Second), Engine: "test/1",
		},
	}
	var identity ed25519.PrivateKey
	for _, k := range []struct {
		key *ed25519.PrivateKey
		to  *[32]byte
	}{{&l.receiptKey, &c.ReceiptKey}, {&l.logKey, &c.LogKey}, {&identity, &c.IdentityKey}} {
		pub, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		*k.key, *k.to = key, [32]byte(pub)
	}
	if _, _, err := c.Encode(); err != nil {
		return nil, err
	}
	quote, err := l.device.Evidence(ctx, attestation.ReportData(c.Digest(), nil))
	if err != nil {
		return nil, err
	}
	return attestation.NewBundle(c, attestation.Item{Kind: attestation.KindTDX, Data: quote})
}

// Leaves makes a number of leaves of a log; another branch has others.
func Leaves(n int, branch byte) [][32]byte {
	out := make([][32]byte, n)
	for i := range out {
		out[i] = [32]byte{byte(i), branch}
	}
	return out
}

// rootOf returns the root of the log of leaves.
func rootOf(leaves [][32]byte) ([32]byte, error) {
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, leaf := range leaves {
		more, err := tlog.StoredHashesForRecordHash(int64(i), leaf, read)
		if err != nil {
			return [32]byte{}, err
		}
		stored = append(stored, more...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), read)
	return [32]byte(root), err
}

func (l *Liar) checkpoint(leaves [][32]byte) (*translog.Checkpoint, error) {
	root, err := rootOf(leaves)
	return &translog.Checkpoint{ChainID: l.chainID, Node: l.Node, Epoch: l.epoch, Size: uint64(len(leaves)), Root: root}, err
}

// Sign signs the head of the log of leaves for the contract.
func (l *Liar) Sign(leaves [][32]byte) (*client.LogHead, error) {
	cp, err := l.checkpoint(leaves)
	if err != nil {
		return nil, err
	}
	return &client.LogHead{Node: l.Node, SignedHead: contracts.SignedHead{
		Anchor: contracts.Anchor{Epoch: cp.Epoch, Size: cp.Size, Root: cp.Root}, Signature: cp.SignAnchor(l.logKey),
	}}, nil
}

// AnchorLog puts the head of the log of leaves on the chain.
func (l *Liar) AnchorLog(ctx context.Context, leaves [][32]byte) error {
	h, err := l.Sign(leaves)
	if err != nil {
		return err
	}
	return errors.Join(l.Operator.Anchor(ctx, &h.SignedHead), l.Told())
}

// Serve has the relay serve the log of leaves, less than 256 of them.
func (l *Liar) Serve(leaves [][32]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaves = leaves
}

func (l *Liar) serve(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	leaves := l.leaves
	l.mu.Unlock()
	data, err := l.file(strings.TrimPrefix(r.URL.Path, "/log/"), leaves)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(data)
}

func (l *Liar) file(path string, leaves [][32]byte) ([]byte, error) {
	switch path {
	case "checkpoint":
		cp, err := l.checkpoint(leaves)
		if err != nil {
			return nil, err
		}
		return cp.SignNote(l.logKey)
	case "anchor":
		h, err := l.Sign(leaves)
		if err != nil {
			return nil, err
		}
		return json.Marshal(map[string]any{"epoch": h.Epoch, "size": h.Size, "root": h.Root[:], "signature": h.Signature[:]})
	}
	t, err := translog.ParseTilePath(path)
	if err != nil || t.Level != 0 || t.Index != 0 || t.Width > len(leaves) {
		return nil, os.ErrNotExist
	}
	var out []byte
	for _, leaf := range leaves[:t.Width] {
		out = append(out, leaf[:]...)
	}
	return out, nil
}

// Receipt signs a receipt with an index and a time. What tells it from others is its
// price.
func (l *Liar) Receipt(index uint64, made time.Time, price uint64) (*receipt.File, error) {
	f := &receipt.File{HolderSeed: [32]byte{byte(index), byte(price), 1}}
	r := &receipt.Receipt{Body: receipt.Body{ClaimsDigest: l.bundle.Digest(), Engine: "test/1", Sampling: receipt.Sampling{MaxTokens: 1}, Finish: receipt.Complete, Price: price}}
	body, err := receipt.EncodeBody(&r.Body)
	if err != nil {
		return nil, err
	}
	holder := [32]byte(f.HolderKey().Public().(ed25519.PublicKey))
	r.Head = receipt.Head{Node: l.Node, Epoch: l.epoch, Index: index, Time: uint32(made.Unix()), BlockSeqno: 1, Holder: receipt.Holder(holder), BodyDigest: sha256.Sum256(body)}
	r.Signature = [64]byte(ed25519.Sign(l.receiptKey, r.Head.AppendTo(nil)))
	f.Receipt = r
	return f, nil
}
