package device

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// fakeTPM answers the commands of tpmDevice with the keys of a simulated TPM. It
// checks what it is asked, and fails where a test says so.
type fakeTPM struct {
	t   testing.TB
	sim *sim.TPM
	key uint32 // handle of the attestation key
	nv  map[uint32][]byte

	ownerOnly bool                                        // indexes are read with the owner's authorization
	perRead   int                                         // registers that one PCR_Read returns, default 8
	more      int                                         // values that PCR_Read returns too much
	emptyNV   bool                                        // NV_Read returns nothing
	changes   int                                         // quotes before which a register changes
	fails     map[tpm2.TPMCC]uint32                       // response codes
	quote     func(*sim.TPMQuote)                         // changes what is quoted
	edit      func(cc tpm2.TPMCC, response []byte) []byte // changes a response
	commands  []tpm2.TPMCC                                // that were asked
}

func newFakeTPM(t testing.TB, c sim.TPMConfig) (*fakeTPM, *sim.TPMVendor) {
	t.Helper()
	v, err := sim.NewTPMVendor(sim.TPMVendorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := v.NewTPM(c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 24 {
		if err := m.Extend(i, []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	return &fakeTPM{t: t, sim: m, key: 0x81010002, nv: map[uint32][]byte{0x01c10002: append(m.Certificate.Raw[:len(m.Certificate.Raw):len(m.Certificate.Raw)], make([]byte, 700)...)}}, v
}

const (
	tagNoSessions = 0x8001
	tagSessions   = 0x8002
	codeHandle    = 0x18b // TPM_RC_HANDLE
)

var be = binary.BigEndian

// Send implements transport.TPM.
func (f *fakeTPM) Send(cmd []byte) ([]byte, error) {
	tag, cc := be.Uint16(cmd), tpm2.TPMCC(be.Uint32(cmd[6:]))
	if int(be.Uint32(cmd[2:])) != len(cmd) {
		return nil, fmt.Errorf("command of the wrong length")
	}
	f.commands = append(f.commands, cc)
	params, code := f.answer(cc, cmd[10:])
	if c, ok := f.fails[cc]; ok {
		code = c
	}
	if code != 0 {
		tag, params = tagNoSessions, nil
	}
	body := params
	if tag == tagSessions {
		body = be.AppendUint32(nil, uint32(len(params)))
		body = append(append(body, params...), 0, 0, 1, 0, 0) // nonce, continue session, HMAC
	}
	out := be.AppendUint16(nil, tag)
	out = be.AppendUint32(out, uint32(10+len(body)))
	out = append(be.AppendUint32(out, code), body...)
	if f.edit != nil {
		out = f.edit(cc, out)
	}
	return out, nil
}

func sized(b []byte) []byte { return append(be.AppendUint16(nil, uint16(len(b))), b...) }

// answer returns the parameters of a response, or a response code.
func (f *fakeTPM) answer(cc tpm2.TPMCC, b []byte) ([]byte, uint32) {
	switch cc {
	case tpm2.TPMCCReadPublic:
		if be.Uint32(b) != f.key {
			return nil, codeHandle
		}
		name := append([]byte{0, 0x0b}, make([]byte, 32)...)
		return append(append(sized(f.sim.Public), sized(name)...), sized(name)...), 0
	case tpm2.TPMCCPCRRead:
		return f.readPCRs(b), 0
	case tpm2.TPMCCQuote:
		if be.Uint32(b) != f.key {
			return nil, codeHandle
		}
		return f.makeQuote(b[4:]), 0
	case tpm2.TPMCCNVReadPublic:
		data, ok := f.nv[be.Uint32(b)]
		if !ok {
			return nil, codeHandle
		}
		attributes := uint32(1 << 18) // AUTHREAD
		if f.ownerOnly {
			attributes = 1 << 17 // OWNERREAD
		}
		public := be.AppendUint32(nil, be.Uint32(b))
		public = be.AppendUint32(be.AppendUint16(public, 0x0b), attributes)
		public = be.AppendUint16(append(public, 0, 0), uint16(len(data)))
		return append(sized(public), sized(append([]byte{0, 0x0b}, make([]byte, 32)...))...), 0
	case tpm2.TPMCCNVRead:
		return f.readNV(b)
	}
	f.t.Errorf("unexpected command %v", cc)
	return nil, codeHandle
}

// registers reads a selection of the SHA-256 bank and nothing else.
func (f *fakeTPM) registers(b []byte) (out []int) {
	if len(b) != 10 || be.Uint32(b) != 1 || be.Uint16(b[4:]) != 0x0b || b[6] != 3 {
		f.t.Errorf("selection %x", b)
		return nil
	}
	for i := range 24 {
		if b[7+i/8]>>(i%8)&1 == 1 {
			out = append(out, i)
		}
	}
	return out
}

func (f *fakeTPM) readPCRs(b []byte) []byte {
	n := f.perRead
	if n == 0 {
		n = 8
	}
	wanted := f.registers(b)
	wanted = wanted[:max(0, min(n, len(wanted)))]
	var bits [3]byte
	for _, i := range wanted {
		bits[i/8] |= 1 << (i % 8)
	}
	out := be.AppendUint32(nil, 1) // update counter
	out = append(be.AppendUint32(out, 1), 0, 0x0b, 3, bits[0], bits[1], bits[2])
	out = be.AppendUint32(out, uint32(len(wanted)+f.more))
	for range f.more {
		out = append(out, sized(make([]byte, 32))...)
	}
	for _, i := range wanted {
		out = append(out, sized(f.sim.PCRs[eventlog.SHA256][i])...)
	}
	return out
}

// passwordSize is the size of the sessions area: its own length, and a password
// session without a password.
const passwordSize = 4 + 9

func (f *fakeTPM) makeQuote(b []byte) []byte {
	if be.Uint32(b) != 9 || be.Uint32(b[4:]) != 0x40000009 { // TPM_RS_PW
		f.t.Errorf("sessions %x", b[:passwordSize])
	}
	b = b[passwordSize:]
	n := int(be.Uint16(b))
	extra, b := b[2:2+n], b[2+n:]
	if be.Uint16(b) != 0x10 { // TPM_ALG_NULL
		f.t.Errorf("scheme %x", b[:2])
	}
	if f.changes > 0 {
		f.changes--
		if err := f.sim.Extend(7, []byte("later")); err != nil {
			f.t.Error(err)
		}
	}
	q := sim.TPMQuote{ExtraData: append([]byte(nil), extra...), Bank: eventlog.SHA256, PCRs: f.registers(b[2:])}
	if f.quote != nil {
		f.quote(&q)
	}
	quote, err := f.sim.Quote(q)
	if err != nil {
		f.t.Error(err)
	}
	return append(sized(quote.Attest), quote.Signature...)
}

func (f *fakeTPM) readNV(b []byte) ([]byte, uint32) {
	as, index := be.Uint32(b), be.Uint32(b[4:])
	if want := map[bool]uint32{true: 0x40000001, false: index}[f.ownerOnly]; as != want && f.edit == nil {
		f.t.Errorf("index read with the authorization of %#x", as)
	}
	b = b[8+passwordSize:]
	size, off := int(be.Uint16(b)), int(be.Uint16(b[2:]))
	data, ok := f.nv[index]
	if !ok || off+size > len(data) {
		return nil, codeHandle
	}
	if f.emptyNV {
		size = 0
	}
	return sized(data[off : off+size]), 0
}
