package chain_test

import (
	"strings"
	"testing"

	"github.com/tidwall/sjson"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestBadGlobalConfig changes one thing of a good config at a time.
func TestBadGlobalConfig(t *testing.T) {
	good := start(t, devnet.Options{BlockInterval: -1}).GlobalConfig()
	short := []byte("c2hvcnQ=")
	for _, c := range []struct {
		path string
		raw  string // JSON; empty: the path is taken out
		want string
	}{
		{"liteservers", `[]`, "0 liteservers, want 1 to"},
		{"liteservers.0.ip", `4294967296`, "is not a 32-bit number"},
		{"liteservers.0.ip", `-2147483649`, "is not a 32-bit number"},
		{"liteservers.0.ip", `1.5`, "is not a 32-bit number"},
		{"liteservers.0.port", `0`, "port 0"},
		{"liteservers.0.port", `65536`, "port 65536"},
		{"liteservers.0.id.@type", `"pub.aes"`, "key is not Ed25519"},
		{"liteservers.0.id.key", `"` + string(short) + `"`, "key is not Ed25519"},
		{"validator.zero_state.root_hash", `"` + string(short) + `"`, "zerostate: hashes are not 32 bytes"},
		{"validator.zero_state.file_hash", `"` + string(short) + `"`, "zerostate: hashes are not 32 bytes"},
		{"validator.init_block", ``, "validator.init_block is missing"},
		{"validator.init_block.workchain", `0`, `workchain "0", want -1`},
		{"validator.init_block.shard", `-9.223372036854776e18`, "was the file rewritten by another program?"},
		{"validator.init_block.seqno", `0`, `number "0", want that of a block after the zerostate`},
		{"validator.init_block.seqno", `-1`, `number "-1", want that of a block after the zerostate`},
		{"validator.init_block.seqno", `4294967296`, `number "4294967296", want that of a block after the zerostate`},
		{"validator.init_block.seqno", ``, `number "", want that of a block after the zerostate`},
		{"validator.init_block.root_hash", `"` + string(short) + `"`, "init block: hashes are not 32 bytes"},
		{"validator.init_block.file_hash", ``, "init block: hashes are not 32 bytes"},
	} {
		bad, err := sjson.SetRawBytes(good, c.path, []byte(c.raw))
		if c.raw == "" {
			bad, err = sjson.DeleteBytes(good, c.path)
		}
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := chain.ParseGlobalConfig(bad)
		if cfg != nil || attestation.ExitCode(err) != 1 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %s: %v, want %q", c.path, c.raw, err, c.want)
		}
	}
	for _, bad := range []string{"", "no JSON", string(good) + "{}", string(good) + string(good)} {
		if cfg, err := chain.ParseGlobalConfig([]byte(bad)); cfg != nil || attestation.ExitCode(err) != 1 {
			t.Errorf("%.20q, %d bytes: %v", bad, len(bad), err)
		}
	}
	if _, err := chain.ParseGlobalConfig(append([]byte(nil), good...)); err != nil {
		t.Error(err)
	}
}

// TestNoSuchWorkchain: a number that an address of TON can't hold is not cut off to
// one that it can.
func TestNoSuchWorkchain(t *testing.T) {
	cl, ctx := dial(t, start(t, devnet.Options{BlockInterval: -1})), testContext(t)
	for _, wc := range []int32{128, 256, 255, -129, 1 << 30} {
		a := addr(1)
		a.Workchain = wc
		if acc, err := cl.Account(ctx, a); acc != nil || attestation.ExitCode(err) != 1 {
			t.Errorf("workchain %d: %v, %v", wc, acc != nil, err)
		}
	}
}
