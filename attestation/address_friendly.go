package attestation

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// Tags of the form of addresses that wallets and explorers show (TEP-2, "Smart-contract
// addresses"): base64 of tag, workchain, account id and a checksum.
const (
	friendlyBounce   = 0x11
	friendlyNoBounce = 0x51
	friendlyTest     = 0x80 // added: not for mainnet
	friendlySize     = 1 + 1 + 32 + 2
	friendlyText     = friendlySize * 4 / 3
)

// ParseFriendlyAddress reads the form of an address that wallets and explorers show
// (TEP-2): 48 letters of base64url, or of base64, which begin with EQ or UQ on the
// basechain. testOnly says that it is not meant for mainnet. Whether the account takes
// bounces is for wallets, and not told. The form is for people: no format of ours
// has it.
func ParseFriendlyAddress(s string) (a Address, testOnly bool, err error) {
	enc := base64.RawURLEncoding
	if strings.ContainsAny(s, "+/") {
		enc = base64.RawStdEncoding
	}
	if len(s) != friendlyText || strings.ContainsAny(s, "\r\n") { // which package base64 skips
		return a, false, BadInput("address %.80q: want 0: and 64 hexadecimal digits, or the 48 letters, EQ… or UQ…, that wallets show", s)
	}
	b, err := enc.DecodeString(s) // no bits are left over
	if err != nil {
		return a, false, BadInput("address %q: a character is not of base64url, nor all of base64", s)
	}
	if crc16(b[:friendlySize-2]) != binary.BigEndian.Uint16(b[friendlySize-2:]) {
		return a, false, BadInput("address %q: its checksum does not hold: a letter is wrong", s)
	}
	if tag := b[0] &^ friendlyTest; tag != friendlyBounce && tag != friendlyNoBounce {
		return a, false, BadInput("address %q: tag %#02x: it is not the address of a contract", s, b[0])
	}
	a.Workchain = int32(int8(b[1]))
	copy(a.Hash[:], b[2:])
	return a, b[0]&friendlyTest != 0, nil
}

// Friendly returns the form that [ParseFriendlyAddress] reads, in base64url: bounceable
// for a contract that is there, not so for a wallet that need not be there yet.
// Workchains beyond 8 bits have no such form: it is raw then.
func (a Address) Friendly(bounceable, testOnly bool) string {
	if a.Workchain != int32(int8(a.Workchain)) {
		return a.String()
	}
	tag := byte(friendlyNoBounce)
	if bounceable {
		tag = friendlyBounce
	}
	if testOnly {
		tag |= friendlyTest
	}
	b := append([]byte{tag, byte(a.Workchain)}, a.Hash[:]...)
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
