package attestation

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/fault"
)

func (a *appraisal) amd() {
	f := a.f.AMD
	if f == nil {
		return
	}
	p, r := &a.p.snp, &f.Report
	a.rule(slices.Contains(a.p.f.SNP.SigningKeys, f.SigningKey.String()), "snp.signing_key", "the policy accepts the kind of key that signed",
		strings.Join(a.p.f.SNP.SigningKeys, ", "), f.SigningKey.String())
	a.minTCB(f)
	a.rule(!r.Policy.Debug() || a.p.f.SNP.UnsafeDebug, "snp.debug", "the host can't look into the guest", "debug off", onOff("debug", r.Policy.Debug()))
	a.rule(r.VMPL == 0, "snp.vmpl", "the most privileged level of the guest asked for the report", "VMPL 0", fmt.Sprintf("VMPL %d", r.VMPL))
	a.bits("snp.policy", "the guest policy lets the host do no more than it may and demands what it must",
		slices.Concat(allowed(snpPermits, r.Policy, p.permit), lacking(snpDemands, r.Policy, a.p.f.SNP.Require)))
	a.bits("snp.platform", "the platform is set up as it must be", lacking(snpPlatform, r.PlatformInfo, a.p.f.SNP.PlatformRequire))
	for _, k := range []struct {
		rule, text string
		list       [][]byte
		got        [48]byte
	}{
		{"snp.id_key", "the key that signed the id block is accepted", p.idKeys, r.IDKeyDigest},
		{"snp.author_key", "the key of the author is accepted", p.authorKeys, r.AuthorKeyDigest},
	} {
		if len(k.list) > 0 {
			a.rule(slices.ContainsFunc(k.list, func(b []byte) bool { return string(b) == string(k.got[:]) }), k.rule, k.text,
				fmt.Sprintf("one of %d in the policy", len(k.list)), hex.EncodeToString(k.got[:]))
		}
	}
	if a.s.Claims == nil {
		a.skip("configuration in HOST_DATA and identity of the chip: no claims were given to compare them with")
		return
	}
	a.rule(f.HasHardwareID, "snp.chip_id", "the machine can be told from others", "a chip id", "the host has hidden it, and the signing key is not the chip's")
	if a.f.module(&a.s).Confidential() {
		return // in a register of the TPM
	}
	want := a.s.Claims.Body.Configuration
	a.check(r.HostData == want, fault.FamilyFalse, "binding.configuration", "the guest runs the configuration that it claims",
		"HOST_DATA "+hex.EncodeToString(want[:]), hex.EncodeToString(r.HostData[:]))
}

// minTCB compares the TCB that the endorsement key is for, the one below which
// the platform can't go back, and the one at launch, with the lowest that is
// accepted.
func (a *appraisal) minTCB(f *amd.Facts) {
	floor, ok := a.p.snp.floors[f.Product]
	a.rule(ok, "snp.product", "the policy accepts the product line", strings.Join(slices.Sorted(maps.Keys(a.p.f.SNP.MinTCB)), ", "),
		strings.ToLower(f.Product.String()))
	if !ok {
		return
	}
	a.rule(f.Reported.AtLeast(floor) && f.Committed.AtLeast(floor) && f.Launch.AtLeast(floor), "snp.min_tcb",
		"the firmware of the platform is recent enough", "at least "+tcbText(floor),
		fmt.Sprintf("reported %s; committed %s; at launch %s", tcbText(f.Reported), tcbText(f.Committed), tcbText(f.Launch)))
}

func tcbText(t amd.TCB) string {
	s := fmt.Sprintf("bootloader %d, tee %d, snp %d, microcode %d", t.Bootloader, t.TEE, t.SNP, t.Microcode)
	if t.FMC != 0 {
		s = fmt.Sprintf("fmc %d, ", t.FMC) + s
	}
	return s
}

// allowed names the bits of v that are set and not in may.
func allowed[T any](bits map[string]func(T) bool, v T, may []string) (wrong []string) {
	for _, name := range slices.Sorted(maps.Keys(bits)) {
		if bits[name](v) && !slices.Contains(may, name) {
			wrong = append(wrong, name+" is set")
		}
	}
	return wrong
}

// lacking names the bits in must that are not set in v.
func lacking[T any](bits map[string]func(T) bool, v T, must []string) (wrong []string) {
	for _, name := range must {
		if !bits[name](v) {
			wrong = append(wrong, name+" is not set")
		}
	}
	return wrong
}

func (a *appraisal) bits(rule, text string, wrong []string) {
	a.rule(len(wrong) == 0, rule, text, "", strings.Join(wrong, ", "))
}
