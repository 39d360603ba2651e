package chain

import (
	"crypto/ed25519"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/xssnick/tonutils-go/address"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton/wallet"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// MaxWalletMessages is the number of messages that a V5R1 wallet can send with
// one external message.
const MaxWalletMessages = 255

// v5SignedExternal is the operation code of a signed external request to a V5R1
// wallet (wallet-contract-v5, prefix signed_external).
const v5SignedExternal = 0x7369676e

// sendMode pays forwarding fees apart from the amount (1) and does not let one
// message that can't be sent block the others and the sequence number (2).
const sendMode = 1 + 2

// Wallet is the key of a V5R1 wallet (wallet-contract-v5, final version,
// subwallet 0) on one chain. It signs; it does not talk to a network: see
// [Writer]. A Wallet is immutable.
type Wallet struct {
	key  ed25519.PrivateKey
	id   uint32
	init *tlb.StateInit
	addr attestation.Address
}

// NewWallet returns the basechain wallet of a key on the chain with the given
// id (configuration parameter 19): the same key has other addresses elsewhere.
func NewWallet(key ed25519.PrivateKey, chainID int32) (*Wallet, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, attestation.BadInput("wallet key: %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	init, addr, err := placeWallet(key.Public().(ed25519.PublicKey), chainID)
	if err != nil {
		return nil, err
	}
	return &Wallet{key: key, id: wallet.V5R1ID{NetworkGlobalID: chainID}.Serialized(), init: init, addr: addr}, nil
}

// WalletAddress returns the address of the wallet that a key has on a chain, as
// [NewWallet] makes it.
func WalletAddress(key ed25519.PublicKey, chainID int32) (attestation.Address, error) {
	if len(key) != ed25519.PublicKeySize {
		return attestation.Address{}, attestation.BadInput("wallet key: %d bytes, want %d", len(key), ed25519.PublicKeySize)
	}
	_, addr, err := placeWallet(key, chainID)
	return addr, err
}

func placeWallet(key ed25519.PublicKey, chainID int32) (*tlb.StateInit, attestation.Address, error) {
	init, err := wallet.GetStateInit(key, wallet.ConfigV5R1Final{NetworkGlobalID: chainID}, 0)
	if err != nil {
		return nil, attestation.Address{}, fmt.Errorf("wallet: %w", err)
	}
	addr, err := StateInitAddress(0, init)
	return init, addr, err
}

// ParseWalletKey reads a wallet secret: 24 seed words, separated by white space
// (TON's own mnemonic, no password), or a 32-byte Ed25519 seed in hexadecimal.
// The secret is in no error.
func ParseWalletKey(text string) (ed25519.PrivateKey, error) {
	words := strings.Fields(text)
	switch len(words) {
	case 1:
		seed, err := decodeHex32(words[0])
		if err != nil {
			return nil, attestation.BadInput("wallet seed: want 24 words or 64 hex digits")
		}
		return ed25519.NewKeyFromSeed(seed[:]), nil
	case 24:
		key, err := wallet.SeedToPrivateKeyWithOptions(words)
		if err != nil {
			return nil, attestation.BadInput("wallet seed: the 24 words are not a TON mnemonic")
		}
		return key, nil
	}
	return nil, attestation.BadInput("wallet seed: want 24 words or 64 hex digits, got %d words", len(words))
}

// Address returns the wallet's address.
func (w *Wallet) Address() attestation.Address { return w.addr }

// StateInit returns the initial code and data that the address commits to.
func (w *Wallet) StateInit() *tlb.StateInit { return w.init }

// Message is an internal message to send (block.tlb, int_msg_info, MessageRelaxed).
type Message struct {
	To        attestation.Address // in a workchain of 8 bits
	Amount    *big.Int            // nanocoins, not negative; forwarding fees are paid apart
	NoBounce  bool                // leave the amount with a receiver that fails; for plain payments
	StateInit *tlb.StateInit      // deploys the receiver
	Body      *cell.Cell          // nil: empty
}

// cell builds the relaxed internal message.
func (m Message) cell() (*cell.Cell, error) {
	if err := checkWorkchain(m.To); err != nil {
		return nil, err
	}
	if m.Amount == nil || m.Amount.Sign() < 0 {
		return nil, attestation.BadInput("message to %s: no amount", m.To)
	}
	body := m.Body
	if body == nil {
		body = cell.BeginCell().EndCell()
	}
	c, err := tlb.ToCell(&tlb.InternalMessage{
		IHRDisabled: true, Bounce: !m.NoBounce, DstAddr: tonAddress(m.To), Amount: tlb.FromNanoTON(m.Amount), StateInit: m.StateInit, Body: body,
	})
	if err == nil && (body.IsSpecial() || c.Level() != 0) {
		return nil, attestation.BadInput("message to %s: it has pruned cells, which no message may have", m.To)
	}
	return c, err
}

// Transfer signs an external message that makes the wallet send up to
// [MaxWalletMessages] messages. The wallet takes it once, while its sequence
// number is seqno and until validUntil, which has 32 bits of seconds. With deploy the message carries the
// wallet's initial state: needed once, for the first one.
func (w *Wallet) Transfer(seqno uint32, validUntil time.Time, deploy bool, msgs ...Message) (*cell.Cell, error) {
	if len(msgs) == 0 || len(msgs) > MaxWalletMessages {
		return nil, attestation.BadInput("wallet transfer: %d messages, want 1 to %d", len(msgs), MaxWalletMessages)
	}
	var cells []*cell.Cell
	for _, m := range msgs {
		c, err := m.cell()
		if err != nil {
			return nil, err
		}
		cells = append(cells, c)
	}
	return w.transfer(seqno, validUntil, deploy, cells)
}

func (w *Wallet) transfer(seqno uint32, validUntil time.Time, deploy bool, msgs []*cell.Cell) (*cell.Cell, error) {
	// out_list$_ prev:^OutList action:(action_send_msg#0ec3c86d mode out_msg)
	list := cell.BeginCell().EndCell()
	for _, c := range msgs {
		list = cell.BeginCell().MustStoreRef(list).MustStoreUInt(0x0ec3c86d, 32).MustStoreUInt(sendMode, 8).MustStoreRef(c).EndCell()
	}
	until := validUntil.Unix()
	if until < 0 || until > 0xffffffff {
		return nil, attestation.BadInput("wallet transfer: valid until %s is out of range", validUntil)
	}
	body := cell.BeginCell().MustStoreUInt(v5SignedExternal, 32).MustStoreUInt(uint64(w.id), 32).
		MustStoreUInt(uint64(until), 32).MustStoreUInt(uint64(seqno), 32).
		MustStoreBoolBit(true).MustStoreRef(list). // out actions
		MustStoreBoolBit(false)                    // no extended actions
	body.MustStoreSlice(ed25519.Sign(w.key, body.EndCell().Hash()), 512)
	ext := &tlb.ExternalMessage{DstAddr: tonAddress(w.addr), Body: body.EndCell()}
	if deploy {
		ext.StateInit = w.init
	}
	return tlb.ToCell(ext)
}

// walletSeqno reads the sequence number from the data of a deployed V5R1
// wallet: is_signature_allowed:Bool seqno:uint32 ...
func walletSeqno(data *cell.Cell) (uint32, error) {
	s, err := data.BeginParse()
	if err != nil {
		return 0, err
	}
	if _, err := s.LoadBoolBit(); err != nil {
		return 0, err
	}
	n, err := s.LoadUInt(32)
	return uint32(n), err
}

// StateInitAddress returns the address that a contract's initial state gives it: the
// hash of its cell (block.tlb, StateInit; addr_std).
func StateInitAddress(workchain int32, init *tlb.StateInit) (attestation.Address, error) {
	c, err := tlb.ToCell(init)
	if err != nil {
		return attestation.Address{}, attestation.BadInput("initial state: %v", err)
	}
	return attestation.Address{Workchain: workchain, Hash: c.HashKey()}, nil
}

// tonAddress is an address as the library has it, which [checkWorkchain] has seen.
func tonAddress(a attestation.Address) *address.Address {
	return address.NewAddress(0, byte(a.Workchain), a.Hash[:])
}
