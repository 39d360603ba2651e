package contracts

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"github.com/cocoon-go/cocoon/attestation"
)

// What the client of a channel signs. Each digest starts with a domain of its
// own, the chain id and the channel, so that no signature is good for anything
// else.
const (
	voucherDomain      = "cocoon/voucher/v1\n"
	channelCloseDomain = "cocoon/channel-close/v1\n"
	channelFinalDomain = "cocoon/channel-final/v1\n"
)

func channelHead(domain string, chainID int32, channel attestation.Address) []byte {
	b := binary.BigEndian.AppendUint32([]byte(domain), uint32(chainID))
	return channel.AppendTo(b)
}

// Voucher promises the payee Amount nano of a channel's deposit in sum: a later
// voucher counts alone, not on top.
type Voucher struct {
	ChainID   int32
	Channel   attestation.Address
	Amount    uint64
	Signature [64]byte // Ed25519, by the client's key over Digest
}

// NewVoucher signs a voucher. Who signs less than before takes nothing back: the
// payee settles the largest.
func NewVoucher(key ed25519.PrivateKey, chainID int32, channel attestation.Address, amount uint64) (*Voucher, error) {
	if amount == 0 {
		return nil, attestation.BadInput("voucher over nothing")
	}
	v := &Voucher{ChainID: chainID, Channel: channel, Amount: amount}
	var err error
	if v.Signature, err = signChannel(key, channel, v.Digest()); err != nil {
		return nil, err
	}
	return v, nil
}

// Digest returns the 32 bytes that the client signs:
//
//	SHA-256("cocoon/voucher/v1\n" || chain id int32 || workchain int32 ||
//	        account id[32] || amount uint64)
func (v *Voucher) Digest() [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(channelHead(voucherDomain, v.ChainID, v.Channel), v.Amount))
}

// Verify checks the signature by a client's key. It fails with a
// [fault.FalseError]. That chain and channel are those in question is for the
// caller: [ChannelState.CheckVoucher] looks at all.
func (v *Voucher) Verify(clientKey [32]byte) error {
	return verifyChannel("voucher", clientKey, v.Digest(), v.Signature)
}

// CloseRequest is a client's wish to close a channel and be refunded. Anybody may
// bring it until ValidUntil.
type CloseRequest struct {
	ChainID    int32
	Channel    attestation.Address
	Refund     attestation.Address // need not be deployed
	ValidUntil uint32              // unix seconds
	Signature  [64]byte
}

// Digest returns the 32 bytes that the client signs:
//
//	SHA-256("cocoon/channel-close/v1\n" || chain id int32 || workchain int32 ||
//	        account id[32] || refund workchain int32 || refund account id[32] ||
//	        valid until uint32)
func (c *CloseRequest) Digest() [32]byte {
	b := c.Refund.AppendTo(channelHead(channelCloseDomain, c.ChainID, c.Channel))
	return sha256.Sum256(binary.BigEndian.AppendUint32(b, c.ValidUntil))
}

// NewCloseRequest signs a wish to close.
func NewCloseRequest(key ed25519.PrivateKey, chainID int32, channel, refund attestation.Address, validUntil uint32) (*CloseRequest, error) {
	if err := checkPlace("close request: refund address", refund); err != nil {
		return nil, err
	}
	c := &CloseRequest{ChainID: chainID, Channel: channel, Refund: refund, ValidUntil: validUntil}
	var err error
	if c.Signature, err = signChannel(key, channel, c.Digest()); err != nil {
		return nil, err
	}
	return c, nil
}

// Verify checks the signature by a client's key. That chain and channel are those
// in question is for the caller.
func (c *CloseRequest) Verify(clientKey [32]byte) error {
	return verifyChannel("close request", clientKey, c.Digest(), c.Signature)
}

// FinalStatement is a client's word that the payee may close the channel at once
// with a last amount in sum. Only the payee can use it.
type FinalStatement struct {
	ChainID   int32
	Channel   attestation.Address
	Refund    attestation.Address
	Amount    uint64
	Signature [64]byte
}

// Digest returns the 32 bytes that the client signs:
//
//	SHA-256("cocoon/channel-final/v1\n" || chain id int32 || workchain int32 ||
//	        account id[32] || refund workchain int32 || refund account id[32] ||
//	        amount uint64)
func (f *FinalStatement) Digest() [32]byte {
	b := f.Refund.AppendTo(channelHead(channelFinalDomain, f.ChainID, f.Channel))
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, f.Amount))
}

// NewFinalStatement signs a last amount, which may be 0.
func NewFinalStatement(key ed25519.PrivateKey, chainID int32, channel, refund attestation.Address, amount uint64) (*FinalStatement, error) {
	if err := checkPlace("final statement: refund address", refund); err != nil {
		return nil, err
	}
	f := &FinalStatement{ChainID: chainID, Channel: channel, Refund: refund, Amount: amount}
	var err error
	if f.Signature, err = signChannel(key, channel, f.Digest()); err != nil {
		return nil, err
	}
	return f, nil
}

// Verify checks the signature by a client's key. That chain and channel are those
// in question is for the caller.
func (f *FinalStatement) Verify(clientKey [32]byte) error {
	return verifyChannel("final statement", clientKey, f.Digest(), f.Signature)
}

func signChannel(key ed25519.PrivateKey, channel attestation.Address, digest [32]byte) (sig [64]byte, err error) {
	if len(key) != ed25519.PrivateKeySize {
		return sig, attestation.BadInput("client key has %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	if err := checkPlace("channel", channel); err != nil {
		return sig, err
	}
	return [64]byte(ed25519.Sign(key, digest[:])), nil
}

func verifyChannel(what string, key, digest [32]byte, sig [64]byte) error {
	if key == [32]byte{} || !ed25519.Verify(key[:], digest[:], sig[:]) {
		return attestation.False("%s is not signed by the channel's client", what)
	}
	return nil
}
