package enclave

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/strict"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/enclave/device"
)

// MaxConfigSize is the largest configuration file, in bytes.
const MaxConfigSize = 64 << 10

// Config is the measured configuration: its bytes decide what the enclave
// does, and their SHA-256 is in the claims and in what the hardware measures
// (docs/spec/enclave-config.md).
type Config struct {
	ChainID  int32               // TON global_id
	Node     attestation.Address // the node's contract
	Registry attestation.Address // the registry's root
	Trusted  chain.BlockID       // where proofs start
	Engine   string              // "embedded" or "upstream"
	Upstream Upstream            // of engine "upstream"
	Limits   Limits
	GPU      GPUConfig
	TPM      *device.TPMConfig // nil: none

	digest [32]byte
}

// Upstream says where an engine listens and what it serves.
type Upstream struct {
	URL     string
	Profile string // kind of the engine: vllm, sglang, trtllm or llamacpp
	Models  []UpstreamModel
}

// UpstreamModel names a model of the engine and the digest that identifies it.
type UpstreamModel struct {
	Name   string
	Digest [32]byte
}

// Limits of the sealed service.
type Limits struct {
	Concurrent int           // requests that run at once, default 8
	MaxTokens  int           // output of one request, default 4096
	Deadline   time.Duration // of one answer, default 10 minutes
}

// Digest returns the configuration digest: SHA-256 of the file.
func (c *Config) Digest() [32]byte { return c.digest }

type configFile struct {
	Version  int    `toml:"version"`
	ChainID  int32  `toml:"chain_id"`
	Node     string `toml:"node"`
	Registry string `toml:"registry"`
	Engine   string `toml:"engine"`
	Trusted  struct {
		Seqno    uint32 `toml:"seqno"`
		RootHash string `toml:"root_hash"`
		FileHash string `toml:"file_hash"`
	} `toml:"trusted_block"`
	Upstream struct {
		URL     string `toml:"url"`
		Profile string `toml:"profile"`
		Models  []struct {
			Name   string `toml:"name"`
			Digest string `toml:"digest"`
		} `toml:"models"`
	} `toml:"upstream"`
	GPU    *gpuSection `toml:"gpu"`
	TPM    *tpmSection `toml:"tpm"`
	Limits struct {
		Concurrent      int `toml:"concurrent"`
		MaxTokens       int `toml:"max_tokens"`
		DeadlineSeconds int `toml:"deadline_seconds"`
	} `toml:"limits"`
}

// ParseConfig reads a configuration. Unknown keys, missing keys and
// contradictions are errors.
func ParseConfig(data []byte) (*Config, error) {
	if len(data) > MaxConfigSize {
		return nil, attestation.BadInput("configuration: %d bytes, the limit is %d", len(data), MaxConfigSize)
	}
	var f configFile
	if err := strict.TOML(data, &f); err != nil {
		return nil, attestation.BadInput("configuration: %w", err)
	}
	if f.Version != 1 {
		return nil, attestation.BadInput("configuration: version %d; this program reads version 1", f.Version)
	}
	c := &Config{ChainID: f.ChainID, Engine: f.Engine, digest: sha256.Sum256(data)}
	if c.ChainID == 0 {
		return nil, attestation.BadInput("configuration: chain_id is missing")
	}
	var err error
	if c.Node, err = attestation.ParseAddress(f.Node); err != nil {
		return nil, attestation.BadInput("configuration: node: %w", err)
	}
	if c.Registry, err = attestation.ParseAddress(f.Registry); err != nil {
		return nil, attestation.BadInput("configuration: registry: %w", err)
	}
	c.Trusted.Seqno = f.Trusted.Seqno
	for _, h := range []struct {
		name, text string
		to         *[32]byte
	}{{"root_hash", f.Trusted.RootHash, &c.Trusted.RootHash}, {"file_hash", f.Trusted.FileHash, &c.Trusted.FileHash}} {
		if *h.to, err = hash32(h.text); err != nil {
			return nil, attestation.BadInput("configuration: trusted_block.%s: %w", h.name, err)
		}
	}
	if c.Limits, err = f.limits(); err != nil {
		return nil, err
	}
	if err := f.GPU.parse(&c.GPU); err != nil {
		return nil, err
	}
	if c.TPM, err = f.TPM.parse(); err != nil {
		return nil, err
	}
	if err := f.engine(c); err != nil {
		return nil, err
	}
	return c, nil
}

func (f *configFile) engine(c *Config) error {
	switch f.Engine {
	case "embedded":
		if f.Upstream.URL != "" || f.Upstream.Profile != "" || len(f.Upstream.Models) > 0 {
			return attestation.BadInput("configuration: [upstream] contradicts engine = \"embedded\"")
		}
	case "upstream":
		if f.Upstream.URL == "" || f.Upstream.Profile == "" || len(f.Upstream.Models) == 0 {
			return attestation.BadInput("configuration: engine = \"upstream\" needs upstream.url, upstream.profile and upstream.models")
		}
		c.Upstream.URL, c.Upstream.Profile = f.Upstream.URL, f.Upstream.Profile
		for _, m := range f.Upstream.Models {
			d, err := hash32(m.Digest)
			if err != nil || m.Name == "" {
				return attestation.BadInput("configuration: upstream model %q: name or digest is wrong", m.Name)
			}
			c.Upstream.Models = append(c.Upstream.Models, UpstreamModel{m.Name, d})
		}
	default:
		return attestation.BadInput("configuration: engine %q; embedded and upstream are known", f.Engine)
	}
	return nil
}

func (f *configFile) limits() (Limits, error) {
	l := Limits{Concurrent: 8, MaxTokens: 4096, Deadline: 10 * time.Minute}
	if f.Limits.Concurrent < 0 || f.Limits.Concurrent > 4096 ||
		f.Limits.MaxTokens < 0 || f.Limits.MaxTokens > 1<<20 ||
		f.Limits.DeadlineSeconds < 0 || f.Limits.DeadlineSeconds > 86400 {
		return l, attestation.BadInput("configuration: [limits]: a value is out of range (concurrent 1 to 4096, max_tokens 1 to 1048576, deadline_seconds 1 to 86400)")
	}
	if v := f.Limits.Concurrent; v > 0 {
		l.Concurrent = v
	}
	if v := f.Limits.MaxTokens; v > 0 {
		l.MaxTokens = v
	}
	if v := f.Limits.DeadlineSeconds; v > 0 {
		l.Deadline = time.Duration(v) * time.Second
	}
	return l, nil
}

func hash32(s string) (out [32]byte, err error) {
	if len(s) != 64 {
		return out, attestation.BadInput("want 64 hexadecimal digits, got %d characters", len(s))
	}
	_, err = hex.Decode(out[:], []byte(s))
	return out, err
}
