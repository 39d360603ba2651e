package host

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/strict"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// registryFile is a file that describes a new registry (docs/operator.md, "A
// registry of your own").
type registryFile struct {
	ChainID    *int32 `toml:"chain_id"`
	Nonce      uint64 `toml:"nonce"`
	Simulated  bool   `toml:"simulated"` // CA certificates may be a simulated platform's
	Governance struct {
		Threshold int      `toml:"threshold"`
		Keys      []string `toml:"keys"`
	} `toml:"governance"`
	Params       map[string]any `toml:"params"`
	Measurements []string       `toml:"measurements"`
	Models       []struct {
		Digest  string `toml:"digest"`
		Licence string `toml:"licence"`
		URL     string `toml:"url"`
	} `toml:"model"`
	CAs       []string `toml:"ca_certificates"`
	Floors    []string `toml:"floor_quotes"`
	Verifiers *struct {
		Number    uint32   `toml:"number"`
		Threshold int      `toml:"threshold"`
		Keys      []string `toml:"keys"`
	} `toml:"verifiers"`
}

// NewRegistry is the first state of a registry, and the chain that it is for.
type NewRegistry struct {
	State   *contracts.RootState
	ChainID int32
	Address attestation.Address // follows from State
	// Simulated says that a CA key is not Intel's: whoever holds it can mint quotes
	// that register, and the registry protects nothing.
	Simulated bool
}

// ParseRegistry reads a file that describes a new registry. read returns the files
// that it names, whose certificates must be valid at a time. Intel's root must have
// signed a CA's, unless the file says that they are simulated, which those of public
// chains can't. Errors are bad input, false when it did not, and unknown when a
// certificate is not valid at the time.
func ParseRegistry(data []byte, at time.Time, read func(name string) ([]byte, error)) (*NewRegistry, error) {
	var f registryFile
	if err := strict.TOML(data, &f); err != nil {
		return nil, attestation.BadInput("registry file: %w", err)
	}
	if f.ChainID == nil {
		return nil, attestation.BadInput("registry file: chain_id is missing: %d for mainnet, %d for testnet, a dev chain's own", -239, -3)
	}
	if network := chain.NetworkOf(*f.ChainID); f.Simulated && network != chain.Devnet {
		return nil, attestation.BadInput("registry file: simulated = true is for dev chains, and %d is %s: leave it out", *f.ChainID, network)
	}
	n := &NewRegistry{ChainID: *f.ChainID}
	err := f.state(n, at, read)
	if err != nil {
		return nil, attestation.BadInput("registry file: %w", err)
	}
	if n.Address, _, err = contracts.RootAddress(n.State); err != nil {
		return nil, attestation.BadInput("registry file: %w", err)
	}
	return n, nil
}

// state makes the first state of a registry.
func (f *registryFile) state(n *NewRegistry, at time.Time, read func(string) ([]byte, error)) error {
	governance, err := (&quorumJSON{Threshold: f.Governance.Threshold, Keys: f.Governance.Keys}).quorum()
	if err != nil {
		return fmt.Errorf("governance: %w", err)
	}
	params, err := f.params()
	if err != nil {
		return fmt.Errorf("params: %w", err)
	}
	s := contracts.NewRoot(governance, params)
	n.State = s
	s.Nonce, s.Platform = f.Nonce, contracts.PlatformCodeID()
	if err := f.lists(s); err != nil {
		return err
	}
	for _, name := range f.CAs {
		if err := f.ca(n, name, at, read); err != nil {
			return err
		}
	}
	if err := f.floors(s, read); err != nil {
		return err
	}
	if v := f.Verifiers; v != nil {
		q, err := (&quorumJSON{Threshold: v.Threshold, Keys: v.Keys}).quorum()
		if err != nil {
			return fmt.Errorf("verifiers: %w", err)
		}
		if v.Number == 0 {
			return fmt.Errorf("verifiers: number is missing: 1 for the first set")
		}
		s.List(contracts.VerifierSet{Number: v.Number, Quorum: q})
	}
	return nil
}

// lists reads measurements and models.
func (f *registryFile) lists(s *contracts.RootState) error {
	for _, m := range f.Measurements {
		d, err := digest(m)
		if err != nil {
			return fmt.Errorf("measurements: %w", err)
		}
		if _, twice := s.Measurements[d]; twice || d == [32]byte{} {
			return fmt.Errorf("measurements: %s is listed twice, or is zero", m)
		}
		s.Measurements[d] = contracts.Measurement{Flags: contracts.MeasurementAccepted}
	}
	for _, m := range f.Models {
		d, err := digest(m.Digest)
		if err != nil {
			return fmt.Errorf("model: %w", err)
		}
		if _, twice := s.Models[d]; twice || d == [32]byte{} {
			return fmt.Errorf("model: %s is listed twice, or is zero", m.Digest)
		}
		s.Models[d] = contracts.Model{Licence: m.Licence, URL: m.URL}
	}
	return nil
}

// params are the default ones where the file says nothing.
func (f *registryFile) params() (contracts.Params, error) {
	values := paramsValue(contracts.DefaultParams())
	for key, v := range f.Params {
		if _, ok := v.(float64); ok {
			return contracts.Params{}, fmt.Errorf("%s: %v is no whole number", key, v)
		}
	}
	maps.Copy(values, f.Params)
	raw, err := json.Marshal(values)
	if err != nil {
		return contracts.Params{}, err
	}
	return parseParams(raw)
}

// ca reads the certificate of a CA that signs PCK certificates.
func (f *registryFile) ca(n *NewRegistry, name string, at time.Time, read func(string) ([]byte, error)) error {
	data, err := read(name)
	if err != nil {
		return err
	}
	kind, key, genuine, err := caOf(data, at)
	if err == nil && genuine != nil && !f.Simulated {
		err = fmt.Errorf("%w: a registry of a dev chain may list it with simulated = true", genuine)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	n.Simulated = n.Simulated || genuine != nil
	n.State.AddCAKey(kind, key)
	return nil
}

// floors reads the quotes of the machines that the floors are to accept.
func (f *registryFile) floors(s *contracts.RootState, read func(string) ([]byte, error)) error {
	for _, name := range f.Floors {
		quote, err := read(name)
		if err != nil {
			return err
		}
		info, err := contracts.ReadQuote(quote)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, twice := s.Floors[info.FMSPC]; twice {
			return fmt.Errorf("%s: a second floor for FMSPC %s", name, hex.EncodeToString(info.FMSPC[:]))
		}
		s.Floors[info.FMSPC] = contracts.FloorOf(info.TCB)
	}
	return nil
}
