package host

import (
	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/strict"
)

// ParseEngine checks a file for [Options].Engine: the tables upstream, limits,
// gpu and tpm of docs/spec/enclave-config.md, and nothing else. The enclave
// checks the values.
func ParseEngine(data []byte) ([]byte, error) {
	var v struct {
		Upstream map[string]any `toml:"upstream"`
		Limits   map[string]any `toml:"limits"`
		GPU      map[string]any `toml:"gpu"`
		TPM      map[string]any `toml:"tpm"`
	}
	if err := strict.TOML(data, &v); err != nil {
		return nil, attestation.BadInput("engine file: only the tables [upstream], [limits], [gpu] and [tpm] belong here: %w", err)
	}
	if v.Upstream == nil && v.Limits == nil && v.GPU == nil && v.TPM == nil {
		return nil, attestation.BadInput("engine file: none of [upstream], [limits], [gpu] and [tpm] is in it")
	}
	kind := "embedded"
	if v.Upstream != nil {
		kind = "upstream"
	}
	return append([]byte("engine = \""+kind+"\"\n"), data...), nil
}
