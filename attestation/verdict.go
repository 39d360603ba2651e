package attestation

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
)

// Outcome is the result of one check.
type Outcome string

// The outcomes.
const (
	Pass    Outcome = "pass"
	Fail    Outcome = "fail"    // it is false, or refused
	NotSure Outcome = "unknown" // it could not be found out
)

// Check is one rule and what came of it.
type Check struct {
	Rule     string  `json:"rule"` // stable name, such as "tdx.debug"
	Text     string  `json:"text"` // what the rule says, for a person
	Outcome  Outcome `json:"outcome"`
	Expected string  `json:"expected,omitempty"`
	Got      string  `json:"got,omitempty"`

	family fault.Family // of the error when it does not pass
}

// Verdict is the result of looking at evidence, check by check
// (docs/spec/verdict.md). Facts are there also when the policy refuses.
type Verdict struct {
	Kind       string        `json:"kind"`      // kind of the evidence
	Authentic  bool          `json:"authentic"` // genuine hardware, or a simulated root that the policy names, signed it
	Accepted   bool          `json:"accepted"`  // every check passed
	Simulated  bool          `json:"simulated"`
	At         time.Time     `json:"at"` // the time that the checks used
	Facts      *VerdictFacts `json:"facts,omitempty"`
	Checks     []Check       `json:"checks"`
	Refusals   []string      `json:"refusals"`    // one sentence for each check that did not pass
	NotChecked []string      `json:"not_checked"` // what nobody looked at, one sentence each
}

// VerdictFacts are the facts of a verdict: what evidence of all kinds has, and
// the part of one vendor. Byte strings are hexadecimal, in the order of the
// evidence.
type VerdictFacts struct {
	Root        string `json:"root"`                  // "sha256:" and the fingerprint of the root certificate; empty when nobody vouches
	NotBefore   string `json:"not_before"`            // RFC 3339, of all endorsements together, GPUs' and TPM's too
	NotAfter    string `json:"not_after"`             // RFC 3339
	Platform    string `json:"platform,omitempty"`    // the id of the machine
	Measurement string `json:"measurement,omitempty"` // the digest that registries list
	Debug       bool   `json:"debug"`                 // the host can look into it
	ReportData  string `json:"report_data,omitempty"`

	// Components are what the event log names, when it replays to the registers
	// of the evidence.
	Components []ComponentVerdict `json:"components,omitempty"`

	*IntelVerdict
	*AMDVerdict
	GPUs []DeviceVerdict `json:"gpus,omitempty"` // and switches
	TPM  *ModuleVerdict  `json:"tpm,omitempty"`
}

// ComponentVerdict is one measured component. Digest and order are authentic;
// role and type are what the log says.
type ComponentVerdict struct {
	Kind     string `json:"kind"`           // of the register: "rtmr" or "pcr"
	Register int    `json:"register"`       // its number
	Event    int    `json:"event"`          // position in the log
	Name     string `json:"name,omitempty"` // that the policy has for the digest
	Role     string `json:"role"`
	Type     string `json:"type"`
	Digest   string `json:"digest"`
	Text     string `json:"text,omitempty"` // only what the digest covers
}

// IntelVerdict are the facts of an Intel quote.
type IntelVerdict struct {
	TCBStatus        string   `json:"tcb_status"`
	PlatformStatus   string   `json:"platform_status"`
	ModuleStatus     string   `json:"module_status"`
	QEStatus         string   `json:"qe_status"`
	CurrentStatus    string   `json:"current_status,omitempty"`
	TCBDate          string   `json:"tcb_date"` // YYYY-MM-DD
	Advisories       []string `json:"advisories"`
	EvaluationNumber int      `json:"tcb_evaluation_data_number"`
	QuoteVersion     int      `json:"quote_version"`
	BodyType         int      `json:"body_type"`
	OpenEnclave      bool     `json:"open_enclave,omitempty"`
	TrailingBytes    int      `json:"trailing_bytes"`
	PCKCA            string   `json:"pck_ca"`
	FMSPC            string   `json:"fmspc"`
	PPID             string   `json:"ppid"`
	PCEID            string   `json:"pceid"`
	PCESVN           int      `json:"pcesvn"`
	CPUSVN           string   `json:"cpusvn"`

	*TDVerdict
	*EnclaveVerdict
}

// TDVerdict are the facts of a TD.
type TDVerdict struct {
	MRTD           string `json:"mrtd"`
	RTMR0          string `json:"rtmr0"`
	RTMR1          string `json:"rtmr1"`
	RTMR2          string `json:"rtmr2"`
	RTMR3          string `json:"rtmr3"`
	MRConfigID     string `json:"mrconfigid"`
	MROwner        string `json:"mrowner"`
	MROwnerConfig  string `json:"mrownerconfig"`
	MRSEAM         string `json:"mrseam"`
	MRSIGNERSEAM   string `json:"mrsignerseam"`
	SEAMAttributes string `json:"seam_attributes"`
	TDAttributes   string `json:"td_attributes"`
	XFAM           string `json:"xfam"`
	TEETCBSVN      string `json:"tee_tcb_svn"`
	TEETCBSVN2     string `json:"tee_tcb_svn2,omitempty"`
	MRServiceTD    string `json:"mrservicetd,omitempty"`
	Extended       string `json:"td_extended,omitempty"`
	SeptVEDisable  bool   `json:"sept_ve_disable"`
	Perfmon        bool   `json:"perfmon"`
	Migratable     bool   `json:"migratable"`
}

// EnclaveVerdict are the facts of an SGX enclave.
type EnclaveVerdict struct {
	MRENCLAVE  string `json:"mrenclave"`
	MRSIGNER   string `json:"mrsigner"`
	ISVProdID  int    `json:"isvprodid"`
	ISVSVN     int    `json:"isvsvn"`
	Attributes string `json:"attributes"`
	MiscSelect string `json:"miscselect"`
}

func (f *Facts) verdict(s *Subject) *VerdictFacts {
	v := &VerdictFacts{}
	if from, to := f.window(s); !to.IsZero() {
		v.Root, v.NotBefore, v.NotAfter = fingerprint(f.Root), stamp(from), stamp(to)
	}
	if f.Intel != nil || f.AMD != nil {
		rd := f.ReportData()
		v.ReportData = hex.EncodeToString(rd[:])
	}
	if m, ok := f.Measurement(); ok {
		v.Measurement = hex.EncodeToString(m[:])
	}
	if id := f.PlatformID(); id != [32]byte{} {
		v.Platform = hex.EncodeToString(id[:])
	}
	switch {
	case f.AMD != nil:
		v.Debug, v.AMDVerdict = f.AMD.Report.Policy.Debug(), amdVerdict(f.AMD)
	case f.Intel != nil:
		v.Debug, v.IntelVerdict = f.Intel.Debug(), intelVerdict(f.Intel)
	}
	for _, d := range f.allDevices(s) {
		v.GPUs = append(v.GPUs, deviceVerdict(d))
	}
	if f.Tokens != nil {
		v.GPUs = tokenVerdicts(f.Tokens)
	}
	if t := f.module(s); t != nil {
		v.TPM = moduleVerdict(t)
	}
	return v
}

func intelVerdict(i *intel.Facts) *IntelVerdict {
	v := &IntelVerdict{
		TCBStatus: string(i.Status), PlatformStatus: string(i.PlatformStatus), ModuleStatus: string(i.ModuleStatus),
		QEStatus: string(i.QEStatus), CurrentStatus: string(i.CurrentStatus),
		Advisories: append([]string{}, i.Advisories...), EvaluationNumber: i.Evaluation,
		QuoteVersion: int(i.QuoteVersion), BodyType: int(i.BodyType), OpenEnclave: i.OpenEnclave, TrailingBytes: i.Trailing,
		PCKCA: i.Platform.CA, FMSPC: hex.EncodeToString(i.Platform.FMSPC[:]),
		PPID: hex.EncodeToString(i.Platform.PPID[:]), PCEID: hex.EncodeToString(i.Platform.PCEID[:]),
		PCESVN: int(i.Platform.PCESVN), CPUSVN: hex.EncodeToString(i.Platform.CPUSVN[:]),
	}
	if !i.TCBDate.IsZero() {
		v.TCBDate = i.TCBDate.UTC().Format(time.DateOnly)
	}
	if td := i.TD; td != nil {
		h := func(b [48]byte) string { return hex.EncodeToString(b[:]) }
		v.TDVerdict = &TDVerdict{
			MRTD: h(td.MRTD), RTMR0: h(td.RTMR[0]), RTMR1: h(td.RTMR[1]), RTMR2: h(td.RTMR[2]), RTMR3: h(td.RTMR[3]),
			MRConfigID: h(td.MRConfigID), MROwner: h(td.MROwner), MROwnerConfig: h(td.MROwnerConfig),
			MRSEAM: h(td.MRSEAM), MRSIGNERSEAM: h(td.MRSIGNERSEAM),
			SEAMAttributes: hex.EncodeToString(td.SEAMAttributes[:]), TDAttributes: hex.EncodeToString(td.TDAttributes[:]),
			XFAM: hex.EncodeToString(td.XFAM[:]), TEETCBSVN: hex.EncodeToString(td.TEETCBSVN[:]),
			SeptVEDisable: td.SeptVEDisable(), Perfmon: td.Perfmon(), Migratable: td.Migratable(),
		}
		if i.BodyType >= intel.BodyTD15 {
			v.TEETCBSVN2, v.MRServiceTD = hex.EncodeToString(td.TEETCBSVN2[:]), h(td.MRServiceTD)
			v.Extended = hex.EncodeToString(td.Extended)
		}
	}
	if e := i.Enclave; e != nil {
		v.EnclaveVerdict = &EnclaveVerdict{
			MRENCLAVE: hex.EncodeToString(e.MRENCLAVE[:]), MRSIGNER: hex.EncodeToString(e.MRSIGNER[:]),
			ISVProdID: int(e.ISVProdID), ISVSVN: int(e.ISVSVN), Attributes: hex.EncodeToString(e.Attributes[:]),
			MiscSelect: fmt.Sprintf("%08x", e.MiscSelect),
		}
	}
	return v
}

func fingerprint(b [32]byte) string { return "sha256:" + hex.EncodeToString(b[:]) }

// newVerdict returns a verdict over authentic evidence without checks.
func newVerdict(f *Facts, s *Subject) *Verdict {
	v := &Verdict{Kind: f.Kind, Authentic: true, Simulated: len(simulatedRoots(f, s)) > 0, At: s.At.UTC(), Facts: f.verdict(s),
		Checks: []Check{}, Refusals: []string{}, NotChecked: []string{}}
	c := Check{Rule: "evidence.authentic", Text: authentic(f.Kind), Outcome: Pass, Got: "root " + fingerprint(f.Root)}
	if f.NotAfter.IsZero() { // only a key that the policy itself names has no documents
		v.Authentic, c.Text, c.Got = false, "the evidence is signed by a key that the policy names", "nobody vouches for it"
	}
	v.add(c)
	return v
}

// authentic is what the first rule says.
func authentic(kind string) string {
	if kind == KindNRAS {
		return "the tokens are signed by NVIDIA's remote attestation service, and say that the devices are good"
	}
	return "the evidence is signed by hardware that the vendor vouches for"
}

// FailedVerdict returns the verdict over evidence of which nothing is proved,
// because of err.
func FailedVerdict(kind string, at time.Time, err error) *Verdict {
	v := &Verdict{Kind: kind, At: at.UTC(), Checks: []Check{}, Refusals: []string{}, NotChecked: []string{
		"measurements, attributes and policy: nothing that the evidence says can be relied on"}}
	o := Fail
	if fault.FamilyOf(err) == fault.FamilyUnknown {
		o = NotSure
	}
	v.add(Check{Rule: "evidence.authentic", Text: authentic(kind), Outcome: o, Got: err.Error(), family: fault.FamilyOf(err)})
	return v
}

func (v *Verdict) add(c Check) {
	v.Checks = append(v.Checks, c)
	if c.Outcome != Pass {
		v.Refusals = append(v.Refusals, c.sentence())
	}
}

// sentence says what is wrong.
func (c *Check) sentence() string {
	var b strings.Builder
	if c.Outcome == NotSure {
		b.WriteString("could not find out whether ")
	} else {
		b.WriteString("it does not hold that ")
	}
	b.WriteString(c.Text)
	switch {
	case c.Expected != "" && c.Got != "":
		fmt.Fprintf(&b, ": expected %s, got %s", c.Expected, c.Got)
	case c.Expected != "":
		fmt.Fprintf(&b, ": expected %s", c.Expected)
	case c.Got != "":
		fmt.Fprintf(&b, ": %s", c.Got)
	}
	return b.String()
}

// Err returns nil when the verdict accepts, else a [*VerdictError] that joins
// the reasons, each in its family.
func (v *Verdict) Err() error {
	if v.Accepted {
		return nil
	}
	var errs []error
	for i := range v.Checks {
		c := &v.Checks[i]
		if c.Outcome == Pass {
			continue
		}
		switch c.family {
		case fault.FamilyFalse:
			errs = append(errs, False("%s", c.sentence()))
		case fault.FamilyUnknown:
			errs = append(errs, Unknown("%s", c.sentence()))
		case fault.FamilyChain:
			errs = append(errs, ChainDisagrees("%s", c.sentence()))
		case fault.FamilyInput:
			errs = append(errs, BadInput("%s", c.sentence()))
		default:
			errs = append(errs, Refused("%s", c.sentence()))
		}
	}
	if len(errs) == 0 {
		errs = append(errs, Refused("no check was made"))
	}
	return &VerdictError{Verdict: v, Err: errors.Join(errs...)}
}

// VerdictError is an error that carries the verdict with every check. It
// unwraps to the reasons.
type VerdictError struct {
	Verdict *Verdict
	Err     error
}

func (e *VerdictError) Error() string { return e.Err.Error() }

func (e *VerdictError) Unwrap() error { return e.Err }

// VerdictOf returns the verdict that err carries, or nil.
func VerdictOf(err error) *Verdict {
	var e *VerdictError
	if errors.As(err, &e) {
		return e.Verdict
	}
	return nil
}
