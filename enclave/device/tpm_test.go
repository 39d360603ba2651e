package device

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

var goodTPM = TPMConfig{Key: 0x81010002, PCRs: []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14, 23}, Certificate: 0x01c10002}

func deviceOf(f *fakeTPM, c TPMConfig) *tpmDevice { return newTPM(f, c, func() error { return nil }) }

// Evidence of every kind of key is what the verifier takes: with a certificate
// under its root, without one only as a key of development.
func TestTPMEvidence(t *testing.T) {
	extra := tpm.ExtraData([32]byte{1}, nil)
	for name, c := range map[string]sim.TPMConfig{
		"ECDSA": {}, "RSASSA": {Scheme: tpm.RSASSA}, "RSAPSS": {Scheme: tpm.RSAPSS},
		"two banks": {Banks: []eventlog.Alg{eventlog.SHA1, eventlog.SHA256}},
	} {
		t.Run(name, func(t *testing.T) {
			f, v := newFakeTPM(t, c)
			s := &tpm.Endorsements{}
			for _, c := range [][]byte{v.CA.Raw, v.Root.Raw} {
				if err := s.Add(c); err != nil {
					t.Fatal(err)
				}
			}
			ev, err := deviceOf(f, goodTPM).Evidence(t.Context(), extra)
			if err != nil {
				t.Fatal(err)
			}
			data, err := ev.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if ev, err = tpm.ParseEvidence(data); err != nil {
				t.Fatal(err)
			}
			facts, err := tpm.Verify(ev, nil, s, tpm.Options{SimulatedRoots: [][32]byte{v.RootFingerprint()}}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if err := facts.CheckExtraData(extra[:]); err != nil {
				t.Error(err)
			}
			if len(facts.PCRs) != 1 || len(facts.PCRs[eventlog.SHA256]) != len(goodTPM.PCRs) || !bytes.Equal(facts.PCRs[eventlog.SHA256][14], f.sim.PCRs[eventlog.SHA256][14]) || facts.Certificate == nil {
				t.Errorf("%+v", facts)
			}

			dev := goodTPM
			dev.Certificate = 0
			if ev, err = deviceOf(f, dev).Evidence(t.Context(), extra); err != nil || len(ev.Certificates) != 0 {
				t.Fatalf("%d certificates, %v", len(ev.Certificates), err)
			}
			var unknown *attestation.UnknownError
			if _, err := tpm.Verify(ev, nil, s, tpm.Options{SimulatedRoots: [][32]byte{v.RootFingerprint()}}, time.Now()); !errors.As(err, &unknown) {
				t.Errorf("a key that nobody vouches for: %v", err)
			}
		})
	}
}

func TestTPMReading(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakeTPM)
		want   string // "" means evidence
	}{
		"registers one by one":            {func(f *fakeTPM) { f.perRead = 1 }, ""},
		"the owner reads the certificate": {func(f *fakeTPM) { f.ownerOnly = true }, ""},
		"a register changes twice":        {func(f *fakeTPM) { f.changes = 2 }, ""},
		"a register changes always":       {func(f *fakeTPM) { f.changes = 3 }, "do not have the quoted digest"},
		"no such key":                     {func(f *fakeTPM) { f.key++ }, "key 0x81010002"},
		"no such index":                   {func(f *fakeTPM) { f.nv = nil }, "NV index 0x01c10002"},
		"no certificate in the index":     {func(f *fakeTPM) { f.nv[0x01c10002] = make([]byte, 600) }, "no certificate there"},
		"an empty index":                  {func(f *fakeTPM) { f.nv[0x01c10002] = nil }, "no certificate there"},
		"a large index":                   {func(f *fakeTPM) { f.nv[0x01c10002] = make([]byte, 9000) }, "at most 8192"},
		"no registers":                    {func(f *fakeTPM) { f.perRead = -1 }, "SHA-256 bank"},
		"more registers than asked":       {func(f *fakeTPM) { f.more = 20 }, "28 values for 13 registers"},
		"something else in the index":     {func(f *fakeTPM) { f.nv[0x01c10002] = []byte{4, 2, 1, 2, 0, 0} }, "no certificate there"},
		"an index that ends early":        {func(f *fakeTPM) { f.emptyNV = true }, "it ends after 0 of"},
		"busy":                            {func(f *fakeTPM) { f.fails = map[tpm2.TPMCC]uint32{tpm2.TPMCCQuote: 0x922} }, "quoting"},
		"locked out":                      {func(f *fakeTPM) { f.fails = map[tpm2.TPMCC]uint32{tpm2.TPMCCPCRRead: 0x921} }, "reading registers"},
		"another nonce":                   {func(f *fakeTPM) { f.quote = func(q *sim.TPMQuote) { q.ExtraData[0] ^= 1 } }, "another nonce"},
		"fewer registers":                 {func(f *fakeTPM) { f.quote = func(q *sim.TPMQuote) { q.PCRs = q.PCRs[1:] } }, "quote"},
		"signed by nobody": {func(f *fakeTPM) {
			f.quote = func(q *sim.TPMQuote) { q.EditSigned = func(q *tpm.Quote) { q.Attest[50] ^= 1 } }
		}, "quote"},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := newFakeTPM(t, sim.TPMConfig{})
			c.change(f)
			ev, err := deviceOf(f, goodTPM).Evidence(t.Context(), [32]byte{7})
			switch {
			case c.want == "" && (err != nil || ev == nil):
				t.Fatal(err)
			case c.want != "" && (err == nil || ev != nil || !strings.Contains(err.Error(), c.want) || attestation.ExitCode(err) == 0):
				t.Errorf("%v", err)
			}
			if n := len(slices.DeleteFunc(f.commands, func(c tpm2.TPMCC) bool { return c != tpm2.TPMCCQuote })); n > quoteTries {
				t.Errorf("%d quotes", n)
			}
		})
	}
}

// A key that signs whatever it is given is none for attestation.
func TestTPMWrongKey(t *testing.T) {
	f, _ := newFakeTPM(t, sim.TPMConfig{Attributes: tpm.FixedTPM | tpm.FixedParent | tpm.SensitiveDataOrigin | tpm.Sign})
	if _, err := deviceOf(f, goodTPM).Evidence(t.Context(), [32]byte{}); err == nil || !strings.Contains(err.Error(), "lacks restricted") {
		t.Errorf("%v", err)
	}
}

func TestTPMConfig(t *testing.T) {
	if err := goodTPM.Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*TPMConfig){
		"key 0x81ffffff":         nil,
		"key 0x80000001":         func(c *TPMConfig) { c.Key = 0x80000001 },
		"key 0x82000000":         func(c *TPMConfig) { c.Key = 0x82000000 },
		"certificate 0x00000001": func(c *TPMConfig) { c.Certificate = 1 },
		"certificate 0x02000000": func(c *TPMConfig) { c.Certificate = 0x02000000 },
		"no register":            func(c *TPMConfig) { c.PCRs = nil },
		"registers [1 1]":        func(c *TPMConfig) { c.PCRs = []int{1, 1} },
		"registers [2 1]":        func(c *TPMConfig) { c.PCRs = []int{2, 1} },
		"registers [-1]":         func(c *TPMConfig) { c.PCRs = []int{-1} },
		"registers [24]":         func(c *TPMConfig) { c.PCRs = []int{24} },
	} {
		c := goodTPM
		if change == nil {
			c.Key = 0x81ffffff
			if err := c.Check(); err != nil {
				t.Error(err)
			}
			continue
		}
		change(&c)
		var bad *attestation.InputError
		if err := c.Check(); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		if d, err := OpenTPM(c); d != nil || !errors.As(err, &bad) {
			t.Errorf("%s: opened, %v", want, err)
		}
	}
}

// The host owns most TPMs: whatever one answers, there is no panic, and no
// evidence that does not verify.
func FuzzTPMResponse(f *testing.F) {
	for _, cc := range []tpm2.TPMCC{tpm2.TPMCCReadPublic, tpm2.TPMCCPCRRead, tpm2.TPMCCQuote, tpm2.TPMCCNVReadPublic, tpm2.TPMCCNVRead} {
		f.Add(uint32(cc), uint16(9), []byte{1})
		f.Add(uint32(cc), uint16(10), []byte{0xff, 0xff, 0xff, 0xff})
		f.Add(uint32(cc), uint16(14), []byte{0, 0, 0, 0})
		f.Add(uint32(cc), uint16(3), []byte{0x80})
	}
	fake, _ := newFakeTPM(f, sim.TPMConfig{})
	f.Fuzz(func(t *testing.T, cc uint32, off uint16, put []byte) {
		own := *fake
		own.t = t
		own.edit = func(c tpm2.TPMCC, out []byte) []byte {
			if uint32(c) != cc {
				return out
			}
			if int(off) >= len(out) {
				return append(out, put...)
			}
			if len(put) == 0 {
				return out[:off]
			}
			copy(out[off:], put)
			return out
		}
		ev, err := deviceOf(&own, goodTPM).Evidence(t.Context(), [32]byte{7})
		if err == nil {
			ev.Certificates = nil
			err = check(ev, [32]byte{7})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
