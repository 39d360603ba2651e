package host

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/strict"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// registryFile is a file that describes a new registry (docs/operator.md, "A
// registry of your own").
type registryFile struct {
	ChainID    *int32 `toml:"chain_id"`
	Nonce      uint64 `toml:"nonce"`
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
}

// ParseRegistry reads a file that describes a new registry. read returns the files
// that it names. Errors are bad input.
func ParseRegistry(data []byte, read func(name string) ([]byte, error)) (*NewRegistry, error) {
	var f registryFile
	if err := strict.TOML(data, &f); err != nil {
		return nil, attestation.BadInput("registry file: %w", err)
	}
	if f.ChainID == nil {
		return nil, attestation.BadInput("registry file: chain_id is missing: %d for mainnet, %d for testnet, a dev chain's own", -239, -3)
	}
	s, err := f.state(read)
	if err != nil {
		return nil, attestation.BadInput("registry file: %w", err)
	}
	n := &NewRegistry{State: s, ChainID: *f.ChainID}
	if n.Address, _, err = contracts.RootAddress(s); err != nil {
		return nil, attestation.BadInput("registry file: %w", err)
	}
	return n, nil
}

func (f *registryFile) state(read func(string) ([]byte, error)) (*contracts.RootState, error) {
	governance, err := (&quorumJSON{Threshold: f.Governance.Threshold, Keys: f.Governance.Keys}).quorum()
	if err != nil {
		return nil, fmt.Errorf("governance: %w", err)
	}
	params, err := f.params()
	if err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	s := contracts.NewRoot(governance, params)
	s.Nonce, s.Platform = f.Nonce, contracts.PlatformCodeID()
	for _, m := range f.Measurements {
		d, err := digest(m)
		if err != nil {
			return nil, fmt.Errorf("measurements: %w", err)
		}
		s.Measurements[d] = contracts.Measurement{Flags: contracts.MeasurementAccepted}
	}
	for _, m := range f.Models {
		d, err := digest(m.Digest)
		if err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
		s.Models[d] = contracts.Model{Licence: m.Licence, URL: m.URL}
	}
	if err := f.hardware(s, read); err != nil {
		return nil, err
	}
	if v := f.Verifiers; v != nil {
		q, err := (&quorumJSON{Threshold: v.Threshold, Keys: v.Keys}).quorum()
		if err != nil {
			return nil, fmt.Errorf("verifiers: %w", err)
		}
		if v.Number == 0 {
			return nil, fmt.Errorf("verifiers: number is missing: 1 for the first set")
		}
		s.List(contracts.VerifierSet{Number: v.Number, Quorum: q})
	}
	return s, nil
}

// params are the default ones where the file says nothing.
func (f *registryFile) params() (contracts.Params, error) {
	values := ParamsValue(contracts.DefaultParams())
	maps.Copy(values, f.Params)
	raw, err := json.Marshal(values)
	if err != nil {
		return contracts.Params{}, err
	}
	return parseParams(raw)
}

// hardware reads what the contract needs to verify quotes: CA keys and floors.
func (f *registryFile) hardware(s *contracts.RootState, read func(string) ([]byte, error)) error {
	for _, name := range f.CAs {
		data, err := read(name)
		if err != nil {
			return err
		}
		kind, key, err := caOf(data)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		s.AddCAKey(kind, key)
	}
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

// caOf reads the key of a CA that signs PCK certificates, from its certificate in
// PEM or DER form.
func caOf(data []byte) (kind uint8, key contracts.PublicKey, err error) {
	if p, _ := pem.Decode(data); p != nil {
		data = p.Bytes
	}
	c, err := x509.ParseCertificate(data)
	if err != nil {
		return 0, key, fmt.Errorf("not a certificate: %w", err)
	}
	switch c.Subject.CommonName {
	case "Intel SGX PCK Platform CA":
		kind = contracts.CAPlatform
	case "Intel SGX PCK Processor CA":
		kind = contracts.CAProcessor
	default:
		return 0, key, fmt.Errorf("certificate of %q, want Intel's SGX PCK Platform CA or SGX PCK Processor CA", c.Subject.CommonName)
	}
	pub, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return 0, key, fmt.Errorf("its key is not on P-256")
	}
	point, err := pub.Bytes() // 4 || x || y
	if err != nil {
		return 0, key, err
	}
	return kind, contracts.PublicKey{X: [32]byte(point[1:33]), Y: [32]byte(point[33:65])}, nil
}
