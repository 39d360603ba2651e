package chain

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/tidwall/sjson"

	"github.com/cocoon-go/cocoon/attestation"
)

// Limits of a global config.
const (
	maxGlobalConfig = 1 << 20 // bytes
	maxLiteservers  = 256
)

// GlobalConfig is what this package uses of a TON global config: the network's
// liteservers and a block to trust. It is immutable.
type GlobalConfig struct {
	servers []liteserver
	trusted BlockID
	zero    *zerostate // nil: not given
	raw     []byte
}

// liteserver is the address and the Ed25519 key of a liteserver.
type liteserver struct {
	addr netip.AddrPort
	key  ed25519.PublicKey
}

func (l liteserver) String() string {
	return fmt.Sprintf("%s (%s)", l.addr, base64.StdEncoding.EncodeToString(l.key)[:8])
}

// configFile is what is read of the file.
type configFile struct {
	Liteservers []configServer `json:"liteservers"`
	Validator   struct {
		Init *configBlock `json:"init_block"`
		Zero *configBlock `json:"zero_state"`
	} `json:"validator"`
}

type configServer struct {
	IP   json.Number `json:"ip"`
	Port int         `json:"port"`
	ID   struct {
		Type string `json:"@type"`
		Key  []byte `json:"key"`
	} `json:"id"`
}

type configBlock struct {
	Workchain json.Number `json:"workchain"`
	Shard     json.Number `json:"shard"`
	Seqno     json.Number `json:"seqno"`
	RootHash  []byte      `json:"root_hash"`
	FileHash  []byte      `json:"file_hash"`
}

// ParseGlobalConfig reads a TON global config (JSON, "@type": "config.global")
// as published for mainnet and testnet. validator.init_block is the trusted
// block. Members that this package does not use are ignored: the format is not
// ours. Of the file it wants: at most 1 MiB, 1 to 256 liteservers with IPv4
// address, port and Ed25519 key, an init block in the masterchain that is not
// the zerostate. validator.zero_state, when it is there, says which network it
// is ([GlobalConfig.CheckNetwork]); it is not trusted for anything else.
func ParseGlobalConfig(data []byte) (*GlobalConfig, error) {
	if len(data) > maxGlobalConfig {
		return nil, attestation.BadInput("TON global config: %d bytes, at most %d", len(data), maxGlobalConfig)
	}
	var file configFile
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&file); err != nil {
		return nil, attestation.BadInput("TON global config: %v", err)
	}
	if d.More() {
		return nil, attestation.BadInput("TON global config: something follows the JSON object")
	}
	c, err := file.config()
	if err != nil {
		return nil, attestation.BadInput("TON global config: %w", err)
	}
	c.raw = bytes.Clone(data)
	return c, nil
}

func (f *configFile) config() (*GlobalConfig, error) {
	c := &GlobalConfig{}
	if n := len(f.Liteservers); n == 0 || n > maxLiteservers {
		return nil, fmt.Errorf("%d liteservers, want 1 to %d", n, maxLiteservers)
	}
	for i, s := range f.Liteservers {
		l, err := s.liteserver()
		if err != nil {
			return nil, fmt.Errorf("liteserver %d: %w", i, err)
		}
		c.servers = append(c.servers, l)
	}
	if z := f.Validator.Zero; z != nil {
		root, file, err := z.hashes()
		if err != nil {
			return nil, fmt.Errorf("zerostate: %w", err)
		}
		c.zero = &zerostate{root, file}
	}
	if f.Validator.Init == nil {
		return nil, errors.New("validator.init_block is missing: there is no block to trust")
	}
	var err error
	if c.trusted, err = f.Validator.Init.block(); err != nil {
		return nil, fmt.Errorf("init block: %w", err)
	}
	return c, nil
}

func (s *configServer) liteserver() (l liteserver, err error) {
	ip, err := ipv4(s.IP)
	switch {
	case err != nil:
		return l, err
	case s.Port < 1 || s.Port > 65535:
		return l, fmt.Errorf("port %d", s.Port)
	case s.ID.Type != "pub.ed25519" || len(s.ID.Key) != ed25519.PublicKeySize:
		return l, errors.New("key is not Ed25519")
	}
	return liteserver{netip.AddrPortFrom(ip, uint16(s.Port)), s.ID.Key}, nil
}

func (b *configBlock) hashes() (root, file [32]byte, err error) {
	if len(b.RootHash) != 32 || len(b.FileHash) != 32 {
		return root, file, errors.New("hashes are not 32 bytes")
	}
	return [32]byte(b.RootHash), [32]byte(b.FileHash), nil
}

// block reads the block to trust.
func (b *configBlock) block() (id BlockID, err error) {
	if w := b.Workchain.String(); w != "-1" {
		return id, fmt.Errorf("workchain %q, want -1", w)
	}
	// -2^63 does not survive a program that keeps JSON numbers as float64
	if s := b.Shard.String(); s != "-9223372036854775808" && s != "9223372036854775808" {
		return id, fmt.Errorf("shard %q, want -9223372036854775808 (was the file rewritten by another program?)", s)
	}
	seqno, err := strconv.ParseUint(b.Seqno.String(), 10, 32)
	if err != nil || seqno == 0 {
		return id, fmt.Errorf("number %q, want that of a block after the zerostate: replace init_block by a key block of the last 30 days from somebody you trust", b.Seqno)
	}
	root, file, err := b.hashes()
	return BlockID{uint32(seqno), root, file}, err
}

// ipv4 reads an address that the format stores as a signed or unsigned 32-bit
// number.
func ipv4(n json.Number) (netip.Addr, error) {
	v, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || v < -1<<31 || v >= 1<<32 {
		return netip.Addr{}, fmt.Errorf("address %q is not a 32-bit number", n)
	}
	u := uint32(v)
	return netip.AddrFrom4([4]byte{byte(u >> 24), byte(u >> 16), byte(u >> 8), byte(u)}), nil
}

// Trusted returns the block that everything is proved from.
func (c *GlobalConfig) Trusted() BlockID { return c.trusted }

// Servers returns the liteservers, for people.
func (c *GlobalConfig) Servers() []string {
	var out []string
	for _, s := range c.servers {
		out = append(out, s.String())
	}
	return out
}

// Renew returns the config file with another trusted block, all else as it was
// read. A file that can't be edited so is bad input. Use it with [Client.KeyBlock],
// before the trusted block gets too old ([MaxTrustAge]).
func (c *GlobalConfig) Renew(b BlockID) ([]byte, error) {
	out := c.raw
	for _, f := range []struct {
		name  string
		value any
	}{
		{"seqno", b.Seqno},
		{"root_hash", base64.StdEncoding.EncodeToString(b.RootHash[:])},
		{"file_hash", base64.StdEncoding.EncodeToString(b.FileHash[:])},
	} {
		var err error
		if out, err = sjson.SetBytes(out, "validator.init_block."+f.name, f.value); err != nil {
			return nil, fmt.Errorf("renew TON global config: %w", err)
		}
	}
	// a file that names a thing twice is edited in one place and read in the other
	if again, err := ParseGlobalConfig(out); err != nil || again.trusted != b {
		return nil, attestation.BadInput("TON global config: it names a block to trust twice, or in a way that can't be edited")
	}
	return out, nil
}

func decodeHex32(s string) (out [32]byte, err error) {
	if len(s) != 64 {
		return out, errors.New("want 64 hex digits")
	}
	_, err = hex.Decode(out[:], []byte(s))
	return out, err
}
