package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet/elsewhere"
	"github.com/cocoon-go/cocoon/test/scenario/programs"
)

// TestOtherNetwork runs the commands that pay with the config of another network,
// where the wallet has coins: each stops before the wallet signs.
func TestOtherNetwork(t *testing.T) {
	d := programs.Shared(t)
	at := func(name string) string { return filepath.Join(d.Work, d.Dir, name) }
	wallet := d.NodeCommand[slices.Index(d.NodeCommand, "--wallet")+1]
	text, err := os.ReadFile(wallet)
	if err != nil {
		t.Fatal(err)
	}
	key, err := chain.ParseWalletKey(string(text))
	if err != nil {
		t.Fatal(err)
	}
	there := elsewhere.New(t, key)
	dir := t.TempDir()
	config, proposal, verifier := filepath.Join(dir, "ton-global.json"), filepath.Join(dir, "p.json"), filepath.Join(dir, "verifier.key")
	if err := os.WriteFile(config, there.GlobalConfig(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(verifier, []byte(strings.Repeat("01", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := app().Run(t.Context(), args, strings.NewReader(""), &out, &errs)
		return code, errs.String()
	}
	if code, errs := run("gov", "propose", "pause", "--out", proposal, "--ton-config", at("ton-global.json"), "--registry", at("registry.txt")); code != 0 {
		t.Fatal(errs)
	}
	for name, c := range map[string]struct {
		args []string
		text string
	}{
		"register":       {[]string{"register", at("bundle.cbor")}, "the bundle is of node"}, // a wallet has another address there
		"stake":          {[]string{"stake", "1.5"}, "is the TON global config of another network?"},
		"unstake":        {[]string{"unstake", "1"}, "is the TON global config of another network?"},
		"withdraw":       {[]string{"withdraw"}, "is the TON global config of another network?"},
		"unregister":     {[]string{"unregister"}, "is the TON global config of another network?"},
		"answer":         {[]string{"answer", "--once"}, "are registry, wallet, --index and network those of the node?"},
		"recheck":        {[]string{"recheck", "--all"}, "there is no contract at this address"},
		"prune":          {[]string{"prune"}, "there is no contract at this address"},
		"verifier stake": {[]string{"verifier", "stake", "1", "--key", verifier}, "is the TON global config of another network?"},
		"gov submit":     {[]string{"gov", "submit", proposal}, "is for chain"},
		"gov execute":    {[]string{"gov", "execute", "1"}, "there is no contract at this address"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(c.args, "--dir", t.TempDir(), "--ton-config", config, "--registry", at("registry.txt"), "--wallet", wallet)
			code, errs := run(args...)
			if code != 5 && code != 1 || !strings.Contains(errs, c.text) {
				t.Errorf("exit code %d: %s", code, errs)
			}
			there.Unsent(t)
			// and with the name of the network that is meant
			code, errs = run(append(args, "--network", "testnet")...)
			if code != 1 || !strings.Contains(errs, "not of testnet") {
				t.Errorf("exit code %d: %s", code, errs)
			}
		})
	}
	there.Unspent(t)
}
