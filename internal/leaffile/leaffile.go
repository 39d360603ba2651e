// Package leaffile is the form in which a node's log lies on disk: heads of receipts
// with their signatures. An enclave writes it (package enclave/ledger); its host
// reads it to answer challenges when no enclave runs. Nothing in it is to be
// believed: readers compare with what the chain holds.
//
// The file is a sequence of records of [RecordSize] bytes. Record 0 is the header:
// "CCLF", version uint32, node[36], zeros, checksum. Record i+1 is leaf i: receipt
// head[124], signature[64], checksum. A checksum is the CRC-32C of the 188 bytes
// before it, little-endian. It finds damage, not forgery.
package leaffile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/receipt"
)

// Name is the file's name in a log's directory.
const Name = "leaves"

// Sizes in bytes.
const (
	RecordSize  = 192
	PayloadSize = receipt.HeadSize + 64 // what the checksum covers
)

const (
	magic   = "CCLF"
	version = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append adds the record of a leaf to b.
func Append(b []byte, h *receipt.Head, sig *[64]byte) []byte {
	start := len(b)
	b = h.AppendTo(b)
	b = append(b, sig[:]...)
	return binary.LittleEndian.AppendUint32(b, Checksum(b[start:]))
}

// Checksum returns the checksum of a record's payload.
func Checksum(payload []byte) uint32 { return crc32.Checksum(payload, castagnoli) }

// Sealed says whether the checksum of a record holds.
func Sealed(record []byte) bool {
	return len(record) == RecordSize && binary.LittleEndian.Uint32(record[PayloadSize:]) == Checksum(record[:PayloadSize])
}

// Parse reads the record of a leaf, whose checksum it does not look at.
func Parse(record []byte) (h receipt.Head, sig [64]byte, err error) {
	if len(record) != RecordSize {
		return h, sig, fault.BadInput("a leaf's record of %d bytes, want %d", len(record), RecordSize)
	}
	h, err = receipt.ParseHead(record[:receipt.HeadSize])
	return h, [64]byte(record[receipt.HeadSize:PayloadSize]), err
}

// Header returns the first record of a node's file.
func Header(node attestation.Address) []byte {
	b := append(make([]byte, 0, RecordSize), magic...)
	b = binary.BigEndian.AppendUint32(b, version)
	b = node.AppendTo(b)
	b = append(b, make([]byte, PayloadSize-len(b))...)
	return binary.LittleEndian.AppendUint32(b, Checksum(b))
}

// CheckHeader reports why a first record is not that of a node's file.
func CheckHeader(b []byte, node attestation.Address) error {
	switch {
	case bytes.Equal(b, Header(node)):
		return nil
	case len(b) != RecordSize || string(b[:4]) != magic || !Sealed(b):
		return fault.BadInput("the leaf file is damaged or not ours: its header does not parse")
	case binary.BigEndian.Uint32(b[4:]) != version:
		return fault.BadInput("the leaf file has version %d; this program writes %d", binary.BigEndian.Uint32(b[4:]), version)
	}
	a, err := attestation.DecodeAddress(b[8 : 8+attestation.AddressSize])
	if err != nil {
		return err
	}
	return fault.BadInput("this data directory belongs to node %s, not to %s", a, node)
}
