package main

import (
	"bytes"
	"context"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// serve runs the command until the test asks it to stop.
func serve(t *testing.T, args ...string) (stop func() (stderr string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- run(ctx, args, &stdout, &stderr) }()
	t.Cleanup(cancel)
	return func() string {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("does not stop")
		}
		return stderr.String()
	}
}

func waitFile(t *testing.T, path string) []byte {
	t.Helper()
	for range 1000 {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			return b
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %s", path)
	return nil
}

// TestCommand serves a chain, reads it with the light client, stops it, and
// finds it again after a restart.
func TestCommand(t *testing.T) {
	dir := t.TempDir()
	out, seed := filepath.Join(dir, "ton-global.json"), filepath.Join(dir, "faucet.seed")
	to := attestation.Address{Hash: [32]byte{7}}
	args := []string{"--dir", filepath.Join(dir, "chain"), "--out", out, "--faucet-seed", seed, "--interval", "20ms", "--fund", to.String() + "=12.5"}
	var first uint32
	for i := range 2 {
		stop := serve(t, args...)
		cfg, err := chain.ParseGlobalConfig(waitFile(t, out))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		cl, err := chain.Dial(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		acc, err := cl.Account(ctx, to)
		if err != nil || acc.Balance.Cmp(big.NewInt(125e8)) != 0 {
			t.Errorf("start %d: account %v, err %v", i, acc, err)
		}
		if acc.Block.Seqno < first {
			t.Errorf("start %d: block %d is before %d", i, acc.Block.Seqno, first)
		}
		first = acc.Block.Seqno
		if key, err := chain.ParseWalletKey(string(waitFile(t, seed))); err != nil || len(key) == 0 {
			t.Errorf("faucet seed: %v", err)
		}
		cl.Close()
		cancel()
		if log := stop(); !strings.Contains(log, "stopped at block") {
			t.Errorf("log: %s", log)
		}
		os.Remove(out)
	}
	if st, err := os.Stat(seed); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("faucet seed: %v, %v", st.Mode(), err)
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--interval", "0s"}, {"extra"}, {"--listen", "localhost:1"}, {"--listen", "[::1]:0"}, {"--fund", "x"},
		{"--fund", attestation.Address{}.String() + "=1.0000000001"}, {"--liteservers", "99"},
		{"--chain-id", "-239"}, {"--chain-id", "-3"}, {"--chain-id", "4294967057"},
	} {
		if err := run(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
			t.Errorf("%v: accepted", args)
		}
	}
}
