package attestation_test

import (
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// specimen is good evidence that stands alone.
type specimen struct {
	v    *attestation.Verifier
	e    *attestation.Endorsements
	data []byte
}

// specimens are one of each vendor.
func specimens(t *testing.T) map[string]specimen {
	t.Helper()
	out := map[string]specimen{}
	for kind, w := range map[string]*world{"tdx": newWorld(t), "snp": newSNPWorld(t)} {
		b := w.bundle()
		out[kind] = specimen{w.verifier(), w.endorsements(), b.Evidence[0].Data}
	}
	g := newGPUWorld(t)
	g.mint()
	out["nvidia"] = specimen{g.verifier(), g.endorsements(), g.evidence}
	m := newTPMWorld(t)
	lists := attestation.NewEndorsements()
	m.documents(lists)
	out["tpm"] = specimen{m.verifier(), lists, m.evidence([32]byte{1})}
	tokens, err := gpuService().Tokens(sim.NRASTokens{IssuedAt: now.Add(-time.Minute), Nonce: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := gpuService().KeySet(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := attestation.NewEndorsements()
	if err := e.AddFile("keys", keys); err != nil {
		t.Fatal(err)
	}
	roots := attestation.PolicyOptions{SimulatedRoots: [][32]byte{gpuService().Root()}}
	out["nras"] = specimen{(&world{t: t, policy: attestation.PolicyTOML(roots)}).verifier(), e, tokens}
	return out
}

// TestWindow moves the clock of the verifier across both ends of the validity
// that the facts name, to the second: outside it is "could not find out", and
// there is no allowance for a clock that is wrong. One verifier sees all times,
// so what it remembers must not reach beyond.
func TestWindow(t *testing.T) {
	for kind, s := range specimens(t) {
		t.Run(kind, func(t *testing.T) {
			v, e := s.v, s.e
			f, err := v.VerifyEvidence("", s.data, e, now)
			if err != nil {
				t.Fatal(err)
			}
			if !f.NotBefore.Before(now) || !f.NotAfter.After(now) {
				t.Fatalf("valid from %v to %v", f.NotBefore, f.NotAfter)
			}
			for _, c := range []struct {
				name string
				at   time.Time
				ok   bool
			}{
				{"long before", f.NotBefore.AddDate(-1, 0, 0), false},
				{"a second before", f.NotBefore.Add(-time.Second), false},
				{"first second", f.NotBefore, true},
				{"inside", now, true},
				{"last second", f.NotAfter, true},
				{"a second after", f.NotAfter.Add(time.Second), false},
				{"long after", f.NotAfter.AddDate(20, 0, 0), false},
				{"inside again", now, true},
			} {
				got, err := v.VerifyEvidence("", s.data, e, c.at)
				if c.ok != (err == nil) || !c.ok && fault.FamilyOf(err) != fault.FamilyUnknown {
					t.Errorf("%s: %v", c.name, err)
				}
				if c.ok && (got.NotBefore != f.NotBefore || got.NotAfter != f.NotAfter) {
					t.Errorf("%s: valid from %v to %v", c.name, got.NotBefore, got.NotAfter)
				}
			}
		})
	}
}

// TestRevokedAtEachLevel: whatever certificate below the root is revoked, the
// evidence is false.
func TestRevokedAtEachLevel(t *testing.T) {
	leaf := func(c *x509.Certificate) { c.SerialNumber = big.NewInt(77) }
	for _, c := range []struct {
		name string
		w    *world
		edit func(*world)
		want string
	}{
		{"PCK certificate", newWorld(t), func(w *world) { w.collateral.RevokePCK = true }, "PCK certificate of this platform is revoked"},
		{"PCK CA", newWorld(t), func(w *world) { w.collateral.RevokeCA = true }, `"Intel SGX PCK Platform CA" is revoked`},
		{"TCB signer", newWorld(t), func(w *world) { w.collateral.RevokeSigner = true }, `"Intel SGX TCB Signing" is revoked`},
		{"VCEK", newSNPWorld(t), func(w *world) { w.chip.EditLeaf = leaf; w.revoked = []*big.Int{big.NewInt(77)} }, `"SEV-VCEK" with serial number 4d was revoked`},
		{"ASK", newSNPWorld(t), func(w *world) { w.revoked = []*big.Int{w.vendor.ASK.SerialNumber} }, `"SEV-Genoa" with serial number`},
		{"ASVK", newSNPWorld(t), func(w *world) {
			w.chip.VLEK = true
			w.revoked = []*big.Int{w.vendor.ASVK.SerialNumber}
		}, `"SEV-VLEK-Genoa" with serial number`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.w.t = t
			c.edit(c.w)
			_, err := c.w.verify()
			v := attestation.VerdictOf(err)
			if fault.FamilyOf(err) != fault.FamilyFalse || v == nil || v.Authentic || v.Facts != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, verdict %+v", err, v)
			}
		})
	}
}

// TestRevokedGPU: each certificate that an OCSP response is about, of the device and
// of those who sign the published measurements.
func TestRevokedGPU(t *testing.T) {
	device, rims := gpuDevice().Chain, gpuVendor().RIMChain()
	for _, c := range []struct{ cert, issuer *x509.Certificate }{
		{device[1], device[2]}, {device[2], device[3]}, {device[3], device[4]},
		{rims[0], rims[1]}, {rims[1], rims[2]}, {rims[2], rims[3]},
	} {
		t.Run(c.cert.Subject.CommonName, func(t *testing.T) {
			w := newGPUWorld(t)
			good := w.endorse
			w.endorse = func(e *attestation.Endorsements) {
				good(e)
				b, err := gpuVendor().OCSP(c.cert, c.issuer, sim.NVIDIAOCSP{ThisUpdate: now, NextUpdate: now.Add(time.Hour), Status: 1, Reason: 1})
				if err == nil {
					err = e.AddFile("revoked", b)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			_, err := w.verify()
			v := attestation.VerdictOf(err)
			if fault.FamilyOf(err) != fault.FamilyFalse || v == nil || v.Authentic || v.Facts != nil || !strings.Contains(err.Error(), "was revoked at") {
				t.Errorf("%v, verdict %+v", err, v)
			}
		})
	}
}

// TestRevokedTPM: the certificate of the key, and the authority above it.
func TestRevokedTPM(t *testing.T) {
	for _, of := range []func(*tpmWorld) *x509.Certificate{
		func(w *tpmWorld) *x509.Certificate { return w.tpm.Certificate },
		func(w *tpmWorld) *x509.Certificate { return w.vendor.CA },
	} {
		w := newTPMWorld(t)
		w.endorse = func(e *attestation.Endorsements) {
			lists, err := w.vendor.CRLs(now.Add(-time.Hour), now.Add(time.Hour), nil, of(w))
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range lists {
				if err := e.AddFile("list", l); err != nil {
					t.Fatal(err)
				}
			}
		}
		_, err := w.verify()
		v := attestation.VerdictOf(err)
		if fault.FamilyOf(err) != fault.FamilyFalse || v == nil || v.Authentic || v.Facts != nil || !strings.Contains(err.Error(), of(w).Subject.String()) {
			t.Errorf("%v, verdict %+v", err, v)
		}
	}
}

// TestPlatformDecides: a platform that is out of date is not made good by a TDX
// module that is up to date, nor the other way round.
func TestPlatformDecides(t *testing.T) {
	for _, c := range []struct {
		platform, module, qe, want intel.Status
	}{
		{intel.OutOfDate, intel.UpToDate, intel.UpToDate, intel.OutOfDate},
		{intel.UpToDate, intel.OutOfDate, intel.UpToDate, intel.OutOfDate},
		{intel.UpToDate, intel.UpToDate, intel.OutOfDate, intel.OutOfDate},
		{intel.ConfigurationNeeded, intel.OutOfDate, intel.UpToDate, intel.OutOfDateConfigurationNeeded},
		{intel.UpToDate, intel.UpToDate, intel.UpToDate, intel.UpToDate},
	} {
		w := newWorld(t)
		w.collateral = sim.Collateral{At: now, PlatformStatus: c.platform, ModuleStatus: c.module, QEStatus: c.qe}
		w.bundle()
		v := w.verifier()
		f, err := v.VerifyEvidence("", w.evidence().Data, w.endorsements(), now)
		if err != nil {
			t.Fatal(err)
		}
		got := v.Policy().Appraise(f, attestation.Subject{At: now})
		if got.Facts.TCBStatus != string(c.want) || got.Facts.PlatformStatus != string(c.platform) || got.Facts.ModuleStatus != string(c.module) ||
			got.Facts.QEStatus != string(c.qe) || got.Accepted != (c.want == intel.UpToDate) {
			t.Errorf("%+v: %s, accepted %v", c, got.Facts.TCBStatus, got.Accepted)
		}
	}
}
