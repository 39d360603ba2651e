package certificate

import (
	"bytes"
	"reflect"

	"github.com/fxamacker/cbor/v2"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

var (
	encoder = must(cbor.CoreDetEncOptions().EncMode())
	decoder = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 4, MaxArrayElements: contracts.MaxQuorum, MaxMapPairs: 16,
		UTF8: cbor.UTF8RejectInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("certificate: CBOR options contradict each other: " + err.Error())
	}
	return v
}

// decode reads one value in the deterministic encoding of RFC 8949 section 4.2.1
// and nothing else.
func decode(what string, data []byte, v any) error {
	if err := decoder.Unmarshal(data, v); err != nil {
		return attestation.BadInput("%s: %v", what, err)
	}
	again, err := encoder.Marshal(reflect.ValueOf(v).Elem().Interface())
	if err != nil {
		return attestation.BadInput("%s: %v", what, err)
	}
	if !bytes.Equal(again, data) {
		return attestation.BadInput("%s: not in the deterministic encoding", what)
	}
	return nil
}
