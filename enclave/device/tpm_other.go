//go:build !linux

package device

import "github.com/cocoon-go/cocoon/attestation"

// OpenTPM returns the machine's TPM. On this system none is known: it always
// fails.
func OpenTPM(TPMConfig) (TPM, error) {
	return nil, attestation.BadInput("TPM devices are known on Linux only")
}
