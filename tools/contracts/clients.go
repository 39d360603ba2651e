package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

const clientsTimeout = 2 * time.Minute

// world is a dev chain with several liteservers and validators, key blocks, and
// a funded wallet, which mines until it is told to rest.
type world struct {
	*devnet.Chain
	dir     string        // with global.json and wallet.json
	trusted chain.BlockID // of global.json
	wallet  attestation.Address
	to      attestation.Address
	nobody  attestation.Address // has no account

	rest func()
}

func newWorld(ctx context.Context) (_ *world, err error) {
	c, err := devnet.Start(devnet.Options{Liteservers: 3, Validators: 4, BlockInterval: -1, DeferInternal: true})
	if err != nil {
		return nil, err
	}
	w := &world{
		Chain: c, to: attestation.Address{Hash: [32]byte{0x51, 1}},
		nobody: attestation.Address{Hash: [32]byte(bytes.Repeat([]byte{0xee}, 32))},
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	seed := bytes.Repeat([]byte{0x42}, ed25519.SeedSize)
	key, err := chain.NewWallet(ed25519.NewKeyFromSeed(seed), c.GlobalID())
	if err != nil {
		return nil, err
	}
	w.wallet = key.Address()
	if w.dir, err = os.MkdirTemp("", "clients"); err != nil {
		return nil, err
	}
	given, err := json.Marshal(map[string]any{
		"seed": hex.EncodeToString(seed), "chain_id": c.GlobalID(), "address": w.wallet.String(), "receiver": w.to.String(),
	})
	if err != nil {
		return nil, err
	}
	if err := c.Faucet(ctx, w.wallet, 100e9); err != nil {
		return nil, err
	}
	cfg, err := chain.ParseGlobalConfig(c.GlobalConfig())
	if err != nil {
		return nil, err
	}
	w.trusted = cfg.Trusted()
	// the trusted block of the file, then two more key blocks
	if err := errors.Join(
		os.WriteFile(filepath.Join(w.dir, "global.json"), c.GlobalConfig(), 0o644),
		os.WriteFile(filepath.Join(w.dir, "wallet.json"), given, 0o600),
	); err != nil {
		return nil, err
	}
	for i := range 2 {
		if err := c.SetParam(-100, cell.BeginCell().MustStoreUInt(uint64(i), 8).EndCell()); err != nil {
			return nil, err
		}
		if err := c.Mine(2); err != nil {
			return nil, err
		}
	}
	w.mine()
	return w, nil
}

// mine makes blocks until rest is called.
func (w *world) mine() {
	stop, done := make(chan struct{}), make(chan struct{})
	w.rest = sync.OnceFunc(func() { close(stop); <-done })
	go func() {
		defer close(done)
		t := time.NewTicker(50 * time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-stop:
				return
			case <-t.C:
				if w.Mine(1) != nil { // the chain was closed
					return
				}
			}
		}
	}()
}

func (w *world) close() {
	if w.rest != nil {
		w.rest()
	}
	w.Chain.Close()
	if w.dir != "" {
		os.RemoveAll(w.dir)
	}
}

// clients lets TON clients that are not ours use and read a dev chain, compares
// what they see with what ours sees, and lets a liteserver lie to them.
func clients(out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), clientsTimeout)
	defer cancel()
	w, err := newWorld(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	if err := honest(ctx, w, out); err != nil {
		return fmt.Errorf("ton-lite-client on a dev chain: %w", err)
	}
	if err := lying(ctx, out); err != nil {
		return err
	}
	return official(ctx, w, out)
}

// view is what liteclient.js prints of a chain at rest.
type view struct {
	Head struct {
		Seqno      uint32
		Root, File string
	}
	Way       struct{ Links, Signatures int }
	Config    string
	KeyBlock  struct{ Seqno uint32 } `json:"key_block"`
	Account   viewAccount
	Receiver  viewAccount
	Absent    viewAccount
	Libraries int
	Seqno     string

	Transactions []struct {
		LT, Hash string
		Out      int
		Fees     string
	}
	Blocks []struct {
		Workchain    int32
		Seqno        uint32
		Root, File   string
		Transactions []string
	}
}

type viewAccount struct {
	Exists     bool
	Balance    string
	LastLT     string `json:"last_lt"`
	LastHash   string `json:"last_hash"`
	Code, Data string
}

// script runs liteclient.js. between is called when it has used the wallet.
func script(ctx context.Context, dir string, between func()) (*view, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "node", filepath.Join(js, "liteclient.js"), dir)
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(stdout)
	_, readErr := lines.ReadBytes('\n') // {"sent":N}
	if readErr == nil {
		between()
		_, readErr = io.WriteString(in, "go on\n")
	}
	rest, err := io.ReadAll(io.LimitReader(lines, 1<<20))
	if err := errors.Join(cmd.Wait(), readErr, err); err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var v view
	return &v, json.Unmarshal(rest, &v)
}

// honest compares what ton-lite-client proves with what our client proves.
func honest(ctx context.Context, w *world, out io.Writer) error {
	v, err := script(ctx, w.dir, w.rest)
	if err != nil {
		return err
	}
	cfg, err := chain.ParseGlobalConfig(w.GlobalConfig())
	if err != nil {
		return err
	}
	cl, err := chain.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := compare(ctx, w, cl, v); err != nil {
		return err
	}
	fmt.Fprintf(out, "contracts: ton-lite-client used and read a dev chain: %d links with %d signatures, %d transactions, %d blocks, all as we see them\n",
		v.Way.Links, v.Way.Signatures, len(v.Transactions), len(v.Blocks))
	return nil
}

func compare(ctx context.Context, w *world, cl *chain.Client, v *view) error {
	head, err := cl.Head(ctx)
	if err != nil {
		return err
	}
	d := &differences{}
	d.want("head", v.Head.Seqno, head.Seqno)
	d.want("root hash of the head", v.Head.Root, hex.EncodeToString(head.RootHash[:]))
	d.want("file hash of the head", v.Head.File, hex.EncodeToString(head.FileHash[:]))
	d.want("configuration", v.Config, hex.EncodeToString(w.Config().Root().Hash()))
	d.want("key block", v.KeyBlock.Seqno, cl.KeyBlock().Seqno)
	d.want("links from the trusted block", v.Way.Links, 3) // over two key blocks
	d.want("signatures", v.Way.Signatures, 12)             // of four validators each
	d.want("get-method seqno", v.Seqno, "3")
	d.want("libraries", v.Libraries, 0)
	for _, a := range []struct {
		name string
		addr attestation.Address
		got  viewAccount
	}{{"wallet", w.wallet, v.Account}, {"receiver", w.to, v.Receiver}, {"nobody", w.nobody, v.Absent}} {
		acc, err := cl.Account(ctx, a.addr)
		if err != nil {
			return err
		}
		d.want(a.name, a.got, viewOf(acc))
	}
	wallet, err := cl.Account(ctx, w.wallet)
	if err != nil {
		return err
	}
	txs, err := cl.Transactions(ctx, wallet, 100)
	if err != nil {
		return err
	}
	d.want("transactions", len(v.Transactions), len(txs))
	for i, t := range txs[:min(len(txs), len(v.Transactions))] {
		got := v.Transactions[i]
		d.want(fmt.Sprintf("transaction %d", i), fmt.Sprint(got.LT, got.Hash, got.Out, got.Fees), fmt.Sprint(fmt.Sprint(t.LT), hex.EncodeToString(t.Hash[:]), len(t.Out), t.Fees.String()))
	}
	for _, b := range v.Blocks {
		if b.Workchain != -1 {
			continue
		}
		ours, err := cl.Block(ctx, b.Seqno)
		if err != nil {
			return err
		}
		d.want(fmt.Sprintf("block %d", b.Seqno), b.Root+b.File, hex.EncodeToString(ours.RootHash[:])+hex.EncodeToString(ours.FileHash[:]))
	}
	listed := slices.ContainsFunc(v.Blocks, func(b struct {
		Workchain    int32
		Seqno        uint32
		Root, File   string
		Transactions []string
	}) bool {
		return slices.Contains(b.Transactions, v.Account.LastHash)
	})
	d.want("the wallet's last transaction is listed in its block", listed, true)
	return errors.Join(*d...)
}

func viewOf(a *chain.Account) viewAccount {
	if !a.Exists {
		return viewAccount{}
	}
	v := viewAccount{Exists: true, Balance: a.Balance.String(), LastLT: fmt.Sprint(a.LastLT), LastHash: hex.EncodeToString(a.LastHash[:])}
	if a.Active() {
		v.Code, v.Data = hex.EncodeToString(a.Code.Hash()), hex.EncodeToString(a.Data.Hash())
	}
	return v
}

// differences collects what is not as wanted.
type differences []error

func (d *differences) want(what string, got, want any) {
	if got != want {
		*d = append(*d, fmt.Errorf("%s: they see %v, we see %v", what, got, want))
	}
}

// lying demands that liteclient.js refuses an answer that was forged: its checks
// are what the comparison stands on.
func lying(ctx context.Context, out io.Writer) error {
	lies := []struct {
		name, reason string
		forge        func(q, honest tl.Serializable) tl.Serializable
	}{
		{"a head that too few signed", "link: too few signatures", func(q, honest tl.Serializable) tl.Serializable {
			p, ok := honest.(ton.PartialBlockProof)
			if !ok {
				return honest
			}
			p.Steps = slices.Clone(p.Steps)
			for i, s := range p.Steps {
				if f, ok := s.(ton.BlockLinkForward); ok {
					set := f.SignatureSet.(ton.SignatureSetOrdinary)
					set.Signatures = set.Signatures[:2]
					f.SignatureSet = set
					p.Steps[i] = f
				}
			}
			return p
		}},
		{"a state with one bit changed", "hash: ", func(q, honest tl.Serializable) tl.Serializable {
			a, ok := honest.(ton.AccountState)
			if _, pruned := q.(ton.GetAccountStatePruned); !ok || pruned || a.State == nil {
				return honest
			}
			s := a.State.MustBeginParse()
			n := s.BitsLeft()
			bits := s.MustLoadSlice(n)
			bits[n/8-1] ^= 1
			b := cell.BeginCell().MustStoreSlice(bits, n)
			for i := range int(a.State.RefsNum()) {
				b.MustStoreRef(a.State.MustPeekRef(i))
			}
			a.State = b.EndCell()
			return a
		}},
		{"a block of other bytes", "block: file hash", func(q, honest tl.Serializable) tl.Serializable {
			b, ok := honest.(ton.BlockData)
			if !ok {
				return honest
			}
			b.Payload = append(bytes.Clone(b.Payload), 0)
			return b
		}},
	}
	for _, lie := range lies {
		w, err := newWorld(ctx)
		if err != nil {
			return err
		}
		_, err = script(ctx, w.dir, func() {
			w.rest()
			for _, l := range w.Liteservers() {
				l.Inject(devnet.Fault{Forge: lie.forge})
			}
		})
		w.close()
		if err == nil || !strings.Contains(err.Error(), lie.reason) {
			return fmt.Errorf("ton-lite-client on a dev chain: %s gives %v, want %q", lie.name, err, lie.reason)
		}
	}
	fmt.Fprintf(out, "contracts: and refused %d lies of its liteservers\n", len(lies))
	return nil
}
