package command

import (
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
)

// Flags of the form of addresses that wallets and explorers show: base64 of flags,
// workchain, account id and a checksum.
const (
	friendlyBounce   = 0x11
	friendlyNoBounce = 0x51
	friendlyTest     = 0x80 // only for networks other than mainnet
	friendlySize     = 1 + 1 + 32 + 2
)

// ParseAddress reads an address as people have it: raw (0: and 64 hexadecimal
// digits), or in the form that wallets and explorers show (EQ…, UQ…). What that form
// says beside the address is for wallets, and of no matter here.
func ParseAddress(s string) (a attestation.Address, err error) {
	if strings.Contains(s, ":") {
		return attestation.ParseAddress(s)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(strings.NewReplacer("+", "-", "/", "_").Replace(s))
	if err != nil || len(b) != friendlySize {
		return a, attestation.BadInput("address %q: want 0: and 64 hexadecimal digits, or the form EQ… or UQ… that wallets show", s)
	}
	if flags := b[0] &^ friendlyTest; flags != friendlyBounce && flags != friendlyNoBounce || crc16(b[:34]) != binary.BigEndian.Uint16(b[34:]) {
		return a, attestation.BadInput("address %q: its checksum does not hold: a letter is wrong", s)
	}
	a.Workchain = int32(int8(b[1]))
	copy(a.Hash[:], b[2:34])
	return a, nil
}

// Friendly writes an address as wallets take it, for an account that need not be there
// yet. One for other networks than mainnet says so.
func Friendly(a attestation.Address, mainnet bool) string {
	flags := byte(friendlyNoBounce)
	if !mainnet {
		flags |= friendlyTest
	}
	b := append([]byte{flags, byte(a.Workchain)}, a.Hash[:]...)
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint16(b, crc16(b)))
}

// crc16 is CRC-16/XMODEM.
func crc16(b []byte) (crc uint16) {
	for _, c := range b {
		crc ^= uint16(c) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			if crc <<= 1; carry {
				crc ^= 0x1021
			}
		}
	}
	return crc
}
