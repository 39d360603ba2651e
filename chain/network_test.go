package chain_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/sjson"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// The zerostates of the public networks, as their global configs name them.
var zerostates = map[chain.Network][2]string{
	chain.Mainnet: {"F6OpKZKqvqeFp6CQmFomXNMfMj2EnaUSOXN+Mh+wVWk=", "XplPz01CXAps5qeSWUtxcyBfdAo5zVb1N979KLSKD24="},
	chain.Testnet: {"gj+B8wb/AmlPk1z1AhVI484rhrUpgSr2oSFIh56VoSg=", "Z+IKwYS54DmmJmesw/nAD5DzWadnOCMzee+kdgSYDOg="},
}

// withZerostate returns a config with the zerostate of a network.
func withZerostate(t *testing.T, raw []byte, n chain.Network) *chain.GlobalConfig {
	t.Helper()
	var err error
	switch z, public := zerostates[n]; {
	case n == "":
		raw, err = sjson.DeleteBytes(raw, "validator.zero_state")
	case public:
		if raw, err = sjson.SetBytes(raw, "validator.zero_state.root_hash", z[0]); err == nil {
			raw, err = sjson.SetBytes(raw, "validator.zero_state.file_hash", z[1])
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := chain.ParseGlobalConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestCheckNetwork compares configs with networks, without asking anybody.
func TestCheckNetwork(t *testing.T) {
	c := start(t, devnet.Options{BlockInterval: -1})
	raw := c.GlobalConfig()
	for _, tc := range []struct {
		config, want chain.Network
		text         string
	}{
		{chain.Mainnet, chain.Mainnet, ""},
		{chain.Testnet, chain.Testnet, ""},
		{chain.Devnet, chain.Devnet, ""},
		{"", chain.Devnet, ""}, // without a zerostate
		{chain.Mainnet, chain.Testnet, "it is of mainnet, not of testnet"},
		{chain.Testnet, chain.Mainnet, "it is of testnet, not of mainnet"},
		{chain.Mainnet, chain.Devnet, "it is of mainnet, not of devnet"},
		{chain.Devnet, chain.Mainnet, "it is of a private network, not of mainnet"},
		{"", chain.Mainnet, "zero_state is missing"},
	} {
		cfg := withZerostate(t, raw, tc.config)
		err := cfg.CheckNetwork(tc.want)
		var bad *attestation.InputError
		if tc.text == "" && err != nil || tc.text != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), tc.text)) {
			t.Errorf("config of %q for %s: %v", tc.config, tc.want, err)
		}
		if tc.text != "" { // nothing is sent
			if _, err := chain.Dial(testContext(t), cfg, chain.WithNetwork(tc.want)); !errors.As(err, &bad) {
				t.Errorf("dial with a config of %q for %s: %v", tc.config, tc.want, err)
			}
		}
		if n, ok := cfg.Network(); ok != (tc.config != "") || n != tc.config {
			t.Errorf("config of %q is of %q, %v", tc.config, n, ok)
		}
	}
	// each half of a zerostate counts
	for _, field := range []string{"root_hash", "file_hash"} {
		z, err := sjson.SetBytes(raw, "validator.zero_state", map[string]string{"root_hash": zerostates[chain.Mainnet][0], "file_hash": zerostates[chain.Mainnet][1]})
		if err != nil {
			t.Fatal(err)
		}
		if z, err = sjson.SetBytes(z, "validator.zero_state."+field, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))); err != nil {
			t.Fatal(err)
		}
		cfg, err := chain.ParseGlobalConfig(z)
		if err != nil {
			t.Fatal(err)
		}
		if err := cfg.CheckNetwork(chain.Mainnet); err == nil {
			t.Errorf("another %s is taken for mainnet", field)
		}
		if z, err = sjson.SetBytes(z, "validator.zero_state."+field, "AAAA"); err != nil {
			t.Fatal(err)
		}
		if _, err := chain.ParseGlobalConfig(z); err == nil {
			t.Errorf("%s of three bytes is taken", field)
		}
	}
	for _, s := range []string{"", "Mainnet", "ton", "main"} {
		if _, err := chain.ParseNetwork(s); err == nil {
			t.Errorf("network %q", s)
		}
		if _, err := chain.Dial(testContext(t), withZerostate(t, raw, chain.Devnet), chain.WithNetwork(chain.Network(s))); err == nil {
			t.Errorf("dial to network %q", s)
		}
	}
}

// TestWrongNetwork lets a config say one thing and the chain of its trusted block
// another: the chain id is proved, so nothing else comes of it.
func TestWrongNetwork(t *testing.T) {
	ctx := testContext(t)
	private := start(t, devnet.Options{BlockInterval: -1})
	testnet := start(t, devnet.Options{BlockInterval: -1, GlobalID: -3})
	var disagrees *attestation.ChainError
	for _, tc := range []struct {
		name   string
		chain  *devnet.Chain
		config chain.Network // whose zerostate the file has
		want   chain.Network // empty: any
		good   bool
	}{
		{"a private chain", private, chain.Devnet, chain.Devnet, true},
		{"a private chain, any will do", private, chain.Devnet, "", true},
		{"testnet", testnet, chain.Testnet, chain.Testnet, true},
		{"testnet's zerostate and a private chain", private, chain.Testnet, chain.Testnet, false},
		{"testnet's zerostate and a private chain, any will do", private, chain.Testnet, "", false},
		{"mainnet's zerostate and testnet", testnet, chain.Mainnet, chain.Mainnet, false},
		{"no zerostate, and testnet for a private chain", testnet, "", chain.Devnet, false},
		{"a private zerostate and testnet's id", testnet, chain.Devnet, chain.Devnet, false},
	} {
		var opts []chain.Option
		if tc.want != "" {
			opts = append(opts, chain.WithNetwork(tc.want))
		}
		cl, err := chain.Dial(ctx, withZerostate(t, tc.chain.GlobalConfig(), tc.config), opts...)
		if err == nil {
			defer cl.Close()
			if tc.want != "" && !tc.good {
				t.Errorf("%s: dialled", tc.name)
			}
			if _, err := cl.Account(ctx, addr(1)); (err == nil) != tc.good {
				t.Errorf("%s: account: %v", tc.name, err)
			}
			// a wallet's address depends on the network: nothing is signed here
			_, err = chain.NewWriter(ctx, cl, testKey(9), nil)
		}
		if tc.good && err != nil || !tc.good && !errors.As(err, &disagrees) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestNewerVersion raises the network's version over what this program knows: it
// warns, and goes on.
func TestNewerVersion(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	var said []string
	open := func() *chain.Client {
		said = nil
		return dial(t, l.Chain, chain.WithWarnings(func(s string) { said = append(said, s) }))
	}
	if open(); len(said) != 0 {
		t.Errorf("warned of the version it knows: %q", said)
	}
	version := cell.BeginCell().MustStoreUInt(0xc4, 8).MustStoreUInt(99, 32).MustStoreUInt(0x1ee, 64).EndCell()
	if err := l.SetParam(8, version); err != nil {
		t.Fatal(err)
	}
	if err := l.Mine(2); err != nil {
		t.Fatal(err)
	}
	cl := open()
	if len(said) != 1 || !strings.Contains(said[0], "version 99") || !strings.Contains(said[0], "update it") {
		t.Errorf("warnings %q", said)
	}
	if v, newer, err := cl.NetworkVersion(testContext(t)); v != 99 || !newer || err != nil {
		t.Errorf("version %d, newer %v, err %v", v, newer, err)
	}
	acc, err := cl.Account(testContext(t), l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	if v, newer := acc.NetworkVersion(); v != 99 || !newer {
		t.Errorf("account: version %d, newer %v", v, newer)
	}
	if r, err := acc.RunGetMethod("seqno"); err != nil || len(r) != 1 {
		t.Errorf("get-method: %v, err %v", r, err)
	}
}

// TestRenewTwice gives Renew a file that names its block twice: what is edited is
// not what is read, so it says so.
func TestRenewTwice(t *testing.T) {
	c := start(t, devnet.Options{BlockInterval: -1})
	raw := c.GlobalConfig()
	cfg, err := chain.ParseGlobalConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	b := cfg.Trusted()
	b.Seqno++
	once, err := cfg.Renew(b)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := chain.ParseGlobalConfig(once); err != nil || again.Trusted() != b {
		t.Errorf("renewed: block %v, err %v", again.Trusted(), err)
	}
	twice := bytes.Replace(raw, []byte(`"init_block": {`), []byte(`"init_block": {"seqno": 7}, "init_block": {`), 1)
	if cfg, err = chain.ParseGlobalConfig(twice); err != nil {
		t.Fatal(err)
	}
	var bad *attestation.InputError
	if out, err := cfg.Renew(b); !errors.As(err, &bad) {
		t.Errorf("renewed %s, err %v", out, err)
	}
}
