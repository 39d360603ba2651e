package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/devnet/network"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/test/scenario/programs"
)

// court is a network with a node that lies, and a wallet that accuses it.
type court struct {
	*testing.T
	dir  string
	liar *programs.Liar
	net  *network.Network
}

func newCourt(t *testing.T) *court {
	t.Helper()
	c := &court{T: t, dir: t.TempDir()}
	program := filepath.Join(c.dir, "program")
	if err := os.WriteFile(program, []byte("a liar"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := simdevice.Measurement(program)
	if err != nil {
		t.Fatal(err)
	}
	c.net, err = network.Start(t.Context(), network.Options{
		Dir: c.dir, Measurements: [][32]byte{m},
		Params: func(p *contracts.Params) {
			p.MinStake, p.ForkLoss, p.ReceiptLoss, p.MergeDelay = 5e9, 2e9, 1e9, 2
		},
		Chain: devnet.Options{BlockInterval: 20 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.net.Close() })
	if c.liar, err = programs.NewLiar(t.Context(), c.net, 0, program, filepath.Join(c.dir, "operator"), 6e9, time.Now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.liar.Close() })
	c.fund("wallet.key")
	return c
}

// fund makes the key of a wallet with 10 coins.
func (c *court) fund(name string) {
	c.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		c.Fatal(err)
	}
	w, err := chain.NewWallet(key, c.net.Chain.GlobalID())
	if err != nil {
		c.Fatal(err)
	}
	if err := c.net.Chain.Faucet(c.Context(), w.Address(), 10e9); err != nil {
		c.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(hex.EncodeToString(key.Seed())), 0o600); err != nil {
		c.Fatal(err)
	}
}

// run runs a command with the network's files, and compares exit code and what it
// says with it. It returns what it printed.
func (c *court) run(code int, says string, args ...string) map[string]any {
	c.Helper()
	return c.runIn(c.Context(), code, says, args...)
}

func (c *court) runIn(ctx context.Context, code int, says string, args ...string) map[string]any {
	c.Helper()
	at := func(name string) string { return filepath.Join(c.dir, name) }
	for i, a := range args {
		if strings.Contains(a, ".") && !strings.HasPrefix(a, "-") {
			args[i] = at(a)
		}
	}
	flags := []string{args[0], "--json", "--policy", at(network.PolicyFile), "--ton-config", at(network.TONFile), "--registry", at(network.RegistryFile)}
	if args[0] == "report" || args[0] == "challenge" {
		flags = append(flags, "--wallet", at("wallet.key"))
	}
	args = append(flags, args[1:]...)
	var out, errs bytes.Buffer
	if got := app().Run(ctx, args, strings.NewReader(""), &out, &errs); got != code || !strings.Contains(errs.String(), says) {
		c.Fatalf("%v: exit code %d, want %d and %q: %s", args[len(flags):], got, code, says, errs.String())
	}
	var v map[string]any
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		c.Fatal(err)
	}
	return v
}

// unpaid checks that no payment was begun in this directory.
func (c *court) unpaid() {
	c.Helper()
	if _, err := os.Stat(filepath.Join(c.dir, "payments")); err == nil {
		c.Fatal("it remembers a payment")
	}
}

// write writes what the liar signed.
func (c *court) write(name string, v interface{ Encode() ([]byte, error) }) {
	c.Helper()
	data, err := v.Encode()
	if err == nil {
		err = os.WriteFile(filepath.Join(c.dir, name), data, 0o600)
	}
	if err != nil {
		c.Fatal(err)
	}
}

func (c *court) receipt(name string, index, price uint64) {
	c.Helper()
	r, err := c.liar.Receipt(index, time.Now(), price)
	if err != nil {
		c.Fatal(err)
	}
	c.write(name, r)
}

func (c *court) head(name string, leaves int, branch byte) *client.LogHead {
	c.Helper()
	h, err := c.liar.Sign(programs.Leaves(leaves, branch))
	if err != nil {
		c.Fatal(err)
	}
	c.write(name, h)
	return h
}

func (c *court) anchor(leaves int, branch byte) {
	c.Helper()
	if err := c.liar.AnchorLog(c.Context(), programs.Leaves(leaves, branch)); err != nil {
		c.Fatal(err)
	}
}

// stake checks what the node has left.
func (c *court) stake(want uint64) {
	c.Helper()
	rec, err := c.liar.Record(c.Context())
	if err != nil || rec.Stake != want {
		c.Fatalf("the stake is %d, want %d, %v", rec.Stake, want, err)
	}
}

func is(t *testing.T, v map[string]any, key string, want any) {
	t.Helper()
	if v[key] != want {
		t.Errorf("%s is %v, want %v", key, v[key], want)
	}
}

// A node that gave one index twice loses stake through the command, once, and who
// reports it collects. What proves nothing costs nothing.
func TestReportReceipts(t *testing.T) {
	c := newCourt(t)
	c.receipt("a.receipt", 3, 1)
	c.receipt("b.receipt", 3, 2)
	c.receipt("c.receipt", 4, 2)
	forged, err := c.liar.Receipt(3, time.Now(), 4)
	if err != nil {
		t.Fatal(err)
	}
	forged.Receipt.Signature[5] ^= 1
	c.write("forged.receipt", forged)
	c.run(1, "these are one receipt", "report", "a.receipt", "a.receipt")
	c.run(1, "both may be right", "report", "a.receipt", "c.receipt")
	c.run(1, "which contradicts nothing", "report", "a.receipt")
	c.run(2, "not signed by the receipt key of epoch 1", "report", "a.receipt", "forged.receipt")
	c.run(4, "belongs to registry", "report", "a.receipt", "b.receipt", "--registry", "0:"+strings.Repeat("01", 32))
	c.unpaid()
	c.run(4, "owes this wallet nothing", "report", "a.receipt", "b.receipt", "--collect")

	v := c.run(0, "", "report", "a.receipt", "b.receipt")
	is(t, v, "status", "inactive")
	is(t, v, "stake_nano", 5e9)
	is(t, v, "owed_nano", 0.5e9)
	is(t, v, "simulated", true)
	c.run(4, "ERR_SETTLED", "report", "a.receipt", "b.receipt")
	c.run(4, "ERR_SETTLED", "report", "b.receipt", "a.receipt")
	c.stake(5e9)
	is(t, c.run(0, "", "report", "a.receipt", "b.receipt", "--collect"), "collected_nano", 0.5e9)
	c.run(4, "owes this wallet nothing", "report", "a.receipt", "b.receipt", "--collect")
}

// A node whose log has two heads of one size loses its stake's larger part, whether
// both heads are files or one of them is the anchor.
func TestReportHeads(t *testing.T) {
	c := newCourt(t)
	c.anchor(3, 0)
	c.head("fork.head", 3, 1)
	c.head("same.head", 3, 0)
	c.head("other.head", 4, 0)
	c.head("fork4.head", 4, 1)
	c.receipt("a.receipt", 3, 1)
	forged := c.head("forged.head", 3, 2)
	forged.Signature[5] ^= 1
	c.write("forged.head", forged)
	c.run(1, "they prove nothing", "report", "same.head", "same.head")
	c.run(1, "this very head", "report", "same.head")
	c.run(1, "both may be right", "report", "same.head", "other.head")
	c.run(1, "none of the node's last transactions anchored 4 receipts in epoch 1", "report", "other.head")
	c.run(1, "contradict nothing", "report", "a.receipt", "other.head")
	c.run(1, "neither a receipt, a proof nor a log head", "report", network.PolicyFile)
	c.run(2, "not signed by the log key of epoch 1", "report", "forged.head")
	c.unpaid()

	v := c.run(0, "", "report", "fork.head")
	is(t, v, "status", "inactive")
	is(t, v, "stake_nano", 4e9)
	is(t, v, "owed_nano", 1e9)
	c.run(4, "ERR_SETTLED", "report", "fork.head", "same.head")
	is(t, c.run(0, "", "report", "fork.head", "--collect"), "collected_nano", 1e9)
	v = c.run(0, "", "report", "other.head", "fork4.head")
	is(t, v, "stake_nano", 2e9)
	c.head("fork5.head", 5, 1)
	c.head("other5.head", 5, 0)
	c.run(0, "", "report", "other5.head", "fork5.head")
	c.stake(0)
	c.head("fork6.head", 6, 1)
	c.head("other6.head", 6, 0)
	c.run(4, "ERR_NO_STAKE", "report", "other6.head", "fork6.head")
	is(t, c.run(0, "", "report", "other5.head", "fork5.head", "--collect"), "collected_nano", 2e9)
}

// What a challenge of the log would be refused for, or would lose, is found out
// before it is paid for.
func TestChallengeLog(t *testing.T) {
	c := newCourt(t)
	c.head("early.head", 2, 0)
	c.run(4, "the node has no anchor yet", "challenge", "--log", "early.head")
	c.anchor(4, 0)
	c.liar.Serve(programs.Leaves(4, 0))
	c.head("honest.head", 3, 0)
	c.head("fork.head", 3, 1)
	c.head("fork4.head", 4, 1)
	c.head("larger.head", 6, 1)
	c.receipt("a.receipt", 3, 1)
	c.run(1, "holds no log head", "challenge", "--log", "a.receipt")
	c.run(1, "`cocoon report` takes them to the chain", "challenge", "--log", "fork4.head")
	c.run(4, "a challenge would be lost", "challenge", "--log", "honest.head")
	c.run(3, "--unread sends it all the same", "challenge", "--log", "larger.head") // its tiles are not served
	c.unpaid()

	v := c.run(0, "", "challenge", "--log", "fork.head")
	is(t, v, "bond_nano", 0.1e9)
	is(t, v, "loss_nano", 2e9)
	c.run(4, "ERR_OPEN", "challenge", "--log", "fork.head")
	c.anchor(5, 0)
	c.run(4, "ERR_OPEN", "challenge", "--log", "fork.head") // the anchor is another one now
	c.run(4, "the node may answer until ", "challenge", "--log", "fork.head", "--collect")
	c.liar.Serve(programs.Leaves(6, 1))
	c.run(4, "has both heads", "challenge", "--log", "larger.head", "fork.head")
	c.run(0, "", "challenge", "--log", "larger.head", "honest.head")
}

// A node that anchors another log than before is seen, and the anchor that shows it
// is what a challenge needs.
func TestRewrittenLog(t *testing.T) {
	c := newCourt(t)
	node := c.liar.Node.String()
	c.anchor(3, 0)
	c.anchor(4, 0)
	c.liar.Serve(programs.Leaves(4, 0))
	v := c.run(3, "404", "node", node)
	log := v["relay"].([]any)[2].(map[string]any)
	if detail, _ := log["detail"].(string); log["outcome"] != "pass" || !strings.HasSuffix(detail, "; earlier anchors that it continues: 1") {
		t.Errorf("%v", log)
	}
	c.anchor(6, 1)
	c.liar.Serve(programs.Leaves(6, 1))
	c.run(2, "--save-head FILE", "node", node, "--save-head", "old.head")
	data, err := os.ReadFile(filepath.Join(c.dir, "old.head"))
	if err != nil {
		t.Fatal(err)
	}
	if h, err := client.ParseLogHead(data); err != nil || h.Size != 4 {
		t.Errorf("%+v, %v", h, err)
	}
	c.run(1, "this very head", "report", "old.head")
	is(t, c.run(0, "", "challenge", "--log", "old.head"), "loss_nano", 2e9)
}

// A report and a challenge whose command ends when they are on their way are paid
// once: the same command again says so.
func TestAccusedOnce(t *testing.T) {
	c := newCourt(t)
	c.anchor(4, 0)
	c.liar.Serve(programs.Leaves(4, 0))
	c.head("fork.head", 3, 1)
	c.head("fork2.head", 3, 2)
	c.receipt("a.receipt", 3, 1)
	c.receipt("b.receipt", 3, 2)
	c.receipt("d.receipt", 4, 1)
	c.receipt("e.receipt", 4, 2)
	isSend := func(q tl.Serializable) bool { _, ok := q.(ton.SendMessage); return ok }
	ls := c.net.Chain.Liteservers()[0]
	for _, once := range []struct {
		fault devnet.Fault
		args  []string
	}{
		{devnet.Fault{Drop: true}, []string{"challenge", "--log", "fork.head"}}, // taken, and no answer
		{devnet.Fault{Refuse: true}, []string{"challenge", "--log", "fork2.head"}},
		{devnet.Fault{Drop: true}, []string{"report", "a.receipt", "b.receipt"}},
		{devnet.Fault{Refuse: true}, []string{"report", "d.receipt", "e.receipt"}},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		once.fault.Match = func(q tl.Serializable) bool {
			if isSend(q) {
				cancel()
			}
			return isSend(q)
		}
		ls.Inject(once.fault)
		c.runIn(ctx, 1, "interrupted", slices.Clone(once.args)...)
		ls.Inject(devnet.Fault{})
		c.run(0, "nothing was paid for it again", slices.Clone(once.args)...)
	}
	rec, err := c.liar.Record(t.Context())
	if err != nil || len(rec.State.Book.Challenges) != 2 || rec.Stake != 4e9 || rec.State.Owed != 2*0.1e9+2*0.5e9 {
		t.Errorf("%+v, %v", rec.State, err)
	}
}
