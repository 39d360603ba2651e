package attestation_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// wantInput fails when an error of a parser belongs to another family.
func wantInput(t *testing.T, err error) {
	t.Helper()
	if fault.FamilyOf(err) != fault.FamilyInput {
		t.Errorf("family %d: %v", fault.FamilyOf(err), err)
	}
}

// FuzzParseBundle: no panic; what is read encodes to the same bytes; nothing
// that the fuzzer makes is accepted.
func FuzzParseBundle(f *testing.F) {
	w := newWorld(f)
	for _, edit := range []func(*attestation.Bundle){
		func(*attestation.Bundle) {},
		func(b *attestation.Bundle) {
			b.EventLog, b.Attachments = []byte{1}, []attestation.Item{{Kind: "x", Data: []byte{1}}}
		},
	} {
		b := w.bundle()
		edit(b)
		enc, err := b.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(enc)
	}
	good := w.bundle().Digest()
	v, e := w.verifier(), w.endorsements()
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := attestation.ParseBundle(data)
		if err != nil {
			if fam := fault.FamilyOf(err); fam != fault.FamilyInput && fam != fault.FamilyFalse {
				t.Errorf("family %d: %v", fam, err)
			}
			return
		}
		if again, err := b.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("does not encode to the same bytes: %v", err)
		}
		got, err := v.Verify(attestation.Input{Bundle: b, Endorsements: e, Registered: w.registered, At: now})
		if err == nil && got.Digest() != good {
			t.Error("accepted other claims")
		}
	})
}

// FuzzParseClaims: no panic; what is read encodes to the same bytes.
func FuzzParseClaims(f *testing.F) {
	w := newWorld(f)
	_, body, err := w.claims.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	w.claims.Body.GPUEvidence = [][32]byte{{1}, {2}}
	if _, body, err = w.claims.Encode(); err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, data []byte) {
		h := w.claims.Heads
		h.BodyDigest = sha256.Sum256(data)
		c, err := attestation.ParseClaims(h.AppendTo(nil), data)
		if err != nil {
			wantInput(t, err)
			return
		}
		heads, again, err := c.Encode()
		if err != nil || !bytes.Equal(again, data) || !bytes.Equal(heads, h.AppendTo(nil)) {
			t.Errorf("does not encode to the same bytes: %v", err)
		}
	})
}

// FuzzParseHeads: no panic; what is read encodes to the same bytes.
func FuzzParseHeads(f *testing.F) {
	heads, _, err := newWorld(f).claims.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(heads)
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := attestation.ParseHeads(data)
		if err != nil {
			wantInput(t, err)
			return
		}
		if !bytes.Equal(h.AppendTo(nil), data) {
			t.Error("does not encode to the same bytes")
		}
	})
}

// FuzzParsePolicy: no panic; what is read is never empty, and judges.
func FuzzParsePolicy(f *testing.F) {
	w := newWorld(f)
	f.Add([]byte(attestation.DefaultPolicyTOML()))
	f.Add([]byte(w.policy))
	f.Add([]byte("version = \"cocoon/policy/v1\"\naccept = [\"sgx\"]\nunsafe_any_measurement = true\n"))
	f.Add([]byte("\"version\" = 'x'\ntdx.\"unsafe_debug\" = true\n[[snp]]\n[\"snp\".min_tcb.'genoa']\n\n"))
	f.Add([]byte(strings.ReplaceAll(attestation.DefaultPolicyTOML(), "\n", "\r\n")))
	facts, err := w.verifier().VerifyEvidence("", w.evidence().Data, w.endorsements(), now)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := attestation.ParsePolicy(data)
		lines := bytes.Count(data, []byte("\n")) + 1
		for _, q := range attestation.PolicyProblems(err) {
			if q.Text == "" || q.Line < 0 || q.Line > lines {
				t.Errorf("problem %+v of %d lines", q, lines)
			}
		}
		if err != nil {
			wantInput(t, err)
			return
		}
		for _, q := range p.Warnings() {
			if q.Text == "" || q.Line < 0 || q.Line > lines {
				t.Errorf("warning %+v of %d lines", q, lines)
			}
		}
		if len(p.Explain()) < 10 {
			t.Errorf("rules %v", p.Explain())
		}
		v := p.Appraise(facts, attestation.Subject{At: now})
		if v.Accepted != (v.Err() == nil) || len(v.Checks) < 5 {
			t.Errorf("verdict %+v", v)
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
	})
}

// tokenForms are tokens and keys of NVIDIA's remote attestation service.
func tokenForms(f *testing.F) [][]byte {
	tokens, err := gpuService().Tokens(sim.NRASTokens{IssuedAt: now.Add(-time.Minute), Nonce: [32]byte{1}})
	if err != nil {
		f.Fatal(err)
	}
	failed, err := gpuService().Tokens(sim.NRASTokens{IssuedAt: now, Failed: true})
	if err != nil {
		f.Fatal(err)
	}
	keys, err := gpuService().KeySet(nil)
	if err != nil {
		f.Fatal(err)
	}
	return [][]byte{tokens, failed, keys, []byte(" [ [\"JWT\", \"e30.e30.AA\"], {\"GPU-0\": \"e30.e30.AA\"} ]")}
}

// FuzzVerifyEvidence is the way of any file through the verifier, with a log that
// comes from the host too: no panic, no facts with an error, and a verdict for
// what is genuine, which is only what the seeds are.
func FuzzVerifyEvidence(f *testing.F) {
	m, g, w := newTPMWorld(f), newGPUWorld(f), newWorld(f)
	g.mint()
	log := tcg2(eventlog.SHA256)
	m.tpm.Boot(log)
	roots := append(gpuVendor().Roots(), gpuService().Root(), w.platform.RootFingerprint(), m.vendor.RootFingerprint())
	m.options("unsafe_host_tpm = true\npcrs = {\"4\" = [\""+strings.Repeat("00", 32)+"\"]}", roots...)
	m.set(`accept = [`, `accept = ["tpm", `)
	m.set("nras = false", "nras = true")
	m.eventLog(named(hash("kernel"), hash("loader")))
	genuine := map[string]bool{}
	seeds := [][]byte{m.evidence([32]byte{1}), g.evidence, w.evidence().Data}
	for _, b := range append(seeds, tokenForms(f)...) {
		f.Add(b, log.Bytes())
		genuine[attestation.DetectKind(b)] = true
	}
	v, e := m.verifier(), w.endorsements()
	m.documents(e)
	docs, err := gpuDevice().Endorsements(gpuVendor(), now.Add(-time.Hour), now.Add(24*time.Hour))
	if err != nil {
		f.Fatal(err)
	}
	for i, d := range docs {
		if err := e.AddFile(fmt.Sprint(i), d); err != nil {
			f.Fatal(err)
		}
	}
	if err := e.AddFile("keys", tokenForms(f)[2]); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data, log []byte) {
		facts, err := v.VerifyEvidence("", data, e, now)
		if (facts == nil) == (err == nil) {
			t.Fatalf("%v with %v", facts, err)
		}
		if err != nil {
			return
		}
		verdict := v.Policy().Appraise(facts, attestation.Subject{At: now, EventLog: log, Nonce: &[32]byte{1}})
		if !genuine[verdict.Kind] || verdict.Accepted != (verdict.Err() == nil) {
			t.Errorf("verdict %+v", verdict)
		}
		if _, err := json.Marshal(verdict); err != nil {
			t.Error(err)
		}
	})
}

// FuzzAddFile: no endorsement makes a parser panic.
func FuzzAddFile(f *testing.F) {
	w := newWorld(f)
	j, err := w.platform.Endorsements(w.collateral)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(j)
	f.Add(w.platform.PCKChain())
	f.Add([]byte(`{"tcbInfo":{"id":"TDX"},"signature":"00"}`))
	for _, doc := range tokenForms(f) {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e := attestation.NewEndorsements()
		if err := e.AddFile("file", data); err != nil {
			wantInput(t, err)
		}
	})
}
