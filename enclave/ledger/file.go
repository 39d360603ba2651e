package ledger

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/receipt"
)

// The leaf file is a sequence of records of 192 bytes. Record 0 is the header:
// "CCLF", version uint32, node[36], zeros, checksum. Record i+1 is leaf i:
// receipt head[124], signature[64], checksum. A checksum is the CRC-32C of the
// 188 bytes before it, little-endian. It finds damage, not forgery.
const (
	recordSize  = 192
	payloadSize = receipt.HeadSize + 64
	fileMagic   = "CCLF"
	fileVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendRecord(b []byte, h *receipt.Head, sig *[64]byte) []byte {
	start := len(b)
	b = h.AppendTo(b)
	b = append(b, sig[:]...)
	return binary.LittleEndian.AppendUint32(b, checksum(b[start:]))
}

func checksum(payload []byte) uint32 { return crc32.Checksum(payload, castagnoli) }

func sealed(rec []byte) bool {
	return binary.LittleEndian.Uint32(rec[payloadSize:]) == checksum(rec[:payloadSize])
}

func parseRecord(rec []byte) (receipt.Head, [64]byte, error) {
	h, err := receipt.ParseHead(rec[:receipt.HeadSize])
	return h, [64]byte(rec[receipt.HeadSize:payloadSize]), err
}

func header(node attestation.Address) []byte {
	b := append(make([]byte, 0, recordSize), fileMagic...)
	b = binary.BigEndian.AppendUint32(b, fileVersion)
	b = node.AppendTo(b)
	b = append(b, make([]byte, payloadSize-len(b))...)
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

func checkHeader(b []byte, node attestation.Address) error {
	switch {
	case bytes.Equal(b, header(node)):
		return nil
	case string(b[:4]) != fileMagic || !sealed(b):
		return fault.BadInput("the leaf file is damaged or not ours: its header does not parse")
	case binary.BigEndian.Uint32(b[4:]) != fileVersion:
		return fault.BadInput("the leaf file has version %d; this program writes %d", binary.BigEndian.Uint32(b[4:]), fileVersion)
	}
	a, err := attestation.DecodeAddress(b[8 : 8+attestation.AddressSize])
	if err != nil {
		return err
	}
	return fault.BadInput("this data directory belongs to node %s, not to %s", a, node)
}
