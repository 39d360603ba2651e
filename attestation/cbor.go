package attestation

import (
	"bytes"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

var (
	cborEncoder = must(cbor.CoreDetEncOptions().EncMode())
	cborDecoder = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   8,
		MaxArrayElements:  1024,
		MaxMapPairs:       64,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("attestation: CBOR options contradict each other: " + err.Error())
	}
	return v
}

// decodeCBOR reads one value in the deterministic encoding of RFC 8949 section
// 4.2.1 and nothing else: what it read must encode to the same bytes.
func decodeCBOR(what string, data []byte, v any) error {
	if err := cborDecoder.Unmarshal(data, v); err != nil {
		return BadInput("%s: %v", what, err)
	}
	again, err := cborEncoder.Marshal(reflect.ValueOf(v).Elem().Interface())
	if err != nil {
		return BadInput("%s: %v", what, err)
	}
	if !bytes.Equal(again, data) {
		return BadInput("%s: not in the deterministic encoding", what)
	}
	return nil
}

func digest32(what string, b []byte) (out [32]byte, err error) {
	if len(b) != len(out) {
		return out, BadInput("%s: digest of %d bytes, want %d", what, len(b), len(out))
	}
	return [32]byte(b), nil
}
