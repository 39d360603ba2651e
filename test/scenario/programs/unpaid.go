package programs

import (
	"context"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cocoon-go/cocoon/chain"
)

// unpaid makes the script command of this name: it runs a command, and compares the
// exit code, and what the wallet of a key holds before and after on the network of a
// config.
func unpaid(config string, wallet func(*testscript.TestScript) string, now func(*testscript.TestScript) func() time.Time) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 2 {
			ts.Fatalf("usage: unpaid CODE PROGRAM ARG...")
		}
		read := func(name string) string { return ts.ReadFile(ts.MkAbs(name)) }
		key := read(wallet(ts))
		before := held(ts, read(config), key, now(ts))
		runs(ts, false, args)
		if after := held(ts, read(config), key, now(ts)); after != before {
			ts.Fatalf("the wallet held %s nano, and then %s", before, after)
		}
	}
}

// held is what a wallet holds, in nano coins.
func held(ts *testscript.TestScript, config, wallet string, now func() time.Time) string {
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
	return acc.Balance.String()
}
