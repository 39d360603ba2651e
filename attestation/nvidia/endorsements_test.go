package nvidia_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// documents signs everything that a good device needs.
func documents(t testing.TB, d *sim.NVIDIADevice) [][]byte {
	t.Helper()
	docs, err := d.Endorsements(vendor(), at.AddDate(0, 0, -1), at.AddDate(0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	return docs
}

func parsed(t testing.TB, docs ...[]byte) *nvidia.Endorsements {
	t.Helper()
	e, err := nvidia.ParseEndorsements(docs...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestStrict accepts a device under the strict default: all documents are there.
func TestStrict(t *testing.T) {
	for _, chip := range []string{"GH100", "GB100", "LS_10"} {
		d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{Chip: chip})
		report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
		if err != nil {
			t.Fatal(err)
		}
		docs := documents(t, d)
		o := nvidia.Options{SimulatedRoots: vendor().Roots()}
		ev := evidence(t, d, report)
		f, err := nvidia.Verify(ev, nvidia.WantNonce(nonce), parsed(t, docs...), o, at)
		if err != nil {
			t.Fatalf("%s: %v", chip, err)
		}
		if !f.Golden.Match() || !f.Revocation.Checked || !f.NotBefore.Equal(at.AddDate(0, 0, -1)) || !f.NotAfter.Equal(at.AddDate(0, 0, 1)) {
			t.Errorf("%s: facts %+v", chip, f)
		}
		// Each document is needed.
		for i := range docs {
			_, err := nvidia.Verify(ev, nvidia.WantNonce(nonce), parsed(t, slices.Delete(slices.Clone(docs), i, i+1)...), o, at)
			if fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "missing; get it from http") {
				t.Errorf("%s without document %d: %v", chip, i, err)
			}
		}
		for _, o := range []nvidia.Options{{SimulatedRoots: vendor().Roots()[:1]}, {SimulatedRoots: vendor().Roots()[1:]}} {
			_, err := nvidia.Verify(ev, nvidia.WantNonce(nonce), parsed(t, docs...), o, at)
			wantErr(t, err, fault.FamilyFalse, nvidia.StepRoot, "nor named by the caller")
		}
		// A difference is a fact, not an error.
		report, err = d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce, Measurements: map[int][]byte{9: make([]byte, 48)}})
		if err != nil {
			t.Fatal(err)
		}
		f, err = nvidia.Verify(evidence(t, d, report), nvidia.WantNonce(nonce), parsed(t, docs...), o, at)
		if err != nil || f.Golden.Match() || len(f.Golden.Mismatches) != 1 || f.Golden.Mismatches[0].Index != 9 {
			t.Errorf("%s with another measurement: %v, %+v", chip, err, f)
		}
	}
}

// TestSimulatedRIM says simulated when only the RIM documents are.
func TestSimulatedRIM(t *testing.T) {
	for _, x := range nvidiaVectors(t) {
		if x.id() != "30cddcd0b0cd" {
			continue
		}
		o := nvidia.Options{SimulatedRoots: vendor().Roots()[1:], WithoutRIMUnsafe: true, WithoutRevocationUnsafe: true}
		for _, version := range []string{x.VBIOS, x.Driver} {
			rim, err := vendor().RIM(sim.NVIDIARIM{Version: version, Product: "GH100", Golden: sim.NVIDIAGolden(1)})
			if err != nil {
				t.Fatal(err)
			}
			f, err := nvidia.Verify(x.evidence(t), nvidia.AnyNonceUnsafe(), parsed(t, rim), o, at)
			if err != nil || !f.Simulated || f.Root != nvidia.DeviceRoot() {
				t.Errorf("%v, %+v", err, f)
			}
		}
		return
	}
	t.Fatal("no vector 30cddcd0b0cd")
}

func TestEndorsementForms(t *testing.T) {
	d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	docs := documents(t, d)
	service := jsonOf(t, map[string]any{"id": "NV_GPU_DRIVER_GH100", "rim": base64.StdEncoding.EncodeToString(docs[0]), "sha256": "", "rim_format": "TCG"})
	var ders [][]byte
	for _, c := range d.Chain {
		ders = append(ders, c.Raw)
		if !nvidia.IsCertificate(c) {
			t.Errorf("%q is not NVIDIA's", c.Subject.CommonName)
		}
	}
	text := append([]byte("subject=leaf\n"), chainPEM(ders...)...)
	e := parsed(t, docs[0], service, docs[2], docs[2], ders[0], text)
	if e.Len() != 1+1+5 {
		t.Errorf("%d parts, want 7", e.Len())
	}
	c := e.Clone()
	if err := c.Add(docs[1]); err != nil || c.Len() != 8 || e.Len() != 7 {
		t.Errorf("%v: copy %d, original %d", err, c.Len(), e.Len())
	}
	if err := c.Add(docs[3]); err != nil || e.Len() != 7 {
		t.Errorf("%v: original %d", err, e.Len())
	}
	for _, x := range []struct {
		part string
		doc  []byte
	}{
		{"4194305 bytes, at most 4194304", make([]byte, nvidia.MaxDocument+1)},
		{"OCSP response", []byte("nothing")}, {"OCSP response", nil}, {"rim", []byte("<a></a>")},
		{"not PEM", []byte("-----BEGIN nothing")},
		{"PEM block 0 is no certificate", chainPEM([]byte("x"))},
		{"OCSP response", append(bytes.Clone(docs[2]), 0)},
	} {
		_, err := nvidia.ParseEndorsements(docs[0], x.doc)
		if err == nil || fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), x.part) || !strings.HasPrefix(err.Error(), "document 1: ") {
			t.Errorf("got %v, want %q", err, x.part)
		}
	}
}

func TestEndorsementLimit(t *testing.T) {
	e := &nvidia.Endorsements{}
	for i := range nvidia.MaxParts {
		if err := e.AddCertificate(&x509.Certificate{Raw: []byte{byte(i >> 8), byte(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	err := e.Add(documents(t, newDevice(t, vendor(), sim.NVIDIADeviceConfig{}))[0])
	if fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), "more than 1024 documents") || e.Len() != nvidia.MaxParts {
		t.Errorf("%v, %d parts", err, e.Len())
	}
	err = e.Add(chainPEM(newDevice(t, vendor(), sim.NVIDIADeviceConfig{}).Chain[0].Raw))
	if fault.FamilyOf(err) != fault.FamilyInput || !strings.Contains(err.Error(), "more than 1024 documents") {
		t.Errorf("PEM: %v", err)
	}
}

// TestCompleteEnds builds chains that never reach a root, or reach one early.
func TestCompleteEnds(t *testing.T) {
	made := func(subject, issuer string) *x509.Certificate {
		return &x509.Certificate{
			Raw: []byte(subject + " by " + issuer), Subject: pkix.Name{CommonName: subject},
			RawSubject: []byte(subject), RawIssuer: []byte(issuer),
		}
	}
	report := mint(t, "GH100", sim.NVIDIAReport{})
	for _, x := range []struct {
		certs []*x509.Certificate
		want  int
	}{
		{[]*x509.Certificate{made("x FMC LF", "a"), made("a", "b"), made("b", "a")}, 5},
		{[]*x509.Certificate{made("x FMC LF", "a"), made("a", "a")}, 2},
	} {
		e := &nvidia.Endorsements{}
		for _, c := range x.certs {
			if err := e.AddCertificate(c); err != nil {
				t.Fatal(err)
			}
		}
		ev := &nvidia.Evidence{Report: report}
		if err := e.Complete(ev); err != nil || len(ev.Chain) != x.want {
			t.Errorf("%v, %d certificates, want %d", err, len(ev.Chain), x.want)
		}
	}
}

// TestComplete finds the chain of a report that comes alone.
func TestComplete(t *testing.T) {
	a, b := newDevice(t, vendor(), sim.NVIDIADeviceConfig{}), newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	report, err := b.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	set := func(list ...int) *nvidia.Endorsements {
		e := &nvidia.Endorsements{}
		for _, i := range list {
			for _, d := range []*sim.NVIDIADevice{a, b} {
				if err := e.AddCertificate(d.Chain[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		return e
	}
	ev := &nvidia.Evidence{Report: report}
	if err := set(4, 3, 2, 1, 0).Complete(ev); err != nil || len(ev.Chain) != 5 || !bytes.Equal(ev.Chain[0], b.Chain[0].Raw) || !bytes.Equal(ev.Chain[1], b.Chain[1].Raw) {
		t.Fatalf("%v, %d certificates", err, len(ev.Chain))
	}
	o := nvidia.Options{SimulatedRoots: vendor().Roots(), WithoutRevocationUnsafe: true, WithoutRIMUnsafe: true}
	if _, err := nvidia.Verify(ev, nvidia.WantNonce(nonce), set(), o, at); err != nil {
		t.Error(err)
	}
	// A chain that is there stays.
	if err := set().Complete(ev); err != nil || len(ev.Chain) != 5 {
		t.Error(err)
	}
	for _, x := range []struct {
		list []int
		part string
	}{
		{nil, "certificates of the device: missing"},
		{[]int{0, 2, 3, 4}, "certificate GH100 A01 GSP BROM: missing"},
		{[]int{0, 1, 3, 4}, "certificate NVIDIA GH100 Provisioner ICA 1: missing"},
		{[]int{0, 1, 2, 4}, "certificate NVIDIA GH100 Identity: missing"},
		{[]int{0, 1, 2, 3}, "certificate NVIDIA Device Identity CA: missing"},
	} {
		ev := &nvidia.Evidence{Report: report}
		err := set(x.list...).Complete(ev)
		wantErr(t, err, fault.FamilyUnknown, nvidia.StepChain, x.part)
		if ev.Chain != nil {
			t.Error("part of a chain")
		}
	}
	// One device alone is taken, whoever signed; of several, none.
	other := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	foreign, err := other.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	err = set(0, 1, 2, 3, 4).Complete(&nvidia.Evidence{Report: foreign})
	wantErr(t, err, fault.FamilyUnknown, nvidia.StepChain, "those given are of other devices")
	one := &nvidia.Endorsements{}
	for _, c := range a.Chain {
		if err := one.AddCertificate(c); err != nil {
			t.Fatal(err)
		}
	}
	ev = &nvidia.Evidence{Report: foreign}
	if err := one.Complete(ev); err != nil {
		t.Fatal(err)
	}
	_, err = nvidia.Verify(ev, nvidia.WantNonce(nonce), one, o, at)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepSignature, "did not sign")
	err = one.Complete(&nvidia.Evidence{Report: []byte("no report")})
	wantErr(t, err, fault.FamilyInput, nvidia.StepReport, "too short")
	many := &nvidia.Endorsements{}
	for i := range byte(65) {
		if err := many.AddCertificate(newDevice(t, vendor(), sim.NVIDIADeviceConfig{ID: [8]byte{8, i}}).Chain[0]); err != nil {
			t.Fatal(err)
		}
	}
	err = many.Complete(&nvidia.Evidence{Report: report})
	wantErr(t, err, fault.FamilyInput, nvidia.StepChain, "certificates of 65 devices for one report")
}

// TestCompleteReal finds the chain of every real report among all certificates.
func TestCompleteReal(t *testing.T) {
	e := &nvidia.Endorsements{}
	list := nvidiaVectors(t)
	for _, x := range list {
		if err := e.Add(vectortest.Read(t, x.Chain)); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range list {
		ev := &nvidia.Evidence{Report: vectortest.Read(t, x.Report)}
		err := e.Complete(ev)
		if strings.Contains(x.Expected, "INVALID") {
			wantErr(t, err, fault.FamilyUnknown, nvidia.StepChain, "those given are of other devices")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nvidia.Verify(ev, nvidia.AnyNonceUnsafe(), e, bare, at); err != nil {
			t.Errorf("%s: %v", x.id(), err)
		}
	}
}
