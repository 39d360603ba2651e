package tpm_test

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// TestMachine boots a simulated confidential VM and verifies all of it: the
// processor's quote, the TPM's key by the report data of that quote, registers by
// the quote of the TPM, and the log by the registers.
func TestMachine(t *testing.T) {
	var log sim.EventLog
	log.Banks = []eventlog.Alg{eventlog.SHA256}
	log.AddData(0, eventlog.CRTMVersion, []byte("1\x00\x00\x00"))
	for pcr := range uint32(8) {
		log.AddData(pcr, eventlog.Separator, make([]byte, 4))
	}
	log.Add(4, eventlog.EFIBootServicesApp, []byte("the kernel"), []byte("device path"))
	x := rsaTPM(t)
	x.Boot(&log)

	claims, live := [32]byte{1, 2, 3}, [32]byte{4}
	want := tpm.ExtraData(claims, &live)
	runtime, err := x.RuntimeData([64]byte{})
	if err != nil {
		t.Fatal(err)
	}
	platform, err := sim.NewIntel(nil, sim.IntelOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	rd := sim.RuntimeReportData(runtime)
	tdx, err := platform.Quote(sim.TD{ReportData: rd})
	if err != nil {
		t.Fatal(err)
	}
	e := &tpm.Evidence{
		Quotes: []tpm.Quote{quote(t, x, sim.TPMQuote{ExtraData: want[:]})},
		HCL:    sim.HCLReport(tpm.TDX, sim.TDReport(rd), runtime), TDQuote: tdx,
	}

	kind, b, err := e.Hardware()
	if err != nil || kind != tpm.TDX {
		t.Fatal(kind, err)
	}
	q, err := intel.ParseQuote(b)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := platform.Endorsements(sim.Collateral{At: now})
	if err != nil {
		t.Fatal(err)
	}
	collateral, err := intel.ParseCollateral(docs)
	if err != nil {
		t.Fatal(err)
	}
	var endorsements intel.Endorsements
	if err := endorsements.AddCollateral(collateral); err != nil {
		t.Fatal(err)
	}
	td, err := intel.NewVerifier(platform.RootFingerprint()).Verify(q, &endorsements, now)
	if err != nil {
		t.Fatal(err)
	}
	hw := &tpm.Hardware{Kind: tpm.TDX, ReportData: td.ReportData()}
	f, err := tpm.Verify(e, hw, nil, tpm.Options{}, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.CheckExtraData(want[:]); err != nil || !f.Confidential() {
		t.Error(err)
	}
	l, err := eventlog.Parse(log.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.CheckPCRs(eventlog.SHA256, f.PCRs[eventlog.SHA256]); err != nil {
		t.Error(err)
	}
	if err := l.CheckData(eventlog.SHA256); err != nil {
		t.Error(err)
	}

	// One more measurement, and the log is no longer the one of this machine.
	if err := x.Extend(4, []byte("something else")); err != nil {
		t.Fatal(err)
	}
	e.Quotes[0] = quote(t, x, sim.TPMQuote{ExtraData: want[:]})
	if f, err = tpm.Verify(e, hw, nil, tpm.Options{}, now); err != nil {
		t.Fatal(err)
	}
	if err := l.CheckPCRs(eventlog.SHA256, f.PCRs[eventlog.SHA256]); fault.FamilyOf(err) != fault.FamilyFalse {
		t.Error(err)
	}
	if err := x.Extend(24, nil); err == nil {
		t.Error("a register that is not there was extended")
	}
}
