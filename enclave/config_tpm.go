package enclave

import (
	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/enclave/device"
)

type tpmSection struct {
	Kind        string `toml:"kind"`
	Key         uint32 `toml:"key"`
	PCRs        []int  `toml:"pcrs"`
	Certificate uint32 `toml:"certificate"`
}

// Kinds of TPMs. Nobody vouches for the key of one of development: it may be
// software that the host runs.
const (
	tpmCertified   = "tpm"
	tpmDevelopment = "vtpm-dev"
)

// parse reads the section [tpm]; a missing one means that no TPM is asked.
func (s *tpmSection) parse() (*device.TPMConfig, error) {
	if s == nil {
		return nil, nil
	}
	c := &device.TPMConfig{Key: s.Key, PCRs: s.PCRs, Certificate: s.Certificate}
	switch {
	case s.Kind != tpmCertified && s.Kind != tpmDevelopment:
		return nil, attestation.BadInput("configuration: tpm.kind %q; tpm and vtpm-dev are known", s.Kind)
	case s.Kind == tpmCertified && s.Certificate == 0:
		return nil, attestation.BadInput("configuration: tpm.kind %q needs tpm.certificate, the NV index of the key's certificate", s.Kind)
	case s.Kind == tpmDevelopment && s.Certificate != 0:
		return nil, attestation.BadInput("configuration: tpm.certificate contradicts tpm.kind %q", s.Kind)
	}
	if err := c.Check(); err != nil {
		return nil, attestation.BadInput("configuration: %w", err)
	}
	return c, nil
}
