package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// alone runs verify evidence on a file.
func (m *machine) alone(code int, file string, words ...string) (stdout, stderr string) {
	m.t.Helper()
	return m.run(code, append([]string{"verify", "evidence", "@" + file, "--policy", "@policy.toml", "--at", judged.Format(time.RFC3339)}, words...)...)
}

func wantLines(t *testing.T, out string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(out, l) {
			t.Errorf("no %q in\n%s", l, out)
		}
	}
}

// TestTokensAlone: tokens of the remote attestation service, with the nonce that
// was asked, without it, and with another.
func TestTokensAlone(t *testing.T) {
	v, err := sim.NewNVIDIA(rand.NewChaCha8(sha256.Sum256([]byte("tokens"))), sim.NVIDIAConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := v.NewNRAS()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := s.Tokens(sim.NRASTokens{IssuedAt: judged.Add(-time.Minute), Nonce: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.KeySet(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	m.write("tokens.json", tokens)
	m.write("keys.json", keys)
	policy := attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{s.Root()}})
	m.write("policy.toml", []byte(strings.Replace(policy, "nras = false", "nras = true", 1)))
	asked := fmt.Sprintf("%x", [32]byte{1})
	good := []string{"--endorsements", "@keys.json"}

	out, _ := m.alone(0, "tokens.json", append(good, "--nonce", asked)...)
	wantLines(t, out, "SIMULATED", "PASS  the tokens answer the nonce of this verification", "NOT CHECKED  reports of the devices", "ACCEPTED  NRAS evidence")
	if strings.Contains(out, "NOT CHECKED  nonce") {
		t.Error(out)
	}
	out, _ = m.alone(0, "tokens.json", good...)
	wantLines(t, out, "NOT CHECKED  nonce of the tokens: nothing says what was asked, so they may be old")
	if strings.Contains(out, "answer the nonce") {
		t.Error(out)
	}
	out, errs := m.alone(2, "tokens.json", append(good, "--nonce", strings.Repeat("02", 32))...)
	wantLines(t, out, "FAIL  the tokens answer the nonce of this verification (expected 0202", "FALSE  NRAS evidence")
	wantLines(t, errs, "it does not hold that the tokens answer")
	out, errs = m.alone(3, "tokens.json", "--nonce", asked)
	wantLines(t, out, "COULD NOT FIND OUT  NRAS evidence")
	wantLines(t, errs, nvidia.NRASKeysURL)
	_, errs = m.alone(1, "tokens.json", append(good, "--nonce", "zz")...)
	wantLines(t, errs, `--nonce: want 64 hexadecimal digits, got "zz"`)
	m.write("policy.toml", []byte(policy))
	out, _ = m.alone(4, "tokens.json", append(good, "--nonce", asked)...)
	wantLines(t, out, "FAIL  the policy takes the word of NVIDIA's remote attestation service (expected nras = true, got nras = false)")
	out, _ = m.alone(4, "tokens.json", append(good, "--json")...)
	var verdict attestation.Verdict
	if err := json.Unmarshal([]byte(out), &verdict); err != nil || verdict.Kind != attestation.KindNRAS || !verdict.Authentic || len(verdict.Facts.GPUs) == 0 {
		t.Errorf("%v, %+v", err, verdict)
	}
	out, _ = m.run(0, "inspect", "@tokens.json")
	wantLines(t, out, "NOT VERIFIED: this is what a set of tokens")
}

// TestEventLogAlone: quotes of a TPM with the log of its boot.
func TestEventLogAlone(t *testing.T) {
	v, err := sim.NewTPMVendor(sim.TPMVendorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	module, err := v.NewTPM(sim.TPMConfig{})
	if err != nil {
		t.Fatal(err)
	}
	l := &sim.EventLog{Banks: []eventlog.Alg{eventlog.SHA256}}
	l.Add(4, eventlog.EFIBootServicesApp, []byte("kernel"), []byte("path"))
	module.Boot(l)
	n := [32]byte{3}
	e, err := module.Evidence(n[:])
	if err != nil {
		t.Fatal(err)
	}
	quotes, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	m.write("quotes.cbor", quotes)
	m.write("log.bin", l.Bytes())
	kernel := fmt.Sprintf("%x", l.PCRs(eventlog.SHA256)[4])
	policy := attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{v.RootFingerprint()}})
	policy = strings.Replace(policy, "accept = [", `accept = ["tpm", `, 1)
	policy = strings.Replace(policy, "[tpm]", "[tpm]\nunsafe_host_tpm = true\npcrs = {\"4\" = [\""+kernel+"\"]}", 1)
	policy = strings.Replace(policy, "required = false", "required = true", 1)
	m.write("policy.toml", []byte(policy))
	out, _ := m.alone(0, "quotes.cbor", "--event-log", "@log.bin", "--nonce", fmt.Sprintf("%x", n))
	wantLines(t, out, "PASS  the event log is the one of this boot: 1 events (sha256)", "PASS  the TPM's quotes answer the nonce", "  called kernel\n")
	out, _ = m.alone(3, "quotes.cbor")
	wantLines(t, out, "UNKNOWN  an event log says what the registers are made of (expected an event log, got none was given)", "NOT CHECKED  nonce of the TPM's quotes")
	l.Add(4, eventlog.EFIBootServicesApp, []byte("one more"), nil)
	m.write("log.bin", l.Bytes())
	out, _ = m.alone(2, "quotes.cbor", "--event-log", "@log.bin")
	wantLines(t, out, "FAIL  the event log is the one of this boot (expected PCR 4 "+kernel)
	_, errs := m.alone(1, "quotes.cbor", "--event-log", "@missing.bin")
	wantLines(t, errs, "missing.bin")
}
