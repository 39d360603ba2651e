package receipt

import (
	"bytes"

	"github.com/fxamacker/cbor/v2"

	"github.com/cocoon-go/cocoon/attestation"
)

// The CBOR modes of all formats here: RFC 8949 section 4.2.1, definite lengths,
// no tags, at most four levels (map, array, map, value).
var (
	encMode = must(cbor.EncOptions{
		Sort:          cbor.SortBytewiseLexical,
		IndefLength:   cbor.IndefLengthForbidden,
		TagsMd:        cbor.TagsForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
	}.EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   4,
		MaxArrayElements:  1024,
		MaxMapPairs:       16,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("receipt: CBOR options: " + err.Error())
	}
	return v
}

func encode(v any) ([]byte, error) { return encMode.Marshal(v) }

// decode reads exactly one value into v. That the input is the only encoding
// of the value is checked by encoding it again: this catches missing keys,
// integers that are longer than needed, byte strings of the wrong length, nulls
// and key order at once.
func decode(what string, p []byte, limit int, v any) error {
	if len(p) > limit {
		return attestation.BadInput("%s: %d bytes, limit %d", what, len(p), limit)
	}
	if err := decMode.Unmarshal(p, v); err != nil {
		return attestation.BadInput("%s: %v", what, err)
	}
	again, err := encode(v)
	if err != nil {
		return attestation.BadInput("%s: %v", what, err)
	}
	if !bytes.Equal(p, again) {
		return attestation.BadInput("%s: not in deterministic encoding, or a key is missing", what)
	}
	return nil
}
