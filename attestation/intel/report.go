package intel

import "encoding/binary"

// TDReport is the body of a TDX quote: what the TDX module says of one TD. All
// fields are as they stand in the quote.
type TDReport struct {
	TEETCBSVN      [16]byte    // security versions of TDX module and platform at launch
	MRSEAM         [48]byte    // the TDX module
	MRSIGNERSEAM   [48]byte    // its signer; zero is Intel
	SEAMAttributes [8]byte     // of the TDX module; all zero so far
	TDAttributes   [8]byte     // bit 0: debug
	XFAM           [8]byte     // processor features that the TD may use
	MRTD           [48]byte    // initial contents of the TD
	MRConfigID     [48]byte    // given by the host at launch
	MROwner        [48]byte    // given by the host at launch
	MROwnerConfig  [48]byte    // given by the host at launch
	RTMR           [4][48]byte // measurements extended at run time
	ReportData     [64]byte    // chosen by the TD

	// TEETCBSVN2 and MRServiceTD exist from body type TD 1.5 on. The first
	// holds the security versions now, after updates below a running TD.
	TEETCBSVN2  [16]byte
	MRServiceTD [48]byte

	// Extended holds the last 237 bytes of a TD 1.5 extended body as they are,
	// nil for other bodies. It is signed, and rated by nothing.
	Extended []byte
}

// Bits of TDAttributes, as a little-endian number.
const (
	tdDebug         = 1 << 0
	tdSeptVEDisable = 1 << 28
	tdMigratable    = 1 << 29
	tdPerfmon       = 1 << 63
)

// Attributes returns TDAttributes as a number.
func (r *TDReport) Attributes() uint64 { return binary.LittleEndian.Uint64(r.TDAttributes[:]) }

// Features returns XFAM as a number.
func (r *TDReport) Features() uint64 { return binary.LittleEndian.Uint64(r.XFAM[:]) }

// Debug reports whether the host can read and change the TD.
func (r *TDReport) Debug() bool { return r.Attributes()&0xff != 0 }

// SeptVEDisable reports whether the host is kept from turning accesses to
// missing pages into exceptions inside the TD.
func (r *TDReport) SeptVEDisable() bool { return r.Attributes()&tdSeptVEDisable != 0 }

// Migratable reports whether a migration TD can move the TD.
func (r *TDReport) Migratable() bool { return r.Attributes()&tdMigratable != 0 }

// Perfmon reports whether the TD uses performance counters.
func (r *TDReport) Perfmon() bool { return r.Attributes()&tdPerfmon != 0 }

func parseTDReport(b []byte, t BodyType) *TDReport {
	r := new(TDReport)
	for _, f := range [][]byte{
		r.TEETCBSVN[:], r.MRSEAM[:], r.MRSIGNERSEAM[:], r.SEAMAttributes[:], r.TDAttributes[:], r.XFAM[:],
		r.MRTD[:], r.MRConfigID[:], r.MROwner[:], r.MROwnerConfig[:],
		r.RTMR[0][:], r.RTMR[1][:], r.RTMR[2][:], r.RTMR[3][:], r.ReportData[:],
	} {
		b = b[copy(f, b):]
	}
	if t >= BodyTD15 {
		b = b[copy(r.TEETCBSVN2[:], b):]
		b = b[copy(r.MRServiceTD[:], b):]
	}
	if t == BodyTD15Ex {
		r.Extended = append([]byte(nil), b...)
	}
	return r
}

// SGXReport is the body of an SGX quote: what the processor says of one enclave.
type SGXReport struct {
	CPUSVN     [16]byte // security versions of the processor's components
	MiscSelect uint32   // extended features of the state save area
	Attributes [16]byte // flags and XFRM; bit 1: debug
	MRENCLAVE  [32]byte // the enclave
	MRSIGNER   [32]byte // who signed it
	ISVProdID  uint16   // product number that the signer gave it
	ISVSVN     uint16   // security version that the signer gave it
	ReportData [64]byte // chosen by the enclave
}

// Debug reports whether the host can read and change the enclave.
func (r *SGXReport) Debug() bool { return r.Attributes[0]&2 != 0 }

func parseSGXReport(b []byte) *SGXReport {
	r := &SGXReport{
		MiscSelect: binary.LittleEndian.Uint32(b[16:]),
		ISVProdID:  binary.LittleEndian.Uint16(b[256:]),
		ISVSVN:     binary.LittleEndian.Uint16(b[258:]),
	}
	copy(r.CPUSVN[:], b)
	copy(r.Attributes[:], b[48:64])
	copy(r.MRENCLAVE[:], b[64:96])
	copy(r.MRSIGNER[:], b[128:160])
	copy(r.ReportData[:], b[320:384])
	return r
}

// TD returns the body of a TDX quote, nil for SGX.
func (q *Quote) TD() *TDReport {
	if q.TEE != TDX {
		return nil
	}
	return parseTDReport(q.Body, q.BodyType)
}

// Enclave returns the body of an SGX quote, nil for TDX.
func (q *Quote) Enclave() *SGXReport {
	if q.TEE != SGX {
		return nil
	}
	return parseSGXReport(q.Body)
}
