package sim

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// RuntimeData returns what the paravisor of a simulated Azure confidential VM
// says about the TPM: JSON with the attestation key, which must be RSA. The
// hardware report has to carry [RuntimeReportData] of it.
func (t *TPM) RuntimeData(userData [64]byte) ([]byte, error) {
	k, ok := t.key.Public().(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("simulated TPM: runtime data needs an RSA key")
	}
	n := base64.RawURLEncoding.EncodeToString(k.N.Bytes())
	return fmt.Appendf(nil, `{"keys":[{"kid":"HCLAkPub","key_ops":["sign"],"kty":"RSA","e":"AQAB","n":%q},`+
		`{"kid":"HCLEkPub","key_ops":["encrypt"],"kty":"RSA","e":"AQAB","n":%q}],`+
		`"vm-configuration":{"console-enabled":false,"secure-boot":true,"tpm-enabled":true,"tpm-persisted":false,`+
		`"vmUniqueId":"00000000-0000-0000-0000-000000000000"},"user-data":"%X"}`, n, n, userData), nil
}

// RuntimeReportData returns the report data of hardware that vouches for
// runtime data.
func RuntimeReportData(runtime []byte) (out [64]byte) {
	d := sha256.Sum256(runtime)
	copy(out[:], d[:])
	return out
}

// TDReport returns an unsigned TD report with this report data, as it stands in
// an HCL report of TDX; the rest of it is zero.
func TDReport(reportData [64]byte) []byte {
	b := make([]byte, 1024)
	b[0] = 0x81
	copy(b[128:], reportData[:])
	return b
}

// HCLReport puts a hardware report and runtime data together, as NV index
// 0x01400001 of an Azure confidential VM holds them.
func HCLReport(kind tpm.HardwareKind, hardware, runtime []byte) []byte {
	le := binary.LittleEndian
	b := append([]byte("HCLA"), make([]byte, 28)...)
	le.PutUint32(b[4:], 2)
	le.PutUint32(b[8:], uint32(1236+len(runtime)))
	le.PutUint32(b[12:], 2)
	b = append(b, hardware...)
	b = append(b, make([]byte, 32+1184-len(b))...)
	for _, v := range []uint32{uint32(20 + len(runtime)), 1, uint32(kind), 1, uint32(len(runtime))} {
		b = le.AppendUint32(b, v)
	}
	b = append(b, runtime...)
	if len(b) < 2600 {
		b = append(b, make([]byte, 2600-len(b))...)
	}
	return b
}
