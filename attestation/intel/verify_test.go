package intel_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

type object = map[string]any

// sample is one simulated verification; tests change a field of it.
type sample struct {
	platform   *sim.Intel
	td         sim.TD
	enclave    *sim.Enclave // instead of td
	collateral sim.Collateral
	documents  func(*intel.Collateral)
	roots      [][32]byte
	quote      func([]byte) []byte
	at         time.Time
}

func newSample(t testing.TB) *sample {
	p := newPlatform(t, sim.IntelOptions{})
	return &sample{platform: p, collateral: sim.Collateral{At: now}, roots: [][32]byte{p.RootFingerprint()}, at: now}
}

func (s *sample) make(t testing.TB) ([]byte, *intel.Collateral) {
	t.Helper()
	var q, j []byte
	var err error
	if s.enclave != nil {
		if q, err = s.platform.EnclaveQuote(*s.enclave); err == nil {
			j, err = s.platform.EnclaveEndorsements(s.collateral)
		}
	} else {
		if q, err = s.platform.Quote(s.td); err == nil {
			j, err = s.platform.Endorsements(s.collateral)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := intel.ParseCollateral(j)
	if err != nil {
		t.Fatal(err)
	}
	if s.documents != nil {
		s.documents(c)
	}
	if s.quote != nil {
		q = s.quote(q)
	}
	return q, c
}

func (s *sample) verify(t testing.TB) (*intel.Facts, error) {
	t.Helper()
	raw, c := s.make(t)
	q, err := intel.ParseQuote(raw)
	if err != nil {
		return nil, err
	}
	e := new(intel.Endorsements)
	if err := e.AddCollateral(c); err != nil {
		return nil, err
	}
	return intel.NewVerifier(s.roots...).Verify(q, e, s.at)
}

func TestSimulated(t *testing.T) {
	for name, edit := range map[string]func(*sample){
		"TDX v4":           func(s *sample) {},
		"TDX v5 TD 1.0":    func(s *sample) { s.td.Version, s.td.BodyType = 5, 2 },
		"TDX v5 TD 1.5":    func(s *sample) { s.td.Version = 5 },
		"TDX v5 TD 1.5 ex": func(s *sample) { s.td.Version, s.td.BodyType = 5, 4 },
		"SGX v3":           func(s *sample) { s.enclave = &sim.Enclave{MRENCLAVE: [32]byte{1}} },
		"SGX v4":           func(s *sample) { s.enclave = &sim.Enclave{Version: 4} },
		"SGX Open Enclave": func(s *sample) { s.enclave = &sim.Enclave{OpenEnclave: true} },
		"processor CA": func(s *sample) {
			s.platform = newPlatform(t, sim.IntelOptions{Processor: true})
			s.roots = [][32]byte{s.platform.RootFingerprint()}
		},
		"FMSPC in upper case": func(s *sample) {
			f := s.platform.FMSPC()
			s.collateral.FMSPC = strings.ToUpper(hex.EncodeToString(f[:]))
		},
		"other authentication data": func(s *sample) { s.td.Edit.Auth = []byte("seventeen bytes..") },
		"levels in ascending order": func(s *sample) {
			s.collateral.Edit = func(name string, doc any) {
				if m, ok := doc.(object); ok {
					l := m["tcbLevels"].([]any)
					l[0], l[1] = l[1], l[0]
				}
			}
		},
	} {
		s := newSample(t)
		edit(s)
		f, err := s.verify(t)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Status != intel.UpToDate || f.QEStatus != intel.UpToDate || f.Root != s.roots[0] || f.Platform.PPID != s.platform.PPID() {
			t.Errorf("%s: %+v", name, f)
		}
		if !f.NotBefore.Equal(now.Add(-time.Hour)) || !f.NotAfter.Equal(now.Add(30*24*time.Hour)) {
			t.Errorf("%s: window %v to %v", name, f.NotBefore, f.NotAfter)
		}
	}
}

// TestTrailing: bytes after the quote are counted, not read.
func TestTrailing(t *testing.T) {
	s := newSample(t)
	s.td.Edit.Trailing = make([]byte, 1000)
	f, err := s.verify(t)
	if err != nil || f.Trailing != 1000 {
		t.Fatalf("trailing %v, %v", f, err)
	}
}

// TestRefused changes one thing at a time. Each line fails when the check that
// it is for is deleted.
func TestRefused(t *testing.T) {
	other, err := sim.NewIntel(seeded("another"), sim.IntelOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	otherDocs := func(t testing.TB) *intel.Collateral {
		_, c := (&sample{platform: other, collateral: sim.Collateral{At: now}}).make(t)
		return c
	}
	edit := func(doc string, f func(object)) func(*sample) {
		return func(s *sample) {
			s.collateral.Edit = func(name string, d any) {
				if name == doc {
					f(d.(object))
				}
			}
		}
	}
	for _, c := range []struct {
		name   string
		edit   func(*sample)
		family fault.Family
		want   string
	}{
		// Root, chain, roles.
		{"no root is trusted", func(s *sample) { s.roots = nil }, fault.FamilyFalse, "neither Intel's nor a simulated root"},
		{"another root is trusted", func(s *sample) { s.roots = [][32]byte{other.RootFingerprint()} }, fault.FamilyFalse, "neither Intel's nor"},
		{"chain of another platform", func(s *sample) {
			s.td.Edit.Chain = other.PCKChain()
			s.roots = append(s.roots, other.RootFingerprint())
		}, fault.FamilyFalse, "PCK's signature"},
		{"CA of another root", func(s *sample) {
			s.td.Edit.Chain = chain(s.platform.PCKChain(), 0, other.PCKChain(), 1, s.platform.PCKChain(), 2)
		}, fault.FamilyFalse, "PCK Platform CA"},
		{"PCK of another CA", func(s *sample) {
			s.td.Edit.Chain = chain(other.PCKChain(), 0, s.platform.PCKChain(), 1, s.platform.PCKChain(), 2)
		}, fault.FamilyFalse, "PCK Certificate"},
		{"CA as PCK", func(s *sample) {
			s.td.Edit.Chain = chain(s.platform.PCKChain(), 1, s.platform.PCKChain(), 1, s.platform.PCKChain(), 2)
		}, fault.FamilyFalse, "stands where"},
		{"root as CA", func(s *sample) {
			s.td.Edit.Chain = chain(s.platform.PCKChain(), 0, s.platform.PCKChain(), 2, s.platform.PCKChain(), 2)
		}, fault.FamilyFalse, "stands where"},
		{"chain of two", func(s *sample) { s.td.Edit.Chain = chain(s.platform.PCKChain(), 0, s.platform.PCKChain(), 1) }, fault.FamilyInput, "2 certificates"},
		{"no chain", func(s *sample) { s.td.Edit.Chain = []byte("nothing") }, fault.FamilyInput, "no PEM certificate"},
		{"chain by reference", func(s *sample) { s.td.Edit.CertType = 1 }, fault.FamilyUnknown, "names its PCK certificate without carrying it"},

		// Signatures of the quote.
		{"wrong PCK key", func(s *sample) { s.td.Edit.WrongPCK = true }, fault.FamilyFalse, "PCK's signature"},
		{"wrong attestation key", func(s *sample) { s.td.Edit.WrongAK = true }, fault.FamilyFalse, "attestation key's signature"},
		{"key not vouched for", func(s *sample) { s.td.Edit.QEReport = func(r []byte) { r[320] ^= 1 } }, fault.FamilyFalse, "did not vouch"},
		{"report data of the QE goes on", func(s *sample) { s.td.Edit.QEReport = func(r []byte) { r[352] = 1 } }, fault.FamilyFalse, "did not vouch"},
		{"another attestation key", func(s *sample) {
			s.quote = func(q []byte) []byte { q[48+584+4+64] ^= 1; return q }
		}, fault.FamilyFalse, "did not vouch"},
		{"attestation key off the curve", func(s *sample) {
			q, _ := s.make(t)
			key := append([]byte(nil), q[48+584+4+64:][:64]...)
			key[0] ^= 1
			digest := sha256.Sum256(append(key[:64:64], make([]byte, 32)...))
			s.td.Edit.QEReport = func(r []byte) { copy(r[320:], digest[:]) }
			s.quote = func(q []byte) []byte { copy(q[48+584+4+64:], key); return q }
		}, fault.FamilyFalse, "not a point on P-256"},

		// Identity of the quoting enclave.
		{"QE MISCSELECT", func(s *sample) { s.td.Edit.QEReport = func(r []byte) { r[16] = 1 } }, fault.FamilyFalse, "MISCSELECT"},
		{"QE debug", func(s *sample) { s.td.Edit.QEReport = func(r []byte) { r[48] |= 2 } }, fault.FamilyFalse, "ATTRIBUTES"},
		{"QE MRSIGNER", func(s *sample) { s.td.Edit.QEReport = func(r []byte) { r[128] ^= 1 } }, fault.FamilyFalse, "MRSIGNER"},
		{"QE product", func(s *sample) { s.td.Edit.QEReport = func(r []byte) { r[256] = 9 } }, fault.FamilyFalse, "product 9"},

		// TDX module.
		{"MRSIGNERSEAM", func(s *sample) { s.td.MRSIGNERSEAM[0] = 1 }, fault.FamilyFalse, "MRSIGNERSEAM"},
		{"SEAMATTRIBUTES", func(s *sample) { s.td.SEAM = 1 }, fault.FamilyFalse, "SEAMATTRIBUTES"},
		{"SEAMATTRIBUTES outside the mask", func(s *sample) {
			s.td.SEAM = 1
			edit("tcb_info", func(o object) {
				for _, m := range o["tdxModuleIdentities"].([]any) {
					m.(object)["attributesMask"] = "0000000000000000"
				}
			})(s)
		}, fault.FamilyFalse, "SEAMATTRIBUTES"},
		{"MRSIGNERSEAM of module version 0", func(s *sample) {
			s.td.TEETCBSVN, s.td.MRSIGNERSEAM = [16]byte{5, 0, 3}, [48]byte{1}
		}, fault.FamilyFalse, "MRSIGNERSEAM"},
		{"no module in the TCB info", func(s *sample) {
			s.td.TEETCBSVN = [16]byte{5, 0, 3}
			edit("tcb_info", func(o object) { delete(o, "tdxModule") })(s)
		}, fault.FamilyUnknown, "no identity of the TDX module"},

		// Revocation at each level.
		{"PCK revoked", func(s *sample) { s.collateral.RevokePCK = true }, fault.FamilyFalse, "PCK certificate of this platform is revoked"},
		{"CA revoked", func(s *sample) { s.collateral.RevokeCA = true }, fault.FamilyFalse, `"Intel SGX PCK Platform CA" is revoked`},
		{"signer revoked", func(s *sample) { s.collateral.RevokeSigner = true }, fault.FamilyFalse, `"Intel SGX TCB Signing" is revoked`},

		// Documents: missing, of others, changed.
		{"no root CRL", func(s *sample) { s.documents = func(c *intel.Collateral) { c.RootCACRL = "" } }, fault.FamilyUnknown, "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"},
		{"no PCK CRL", func(s *sample) { s.documents = func(c *intel.Collateral) { c.PCKCRL = "" } }, fault.FamilyUnknown, "pckcrl?ca=platform"},
		{"no TCB info", func(s *sample) { s.documents = func(c *intel.Collateral) { c.TCBInfo = "" } }, fault.FamilyUnknown, "tdx/certification/v4/tcb?fmspc=514d00000000"},
		{"no QE identity", func(s *sample) { s.documents = func(c *intel.Collateral) { c.QEIdentity = "" } }, fault.FamilyUnknown, "tdx/certification/v4/qe/identity"},
		{"no signer", func(s *sample) {
			s.documents = func(c *intel.Collateral) { c.TCBInfoIssuerChain, c.QEIdentityIssuerChain = "", "" }
		}, fault.FamilyUnknown, `"Intel SGX TCB Signing" that signs it is missing`},
		{"TCB info of another FMSPC", func(s *sample) { s.collateral.FMSPC = "514d00000001" }, fault.FamilyUnknown, "TCB info for FMSPC 514d00000000 is missing"},
		{"TCB info of another PCE", edit("tcb_info", func(o object) { o["pceId"] = "0001" }), fault.FamilyUnknown, "TCB info for FMSPC 514d00000000 is missing"},
		{"TCB info for SGX", edit("tcb_info", func(o object) { o["id"] = "SGX" }), fault.FamilyUnknown, "TCB info for FMSPC 514d00000000 is missing"},
		{"QE identity for SGX", edit("qe_identity", func(o object) { o["id"] = "QE" }), fault.FamilyUnknown, "QE identity TD_QE is missing"},
		{"TCB info changed", func(s *sample) {
			s.documents = func(c *intel.Collateral) { c.TCBInfo = strings.Replace(c.TCBInfo, `"UpToDate"`, `"Revoked"`, 1) }
		}, fault.FamilyFalse, "TCB info for FMSPC 514d00000000: the signature"},
		{"QE identity changed", func(s *sample) {
			s.documents = func(c *intel.Collateral) { c.QEIdentity = strings.Replace(c.QEIdentity, `"isvsvn":4`, `"isvsvn":3`, 1) }
		}, fault.FamilyFalse, "QE identity TD_QE: the signature"},
		{"signer of another root", func(s *sample) {
			s.documents = func(c *intel.Collateral) {
				o := otherDocs(t)
				c.TCBInfoIssuerChain, c.QEIdentityIssuerChain = o.TCBInfoIssuerChain, o.QEIdentityIssuerChain
			}
		}, fault.FamilyFalse, "another root"},
		{"root CRL of another root", func(s *sample) { s.documents = func(c *intel.Collateral) { c.RootCACRL = otherDocs(t).RootCACRL } }, fault.FamilyUnknown, `revocation list of "Intel SGX Root CA" is missing`},
		{"PCK CRL of another CA", func(s *sample) { s.documents = func(c *intel.Collateral) { c.PCKCRL = otherDocs(t).PCKCRL } }, fault.FamilyUnknown, `revocation list of "Intel SGX PCK Platform CA" is missing`},
		{"root CRL changed", func(s *sample) { s.documents = func(c *intel.Collateral) { c.RootCACRL = flipHex(c.RootCACRL) } }, fault.FamilyFalse, "signature does not verify"},
		{"PCK CRL changed", func(s *sample) { s.documents = func(c *intel.Collateral) { c.PCKCRL = flipHex(c.PCKCRL) } }, fault.FamilyFalse, "signature does not verify"},

		// Documents that are not understood.
		{"TCB info of version 2", edit("tcb_info", func(o object) { o["version"] = 2 }), fault.FamilyInput, "version 2"},
		{"TCB info of type 1", edit("tcb_info", func(o object) { o["tcbType"] = 1 }), fault.FamilyInput, "type 1"},
		{"TCB info without levels", edit("tcb_info", func(o object) { o["tcbLevels"] = []any{} }), fault.FamilyInput, "0 levels"},
		{"TCB info with an unknown id", edit("tcb_info", func(o object) { o["id"] = "TDY" }), fault.FamilyInput, `unknown id "TDY"`},
		{"TCB info with an odd FMSPC", edit("tcb_info", func(o object) { o["fmspc"] = "514d" }), fault.FamilyInput, "FMSPC"},
		{"a level with an unknown status", func(s *sample) { s.collateral.PlatformStatus = "Fine" }, fault.FamilyInput, `unknown status "Fine"`},
		{"a module level with an unknown status", func(s *sample) { s.collateral.ModuleStatus = intel.SWHardeningNeeded }, fault.FamilyInput, "unknown status"},
		{"a QE level with an unknown status", func(s *sample) { s.collateral.QEStatus = intel.ConfigurationNeeded }, fault.FamilyInput, "unknown status"},
		{"a level with 15 components", edit("tcb_info", func(o object) {
			tcb := o["tcbLevels"].([]any)[0].(object)["tcb"].(object)
			tcb["tdxtcbcomponents"] = tcb["tdxtcbcomponents"].([]any)[1:]
		}), fault.FamilyInput, "15 TDX components"},
		{"a component of 256", edit("tcb_info", func(o object) {
			o["tcbLevels"].([]any)[0].(object)["tcb"].(object)["sgxtcbcomponents"].([]any)[0].(object)["svn"] = 256
		}), fault.FamilyInput, "above 255"},
		{"a level without a date", edit("tcb_info", func(o object) { delete(o["tcbLevels"].([]any)[0].(object), "tcbDate") }), fault.FamilyInput, "no date"},
		{"a module with a short signer", edit("tcb_info", func(o object) { o["tdxModule"].(object)["mrsigner"] = "00" }), fault.FamilyInput, "identity of TDX module"},
		{"a module without levels", edit("tcb_info", func(o object) { delete(o["tdxModuleIdentities"].([]any)[0].(object), "tcbLevels") }), fault.FamilyInput, "0 levels"},
		{"QE identity of version 1", edit("qe_identity", func(o object) { o["version"] = 1 }), fault.FamilyInput, "version 1"},
		{"QE identity with an unknown id", edit("qe_identity", func(o object) { o["id"] = "QVE" }), fault.FamilyInput, `unknown id "QVE"`},
		{"QE identity without a mask", edit("qe_identity", func(o object) { delete(o, "attributesMask") }), fault.FamilyInput, "not hexadecimal"},
		{"QE identity without levels", edit("qe_identity", func(o object) { delete(o, "tcbLevels") }), fault.FamilyInput, "0 levels"},
		{"TCB info that ends before it starts", edit("tcb_info", func(o object) { o["nextUpdate"] = o["issueDate"] }), fault.FamilyInput, "window is empty"},
		{"QE identity that ends before it starts", edit("qe_identity", func(o object) { o["nextUpdate"] = o["issueDate"] }), fault.FamilyInput, "window is empty"},
		{"CRL with a critical extension", func(s *sample) {
			s.collateral.Edit = func(name string, d any) {
				if name == "pck_crl" {
					l := d.(*x509.RevocationList)
					l.ExtraExtensions = append(l.ExtraExtensions, criticalExtension)
				}
			}
		}, fault.FamilyInput, "critical extension"},
		{"no time", func(s *sample) { s.at = time.Time{} }, fault.FamilyInput, "no time"},
	} {
		s := newSample(t)
		c.edit(s)
		_, err := s.verify(t)
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		if fault.FamilyOf(err) != c.family || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: family %d, %v; want family %d, %q", c.name, fault.FamilyOf(err), err, c.family, c.want)
		}
	}
}

// TestMiscSelectOrder: the identity gives MISCSELECT in the byte order of the
// report.
func TestMiscSelectOrder(t *testing.T) {
	s := newSample(t)
	s.td.Edit.QEReport = func(r []byte) { copy(r[16:20], []byte{0x13, 0x37, 0x3b, 0x09}) }
	s.collateral.Edit = func(name string, d any) {
		if name == "qe_identity" {
			d.(object)["miscselect"] = "13373B09"
		}
	}
	if _, err := s.verify(t); err != nil {
		t.Error(err)
	}
}

// TestChainBeside: a quote whose certification data is no PEM chain takes the
// chain among the endorsements, as Intel's library does.
func TestChainBeside(t *testing.T) {
	s := newSample(t)
	s.td.Edit.Chain = []byte("nothing")
	s.documents = func(c *intel.Collateral) { c.PCKCertificateChain = string(s.platform.PCKChain()) }
	if f, err := s.verify(t); err != nil || f.Root != s.platform.RootFingerprint() {
		t.Errorf("%v", err)
	}
}

// chain picks certificates from PEM chains: pairs of a chain and an index.
func chain(parts ...any) []byte {
	var out []byte
	for i := 0; i < len(parts); i += 2 {
		rest := parts[i].([]byte)
		for n := parts[i+1].(int); ; n-- {
			var b *pem.Block
			b, rest = pem.Decode(rest)
			if n == 0 {
				out = append(out, pem.EncodeToMemory(b)...)
				break
			}
		}
	}
	return out
}

// flipHex changes the last byte, which belongs to the signature.
func flipHex(s string) string {
	b, _ := hex.DecodeString(s)
	b[len(b)-1] ^= 1
	return hex.EncodeToString(b)
}

// TestRating compares the joined rating with Intel's rules.
func TestRating(t *testing.T) {
	v5 := func(launch, current [16]byte) func(*sample) {
		return func(s *sample) { s.td.Version, s.td.TEETCBSVN, s.td.TEETCBSVN2 = 5, launch, current }
	}
	both := func(fs ...func(*sample)) func(*sample) {
		return func(s *sample) {
			for _, f := range fs {
				f(s)
			}
		}
	}
	set := func(platform, module, qe intel.Status) func(*sample) {
		return func(s *sample) {
			s.collateral.PlatformStatus, s.collateral.ModuleStatus, s.collateral.QEStatus = platform, module, qe
		}
	}
	good, old, older := [16]byte{5, 1, 3}, [16]byte{2, 1, 2}, [16]byte{1, 1, 0}
	for _, c := range []struct {
		name string
		edit func(*sample)
		want intel.Status
	}{
		{"all good", set("", "", ""), intel.UpToDate},
		{"platform SWHardeningNeeded", set(intel.SWHardeningNeeded, "", ""), intel.SWHardeningNeeded},
		{"platform OutOfDate with module UpToDate", set(intel.OutOfDate, "", ""), intel.OutOfDate},
		{"module OutOfDate", set("", intel.OutOfDate, ""), intel.OutOfDate},
		{"QE OutOfDate", set("", "", intel.OutOfDate), intel.OutOfDate},
		{"SWHardeningNeeded, module OutOfDate", set(intel.SWHardeningNeeded, intel.OutOfDate, ""), intel.OutOfDate},
		{"ConfigurationNeeded, QE OutOfDate", set(intel.ConfigurationNeeded, "", intel.OutOfDate), intel.OutOfDateConfigurationNeeded},
		{"ConfigurationAndSWHardeningNeeded, module OutOfDate", set(intel.ConfigurationAndSWHardeningNeeded, intel.OutOfDate, ""), intel.OutOfDateConfigurationNeeded},
		{"OutOfDateConfigurationNeeded, QE OutOfDate", set(intel.OutOfDateConfigurationNeeded, "", intel.OutOfDate), intel.OutOfDateConfigurationNeeded},
		{"platform Revoked", set(intel.Revoked, "", ""), intel.Revoked},
		{"module Revoked", set("", intel.Revoked, ""), intel.Revoked},
		{"QE Revoked, platform OutOfDate", set(intel.OutOfDate, "", intel.Revoked), intel.Revoked},
		{"TDX component below the level", func(s *sample) { s.td.TEETCBSVN = [16]byte{5, 1, 2} }, intel.OutOfDate},
		{"TDX component below every level", func(s *sample) { s.td.TEETCBSVN = [16]byte{5, 1, 1} }, intel.NotSupported},
		{"module below its level", func(s *sample) { s.td.TEETCBSVN = [16]byte{4, 1, 3} }, intel.OutOfDate},
		{"module below every level", func(s *sample) { s.td.TEETCBSVN = [16]byte{1, 1, 3} }, intel.NotSupported},
		{"module that Intel does not list", func(s *sample) { s.td.TEETCBSVN = [16]byte{5, 9, 3} }, intel.NotSupported},
		{"module version 0 is rated from component 0", func(s *sample) { s.td.TEETCBSVN = [16]byte{4, 0, 3} }, intel.OutOfDate},
		{"module version 0, good", func(s *sample) { s.td.TEETCBSVN = [16]byte{5, 0, 3} }, intel.UpToDate},
		{"QE below its level", func(s *sample) { s.td.Edit.QEReport = func(r []byte) { r[258] = 3 } }, intel.OutOfDate},
		{"QE below every level", func(s *sample) { s.td.Edit.QEReport = func(r []byte) { r[258] = 1 } }, intel.NotSupported},
		{"SGX component below the level", func(s *sample) {
			s.collateral.Edit = func(name string, d any) {
				if o, ok := d.(object); ok && name == "tcb_info" {
					o["tcbLevels"].([]any)[0].(object)["tcb"].(object)["sgxtcbcomponents"].([]any)[7].(object)["svn"] = 4
				}
			}
		}, intel.OutOfDate},
		{"PCESVN below the level", func(s *sample) {
			s.collateral.Edit = func(name string, d any) {
				if o, ok := d.(object); ok && name == "tcb_info" {
					o["tcbLevels"].([]any)[0].(object)["tcb"].(object)["pcesvn"] = 14
				}
			}
		}, intel.OutOfDate},

		{"relaunch advised", v5(old, good), intel.TDRelaunchAdvised},
		{"relaunch advised, SWHardeningNeeded now", both(v5(old, good), set(intel.SWHardeningNeeded, "", "")), intel.TDRelaunchAdvised},
		{"relaunch advised, configuration needed now", both(v5(old, good), set(intel.ConfigurationNeeded, "", "")), intel.TDRelaunchAdvisedConfigurationNeeded},
		{"out of date then and now", v5(old, old), intel.OutOfDate},
		{"good then and now", v5(good, good), intel.UpToDate},
		{"not supported now", v5(good, older), intel.NotSupported},
		{"not supported at launch", v5(older, good), intel.NotSupported},
	} {
		s := newSample(t)
		c.edit(s)
		f, err := s.verify(t)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if f.Status != c.want {
			t.Errorf("%s: %s (platform %s, module %s, QE %s, current %s), want %s", c.name, f.Status, f.PlatformStatus, f.ModuleStatus, f.QEStatus, f.CurrentStatus, c.want)
		}
	}
}

// TestAdvisoriesAndDate: those of every level that matched; the oldest date.
func TestAdvisoriesAndDate(t *testing.T) {
	s := newSample(t)
	s.collateral.Advisories = []string{"INTEL-SA-00001", "INTEL-SA-00002"}
	s.collateral.Edit = func(name string, d any) {
		if o, ok := d.(object); ok && name == "qe_identity" {
			l := o["tcbLevels"].([]any)[0].(object)
			l["advisoryIDs"], l["tcbDate"] = []string{"INTEL-SA-00003"}, "2023-01-02T00:00:00Z"
			o["tcbEvaluationDataNumber"] = 17
		}
	}
	f, err := s.verify(t)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.Advisories, " "); got != "INTEL-SA-00001 INTEL-SA-00002 INTEL-SA-00003" {
		t.Errorf("advisories %s", got)
	}
	if f.TCBDate.Format(time.DateOnly) != "2023-01-02" || f.Evaluation != 17 {
		t.Errorf("date %v, evaluation %d", f.TCBDate, f.Evaluation)
	}
}

// TestWindows moves the time of the check across both ends of the window of
// every document. There is no allowance for clock skew.
func TestWindows(t *testing.T) {
	start, end := now.Add(-10*time.Minute).Truncate(time.Second), now.Add(10*time.Minute).Truncate(time.Second)
	text := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	narrow := map[string]func(*sample){
		"TCB info": func(s *sample) {
			s.collateral.Edit = func(name string, d any) {
				if name == "tcb_info" {
					d.(object)["issueDate"], d.(object)["nextUpdate"] = text(start), text(end)
				}
			}
		},
		"QE identity": func(s *sample) {
			s.collateral.Edit = func(name string, d any) {
				if name == "qe_identity" {
					d.(object)["issueDate"], d.(object)["nextUpdate"] = text(start), text(end)
				}
			}
		},
		"revocation list of Intel SGX Root CA": func(s *sample) {
			s.collateral.Edit = func(name string, d any) {
				if name == "root_ca_crl" {
					l := d.(*x509.RevocationList)
					l.ThisUpdate, l.NextUpdate = start, end
				}
			}
		},
		"revocation list of Intel SGX PCK Platform CA": func(s *sample) {
			s.collateral.Edit = func(name string, d any) {
				if name == "pck_crl" {
					l := d.(*x509.RevocationList)
					l.ThisUpdate, l.NextUpdate = start, end
				}
			}
		},
	}
	for _, cert := range []string{"root", "ca", "pck", "signer"} {
		what := map[string]string{"root": "Intel SGX Root CA", "ca": "Intel SGX PCK Platform CA", "pck": "Intel SGX PCK Certificate", "signer": "Intel SGX TCB Signing"}[cert]
		narrow["certificate "+what] = func(s *sample) {
			p, err := sim.NewIntel(seeded("platform"), sim.IntelOptions{Now: now, Windows: map[string][2]time.Time{cert: {start, end}}})
			if err != nil {
				t.Fatal(err)
			}
			s.platform, s.roots = p, [][32]byte{p.RootFingerprint()}
		}
	}
	for what, edit := range narrow {
		for _, c := range []struct {
			name string
			at   time.Time
			want string
		}{
			{"before", start.Add(-time.Second), "is not valid before"},
			{"first second", start, ""},
			{"inside", now, ""},
			{"last second", end, ""},
			{"after", end.Add(time.Second), "expired at"},
		} {
			s := newSample(t)
			edit(s)
			s.at = c.at
			_, err := s.verify(t)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s, %s: %v", what, c.name, err)
			case c.want != "" && (fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s, %s: %v, want %q", what, c.name, err, c.want)
			}
		}
	}
}

// TestCachedWindow: a verifier that has seen everything while it was valid
// still refuses when it is not, and the other way round.
func TestCachedWindow(t *testing.T) {
	s := newSample(t)
	raw, c := s.make(t)
	q, err := intel.ParseQuote(raw)
	if err != nil {
		t.Fatal(err)
	}
	e := new(intel.Endorsements)
	if err := e.AddCollateral(c); err != nil {
		t.Fatal(err)
	}
	v := intel.NewVerifier(s.roots...)
	for i, step := range []struct {
		at time.Time
		ok bool
	}{{now, true}, {now.AddDate(0, 2, 0), false}, {now, true}, {now.Add(-2 * time.Hour), false}, {now.AddDate(20, 0, 0), false}, {now, true}} {
		if _, err := v.Verify(q, e, step.at); (err == nil) != step.ok {
			t.Errorf("step %d at %v: %v", i, step.at, err)
		}
	}
}

// TestNewestDocument: of several documents the best that verifies and is valid
// is used, whatever their order and whatever forgeries lie beside them.
func TestNewestDocument(t *testing.T) {
	s := newSample(t)
	raw, fresh := s.make(t)
	s.collateral = sim.Collateral{At: now, Issued: 20 * 24 * time.Hour, Evaluation: 17, PlatformStatus: intel.OutOfDate}
	_, stale := s.make(t)
	s.collateral = sim.Collateral{At: now.AddDate(1, 0, 0), Evaluation: 99, PlatformStatus: intel.Revoked}
	_, future := s.make(t)
	forged := *fresh
	forged.TCBInfo = strings.Replace(forged.TCBInfo, `"tcbEvaluationDataNumber":18`, `"tcbEvaluationDataNumber":50`, 1)
	forged.PCKCRL = flipHex(forged.PCKCRL)
	q, err := intel.ParseQuote(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, order := range [][]*intel.Collateral{{fresh, stale, future, &forged}, {&forged, future, stale, fresh}} {
		e := new(intel.Endorsements)
		for _, c := range order {
			if err := e.AddCollateral(c); err != nil {
				t.Fatal(err)
			}
		}
		v := intel.NewVerifier(s.roots...)
		for range 2 {
			f, err := v.Verify(q, e, now)
			if err != nil || f.Status != intel.UpToDate || f.Evaluation != 18 {
				t.Fatalf("%+v, %v", f, err)
			}
		}
	}
}

// TestPCKFromEndorsements: a quote that names its PCK certificate is verified
// with the one among the endorsements.
func TestPCKFromEndorsements(t *testing.T) {
	s := newSample(t)
	s.td.Edit.CertType = 3
	s.documents = func(c *intel.Collateral) { c.PCKCertificateChain = string(s.platform.PCKChain()) }
	if f, err := s.verify(t); err != nil || f.Status != intel.UpToDate {
		t.Fatalf("%v", err)
	}
	s.documents = func(c *intel.Collateral) {
		c.PCKCertificateChain = string(chain(s.platform.PCKChain(), 0))
		c.PCKCRLIssuerChain = ""
	}
	if _, err := s.verify(t); fault.FamilyOf(err) != fault.FamilyUnknown {
		t.Fatalf("without the CA: %v", err)
	}
}

// TestServiceAnswer reads the form in which Intel's service answers.
func TestServiceAnswer(t *testing.T) {
	s := newSample(t)
	raw, c := s.make(t)
	e := new(intel.Endorsements)
	for _, a := range []string{
		`{"tcbInfo":` + c.TCBInfo + `,"signature":"` + c.TCBInfoSignature + `"}`,
		`{"enclaveIdentity":` + c.QEIdentity + `,"signature":"` + c.QEIdentitySignature + `"}`,
	} {
		if ok, err := e.AddServiceAnswer([]byte(a)); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	c.TCBInfo, c.QEIdentity = "", ""
	if err := e.AddCollateral(c); err != nil {
		t.Fatal(err)
	}
	q, err := intel.ParseQuote(raw)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := intel.NewVerifier(s.roots...).Verify(q, e, now); err != nil {
		t.Fatal(err)
	}
	if ok, err := e.AddServiceAnswer([]byte(`{"other":1}`)); ok || err != nil {
		t.Errorf("unknown JSON: %v %v", ok, err)
	}
	if ok, err := e.AddServiceAnswer([]byte(`{"tcbInfo":{},"signature":"zz"}`)); !ok || err == nil {
		t.Errorf("bad signature: %v %v", ok, err)
	}
}

// TestConcurrent shares one verifier; run it with -race.
func TestConcurrent(t *testing.T) {
	s := newSample(t)
	v := intel.NewVerifier(s.roots...)
	raw, c := s.make(t)
	e := new(intel.Endorsements)
	if err := e.AddCollateral(c); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 10 {
				b := append([]byte(nil), raw...)
				at, ok := now, true
				switch (g + i) % 3 {
				case 1:
					b[600] ^= 1
					ok = false
				case 2:
					at, ok = now.AddDate(0, 3, 0), false
				}
				q, err := intel.ParseQuote(b)
				if err == nil {
					_, err = v.Verify(q, e, at)
				}
				if (err == nil) != ok {
					t.Errorf("goroutine %d, step %d: %v", g, i, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestParseQuote: each malformed header or length has its own message.
func TestParseQuote(t *testing.T) {
	s := newSample(t)
	v4, _ := s.make(t)
	s.td.Version = 5
	v5, _ := s.make(t)
	s.enclave = &sim.Enclave{OpenEnclave: true}
	oe, _ := s.make(t)
	le := binary.LittleEndian
	for _, c := range []struct {
		name string
		base []byte
		edit func([]byte) []byte
		want string
	}{
		{"empty", v4, func(b []byte) []byte { return nil }, "shorter than the header"},
		{"oversize", v4, func(b []byte) []byte { return append(b, make([]byte, intel.MaxQuoteSize)...) }, "limit"},
		{"version 2", v4, func(b []byte) []byte { b[0] = 2; return b }, "unknown version 2"},
		{"version 6", v4, func(b []byte) []byte { b[0] = 6; return b }, "unknown version 6"},
		{"version 3 for TDX", v4, func(b []byte) []byte { b[0] = 3; return b }, "SGX only"},
		{"key type 3", v4, func(b []byte) []byte { b[2] = 3; return b }, "key type 3"},
		{"TEE type", v4, func(b []byte) []byte { b[4] = 0x82; return b }, "TEE type 0x82"},
		{"vendor", v4, func(b []byte) []byte { b[12] ^= 1; return b }, "not Intel"},
		{"cut in the body", v4, func(b []byte) []byte { return b[:300] }, "shorter than header and body"},
		{"cut in the signature", v4, func(b []byte) []byte { return b[:len(b)-1] }, "ends inside its signature data"},
		{"signature length", v4, func(b []byte) []byte { le.PutUint32(b[632:], 1<<31); return b }, "ends inside its signature data"},
		{"outer certification type", v4, func(b []byte) []byte { b[632+4+128] = 5; return b }, "outer certification data of type 5"},
		{"inner length one short", v4, func(b []byte) []byte { o := 632 + 4 + 128 + 2; le.PutUint32(b[o:], le.Uint32(b[o:])-1); return b }, "reaches beyond"},
		{"authentication length", v4, func(b []byte) []byte { le.PutUint16(b[632+4+128+6+448:], 0xffff); return b }, "reaches beyond"},
		{"unread bytes", v4, func(b []byte) []byte { le.PutUint16(b[632+4+128+6+448:], 31); return b }, ""},
		{"inner certification type", v4, func(b []byte) []byte { b[632+4+128+6+448+2+32] = 9; return b }, "type 9"},
		{"chain one short", v4, func(b []byte) []byte {
			o := 632 + 4 + 128 + 6 + 448 + 2 + 32 + 2
			le.PutUint32(b[o:], le.Uint32(b[o:])-1)
			return b
		}, "unread bytes"},
		{"v5 body type", v5, func(b []byte) []byte { b[48] = 7; return b }, "unknown body type 7"},
		{"v5 body size", v5, func(b []byte) []byte { b[50]++; return b }, "unknown body type 3 of 649 bytes"},
		{"v5 SGX body for TDX", v5, func(b []byte) []byte { b[48] = 1; le.PutUint32(b[50:], 384); return b }, "does not fit TEE type"},
		{"v5 cut", v5, func(b []byte) []byte { return b[:50] }, "body descriptor"},
		{"Open Enclave size", oe, func(b []byte) []byte { le.PutUint64(b[8:], 1<<40); return b }, "announces"},
		{"Open Enclave short", oe, func(b []byte) []byte { le.PutUint64(b[8:], 10); return b }, "shorter than a quote header"},
		{"Open Enclave with TDX", oe, func(b []byte) []byte {
			le.PutUint64(b[8:], uint64(len(v4)))
			return append(b[:16:16], v4...)
		}, "holds a tdx quote"},
	} {
		_, err := intel.ParseQuote(c.edit(append([]byte(nil), c.base...)))
		if fault.FamilyOf(err) != fault.FamilyInput {
			t.Errorf("%s: %v", c.name, err)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestLimits: a set of endorsements is bounded.
func TestLimits(t *testing.T) {
	e := new(intel.Endorsements)
	if err := e.AddCRL(make([]byte, intel.MaxDocumentSize+1)); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("oversize revocation list: %v", err)
	}
	if err := e.AddTCBInfo(make([]byte, intel.MaxDocumentSize+1), make([]byte, 64)); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("oversize TCB info: %v", err)
	}
	if err := e.AddTCBInfo([]byte("{}"), make([]byte, 63)); err == nil || !strings.Contains(err.Error(), "63 bytes") {
		t.Errorf("short signature: %v", err)
	}
	var err error
	for i := 0; err == nil && i < 100; i++ {
		p, e2 := sim.NewIntel(seeded(big.NewInt(int64(i)).String()), sim.IntelOptions{Now: now})
		if e2 != nil {
			t.Fatal(e2)
		}
		_, c := (&sample{platform: p, collateral: sim.Collateral{At: now}}).make(t)
		err = e.AddCollateral(c)
	}
	if err == nil || !strings.Contains(err.Error(), "more than 16 certificates") {
		t.Errorf("many signers: %v", err)
	}
}
