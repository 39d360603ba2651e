package eventlog

import (
	"encoding/binary"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Table is the ACPI table that says where a CCEL lies (ACPI 6.5, section 5.2.34;
// on Linux /sys/firmware/acpi/tables/CCEL, with the log in data/CCEL). Nothing
// vouches for it; it tells what kind of machine its firmware takes itself for.
type Table struct {
	Revision uint8
	Type     uint8  // of confidential computing: 1 SEV, 2 TDX
	Subtype  uint8  // 0
	Length   uint64 // of the area of the log, in bytes
	Address  uint64 // guest physical
}

// Types in a [Table].
const (
	TableSEV uint8 = 1
	TableTDX uint8 = 2
)

const (
	tableSize      = 56
	tableSignature = "CCEL"
)

// ParseTable reads the table and checks its length and checksum. Errors are bad
// input.
func ParseTable(b []byte) (*Table, error) {
	if len(b) != tableSize || string(b[:4]) != tableSignature || binary.LittleEndian.Uint32(b[4:]) != tableSize {
		return nil, fault.BadInput("ccel table: not a CCEL table of %d bytes", tableSize)
	}
	var sum uint8
	for _, x := range b {
		sum += x
	}
	if sum != 0 {
		return nil, fault.BadInput("ccel table: wrong checksum")
	}
	t := &Table{Revision: b[8], Type: b[36], Subtype: b[37], Length: binary.LittleEndian.Uint64(b[40:]), Address: binary.LittleEndian.Uint64(b[48:])}
	if b[38] != 0 || b[39] != 0 {
		return nil, fault.BadInput("ccel table: reserved bytes are not zero")
	}
	return t, nil
}
