package sim

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"math/big"
	"slices"

	"github.com/cocoon-go/cocoon/attestation/amd"
)

// AMDReport lists the fields of a report. Zero values are sensible: version 3,
// an unremarkable guest policy, VMPL 0, all TCBs those of the chip.
type AMDReport struct {
	Version     uint32 // default 3
	GuestSVN    uint32
	Policy      uint64 // default 0x30000: SMT allowed, nothing else
	VMPL        uint32
	Info        uint64 // platform info; default 0x25
	ReportData  [64]byte
	Measurement [48]byte
	HostData    [32]byte
	IDKey       [48]byte
	AuthorKey   [48]byte
	FamilyID    [16]byte
	ImageID     [16]byte

	Current, Reported, Committed, Launch *amd.TCB // default: the chip's

	MaskChipID bool // report a chip id of zero

	Edit       func([]byte) // changes the report before it is signed
	EditSigned func([]byte) // changes it afterwards
}

// Report signs a report.
func (c *AMDChip) Report(f AMDReport) ([]byte, error) {
	le := binary.LittleEndian
	b := make([]byte, amd.ReportSize)
	def := func(v, d uint64) uint64 {
		if v == 0 {
			return d
		}
		return v
	}
	version := uint32(def(uint64(f.Version), 3))
	le.PutUint32(b[0x000:], version)
	le.PutUint32(b[0x004:], f.GuestSVN)
	le.PutUint64(b[0x008:], def(f.Policy, 0x30000))
	copy(b[0x010:], f.FamilyID[:])
	copy(b[0x020:], f.ImageID[:])
	le.PutUint32(b[0x030:], f.VMPL)
	le.PutUint32(b[0x034:], 1)
	le.PutUint64(b[0x040:], def(f.Info, 0x25))
	if c.VLEK {
		le.PutUint32(b[0x048:], 1<<2)
	}
	copy(b[0x050:], f.ReportData[:])
	copy(b[0x090:], f.Measurement[:])
	copy(b[0x0c0:], f.HostData[:])
	copy(b[0x0e0:], f.IDKey[:])
	copy(b[0x110:], f.AuthorKey[:])
	if _, err := rand.Read(b[0x140:0x160]); err != nil {
		return nil, err
	}
	for i := range 32 {
		b[0x160+i] = 0xff
	}
	for off, t := range map[int]*amd.TCB{0x038: f.Current, 0x180: f.Reported, 0x1e0: f.Committed, 0x1f0: f.Launch} {
		if t == nil {
			t = &c.TCB
		}
		v := t.Encode(c.vendor.Product)
		copy(b[off:], v[:])
	}
	if version >= 3 {
		copy(b[0x188:], map[amd.Product][]byte{amd.Milan: {0x19, 0x01, 1}, amd.Genoa: {0x19, 0x11, 1}, amd.Turin: {0x1a, 0x02, 1}}[c.vendor.Product])
	}
	if !f.MaskChipID {
		copy(b[0x1a0:], c.ChipID[:])
	}
	copy(b[0x1e8:], []byte{0x1d, 0x37, 1, 0, 0x1d, 0x37, 1, 0})
	if f.Edit != nil {
		f.Edit(b)
	}
	if err := c.SignReport(b); err != nil {
		return nil, err
	}
	if f.EditSigned != nil {
		f.EditSigned(b)
	}
	return b, nil
}

// SignReport writes the signature of the chip's key into a report.
func (c *AMDChip) SignReport(b []byte) error {
	digest := sha512.Sum384(b[:amd.SignedSize])
	r, s, err := ecdsa.Sign(rand.Reader, c.key, digest[:])
	if err != nil {
		return err
	}
	clear(b[amd.SignedSize:])
	for i, v := range []*big.Int{r, s} {
		be := v.FillBytes(make([]byte, 48))
		slices.Reverse(be)
		copy(b[amd.SignedSize+72*i:], be)
	}
	return nil
}
