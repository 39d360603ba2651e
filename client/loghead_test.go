package client

import (
	"crypto/sha256"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
)

func digestOf(b []byte) [32]byte { return sha256.Sum256(b) }

func TestLogHeadFile(t *testing.T) {
	h := newAccused(t).third
	data, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseLogHead(data); err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, edit := range map[string][2]string{
		"no node":       {`"node":"` + h.Node.String() + `",`, ""},
		"epoch 0":       {`"epoch":2`, `"epoch":0`},
		"huge":          {`"size":12`, `"size":281474976710656`},
		"a short root":  {`"root":"AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`, `"root":"AwAA"`},
		"unknown field": {`"size":12`, `"size":12,"more":1`},
		"more":          {"}\n", "}\n{}"},
		"too long":      {"}\n", "}" + strings.Repeat(" ", MaxLogHead)},
		"nothing":       {string(data), ""},
	} {
		changed := strings.Replace(string(data), edit[0], edit[1], 1)
		var bad *attestation.InputError
		if got, err := ParseLogHead([]byte(changed)); changed == string(data) || got != nil || !errors.As(err, &bad) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	p := &receipt.Proof{Receipt: newAccused(t).made[0], Checkpoint: receipt.Checkpoint{Epoch: h.Epoch, Size: h.Size, Root: h.Root, Signature: h.Signature}}
	if got := HeadOf(p); !reflect.DeepEqual(got, h) {
		t.Errorf("of a proof: %+v", got)
	}
	if got := HeadOf(&receipt.Proof{Receipt: p.Receipt}); got != nil {
		t.Errorf("of a proof without one: %+v", got)
	}
}

func FuzzParseLogHead(f *testing.F) {
	f.Add([]byte(`{"node":"0:` + strings.Repeat("07", 32) + `","epoch":1,"size":3,"root":"` + strings.Repeat("A", 43) + `=","signature":"` + strings.Repeat("A", 86) + `=="}`))
	f.Add([]byte(`{"epoch":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ParseLogHead(data)
		if err != nil {
			return
		}
		enc, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseLogHead(enc); err != nil || !reflect.DeepEqual(again, h) {
			t.Errorf("%+v, %v", again, err)
		}
	})
}
