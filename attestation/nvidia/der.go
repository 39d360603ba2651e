package nvidia

import "encoding/asn1"

// maxDERDepth bounds the nesting of [strictDER]; OCSP responses have about 12.
const maxDERDepth = 24

// strictDER reports whether b is DER items, and what they contain too, one right
// after the other to the last byte, all with lengths in the shortest form.
// encoding/asn1 does not look at the lengths of explicit tags, which would leave
// bits that can be changed without a difference.
func strictDER(b []byte, depth int) bool {
	for len(b) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(b, &v)
		if err != nil || depth == 0 || v.IsCompound && !strictDER(v.Bytes, depth-1) {
			return false
		}
		b = rest
	}
	return true
}
