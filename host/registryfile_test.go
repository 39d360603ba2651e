package host

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

const registryText = `
chain_id = -777
simulated = true
nonce = 3
measurements = ["1111111111111111111111111111111111111111111111111111111111111111"]
floor_quotes = ["quote.bin"]
ca_certificates = ["ca.pem"]

[governance]
threshold = 1
keys = ["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"]

[params]
min_stake = "50"
fork_loss = "50"
platform_slots = 2

[[model]]
digest = "2222222222222222222222222222222222222222222222222222222222222222"
licence = "MIT"
url = "https://example.org/m"

[verifiers]
number = 1
threshold = 1
keys = ["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"]
`

// registryFiles are what the text names: of a simulated platform.
func registryFiles(t testing.TB) (*sim.Intel, map[string][]byte) {
	t.Helper()
	p, err := sim.NewIntel(nil, sim.IntelOptions{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	quote, err := p.Quote(sim.TD{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, rest := pem.Decode(quote[strings.Index(string(quote), "-----BEGIN"):])
	ca, _ := pem.Decode(rest)
	return p, map[string][]byte{"quote.bin": quote, "ca.pem": pem.EncodeToMemory(ca), "ca.der": ca.Bytes, "leaf.der": leaf.Bytes}
}

func reader(files map[string][]byte) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if b, ok := files[name]; ok {
			return b, nil
		}
		return nil, attestation.BadInput("%s: %w", name, os.ErrNotExist)
	}
}

func TestParseRegistry(t *testing.T) {
	p, files := registryFiles(t)
	n, err := ParseRegistry([]byte(registryText), time.Now(), reader(files))
	if err != nil {
		t.Fatal(err)
	}
	s := n.State
	want := contracts.DefaultParams()
	want.MinStake, want.ForkLoss, want.PlatformSlots = 50e9, 50e9, 2
	ca := p.CAPublicKey()
	key := contracts.PublicKey{X: [32]byte(ca[:32]), Y: [32]byte(ca[32:])}
	switch {
	case !n.Simulated || n.ChainID != -777 || s.Nonce != 3 || s.Params != want || len(s.Measurements) != 1 || len(s.Models) != 1 || len(s.Floors) != 1:
		t.Errorf("state %+v", s)
	case s.CAKeys[key.Digest()] != contracts.CAKey{Kind: contracts.CAPlatform, Key: key}:
		t.Errorf("CA keys %+v", s.CAKeys)
	case s.Platform != contracts.PlatformCodeID() || s.Node != contracts.NodeCodeID() || s.Verifier != contracts.VerifierCodeID():
		t.Error("code of the children")
	case s.Listed == nil || s.Listed.Number != 1 || len(s.Verifiers.Quorum.Keys) != 0:
		t.Errorf("verifiers %+v, %+v", s.Listed, s.Verifiers)
	}
	if again, err := ParseRegistry([]byte(strings.Replace(registryText, "ca.pem", "ca.der", 1)), time.Now(), reader(files)); err != nil || again.Address != n.Address {
		t.Errorf("CA in DER form: %v", err)
	}
	if other, err := ParseRegistry([]byte(strings.Replace(registryText, "nonce = 3", "nonce = 4", 1)), time.Now(), reader(files)); err != nil || other.Address == n.Address {
		t.Errorf("another nonce: %v", err)
	}
}

func TestBadRegistryFile(t *testing.T) {
	_, files := registryFiles(t)
	files["text"] = []byte("hello")
	for _, c := range []struct{ name, old, new, want string }{
		{"no chain", "chain_id = -777", "", "chain_id is missing: -239 for mainnet"},
		{"unknown key", "nonce = 3", "nonsense = 3", "unknown key nonsense"},
		{"no governor", "[governance]\nthreshold = 1\nkeys = [\"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"]", "", "governance: "},
		{"threshold", "threshold = 1", "threshold = 2", "governance: "},
		{"parameter", `min_stake = "50"`, `min_steak = "50"`, `params: unknown parameter "min_steak"`},
		{"unit", `min_stake = "50"`, `min_stake = 50`, "params: min_stake: want coins as text"},
		{"contradiction", `fork_loss = "50"`, `fork_loss = "51"`, "receipt loss <= fork loss <= minimum stake"},
		{"measurement", `["1111`, `["111`, "measurements: "},
		{"model", `digest = "2222`, `digest = "222`, "model: "},
		{"missing file", "quote.bin", "none.bin", "none.bin: file does not exist"},
		{"no quote", "quote.bin", "text", "text: "},
		{"two floors", `["quote.bin"]`, `["quote.bin", "quote.bin"]`, "a second floor for FMSPC"},
		{"no certificate", "ca.pem", "text", "text: not a certificate"},
		{"certificate of another", "ca.pem", "leaf.der", `leaf.der: not a certificate of Intel's SGX PCK Platform CA or SGX PCK Processor CA`},
		{"simulated on mainnet", "chain_id = -777", "chain_id = -239", "simulated = true is for dev chains, and -239 is mainnet"},
		{"simulated on testnet", "chain_id = -777", "chain_id = -3", "simulated = true is for dev chains, and -3 is testnet"},
		{"no slots", "platform_slots = 2", "platform_slots = nan", "params: platform_slots: NaN is no whole number"},
		{"slots", "platform_slots = 2", "platform_slots = 256", "params: platform_slots: 256 is not a number from 0 to 255"},
		{"two measurements", `measurements = [`, `measurements = ["1111111111111111111111111111111111111111111111111111111111111111", `, "is listed twice"},
		{"zero measurement", `measurements = [`, `measurements = ["0000000000000000000000000000000000000000000000000000000000000000", `, "or is zero"},
		{"two models", "[verifiers]", "[[model]]\ndigest = \"2222222222222222222222222222222222222222222222222222222222222222\"\n[verifiers]", "model: 2222222222222222222222222222222222222222222222222222222222222222 is listed twice"},
		{"zero model", "[verifiers]", "[[model]]\ndigest = \"0000000000000000000000000000000000000000000000000000000000000000\"\n[verifiers]", "or is zero"},
		{"quorum of verifiers", "number = 1\nthreshold = 1", "number = 1\nthreshold = 2", "verifiers: "},
		{"no set number", "[verifiers]\nnumber = 1", "[verifiers]", "verifiers: number is missing"},
		{"not TOML", "chain_id =", "chain_id", "registry file: "},
	} {
		text := strings.Replace(registryText, c.old, c.new, 1)
		if text == registryText {
			t.Fatalf("%s: nothing changed", c.name)
		}
		if _, err := ParseRegistry([]byte(text), time.Now(), reader(files)); err == nil || fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestDeployRegistry: a registry is paid for once, on its own chain alone.
func TestDeployRegistry(t *testing.T) {
	_, files := registryFiles(t)
	c, err := devnet.Start(devnet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	cfg, err := chain.ParseGlobalConfig(c.GlobalConfig())
	if err != nil {
		t.Fatal(err)
	}
	client, err := chain.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	wallet, err := chain.NewWallet(key, c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Faucet(t.Context(), wallet.Address(), 5e9); err != nil {
		t.Fatal(err)
	}
	if _, err := client.WaitAccount(t.Context(), wallet.Address(), func(a *chain.Account) bool { return a.Balance.Sign() > 0 }); err != nil {
		t.Fatal(err)
	}
	n, err := ParseRegistry([]byte(registryText), time.Now(), reader(files))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	elsewhere := *n
	elsewhere.ChainID = -3
	var bad *attestation.InputError
	if _, err := elsewhere.Deploy(t.Context(), client, key, MinRegistryValue, dir); fault.FamilyOf(err) != fault.FamilyChain {
		t.Errorf("another chain: %v", err)
	}
	if _, err := n.Deploy(t.Context(), client, key, MinRegistryValue-1, dir); !errors.As(err, &bad) {
		t.Errorf("too little: %v", err)
	}
	balance := func() *big.Int {
		a, err := client.Account(t.Context(), wallet.Address())
		if err != nil {
			t.Fatal(err)
		}
		return a.Balance
	}
	if balance().Cmp(big.NewInt(5e9)) != 0 {
		t.Error("a refusal cost something")
	}
	root, err := n.Deploy(t.Context(), client, key, MinRegistryValue, dir)
	if err != nil {
		t.Fatal(err)
	}
	if root.Address != n.Address || root.State.Params != n.State.Params || len(root.State.Floors) != 1 {
		t.Errorf("registry %+v", root.State)
	}
	left := balance()
	if left.Cmp(big.NewInt(4e9)) > 0 || left.Cmp(big.NewInt(39e8)) < 0 {
		t.Errorf("%v nano are left of 5 coins", left)
	}
	if _, err := n.Deploy(t.Context(), client, key, MinRegistryValue, dir); err != nil || balance().Cmp(left) != 0 {
		t.Errorf("again: %v, %v nano are left", err, balance())
	}
	if d := Describe(root.State); len(d.CAKeys) != 1 || len(d.Floors[hex.EncodeToString([]byte(keyOf(root.State.Floors)))]) == 0 || d.Params["min_stake"] != "50" {
		t.Errorf("described as %+v", d)
	}
}

func keyOf(m map[[6]byte]contracts.TDXFloor) string {
	for k := range m {
		return string(k[:])
	}
	return ""
}

func FuzzParseRegistry(f *testing.F) {
	_, files := registryFiles(f)
	f.Add([]byte(registryText))
	f.Add([]byte("chain_id = 1\n[governance]\nthreshold = 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := ParseRegistry(b, time.Now(), reader(files))
		if err == nil && n.State.Check() != nil {
			t.Error("a registry that is none")
		}
	})
}
