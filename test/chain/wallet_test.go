package chain

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/internal/command"
)

const (
	// budget is what the wallet must hold, in nano.
	budget = 1_000_000_000
	// stepTimeout is how long the chain may take for a message and its answer.
	stepTimeout = 3 * time.Minute
)

// network returns the files that say which chain and whose money: those of the
// environment, or those of a dev chain with a wallet that a faucet funded.
func network(t *testing.T) (config, seed string) {
	t.Helper()
	config, seed = os.Getenv("COCOON_TON_CONFIG"), os.Getenv("COCOON_TON_SEED")
	if (config == "") != (seed == "") {
		t.Fatal("want both COCOON_TON_CONFIG and COCOON_TON_SEED, or none")
	}
	if config != "" {
		return config, seed
	}
	return devChain(t, devnet.Options{BlockInterval: 50 * time.Millisecond, Validators: 3, Liteservers: 2, DeferInternal: true})
}

// devChain starts a dev chain with a wallet that holds a little more than the
// scenario needs.
func devChain(t *testing.T, o devnet.Options) (config, seed string) {
	t.Helper()
	c, err := devnet.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w, err := chain.NewWallet(key, c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Faucet(t.Context(), w.Address(), budget+1); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config, seed = filepath.Join(dir, "global.json"), filepath.Join(dir, "wallet.seed")
	if err := errors.Join(
		os.WriteFile(config, c.GlobalConfig(), 0o600),
		os.WriteFile(seed, []byte(hex.EncodeToString(key.Seed())), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return config, seed
}

// payer is the wallet that plays all parts.
type payer struct {
	*chain.Writer
	client  *chain.Client
	trusted chain.BlockID
	chainID int32
	run     string // names this run in the ids of its payments
}

func openPayer(t *testing.T, ctx context.Context) *payer {
	t.Helper()
	configFile, seedFile := network(t)
	raw, err := os.ReadFile(configFile)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := chain.ParseGlobalConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(seedFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := chain.ParseWalletKey(string(text))
	if err != nil {
		t.Fatal(err)
	}
	p := &payer{trusted: cfg.Trusted(), run: fmt.Sprintf("scenario-%d", time.Now().UnixNano())}
	if p.client, err = chain.Dial(ctx, cfg, chain.WithTimeout(20*time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.client.Close() })
	if p.chainID, err = p.client.ChainID(ctx); err != nil {
		t.Fatal(err)
	}
	if p.Writer, err = chain.NewWriter(ctx, p.client, key, nil); err != nil {
		t.Fatal(err)
	}
	have, err := p.balance(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if have < budget {
		t.Fatalf("wallet %s on chain %d holds %s, the scenario needs %s", p.Address(), p.chainID, command.Coins(have), command.Coins(budget))
	}
	t.Logf("chain %d, wallet %s holds %s", p.chainID, p.Address(), command.Coins(have))
	return p
}

func (p *payer) balance(ctx context.Context) (uint64, error) {
	a, err := p.client.Account(ctx, p.Address())
	if err != nil {
		return 0, err
	}
	return a.Balance.Uint64(), nil
}

// query returns a number that answers carry.
func query() uint64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err)
	}
	return binary.BigEndian.Uint64(b[:])
}

type message interface{ Body() (*cell.Cell, error) }

// order is a message to a contract, deployed by it when init is there.
func order(to attestation.Address, init *cell.Cell, value uint64, m message) (chain.Message, error) {
	out := chain.Message{To: to, Amount: new(big.Int).SetUint64(value)}
	if init != nil {
		out.StateInit = &tlb.StateInit{}
		if err := tlb.LoadFromCell(out.StateInit, init.MustBeginParse()); err != nil {
			return out, err
		}
	}
	if m == nil {
		return out, nil
	}
	var err error
	out.Body, err = m.Body()
	return out, err
}

// ask sends messages, the last of which carries the query, and waits for its
// answer. A refusal is an error with the contract's code.
func (p *payer) ask(ctx context.Context, name string, query uint64, msgs ...chain.Message) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	sent, err := p.Send(ctx, p.run+" "+name, msgs...)
	if err != nil {
		return err
	}
	var code int
	_, err = p.client.WaitAccount(ctx, p.Address(), func(a *chain.Account) bool {
		if a.LastLT <= sent.LT {
			return false
		}
		txs, err := p.client.Transactions(ctx, a, 8)
		if err != nil {
			return false
		}
		for _, tx := range txs {
			if c, ok := answer(tx, query); ok && tx.LT > sent.LT {
				code = c
				return true
			}
		}
		return false
	})
	if err == nil && code != 0 {
		err = errors.New("refused: " + contracts.ErrorName(code))
	}
	return err
}

// bounced stands for the code of a message that came back.
const bounced = -1

// answer reads the code that a message to the wallet answers a query with.
func answer(tx chain.Transaction, query uint64) (code int, ok bool) {
	if tx.In == nil || tx.In.MsgType != tlb.MsgTypeInternal {
		return 0, false
	}
	in := tx.In.AsInternal()
	if in.Body == nil {
		return 0, false
	}
	if in.Bounced { // 0xffffffff, operation, query
		s := in.Body.MustBeginParse()
		if s.BitsLeft() < 128 {
			return 0, false
		}
		s.MustLoadUInt(64)
		return bounced, s.MustLoadUInt(64) == query
	}
	if d, err := contracts.ParseDone(in.Body); err == nil {
		return int(d.Code), d.QueryID == query
	}
	v, err := contracts.ParsePayout(in.Body)
	return 0, err == nil && v.QueryID == query
}
