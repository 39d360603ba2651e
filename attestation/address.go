package attestation

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// AddressSize is the length of an encoded [Address]: a workchain and a hash.
const AddressSize = 4 + 32

// Address is the address of a contract on TON: workchain and account id.
// The zero Address is not a valid node or registry; see [Address.IsZero].
type Address struct {
	Workchain int32
	Hash      [32]byte
}

// ParseAddress reads the raw text form "WORKCHAIN:HEX64", the one that
// [Address.String] writes. Anything else is an [*InputError]: the "friendly" base64
// form belongs to user interfaces.
func ParseAddress(s string) (Address, error) {
	wc, h, ok := strings.Cut(s, ":")
	if !ok || len(h) != 64 {
		return Address{}, BadInput("address %q: want WORKCHAIN:HEX with 64 hex digits", s)
	}
	n, err := strconv.ParseInt(wc, 10, 32)
	if err != nil || strconv.FormatInt(n, 10) != wc {
		return Address{}, BadInput("address %q: workchain is not a 32-bit decimal number", s)
	}
	a := Address{Workchain: int32(n)}
	if _, err := hex.Decode(a.Hash[:], []byte(h)); err != nil {
		return Address{}, BadInput("address %q: account id is not hexadecimal", s)
	}
	return a, nil
}

// String returns the raw form, for example "0:9f86...".
func (a Address) String() string {
	return fmt.Sprintf("%d:%x", a.Workchain, a.Hash)
}

// IsZero reports whether a is the zero Address.
func (a Address) IsZero() bool { return a == Address{} }

// MarshalText implements [encoding.TextMarshaler] with the raw form.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParseAddress].
func (a *Address) UnmarshalText(b []byte) error {
	v, err := ParseAddress(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// AppendTo appends the 36-byte encoding: workchain (big-endian two's
// complement) and account id.
func (a Address) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(a.Workchain))
	return append(b, a.Hash[:]...)
}

// DecodeAddress reads the 36-byte encoding that [Address.AppendTo] writes. Any
// other length is an [*InputError].
func DecodeAddress(b []byte) (Address, error) {
	if len(b) != AddressSize {
		return Address{}, BadInput("encoded address: %d bytes, want %d", len(b), AddressSize)
	}
	a := Address{Workchain: int32(binary.BigEndian.Uint32(b))}
	copy(a.Hash[:], b[4:])
	return a, nil
}
