package nvidia_test

import (
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// TestVerifierAgrees compares a verifier that knows everything with one that
// knows nothing, over good and bad input, at different times.
func TestVerifierAgrees(t *testing.T) {
	o := nvidia.Options{SimulatedRoots: vendor().Roots()}
	v := nvidia.NewVerifier(o, 0)
	good := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	other := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	mintBy := func(d *sim.NVIDIADevice, f sim.NVIDIAReport) []byte {
		b, err := d.Report(vendor(), f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	docs := documents(t, good)
	full, empty := parsed(t, docs...), &nvidia.Endorsements{}
	list := []*nvidia.Evidence{
		evidence(t, good, mintBy(good, sim.NVIDIAReport{Nonce: nonce})),
		evidence(t, good, mintBy(good, sim.NVIDIAReport{Nonce: [32]byte{9}})),
		evidence(t, good, mintBy(other, sim.NVIDIAReport{Nonce: nonce})),
		evidence(t, good, mintBy(good, sim.NVIDIAReport{Nonce: nonce, Driver: "1"})),
		evidence(t, other, mintBy(other, sim.NVIDIAReport{Nonce: nonce})),
	}
	accepted := 0
	for range 2 {
		for _, e := range []*nvidia.Endorsements{full, empty} {
			for _, ev := range list {
				for _, when := range []time.Time{at, at.AddDate(0, 0, -2), at.AddDate(0, 0, 2), at.AddDate(40, 0, 0)} {
					f, err := v.Verify(ev, nvidia.WantNonce(nonce), e, when)
					g, fresh := nvidia.Verify(ev, nvidia.WantNonce(nonce), e, o, when)
					if fault.FamilyOf(err) != fault.FamilyOf(fresh) || err != nil && err.Error() != fresh.Error() || !reflect.DeepEqual(f, g) {
						t.Errorf("at %v: %v, without a memory %v", when, err, fresh)
					}
					if err == nil {
						accepted++
					}
				}
			}
		}
	}
	if accepted != 2 {
		t.Errorf("%d accepted, want 2", accepted)
	}
	if v.Len() != 2 {
		t.Errorf("%d devices kept, want 2", v.Len())
	}
}

// TestRevocationAfterwards revokes a device that the verifier knows.
func TestRevocationAfterwards(t *testing.T) {
	d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	v := nvidia.NewVerifier(nvidia.Options{SimulatedRoots: vendor().Roots()}, 0)
	e := parsed(t, documents(t, d)...)
	ev := evidence(t, d, report)
	if _, err := v.Verify(ev, nvidia.WantNonce(nonce), e, at); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"GH100 A01 GSP BROM", "NVIDIA GH100 Provisioner ICA 1", "NVIDIA GH100 Identity"} {
		b, err := vendor().OCSP(d.Chain[i+1], d.Chain[i+2], sim.NVIDIAOCSP{ThisUpdate: at, NextUpdate: at.AddDate(0, 0, 1), Status: 1})
		if err != nil {
			t.Fatal(err)
		}
		bad := e.Clone()
		if err := bad.AddOCSP(b); err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(ev, nvidia.WantNonce(nonce), bad, at)
		wantErr(t, err, fault.FamilyFalse, nvidia.StepRevocation, `"`+name+`" with serial number`)
	}
	if _, err := v.Verify(ev, nvidia.WantNonce(nonce), e, at); err != nil {
		t.Error(err)
	}
}

func TestVerifierIsBounded(t *testing.T) {
	if n := new(nvidia.Verifier).Len(); n != 0 {
		t.Errorf("a verifier that keeps nothing keeps %d", n)
	}
	o := nvidia.Options{SimulatedRoots: vendor().Roots(), WithoutRevocationUnsafe: true, WithoutRIMUnsafe: true}
	v := nvidia.NewVerifier(o, 2)
	var devices []*nvidia.Evidence
	for range 5 {
		d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
		report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, evidence(t, d, report))
	}
	for range 2 {
		for _, ev := range devices {
			if _, err := v.Verify(ev, nvidia.WantNonce(nonce), &nvidia.Endorsements{}, at); err != nil {
				t.Fatal(err)
			}
			if v.Len() > 2 {
				t.Fatalf("%d devices kept", v.Len())
			}
		}
	}
}

// TestOptionsAreCopied changes the options after the verifier was made.
func TestOptionsAreCopied(t *testing.T) {
	roots := [][32]byte{{1}}
	v := nvidia.NewVerifier(nvidia.Options{SimulatedRoots: roots, WithoutRevocationUnsafe: true, WithoutRIMUnsafe: true}, 0)
	roots[0] = vendor().Roots()[0]
	d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(evidence(t, d, report), nvidia.WantNonce(nonce), &nvidia.Endorsements{}, at)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepRoot, "nor named by the caller")
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	v := nvidia.NewVerifier(nvidia.Options{SimulatedRoots: vendor().Roots()}, 3)
	type input struct {
		ev *nvidia.Evidence
		e  *nvidia.Endorsements
	}
	var list []input
	for range 5 {
		d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
		report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, input{evidence(t, d, report), parsed(t, documents(t, d)...)})
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 10 {
				in := list[(w+i)%len(list)]
				f, err := v.Verify(in.ev, nvidia.WantNonce(nonce), in.e, at)
				if err != nil || !f.Golden.Match() {
					t.Errorf("%v, %+v", err, f)
				}
			}
		})
	}
	wg.Wait()
}

// TestHot: of a known device nothing is verified again but the report, also with
// documents that were read anew. What two devices share is verified once, also when
// they are verified at the same time.
func TestHot(t *testing.T) {
	v := nvidia.NewVerifier(nvidia.Options{SimulatedRoots: vendor().Roots()}, 0)
	var devices []*nvidia.Evidence
	var docs [][]byte
	for range 3 {
		d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
		report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
		if err != nil {
			t.Fatal(err)
		}
		devices, docs = append(devices, evidence(t, d, report)), append(docs, documents(t, d)...)
	}
	all := func() int {
		e, before := parsed(t, docs...), v.Built()
		if e.Len() == 0 || v.Built() != before {
			t.Error("reading documents verifies them")
		}
		var wg sync.WaitGroup
		for _, ev := range devices {
			wg.Go(func() {
				if _, err := v.Verify(ev, nvidia.WantNonce(nonce), e, at); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return v.Built() - before
	}
	// 3 chains with 3 authorities to read, which have 3 x 2 + 2 signatures; 2 RIM
	// documents, with 3 certificates that another one signed; 8 responses, by 6
	// responders that have a certificate each.
	const want = 3 + 3 + 3*2 + 2 + 2 + 3 + 8 + 6
	cold := all()
	if cold != want {
		t.Errorf("%d things are verified, want %d", cold, want)
	}
	if again := all(); again != 0 {
		t.Errorf("%d things are verified again", again)
	}
}

// TestForgedAfterwards flips bits of everything that a verifier knows to be good:
// it says what one says that knows nothing, and accepts nothing that was signed.
func TestForgedAfterwards(t *testing.T) {
	o := nvidia.Options{SimulatedRoots: vendor().Roots()}
	d := newDevice(t, vendor(), sim.NVIDIADeviceConfig{})
	report, err := d.Report(vendor(), sim.NVIDIAReport{Nonce: nonce})
	if err != nil {
		t.Fatal(err)
	}
	docs, ev := documents(t, d), evidence(t, d, report)
	v := nvidia.NewVerifier(o, 0)
	verify := func(v *nvidia.Verifier, docs [][]byte, ev *nvidia.Evidence) error {
		e, err := nvidia.ParseEndorsements(docs...)
		if err != nil {
			return err
		}
		_, err = v.Verify(ev, nvidia.WantNonce(nonce), e, at)
		return err
	}
	if err := verify(v, docs, ev); err != nil {
		t.Fatal(err)
	}
	parts := append(slices.Clone(docs), ev.Chain...)
	parts = append(parts, ev.Report)
	for _, f := range flipsOf(parts)[:150] {
		changed := slices.Clone(parts)
		changed[f.part] = flipped(parts[f.part], f.bit)
		bad := &nvidia.Evidence{Chain: changed[len(docs) : len(changed)-1], Report: changed[len(changed)-1]}
		got, want := verify(v, changed[:len(docs)], bad), verify(nvidia.NewVerifier(o, 0), changed[:len(docs)], bad)
		if fault.FamilyOf(got) != fault.FamilyOf(want) {
			t.Errorf("part %d, bit %d: %v, without a memory %v", f.part, f.bit, got, want)
		}
		if got == nil && !nvidia.IsRIM(parts[f.part]) {
			t.Errorf("part %d, bit %d: accepted", f.part, f.bit)
		}
	}
	if err := verify(v, docs, ev); err != nil {
		t.Error(err)
	}
}
