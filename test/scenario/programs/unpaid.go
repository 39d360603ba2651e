package programs

import (
	"context"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// unpaid makes the script command of this name: it runs a command, and compares the
// exit code, and how often the wallet of a key has sent something before and after on
// the network of a config. What the wallet holds says less: the rest of an earlier
// payment may come back at any time.
func unpaid(config string, wallet func(*testscript.TestScript) string, now func(*testscript.TestScript) func() time.Time) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: unpaid CODE PROGRAM ARG...")
		}
		read := func(name string) string { return ts.ReadFile(ts.MkAbs(name)) }
		key := read(wallet(ts))
		before := sentBy(ts, read(config), key, now(ts))
		runs(ts, false, args)
		if after := sentBy(ts, read(config), key, now(ts)); after != before {
			ts.Fatalf("the wallet was at sequence number %d, and then at %d", before, after)
		}
	}
}

// sentBy is the sequence number of a wallet.
func sentBy(ts *testscript.TestScript, config, wallet string, now func() time.Time) uint64 {
	ctx, cancel := context.WithTimeout(context.Background(), networkWait)
	defer cancel()
	cfg, err := chain.ParseGlobalConfig([]byte(config))
	ts.Check(err)
	key, err := chain.ParseWalletKey(wallet)
	ts.Check(err)
	c, err := chain.Dial(ctx, cfg, chain.WithClock(now))
	ts.Check(err)
	defer c.Close()
	id, err := c.ChainID(ctx)
	ts.Check(err)
	w, err := chain.NewWallet(key, id)
	ts.Check(err)
	acc, err := c.Account(ctx, w.Address())
	ts.Check(err)
	n, err := seqno(acc)
	ts.Check(err)
	return n
}

// seqno reads the sequence number of a V5R1 wallet: after the bit that allows
// signatures, 32 bits.
func seqno(acc *chain.Account) (uint64, error) {
	if !acc.Active() {
		return 0, nil // it has sent nothing yet
	}
	s, err := acc.Data.BeginParse()
	if err != nil {
		return 0, err
	}
	if _, err := s.LoadBoolBit(); err != nil {
		return 0, attestation.BadInput("wallet: %w", err)
	}
	return s.LoadUInt(32)
}
