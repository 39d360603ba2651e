package attestation

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// tpmSection is the section [tpm] of a policy file.
type tpmSection struct {
	Roots      []string            `toml:"roots"`
	Paravisors []string            `toml:"paravisors"` // measurement digests
	PCRs       map[string][]string `toml:"pcrs"`       // of the SHA-256 bank

	UnsafeDevelopmentKeys []string `toml:"unsafe_development_keys"`
	UnsafeHostTPM         bool     `toml:"unsafe_host_tpm"`
	UnsafePersisted       bool     `toml:"unsafe_persisted_tpm"`
}

// tpmPolicy is [tpmSection] as values.
type tpmPolicy struct {
	roots, keys, paravisors [][32]byte
	pcrs                    map[int][][]byte
	host, persisted         bool
}

// numPCRs is how many registers a TPM of a PC has (TCG PC Client Platform TPM
// Profile 1.05, section 4.6.2).
const numPCRs = 24

func (p *Policy) buildTPM() error {
	s := &p.f.TPM
	t := &tpmPolicy{pcrs: map[int][][]byte{}, host: s.UnsafeHostTPM, persisted: s.UnsafePersisted}
	p.tpm = t
	var errs []error
	for _, l := range []struct {
		key  string
		list []string
		to   *[][32]byte
	}{{"tpm.roots", s.Roots, &t.roots}, {"tpm.paravisors", s.Paravisors, &t.paravisors}, {"tpm.unsafe_development_keys", s.UnsafeDevelopmentKeys, &t.keys}} {
		ds, err := digests(l.key, l.list, 32)
		errs = append(errs, err)
		for _, d := range ds {
			*l.to = append(*l.to, [32]byte(d))
		}
	}
	for name, list := range s.PCRs {
		n, err := strconv.Atoi(name)
		if err != nil || n < 0 || n >= numPCRs || strconv.Itoa(n) != name {
			errs = append(errs, problem("tpm.pcrs."+name, "%q is not a register from 0 to %d", name, numPCRs-1))
			continue
		}
		if len(list) == 0 {
			errs = append(errs, problem("tpm.pcrs."+name, "an empty list accepts nothing"))
		}
		ds, err := digests("tpm.pcrs."+name, list, eventlog.SHA256.Hash().Size())
		errs = append(errs, err)
		t.pcrs[n] = ds
	}
	return errors.Join(errs...)
}

// codePCRs are the registers that hold what the firmware of a paravisor started:
// drivers (PFP 3.3.4.3) and applications (3.3.4.5). Without both, nothing says whose
// code extended the others.
var codePCRs = []int{2, 4}

// checkRegisters refuses TPMs, and guests of paravisors, that would be judged by
// nothing.
func (p *Policy) checkRegisters() error {
	if slices.Contains(p.f.Accept, KindTPM) && len(p.tpm.pcrs) == 0 && !p.log.pcrs() {
		return problem("tpm.pcrs", "names no register, and event_log.registers none of a TPM, so any code would be accepted")
	}
	if len(p.tpm.paravisors) == 0 {
		return nil
	}
	for _, n := range codePCRs {
		if !p.judges(n) {
			return problem("tpm.paravisors", "any code could run on them: register %d, of what the firmware starts, is judged neither in tpm.pcrs nor in event_log.registers", n)
		}
	}
	return nil
}

func (t *tpmPolicy) options(simulated [][32]byte) tpm.Options {
	return tpm.Options{Roots: t.roots, SimulatedRoots: simulated, UnsafeDevelopmentKeys: t.keys}
}

func (x *explainer) tpm() {
	t := x.p.tpm
	if len(t.pcrs) > 0 {
		x.add("tpm.pcrs", "TPM: %d registers must have values that the policy lists.", len(t.pcrs))
	}
	x.choose(t.host, "tpm.confidential", "UNSAFE: TPM: one that an authority certified counts, though the host may own it.",
		"TPM: the hardware of a confidential VM must vouch for the TPM: the host has genuine ones too.")
	x.add("tpm.paravisor", "TPM: of a confidential VM whose hardware vouches for its TPM, the paravisor must be one of %d that the policy lists.", len(t.paravisors))
	x.choose(t.persisted, "tpm.persisted", "UNSAFE: TPM: a paravisor may take the TPM's key from the host's disk.",
		"TPM: a paravisor must have made the TPM's key in this boot.")
	x.add("tpm.event_log", "TPM: an event log, when there is one, must replay to the registers.")
	x.when(len(t.keys) > 0, "tpm.development", "UNSAFE: TPM: %d keys count that nobody has certified, whoever owns the TPM.", len(t.keys))
}

// judges reports whether the policy judges one of these registers of a TPM.
func (p *Policy) judges(pcrs ...int) bool {
	return slices.ContainsFunc(pcrs, func(n int) bool {
		_, value := p.tpm.pcrs[n]
		_, made := p.log.registers[fmt.Sprint(registerPCR, n)]
		return value || made
	})
}

func (w *warner) tpm(p *Policy) {
	w.unsafe("tpm.unsafe_host_tpm", p.tpm.host, "quotes of a TPM that the host owns prove nothing against the host")
	w.unsafe("tpm.unsafe_persisted_tpm", p.tpm.persisted, "the host may know the TPM's key, where the paravisor did not seal it")
	if len(p.tpm.paravisors) > 0 && !p.judges(8, 9, 11, 12) {
		w.add("tpm.paravisors", "of the guest only registers 2 and 4 are judged: an initrd and a command line count only where they are part of the kernel's image")
	}
	w.unsafe("tpm.unsafe_development_keys", len(p.tpm.keys) > 0, "keys are accepted that nobody has certified")
}
