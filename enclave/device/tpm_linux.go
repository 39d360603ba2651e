package device

import (
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"

	"github.com/cocoon-go/cocoon/attestation"
)

// tpmPath is the TPM behind the kernel's resource manager.
const tpmPath = "/dev/tpmrm0"

// OpenTPM returns the machine's TPM. That there is none is an
// [*attestation.UnknownError].
func OpenTPM(c TPMConfig) (TPM, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	t, err := linuxtpm.Open(tpmPath)
	if err != nil {
		return nil, attestation.Unknown("no TPM device here: %w", err)
	}
	return newTPM(t, c, t.Close), nil
}
