package contracts

import (
	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/chain/p256hint"
)

// QuoteInfo is what a contract reads out of a quote. [ReadQuote] makes it
// without checking any signature: it serves to choose floors and to foresee a
// refusal, never to trust a quote.
type QuoteInfo struct {
	CA          PublicKey // named by the quote's own chain
	NotAfter    uint32    // end of the PCK certificate, unix seconds; later than 2106: the last of them
	Attestation PublicKey // attestation key
	FMSPC       [6]byte
	PlatformID  [32]byte
	Measurement [32]byte
	ReportData  [64]byte
	TCB         TDXTCB
}

// ReadQuote reads a TDX quote of the kinds that [QuoteCells] takes. It checks
// shape only.
func ReadQuote(quote []byte) (*QuoteInfo, error) {
	q, err := splitQuote(quote)
	if err != nil {
		return nil, err
	}
	sizes, err := cutTBS(q.tbs)
	if err != nil {
		return nil, err
	}
	v := &QuoteInfo{CA: publicKey(q.caKey), Attestation: publicKey(q.key), NotAfter: q.notAfter}
	if err := v.readPCK(q.tbs, sizes); err != nil {
		return nil, err
	}
	body := q.body[quoteHeaderSize:]
	if q.version == 5 {
		body = body[6:]
	}
	at48 := func(offset int) [48]byte { return [48]byte(body[offset:]) }
	copy(v.TCB.TEESVN[:], body)
	v.TCB.TEESVNNow = v.TCB.TEESVN
	if len(body) == bodyTD15Size {
		copy(v.TCB.TEESVNNow[:], body[bodyTD10Size:])
	}
	copy(v.TCB.TDAttributes[:], body[120:])
	copy(v.TCB.XFAM[:], body[128:])
	copy(v.TCB.QESigner[:], q.qeReport[128:])
	v.TCB.QESVN = uint16(q.qeReport[258]) | uint16(q.qeReport[259])<<8
	v.Measurement = attestation.MeasurementTDX(at48(136), at48(328), at48(376), at48(424))
	copy(v.ReportData[:], body[520:])
	return v, nil
}

func publicKey(k p256hint.Key) PublicKey { return PublicKey{X: [32]byte(k[:32]), Y: [32]byte(k[32:])} }

// readPCK reads the SGX Extensions at the places that cutTBS found: five pieces
// from the one with the PPID on, and perhaps one more.
func (v *QuoteInfo) readPCK(tbs []byte, sizes []int) error {
	at, ppidEnd := 0, -1
	var svns []int
	for i, n := range sizes {
		at += n
		if i < 5 || tbs[at-n+1] != 0x82 || ppidEnd >= 0 {
			continue
		}
		ppidEnd = at - 20 // the heads of TCB stand behind it
		copy(v.PlatformID[:], tbs[ppidEnd-16:ppidEnd])
		w := &derWalk{b: tbs, at: at}
		for range 17 {
			_, c := w.head()
			w.enter()
			end := w.at + c
			w.skip() // identifier
			h, c := w.head()
			svn := 0
			for _, b := range tbs[min(w.at+h, len(tbs)):min(w.at+h+c, len(tbs))] {
				svn = svn<<8 | int(b)
			}
			svns = append(svns, svn)
			if w.bad || w.at+h+c != end {
				break
			}
			w.at = end
		}
		w.skip() // CPUSVN
		w.skip() // PCE id
		w.enter()
		w.skip()
		if h, c := w.head(); !w.bad && c == 6 {
			copy(v.FMSPC[:], tbs[w.at+h:])
		} else {
			w.bad = true
		}
		if w.bad {
			svns = nil
		}
	}
	if len(svns) != 17 {
		return fault.BadInput("quote: the PCK certificate has a form that contracts don't read")
	}
	for i := range v.TCB.CPUSVN {
		if svns[i] > 255 {
			return fault.BadInput("quote: component %d of the PCK certificate is %d", i+1, svns[i])
		}
		v.TCB.CPUSVN[i] = byte(svns[i])
	}
	if svns[16] > 0xffff {
		return fault.BadInput("quote: the PCK certificate's PCESVN is %d", svns[16])
	}
	v.TCB.PCESVN = uint16(svns[16])
	v.PlatformID = attestation.PlatformID("tdx", v.PlatformID[:16])
	return nil
}
