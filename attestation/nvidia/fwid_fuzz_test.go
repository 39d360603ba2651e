package nvidia

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
)

// FuzzFWID reads the extension with the firmware id. It is inside, since a
// certificate with a wild one would have to be signed first.
func FuzzFWID(f *testing.F) {
	f.Add([]byte{0x30, 2, 0xa6, 0}, true)
	f.Add(append([]byte{0x30, 63, 0xa6, 61, 0x30, 59, 6, 9, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 4, 48}, make([]byte, 48)...), true)
	f.Add([]byte{0x30, 9, 2, 1, 1, 0x30, 0, 0x30, 2, 6, 0}, false)
	f.Fuzz(func(t *testing.T, b []byte, blackwell bool) {
		d := &device{kind: Hopper, above: []*x509.Certificate{{}}}
		oid := oidCompositeDeviceID
		if blackwell {
			d.kind, oid = Blackwell, oidTCBInfo
		}
		id, err := d.firmwareID(&x509.Certificate{Extensions: []pkix.Extension{{Id: oid, Value: b}}})
		if err == nil && !bytes.Contains(b, id[:]) {
			t.Fatalf("firmware id %x out of nowhere", id)
		}
		if err != nil && id != [DigestSize]byte{} {
			t.Fatal("a firmware id with an error")
		}
	})
}
