package intel_test

import (
	"testing"

	"github.com/google/go-tdx-guest/testing/testdata"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// FuzzParseQuote: no input makes the parser or the verifier panic, every
// failure has a family, and nothing is accepted that the fuzzer made.
func FuzzParseQuote(f *testing.F) {
	p := newPlatform(f, sim.IntelOptions{})
	f.Add(testdata.RawQuote)
	for _, td := range []sim.TD{{}, {Version: 5, BodyType: 2}, {Version: 5}, {Version: 5, BodyType: 4}} {
		q, err := p.Quote(td)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(q)
	}
	for _, e := range []sim.Enclave{{}, {Version: 4}, {OpenEnclave: true}} {
		q, err := p.EnclaveQuote(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(q)
	}
	v := intel.NewVerifier()
	f.Fuzz(func(t *testing.T, data []byte) {
		q, err := intel.ParseQuote(data)
		if err != nil {
			if fault.FamilyOf(err) != fault.FamilyInput {
				t.Errorf("family of %v", err)
			}
			return
		}
		if !intel.IsQuote(data) {
			t.Error("parsed, and does not look like a quote")
		}
		if (q.TD() == nil) == (q.Enclave() == nil) {
			t.Error("want exactly one body")
		}
		if _, err := v.Verify(q, nil, now); err == nil {
			t.Error("accepted without endorsements")
		}
	})
}

// FuzzEndorsements: no document makes the parsers panic.
func FuzzEndorsements(f *testing.F) {
	c := moduleCollateral(f)
	f.Add([]byte(c.TCBInfo), []byte(c.TCBInfoSignature))
	f.Add([]byte(c.QEIdentity), []byte(c.QEIdentitySignature))
	f.Add([]byte(c.PCKCRL), []byte{})
	f.Add([]byte(c.PCKCRLIssuerChain), []byte{})
	f.Fuzz(func(t *testing.T, data, sig []byte) {
		e := new(intel.Endorsements)
		for _, err := range []error{
			e.AddTCBInfo(data, sig), e.AddQEIdentity(data, sig), e.AddCRL(data),
			e.AddCollateral(&intel.Collateral{PCKCRLIssuerChain: string(data), RootCACRL: string(data)}),
		} {
			if err != nil && fault.FamilyOf(err) != fault.FamilyInput {
				t.Errorf("family of %v", err)
			}
		}
		if _, err := e.AddServiceAnswer(data); err != nil && fault.FamilyOf(err) != fault.FamilyInput {
			t.Errorf("family of %v", err)
		}
	})
}
