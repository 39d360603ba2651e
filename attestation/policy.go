package attestation

import (
	"bytes"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/strict"
)

// MaxPolicySize is the largest policy file, in bytes.
const MaxPolicySize = 1 << 20

const policyVersion = "cocoon/policy/v1"

// Policy is what a verifier accepts. Only [ParsePolicy] makes one, and it never
// changes: it is safe for concurrent use. There is no policy that accepts
// everything by being empty.
type Policy struct {
	text string
	f    policyFile

	roots        [][32]byte
	measurements Source
	models       Source
	maxAge       time.Duration
	endorseAge   time.Duration
	minTCBDate   time.Time
	mrseam       [][]byte
	attrAllowed  uint64
	attrRequired uint64
	xfamAllowed  uint64
	xfamRequired uint64
	mrenclave    [][]byte
	mrsigner     [][]byte
	snp          snpPolicy
	gpu          *gpuPolicy
	tpm          *tpmPolicy
	log          *logPolicy
}

// Source says where a list of digests comes from: the policy itself, or a
// registry on the chain.
type Source struct {
	Digests  [][32]byte
	Registry bool    // the list is the registry's
	Address  Address // of that registry; zero means the one that the caller trusts
	Any      bool    // no list: an unsafe_ option accepts everything
}

type policyFile struct {
	Version        string   `toml:"version"`
	SimulatedRoots []string `toml:"simulated_roots"`
	Accept         []string `toml:"accept"`
	Measurements   any      `toml:"measurements"`
	Models         any      `toml:"models"`
	PriceCeiling   uint64   `toml:"price_ceiling"`

	UnsafeAnyMeasurement bool `toml:"unsafe_any_measurement"`
	UnsafeAnyModel       bool `toml:"unsafe_any_model"`

	Evidence struct {
		MaxAge             string `toml:"max_age"`
		LiveNonce          bool   `toml:"live_nonce"`
		UnsafeUnregistered bool   `toml:"unsafe_unregistered"`
	} `toml:"evidence"`

	Endorsements struct {
		MaxAge        string `toml:"max_age"`
		MinEvaluation int    `toml:"min_tcb_evaluation"`
	} `toml:"endorsements"`

	TCB struct {
		Status           []string `toml:"status"`
		MinDate          string   `toml:"min_date"`
		DeniedAdvisories []string `toml:"denied_advisories"`
	} `toml:"tcb"`

	TDX struct {
		MRSEAM              []string `toml:"mrseam"`
		AttributesAllowed   string   `toml:"attributes_allowed"`
		AttributesRequired  string   `toml:"attributes_required"`
		XFAMAllowed         string   `toml:"xfam_allowed"`
		XFAMRequired        string   `toml:"xfam_required"`
		UnsafeDebug         bool     `toml:"unsafe_debug"`
		UnsafeSeptVEDisable bool     `toml:"unsafe_sept_ve_enabled"`
		UnsafeServiceTD     bool     `toml:"unsafe_service_td"`
	} `toml:"tdx"`

	SGX struct {
		MRENCLAVE   []string `toml:"mrenclave"`
		MRSIGNER    []string `toml:"mrsigner"`
		UnsafeDebug bool     `toml:"unsafe_debug"`
	} `toml:"sgx"`

	SNP snpSection `toml:"snp"`
	GPU gpuSection `toml:"gpu"`
	TPM tpmSection `toml:"tpm"`

	EventLog logSection `toml:"event_log"`
}

// ParsePolicy reads a policy in TOML (docs/spec/policy.md). It is strict:
// unknown keys, an empty text, a missing section that accepting needs, and
// settings that contradict each other are [*InputError]s; [PolicyProblems] lists
// them with their lines.
func ParsePolicy(data []byte) (*Policy, error) {
	if len(data) > MaxPolicySize {
		return nil, BadInput("policy: %d bytes, the limit is %d", len(data), MaxPolicySize)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, BadInput("policy: empty; an empty policy accepts nothing and is refused (`cocoon policy init` writes one to start from)")
	}
	p := &Policy{text: string(data)}
	if err := strict.TOML(data, &p.f); err != nil {
		return nil, badTOML(err)
	}
	if err := p.build(); err != nil {
		return nil, located(err, data)
	}
	return p, nil
}

// build turns the text fields into values and refuses contradictions.
func (p *Policy) build() error {
	f := &p.f
	if f.Version != policyVersion {
		return problem("version", "version %q, want %q", f.Version, policyVersion)
	}
	var errs []error
	add := func(err error) { errs = append(errs, err) }
	if len(f.Accept) == 0 {
		add(problem("accept", "names no kind of evidence, so nothing can be accepted"))
	}
	for _, k := range f.Accept {
		if !slices.Contains([]string{KindTDX, KindSNP, KindSGX, KindTPM}, k) {
			add(problem("accept", "unknown kind %q", k))
		}
	}
	for _, r := range f.SimulatedRoots {
		h, ok := strings.CutPrefix(r, "sha256:")
		fp, err := digests("simulated_roots", []string{h}, 32)
		if !ok || err != nil {
			add(problem("simulated_roots", `%q is not "sha256:" and 64 hexadecimal digits`, r))
			continue
		}
		p.roots = append(p.roots, [32]byte(fp[0]))
	}
	var err error
	p.measurements, err = source("measurements", f.Measurements, f.UnsafeAnyMeasurement)
	add(err)
	p.models, err = source("models", f.Models, f.UnsafeAnyModel)
	add(err)
	add(p.buildTimes())
	add(p.buildTCB())
	add(p.buildTDX())
	add(p.buildSNP())
	add(p.buildGPU())
	add(p.buildTPM())
	add(p.buildLog())
	add(p.checkRegisters())
	p.mrenclave, err = digests("sgx.mrenclave", f.SGX.MRENCLAVE, 32)
	add(err)
	p.mrsigner, err = digests("sgx.mrsigner", f.SGX.MRSIGNER, 32)
	add(err)
	if slices.Contains(f.Accept, KindSGX) && len(p.mrenclave) == 0 && len(p.mrsigner) == 0 {
		add(problem("accept", "kind sgx needs sgx.mrenclave or sgx.mrsigner"))
	}
	return errors.Join(errs...)
}

func (p *Policy) buildTimes() error {
	var errs []error
	for _, d := range []struct {
		name, text string
		to         *time.Duration
	}{{"evidence.max_age", p.f.Evidence.MaxAge, &p.maxAge}, {"endorsements.max_age", p.f.Endorsements.MaxAge, &p.endorseAge}} {
		v, err := time.ParseDuration(d.text)
		if err != nil || v <= 0 {
			errs = append(errs, problem(d.name, `%q is not a duration such as "168h"`, d.text))
		}
		*d.to = v
	}
	if p.f.Endorsements.MinEvaluation < 0 {
		errs = append(errs, problem("endorsements.min_tcb_evaluation", "negative"))
	}
	return errors.Join(errs...)
}

// neverAccepted are ratings that no policy can accept.
var neverAccepted = []intel.Status{intel.Revoked, intel.NotSupported}

// advisory is how Intel names its security advisories.
var advisory = regexp.MustCompile(`(?i)^[a-z]+-sa-[0-9]{5}$`)

func (p *Policy) buildTCB() error {
	var errs []error
	known := []intel.Status{intel.UpToDate, intel.SWHardeningNeeded, intel.ConfigurationNeeded, intel.ConfigurationAndSWHardeningNeeded,
		intel.OutOfDate, intel.OutOfDateConfigurationNeeded, intel.TDRelaunchAdvised, intel.TDRelaunchAdvisedConfigurationNeeded}
	if len(p.f.TCB.Status) == 0 && slices.ContainsFunc(p.f.Accept, func(k string) bool { return k != KindSNP }) {
		errs = append(errs, problem("tcb.status", "names no status, so nothing can be accepted"))
	}
	for _, s := range p.f.TCB.Status {
		if slices.Contains(neverAccepted, intel.Status(s)) {
			errs = append(errs, problem("tcb.status", "%q can't be accepted", s))
		} else if !slices.Contains(known, intel.Status(s)) {
			errs = append(errs, problem("tcb.status", "unknown status %q", s))
		}
	}
	for _, a := range p.f.TCB.DeniedAdvisories {
		if !advisory.MatchString(a) {
			errs = append(errs, problem("tcb.denied_advisories", "%q is not an advisory such as INTEL-SA-00837", a))
		}
	}
	if d := p.f.TCB.MinDate; d != "" {
		t, err := time.Parse(time.DateOnly, d)
		if err != nil {
			errs = append(errs, problem("tcb.min_date", "%q is not a date such as 2024-03-13", d))
		}
		p.minTCBDate = t
	}
	return errors.Join(errs...)
}

func (p *Policy) buildTDX() error {
	t := &p.f.TDX
	var errs []error
	var err error
	p.mrseam, err = digests("tdx.mrseam", t.MRSEAM, 48)
	errs = append(errs, err)
	if !slices.Contains(p.f.Accept, KindTDX) {
		return errors.Join(errs...)
	}
	for _, m := range []struct {
		name, text string
		to         *uint64
	}{
		{"tdx.attributes_allowed", t.AttributesAllowed, &p.attrAllowed}, {"tdx.attributes_required", t.AttributesRequired, &p.attrRequired},
		{"tdx.xfam_allowed", t.XFAMAllowed, &p.xfamAllowed}, {"tdx.xfam_required", t.XFAMRequired, &p.xfamRequired},
	} {
		b, err := digests(m.name, []string{m.text}, 8)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for i := range 8 {
			*m.to |= uint64(b[0][i]) << (8 * i)
		}
	}
	if p.attrRequired&^p.attrAllowed != 0 {
		errs = append(errs, problem("tdx.attributes_required", "attributes_required has bits that attributes_allowed has not"))
	}
	if p.xfamRequired&^p.xfamAllowed != 0 {
		errs = append(errs, problem("tdx.xfam_required", "xfam_required has bits that xfam_allowed has not"))
	}
	if p.attrAllowed&0xff != 0 && !t.UnsafeDebug {
		errs = append(errs, problem("tdx.attributes_allowed", "attributes_allowed has debug bits, and unsafe_debug is not set"))
	}
	if p.attrRequired&septVEDisable != 0 && t.UnsafeSeptVEDisable {
		errs = append(errs, problem("tdx.attributes_required", "attributes_required has SEPT_VE_DISABLE, and unsafe_sept_ve_enabled is set"))
	}
	return errors.Join(errs...)
}

const septVEDisable = 1 << 28

// digests decodes hexadecimal texts of n bytes each.
func digests(name string, texts []string, n int) ([][]byte, error) {
	var out [][]byte
	for _, s := range texts {
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != n {
			return nil, problem(name, "%q is not %d hexadecimal digits", s, 2*n)
		}
		out = append(out, b)
	}
	return out, nil
}

// fromRegistry starts the text form of a [Source] that is a registry's list.
const fromRegistry = "from registry"

// anyAddress reads an address as a person has it: raw, or as explorers show it.
func anyAddress(s string) (Address, error) {
	if strings.Contains(s, ":") {
		return ParseAddress(s)
	}
	a, _, err := ParseFriendlyAddress(s)
	return a, err
}

// source reads a list of digests, "from registry" or "from registry ADDRESS".
func source(name string, v any, unsafeAny bool) (Source, error) {
	if unsafeAny {
		if v != nil {
			return Source{}, problem(name, "a list, and the unsafe_any_ option that ignores it")
		}
		return Source{Any: true}, nil
	}
	switch x := v.(type) {
	case string:
		rest, ok := strings.CutPrefix(x, fromRegistry)
		if !ok {
			break
		}
		s := Source{Registry: true}
		if rest != "" {
			addr, err := anyAddress(strings.TrimSpace(rest))
			if err != nil {
				return Source{}, problem(name, "%v", err)
			}
			s.Address = addr
		}
		return s, nil
	case []any:
		var s Source
		for _, e := range x {
			text, _ := e.(string)
			d, err := digests(name, []string{text}, 32)
			if err != nil {
				return Source{}, err
			}
			s.Digests = append(s.Digests, [32]byte(d[0]))
		}
		if len(s.Digests) == 0 {
			return Source{}, problem(name, "an empty list accepts nothing")
		}
		return s, nil
	}
	return Source{}, problem(name, "want a list of 64-digit hexadecimal digests, or %q", fromRegistry)
}

// Text returns the policy as it was read.
func (p *Policy) Text() string { return p.text }

// SimulatedRoots returns the fingerprints of the simulated roots that the
// policy names.
func (p *Policy) SimulatedRoots() [][32]byte { return slices.Clone(p.roots) }

// Measurements says which measurements the policy accepts.
func (p *Policy) Measurements() Source { return p.measurements.clone() }

// Models says which models the policy accepts.
func (p *Policy) Models() Source { return p.models.clone() }

func (s Source) clone() Source {
	s.Digests = slices.Clone(s.Digests)
	return s
}

// PriceCeiling returns the highest price that the client pays, in nano coins per
// 1000 tokens; 0 means that only free nodes are used.
func (p *Policy) PriceCeiling() uint64 { return p.f.PriceCeiling }

// LiveNonce reports whether every verification needs a nonce of its own.
func (p *Policy) LiveNonce() bool { return p.f.Evidence.LiveNonce }

// MaxAge returns how old evidence may be, counted from the block in its claims.
func (p *Policy) MaxAge() time.Duration { return p.maxAge }
