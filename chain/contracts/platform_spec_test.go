package contracts

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

func of32(b byte) (v [32]byte) {
	for i := range v {
		v[i] = b
	}
	return v
}

func account(b byte) attestation.Address { return attestation.Address{Hash: of32(b)} }

// checkExample compares the indented "name  hex" lines of a page with what the code gives;
// -update writes it.
func checkExample(t *testing.T, page string, want map[string][]byte) {
	t.Helper()
	b, err := os.ReadFile("../../docs/spec/" + page)
	if err != nil {
		t.Fatal(err)
	}
	changed := false
	for name, v := range want {
		m := regexp.MustCompile(`(?m)^    (` + name + ` +)((?:[0-9a-f]+(?:\n +)?)+)$`).FindSubmatchIndex(b)
		if m == nil {
			t.Errorf("%s has no %s; it is\n%x", page, name, v)
			continue
		}
		is := b[m[4]:m[5]]
		if got, err := hex.DecodeString(string(regexp.MustCompile(`\s`).ReplaceAll(is, nil))); err == nil && bytes.Equal(got, v) {
			continue
		}
		if !*update {
			t.Errorf("%s: %s is\n%x", page, name, v)
			continue
		}
		text := wrapped(hex.EncodeToString(v), 96, 4+m[3]-m[2])
		b, changed = slices.Concat(b[:m[4]], []byte(text), b[m[5]:]), true
	}
	if changed {
		if err := os.WriteFile("../../docs/spec/"+page, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// wrapped breaks s into lines of n characters; all but the first are indented.
func wrapped(s string, n, indent int) string {
	var lines []string
	for len(s) > n {
		lines, s = append(lines, s[:n]), s[n:]
	}
	return strings.Join(append(lines, s), "\n"+strings.Repeat(" ", indent))
}

func TestPlatformSpecification(t *testing.T) {
	a, _, err := PlatformAddress(account(0x11), of32(5))
	if err != nil {
		t.Fatal(err)
	}
	claim := &ClaimSlot{LT: 48_000_000_000_003, Node: of32(0x33), Expires: 1_800_000_000, Params: DefaultParams()}
	checkExample(t, "contracts-platform.md", map[string][]byte{
		"data":    PlatformKey{account(0x11), of32(5)}.Cell().ToBOC(),
		"address": a.Hash[:],
		"claim":   claim.Body().ToBOC(),
	})
}

func TestChannelSpecification(t *testing.T) {
	k := of32(1)
	client := ed25519.NewKeyFromSeed(k[:])
	key := ChannelKey{Node: account(0x11), ClientKey: pub(client), Payout: account(0x33), Delay: 3 * day, Salt: [16]byte(k[:])}
	for i := range key.Salt {
		key.Salt[i] = 5
	}
	a, _, err := ChannelAddress(key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVoucher(client, -239, a, 1_500_000_000)
	if err != nil {
		t.Fatal(err)
	}
	digest := v.Digest()
	checkExample(t, "contracts-channel.md", map[string][]byte{
		"data":    key.Cell().ToBOC(),
		"address": a.Hash[:],
		"digest":  digest[:],
		"voucher": v.Signature[:],
		"settle":  body(&SettleVoucher{QueryID: 9, Voucher: v}).ToBOC(),
	})
}
