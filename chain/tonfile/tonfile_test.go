package tonfile_test

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidwall/sjson"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/tonfile"
)

func parse(t *testing.T, args ...string) tonfile.Flags {
	t.Helper()
	var f tonfile.Flags
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	f.Register(fs, "TON global config `file`")
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFlags(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"XDG_CONFIG_HOME", "HOME", "AppData"} { // by system
		t.Setenv(name, home)
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "cocoon")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := devnet.Start(devnet.Options{BlockInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	private := c.GlobalConfig()
	mainnet, err := sjson.SetBytes(private, "validator.zero_state", map[string]string{
		"root_hash": "F6OpKZKqvqeFp6CQmFomXNMfMj2EnaUSOXN+Mh+wVWk=", "file_hash": "XplPz01CXAps5qeSWUtxcyBfdAo5zVb1N979KLSKD24=",
	})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(home, "elsewhere.json")
	for path, data := range map[string][]byte{
		filepath.Join(dir, "ton-devnet.json"): private, filepath.Join(dir, "ton-mainnet.json"): mainnet,
		elsewhere: private, filepath.Join(home, "broken.json"): []byte("{"),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		args, text string // text of the error, empty: good
	}{
		{"--ton-config " + elsewhere, ""},
		{"--network devnet", ""},
		{"--network mainnet", ""},
		{"--network devnet --ton-config " + elsewhere, ""},
		{"--network mainnet --ton-config " + elsewhere, "it is of a private network, not of mainnet"},
		{"--network testnet --ton-config " + filepath.Join(dir, "ton-mainnet.json"), "it is of mainnet, not of testnet"},
		{"--network testnet", "there is no " + filepath.Join(dir, "ton-testnet.json")},
		{"--network main", `network "main", want mainnet, testnet or devnet`},
		{"", "no TON network was named"},
		{"--ton-config " + filepath.Join(home, "none.json"), "no such file"},
		{"--ton-config " + filepath.Join(home, "broken.json"), "broken.json"},
	} {
		f := parse(t, strings.Fields(tc.args)...)
		if f.Given() != (tc.args != "") {
			t.Errorf("%q: given is %v", tc.args, f.Given())
		}
		cfg, err := f.Load()
		var bad *attestation.InputError
		if tc.text == "" && (err != nil || cfg == nil) || tc.text != "" && (!errors.As(err, &bad) || !strings.Contains(err.Error(), tc.text)) {
			t.Errorf("%q: %v", tc.args, err)
		}
	}
	// the file says mainnet, its trusted block is of a chain that is not: the name
	// does not make it so
	f := parse(t, "--network", "mainnet")
	var disagrees *attestation.ChainError
	if _, err := f.Dial(t.Context(), func(string) {}); !errors.As(err, &disagrees) {
		t.Errorf("dial to a chain that is not mainnet: %v", err)
	}
	f = parse(t, "--network", "devnet")
	cl, err := f.Dial(t.Context(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	cl.Close()
}
