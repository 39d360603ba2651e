package contracts

import (
	"slices"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

// againMinted is the registration of a later boot by the TD report of a minted
// quote.
func againMinted(h *attestation.Heads, m *minted) *RegisterTDXAgain {
	return &RegisterTDXAgain{QueryID: 9, Heads: h, TDBody: chainOf(m.body), Signature: m.signature(m.ak, m.body, m.wrongAK)}
}

// ofTheReport are the variants of quotes whose difference a later boot shows too.
var ofTheReport = []string{
	"version 3", "attestation key of another type", "SGX quote", "quote by another key", "QE of another vendor",
	"MRSIGNERSEAM", "end of MRSIGNERSEAM", "SEAMATTRIBUTES", "debug", "reserved bit of the kind of debug",
}

// TestRegisterAgainForms boots a machine of every form twice at a production Node,
// and brings one-field-wrong variants of the second report.
func TestRegisterAgainForms(t *testing.T) {
	for _, q := range quoteForms {
		t.Run(q.name, func(t *testing.T) {
			f, info := newMintedFixture(t, q)
			h := f.heads()
			good(t, f.send(f.operator, ValueRegister, registerMinted(h, q.minted(t, h))))
			done(t, f.operator, 0)
			h = f.heads()
			tried := 0
			refuse := func(name string, code int, m *minted) {
				tried++
				t.Run(name, func(t *testing.T) {
					f.t = t
					f.refuses(code, f.operator, ValueRegister, againMinted(h, m))
				})
			}
			for _, c := range quoteChecks {
				if slices.Contains(ofTheReport, c.name) {
					m := q.minted(t, h)
					c.edit(m)
					refuse(c.name, int(c.code), m)
				}
			}
			m := q.minted(t, h)
			m.body[len(m.body)-1] = append(m.body[len(m.body)-1], 0)
			refuse("a byte more", exitUnderflow, m)
			m = q.minted(t, h)
			last := &m.body[len(m.body)-1]
			*last = (*last)[:len(*last)-1]
			refuse("a byte less", exitUnderflow, m)
			m = q.minted(t, h)
			m.ak = testKey("another machine's")
			refuse("the attestation key of another machine", CodeQuoteTDSignature, m)
			if m = q.minted(t, h); len(m.body) == 7 { // of version 5, body 3
				m.body[0][48] = 4
				refuse("body type 4", CodeQuoteVersion, m)
			}
			if tried < len(ofTheReport)+3 {
				t.Errorf("only %d variants were tried", tried)
			}
			f.t = t
			good(t, f.send(f.operator, ValueRegister, againMinted(h, q.minted(t, h))))
			done(t, f.operator, 0)
			s := f.nodeState()
			if s.Epoch != 2 || s.Status != StatusActive || s.Current.Check.TDX.TCB != info.TCB || s.Current.Check.PlatformID != info.PlatformID {
				t.Errorf("after the second boot: %+v", s)
			}
		})
	}
}
