package attestation_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/tpm"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// realBoot is a measured boot under QEMU with a TPM that software emulates.
func realBoot(t testing.TB, name string) (evidence, log []byte, public [32]byte) {
	t.Helper()
	bytesOf := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var v struct {
		AK       string `json:"ak_pub"`
		EventLog string `json:"event_log"`
		Quotes   []struct {
			Alg, Quote, Sig string
			PCRs            map[int]string
		}
	}
	if err := json.Unmarshal(vectortest.Read(t, "cvm/vtpm/"+name+".attest.json"), &v); err != nil {
		t.Fatal(err)
	}
	e := &tpm.Evidence{Public: bytesOf(v.AK)[2:]}
	for _, q := range v.Quotes {
		bank := map[string]eventlog.Alg{"sha256": eventlog.SHA256, "sha384": eventlog.SHA384}[q.Alg]
		out := tpm.Quote{Attest: bytesOf(q.Quote), Signature: bytesOf(q.Sig), PCRs: tpm.PCRs{bank: {}}}
		for i, s := range q.PCRs {
			out.PCRs[bank][i] = bytesOf(s)
		}
		e.Quotes = append(e.Quotes, out)
	}
	evidence, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return evidence, bytesOf(v.EventLog), sha256.Sum256(e.Public)
}

// TestVectorsBoot judges real boots by what was measured into the registers of
// code: firmware started the kernel, which measured initrd and command line.
func TestVectorsBoot(t *testing.T) {
	for _, name := range []string{"mmio64", "p13", "p13m3", "pbp", "tpm-12"} {
		t.Run(name, func(t *testing.T) {
			evidence, log, key := realBoot(t, name)
			l, err := eventlog.Parse(log)
			if err != nil {
				t.Fatal(err)
			}
			digests := map[eventlog.Role]string{}
			for _, c := range l.Components(eventlog.SHA256) {
				digests[c.Role] = hex.EncodeToString(c.Digest)
			}
			section := fmt.Sprintf("required = true\n[event_log.registers.pcr4]\nkernel = [%q]\n[event_log.registers.pcr9]\ninitrd = [%q]\n\"command line\" = [%q]",
				digests[eventlog.RoleKernel], digests[eventlog.RoleInitrd], digests[eventlog.RoleCommandLine])
			w := &world{t: t, at: now, policy: attestation.DefaultPolicyTOML()}
			w.set("[tpm]", fmt.Sprintf("[tpm]\nunsafe_host_tpm = true\nunsafe_development_keys = [\"%x\"]\npcrs = {\"7\" = [%q]}", key, strings.Repeat("00", 32)))
			w.eventLog(section)
			f, err := w.verifier().VerifyEvidence("", evidence, nil, now)
			if err != nil {
				t.Fatal(err)
			}
			v := w.verifier().Policy().Appraise(f, attestation.Subject{At: now, EventLog: log})
			outcome := map[string]attestation.Outcome{}
			for _, c := range v.Checks {
				outcome[c.Rule] = c.Outcome
			}
			for _, rule := range []string{"tpm.event_log", "event_log.pcr4", "event_log.pcr9"} {
				if outcome[rule] != attestation.Pass {
					t.Errorf("%s: %q", rule, outcome[rule])
				}
			}
			w.set(digests[eventlog.RoleInitrd], strings.Repeat("22", 32))
			v = w.verifier().Policy().Appraise(f, attestation.Subject{At: now, EventLog: log})
			checkRule(t, v, "event_log.pcr9", "initrd "+digests[eventlog.RoleInitrd]+", is none of them")
		})
	}
}

// TestVectorsCCEL judges a real TD by the log of its boot: the log replays to the
// registers that the hardware signed, and names what the loader started.
func TestVectorsCCEL(t *testing.T) {
	at := time.Unix(1749034298, 0)
	log := vectortest.Read(t, "eventlog/cos-113-ccel_data.dat")
	l, err := eventlog.Parse(log)
	if err != nil {
		t.Fatal(err)
	}
	names := ""
	seen := map[string]bool{}
	for _, c := range l.Components(eventlog.SHA384) {
		if d := hex.EncodeToString(c.Digest); c.Register == 2 && !seen[d] { // RTMR 1
			seen[d] = true
			names += fmt.Sprintf("\"%d, %s\" = [%q]\n", c.Event, c.Role, d)
		}
	}
	w := &world{t: t, policy: attestation.DefaultPolicyTOML()}
	w.set(`measurements = "from registry"`, "unsafe_any_measurement = true")
	w.eventLog("required = true\n[event_log.registers.rtmr1]\n" + names)
	f, err := w.verifier().VerifyEvidence("", vectortest.Read(t, "tdx/quotes/go-tdx-guest-00b2526ab190.bin"), setOf(t, vectortest.Read(t, "tdx/collateral/00806f050000-2025-06.json")), at)
	if err != nil {
		t.Fatal(err)
	}
	v := w.verifier().Policy().Appraise(f, attestation.Subject{At: at, EventLog: log})
	if !v.Accepted || len(v.Facts.Components) < 40 {
		t.Errorf("%v, %d components", v.Err(), len(v.Facts.Components))
	}
	if v := w.verifier().Policy().Appraise(f, attestation.Subject{At: at}); v.Accepted {
		t.Error("accepted without the log that the policy demands")
	}
	other := bytes.Replace(log, []byte("Exit Boot Services Invocation"), []byte("Exit Boot Services invocation"), 1)
	checkRule(t, w.verifier().Policy().Appraise(f, attestation.Subject{At: at, EventLog: other}), "tdx.event_log", "does not have its digest")
}
