package contracts

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-tdx-guest/testing/testdata"

	"github.com/cocoon-go/cocoon/attestation/receipt"
)

func TestNodeSpecification(t *testing.T) {
	k := NodeKey{account(0x11), account(0x33), 7}
	a, _, err := NodeAddress(k.Root, k.Operator, k.Index)
	if err != nil {
		t.Fatal(err)
	}
	seed := of32(1)
	holder := ed25519.NewKeyFromSeed(seed[:])
	h := receipt.Head{
		Node: a, Epoch: 3, Index: 1234, Time: 1_800_000_000, BlockSeqno: 48_000_100,
		Holder: receipt.Holder(pub(holder)), BodyDigest: of32(0x66),
	}
	m := &ChallengeReceipt{ChainID: -239, Payout: account(0x55), Head: h}
	m.Sign(holder)
	leaf, digest := h.LeafHash(), ChallengeDigest(-239, h.LeafHash(), m.Payout)
	checkExample(t, "contracts-node.md", map[string][]byte{
		"data": k.Cell().ToBOC(), "address": a.Hash[:], "leaf": leaf[:], "digest": digest[:], "holder": m.SignHolder[:],
	})
}

func TestRootSpecification(t *testing.T) {
	d := Decision{ChainID: -239, Root: account(0x11), Number: 4, Expiry: 1_800_000_000, Action: RemoveMeasurement{of32(0x77)}}
	action, err := ActionCell(d.Action)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	checkExample(t, "contracts-root.md", map[string][]byte{"action": action.ToBOC(), "hash": action.Hash(), "digest": digest[:]})
}

func TestQuoteSpecification(t *testing.T) {
	c, ca, err := QuoteCells(testdata.RawQuote)
	if err != nil {
		t.Fatal(err)
	}
	info, err := ReadQuote(testdata.RawQuote)
	if err != nil {
		t.Fatal(err)
	}
	quote, key := sha256.Sum256(testdata.RawQuote), sha256.Sum256(ca[:])
	checkExample(t, "quote-onchain.md", map[string][]byte{
		"quote": quote[:], "cells": c.Hash(), "ca": key[:], "measurement": info.Measurement[:], "platform": info.PlatformID[:], "fmspc": info.FMSPC[:],
	})
}

// TestSpecificationCosts compares the rows of costs in the pages with what was
// measured; -update writes them.
func TestSpecificationCosts(t *testing.T) {
	b, err := os.ReadFile(costsFile)
	if err != nil {
		t.Fatal(err)
	}
	var table costTable
	if err := json.Unmarshal(b, &table); err != nil {
		t.Fatal(err)
	}
	for page, least := range map[string]int{"contracts-node.md": 9, "contracts-root.md": 9, "contracts-verifier.md": 7} {
		file := "../../docs/spec/" + page
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text, rows := string(old), 0
		for _, r := range table.Paths {
			row := regexp.MustCompile("(?m)^\\| `" + r.Name + "` \\| .*$")
			rows += len(row.FindAllString(text, -1))
			text = row.ReplaceAllString(text, fmt.Sprintf("| `%s` | %s | %s |", r.Name, thousands(uint64(r.Gas)), thousands(r.Fees)))
		}
		if rows < least {
			t.Errorf("%s has %d rows of costs", page, rows)
		}
		if text == string(old) {
			continue
		}
		if !*update {
			t.Errorf("%s has other costs than %s: go test ./chain/contracts -run Costs -update", page, costsFile)
			continue
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// thousands writes a number with commas.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), ",")
}
