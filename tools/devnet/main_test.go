package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
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
		case <-time.After(time.Minute):
			t.Fatal("does not stop")
		}
		return stderr.String()
	}
}

func waitFile(t *testing.T, path string) []byte {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
			return b
		}
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
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
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

// TestNetwork: a registry that lists the given program, with keys that belong to
// it, in a new directory only.
func TestNetwork(t *testing.T) {
	dir := t.TempDir()
	program, net := filepath.Join(dir, "enclave"), filepath.Join(dir, "net")
	if err := os.WriteFile(program, []byte("a program"), 0o700); err != nil {
		t.Fatal(err)
	}
	stop := serve(t, "--network", net, "--enclave", program, "--stakes", "--interval", "20ms", "--out", filepath.Join(dir, "global.json"))
	cfg, err := chain.ParseGlobalConfig(waitFile(t, filepath.Join(dir, "global.json")))
	if err != nil {
		t.Fatal(err)
	}
	addr, err := attestation.ParseAddress(strings.TrimSpace(string(waitFile(t, filepath.Join(net, "registry.txt")))))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cl, err := chain.Dial(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	root, err := registry.Reader{Reader: cl}.Root(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	m, err := simdevice.Measurement(program)
	if err != nil || !slices.Equal(root.Measurements, [][32]byte{m}) || root.MinStake != 10e9 {
		t.Errorf("registry %+v, want measurement %x (%v)", root, m, err)
	}
	governor, err := chain.ParseWalletKey(string(waitFile(t, filepath.Join(net, "governor.seed"))))
	if err != nil || root.State.Governance.Keys[0] != [32]byte(governor.Public().(ed25519.PublicKey)) {
		t.Errorf("governor's key: %v", err)
	}
	operator, err := chain.ParseWalletKey(string(waitFile(t, filepath.Join(net, "operator.seed"))))
	if err != nil {
		t.Fatal(err)
	}
	w, err := chain.NewWallet(operator, devnet.DefaultGlobalID)
	if err != nil {
		t.Fatal(err)
	}
	if acc, err := cl.Account(ctx, w.Address()); err != nil || acc.Balance.Cmp(big.NewInt(100e9)) != 0 {
		t.Errorf("operator's wallet: %v, %v", acc, err)
	}
	for _, name := range []string{"governor.seed", "operator.seed"} {
		if st, err := os.Stat(filepath.Join(net, name)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, st.Mode(), err)
		}
	}
	stop()
	if err := run(t.Context(), []string{"--network", net, "--enclave", program}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("the same directory again: %v", err)
	}
}

func TestBadFlags(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // one that is taken runs
	defer cancel()
	for _, args := range [][]string{
		{"--out", filepath.Join(dir, "none", "x.json")}, {"--faucet-seed", dir},
		{"--interval", "0s"}, {"extra"}, {"--listen", "localhost:1"}, {"--listen", "[::1]:0"}, {"--fund", "x"},
		{"--fund", attestation.Address{}.String() + "=1.0000000001"}, {"--liteservers", "99"},
		{"--chain-id", "-239"}, {"--chain-id", "0"}, {"--repair"}, {"--chain-id", "-3"}, {"--chain-id", "4294967057"},
		{"--liteservers", "0"}, {"--validators", "0"}, {"--control", "0.0.0.0:0"},
		{"--fund", attestation.Address{}.String() + "=1", "--fund", attestation.Address{}.String() + "=2"},
		{"--network", filepath.Join(dir, "new"), "--enclave", "main.go", "--manual"},
		{"--network", filepath.Join(dir, "new")}, {"--enclave", "main.go"}, {"--stakes"}, {"--verifiers", "2"}, {"--network", filepath.Join(dir, "new"), "--enclave", "main.go", "--verifiers", "-1"}, {"--network", filepath.Join(dir, "new"), "--enclave", "main.go", "--verifiers", "33"}, {"--network", filepath.Join(dir, "new"), "--enclave", "missing"}, {"--network", filepath.Join(dir, "new"), "--enclave", "main.go", "--dir", filepath.Join(dir, "d")},
	} {
		if err := run(ctx, args, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
			t.Errorf("%v: accepted", args)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("something was made: %v, %v", entries, err)
	}
	for _, args := range [][]string{{"--control", "0.0.0.0:0"}, {"--out", filepath.Join(dir, "none", "x.json")}} {
		if err := run(ctx, append(args, "--dir", filepath.Join(dir, "chain")), &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
			t.Errorf("%v: accepted", args)
		}
		if _, err := os.Stat(filepath.Join(dir, "chain")); err == nil {
			t.Errorf("%v: the chain was made all the same", args)
		}
	}
}

// TestClockStored: a chain that starts again goes on from its time.
func TestClockStored(t *testing.T) {
	dir := t.TempDir()
	c, err := devnet.Start(devnet.Options{Dir: dir, BlockInterval: -1, Now: func() time.Time { return time.Now().Add(72 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	before := c.Head()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"--dir", dir, "--interval", "20ms", "--control", "127.0.0.1:0"}, io.Discard, w)
		w.Close()
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	lines := bufio.NewScanner(r)
	for lines.Scan() && !strings.Contains(lines.Text(), "takes orders at ") {
	}
	_, at, ok := strings.Cut(lines.Text(), "takes orders at ")
	if !ok {
		t.Fatal("no address")
	}
	go io.Copy(io.Discard, r)
	for now := (status{}); now.BlockTime.Unix() <= int64(before.UTime)+1; {
		resp, err := http.Get(at + "/status")
		if err != nil {
			t.Fatalf("the chain's time stands still: %v", err)
		}
		if err := errors.Join(json.NewDecoder(resp.Body).Decode(&now), resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestWriteFile: a device is written to, and a file replaced.
func TestWriteFile(t *testing.T) {
	if err := writeFile(os.DevNull, []byte("x"), 0o644); err != nil {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"one", "two"} {
		if err := writeFile(path, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%s, %v", b, err)
		}
	}
}
