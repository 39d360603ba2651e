package amd

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"testing"
)

// TestSignatureEncoding compares with encoding/asn1, at every length and with
// and without the top bit.
func TestSignatureEncoding(t *testing.T) {
	for n := range scalarSize + 1 {
		for _, top := range []byte{1, 0x7f, 0x80, 0xff} {
			var r, s [scalarSize]byte
			if n < scalarSize {
				r[n], s[scalarSize-1-n] = top, top
			}
			want, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(r[:]), new(big.Int).SetBytes(s[:])})
			if err != nil {
				t.Fatal(err)
			}
			if got := appendDERSignature(nil, r[:], s[:]); !bytes.Equal(got, want) {
				t.Errorf("%x %x: %x, want %x", r, s, got, want)
			}
		}
	}
}
