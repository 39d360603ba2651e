package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/chain/devnet/elsewhere"
	"github.com/cocoon-go/cocoon/test/scenario/programs"
)

// TestChallengeElsewhere challenges a receipt with the config of another network,
// where the wallet has coins: it stops before the wallet signs.
func TestChallengeElsewhere(t *testing.T) {
	d := programs.Shared(t)
	at := func(name string) string { return filepath.Join(d.Work, d.Dir, name) }
	there := elsewhere.New(t, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32)))
	dir := t.TempDir()
	config, key, mine := filepath.Join(dir, "ton-global.json"), filepath.Join(dir, "wallet.key"), filepath.Join(dir, "1.receipt")
	files := map[string][]byte{config: there.GlobalConfig(), key: []byte(strings.Repeat("01", 32) + "\n")}
	bundles, err1 := filepath.Glob(at("*.bundle"))
	relays, err2 := filepath.Glob(at("*.relay"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for _, from := range slices.Concat(bundles, relays, []string{at("1.receipt")}) {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Join(dir, filepath.Base(from))] = data
	}
	for name, b := range files {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, more := range [][]string{nil, {"--unread"}, {"--collect"}} {
		args := append([]string{"challenge", mine, "--wallet", key, "--ton-config", config, "--registry", at("registry.txt"), "--policy", at("policy.toml")}, more...)
		var out, errs bytes.Buffer
		code := app().Run(t.Context(), args, strings.NewReader(""), &out, &errs)
		if code != 5 || !strings.Contains(errs.String(), "there is no contract at this address") {
			t.Errorf("%v: exit code %d: %s", more, code, errs.String())
		}
		there.Unsent(t)
		if _, err := os.Stat(filepath.Join(dir, "payments")); err == nil {
			t.Errorf("%v: it remembers a payment", more)
		}
	}
	there.Unspent(t)
}
