package intel

import "testing"

// FuzzExtension: Intel's extension of a PCK certificate, as bytes. Two that are
// read as the same machine have the same bytes where the machine is named.
func FuzzExtension(f *testing.F) {
	f.Add(sgxExtension(nil))
	f.Add(sgxExtension(func(l []extItem) []extItem {
		return append(l, extItem{6, octets(16)}, extItem{7, seqOf(pairOf([]byte{7, 1}, []byte{1, 1, 0xff}))})
	}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p, again Platform
		ok := p.parse(data)
		if ok != again.parse(data) || p != again {
			t.Error("the same bytes are read in two ways")
		}
		if ok && p.parse(append(data[:len(data):len(data)], 0)) {
			t.Error("accepted with a byte after it")
		}
	})
}
