package chain

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/xssnick/tonutils-go/tvm/cell"
	"github.com/xssnick/tonutils-go/tvm/vm"

	"github.com/cocoon-go/cocoon/attestation"
)

// Network names a TON network that people choose by name. Nothing about a
// network that must be trusted is compiled in: the names stand for identities
// (chain id and zerostate), which never change, while the block to trust comes
// from a file and ages.
type Network string

// The networks.
const (
	Mainnet Network = "mainnet"
	Testnet Network = "testnet"
	// Devnet is any network that is neither: a chain of this module's own
	// (package chain/devnet), or a private one.
	Devnet Network = "devnet"
)

// zerostate identifies a chain by its state before the first block.
type zerostate struct{ root, file [32]byte }

// identity is what a public network is known by: configuration parameter 19 and
// the zerostate, as in the global configs that are published for it.
type identity struct {
	chainID int32
	zero    zerostate
}

var identities = map[Network]identity{
	Mainnet: {-239, zerostate{hash64("F6OpKZKqvqeFp6CQmFomXNMfMj2EnaUSOXN+Mh+wVWk="), hash64("XplPz01CXAps5qeSWUtxcyBfdAo5zVb1N979KLSKD24=")}},
	Testnet: {-3, zerostate{hash64("gj+B8wb/AmlPk1z1AhVI484rhrUpgSr2oSFIh56VoSg="), hash64("Z+IKwYS54DmmJmesw/nAD5DzWadnOCMzee+kdgSYDOg=")}},
}

func hash64(s string) [32]byte { return [32]byte(must(base64.StdEncoding.DecodeString(s))) }

// ParseNetwork reads the name of a network.
func ParseNetwork(s string) (Network, error) {
	n := Network(s)
	if !slices.Contains([]Network{Mainnet, Testnet, Devnet}, n) {
		return "", attestation.BadInput("network %q, want mainnet, testnet or devnet", s)
	}
	return n, nil
}

// NetworkOf returns the network of a chain id: [Devnet] for any that is neither
// mainnet's nor testnet's.
func NetworkOf(chainID int32) Network {
	for n, i := range identities {
		if i.chainID == chainID {
			return n
		}
	}
	return Devnet
}

// Network returns the network that the config's zerostate belongs to. A config
// without a zerostate could be of any network: ok is false.
func (c *GlobalConfig) Network() (n Network, ok bool) {
	if c.zero == nil {
		return "", false
	}
	for n, i := range identities {
		if i.zero == *c.zero {
			return n, true
		}
	}
	return Devnet, true
}

// CheckNetwork reports that a config is not one of network n. It compares the
// zerostate, and asks nobody: that the trusted block is of the same network is
// known once the chain id is proved, see [WithNetwork].
func (c *GlobalConfig) CheckNetwork(n Network) error {
	got, ok := c.Network()
	switch {
	case !ok && n != Devnet:
		return attestation.BadInput("TON global config: validator.zero_state is missing, so it can't be told whether it is of %s", n)
	case ok && got != n && got == Devnet:
		return attestation.BadInput("TON global config: it is of a private network, not of %s", n)
	case ok && got != n:
		return attestation.BadInput("TON global config: it is of %s, not of %s", got, n)
	}
	return nil
}

// WithNetwork makes [Dial] refuse any other network: the config's zerostate is
// compared before anything is sent, the chain id once it is proved.
func WithNetwork(n Network) Option {
	return func(c *Client) error {
		_, err := ParseNetwork(string(n))
		c.network = n
		return err
	}
}

// WithWarnings makes [Dial] say what a person should know though everything
// works for now: that the network runs under newer rules than this program
// knows.
func WithWarnings(say func(string)) Option {
	return func(c *Client) error { c.warn = say; return nil }
}

// checkChainID compares a proved chain id with what the config says of its
// network, and with what the caller wants.
func (c *Client) checkChainID(id int32) error {
	got := NetworkOf(id)
	if n, ok := c.cfg.Network(); ok && n != got {
		return attestation.ChainDisagrees("the zerostate in the TON global config is of %s, but the chain of its trusted block has id %d, which is of %s", n, id, got)
	}
	if c.network != "" && c.network != got {
		return attestation.ChainDisagrees("chain id %d is of %s, not of %s: this is the global config of another network", id, got, c.network)
	}
	return nil
}

// NetworkVersion returns the global version (parameter 8) of the network at the
// head, proved, and whether it is newer than what this program executes exactly.
func (c *Client) NetworkVersion(ctx context.Context) (version uint32, newer bool, err error) {
	params, err := c.Params(ctx, 8)
	if err != nil {
		return 0, false, err
	}
	if version, err = globalVersion(params[8]); err != nil {
		return 0, false, attestation.ChainDisagrees("parameter 8: %w", err)
	}
	return version, version > vm.MaxSupportedGlobalVersion, nil
}

// globalVersion reads capabilities#c4 version:uint32 capabilities:uint64.
func globalVersion(c *cell.Cell) (uint32, error) {
	s, err := c.BeginParse()
	if err != nil {
		return 0, err
	}
	b, err := s.LoadSlice(8 + 32)
	if err != nil {
		return 0, err
	}
	if b[0] != 0xc4 {
		return 0, fmt.Errorf("tag %#x, want 0xc4", b[0])
	}
	return binary.BigEndian.Uint32(b[1:]), nil
}

// warnVersion says when the network's version is too new. That it could not be
// found out is no warning: whoever reads the chain will hear.
func (c *Client) warnVersion(ctx context.Context) {
	v, newer, err := c.NetworkVersion(ctx)
	if err == nil && newer {
		c.warn(fmt.Sprintf("the network runs version %d, this program knows version %d: update it. Proofs still hold; get-methods are executed under the rules of version %d, and may give other results than the network's",
			v, vm.MaxSupportedGlobalVersion, vm.MaxSupportedGlobalVersion))
	}
}
