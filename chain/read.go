package chain

import (
	"context"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
)

// maxParts is how large the cells may be that show one account at one block, in
// bytes. The state of an account has at most 65,536 cells (block.tlb,
// SizeLimitsConfig). A server could show more of the blocks than is asked for.
const maxParts = 12 << 20

// Block implements [Reader].
func (c *Client) Block(ctx context.Context, seqno uint32) (Block, error) {
	p, err := c.provedAt(ctx, seqno)
	if err != nil {
		return Block{}, err
	}
	return p.Block, nil
}

// Account implements [Reader].
func (c *Client) Account(ctx context.Context, addr attestation.Address) (*Account, error) {
	h, err := c.head(ctx)
	if err != nil {
		return nil, err
	}
	return c.accountAt(ctx, h, addr)
}

func (c *Client) accountAt(ctx context.Context, h *proved, addr attestation.Address) (*Account, error) {
	if err := checkWorkchain(addr); err != nil {
		return nil, err
	}
	var acc *Account
	var parts *partsCBOR
	err := c.ask(ctx, "account "+addr.String(), func(ctx context.Context, s *server) (err error) {
		acc, parts, err = c.accountFrom(ctx, s, h.ID(), addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.checkChainID(acc.ChainID()); err != nil {
		return nil, err
	}
	acc.Proof, err = encodeProof(addr, c.cfg.trusted, h.path, parts)
	return acc, err
}

// accountFrom asks one server, and verifies what it shows.
func (c *Client) accountFrom(ctx context.Context, s *server, mc BlockID, addr attestation.Address) (*Account, *partsCBOR, error) {
	what := "account " + addr.String()
	parts, err := s.account(ctx, mc, addr)
	if err != nil {
		return nil, nil, err
	}
	acc, err := parts.verify(mc, addr)
	if err != nil {
		return nil, nil, s.lie(what, err)
	}
	enc, err := parts.encode()
	if err == nil && enc.size() > c.maxParts {
		err = fmt.Errorf("a proof of %d bytes, at most %d", enc.size(), c.maxParts)
	}
	if err != nil {
		return nil, nil, s.lie(what, err)
	}
	return acc, enc, nil
}

// checkWorkchain refuses an address that is none on TON, whose workchains have 8 bits
// in addresses (block.tlb, addr_std): cut to them, it would be another one.
func checkWorkchain(a attestation.Address) error {
	if a.Workchain < -128 || a.Workchain > 127 {
		return attestation.BadInput("account %s: no such workchain", a)
	}
	return nil
}
