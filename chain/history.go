package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// The proof of a block's header tells when the block was made
// (docs/spec/light-client.md, section 5).

// MaxHeaderProof is how long the proof of a header may be, in bytes.
const MaxHeaderProof = 64 << 10

// parseRoots reads cells that came from outside. What the library does not survive
// is an error like what it refuses.
func parseRoots(b []byte) (roots []*cell.Cell, err error) {
	defer func() {
		if r := recover(); r != nil {
			roots, err = nil, fmt.Errorf("malformed: %v", r)
		}
	}()
	return cell.FromBOCMultiRoot(b)
}

// HeaderProof implements [Reader].
func (c *Client) HeaderProof(ctx context.Context, b Block) ([]byte, error) {
	var proof []byte
	err := c.ask(ctx, fmt.Sprintf("header of block %d", b.Seqno), func(ctx context.Context, s *server) error {
		root, err := s.headerProof(ctx, b.ID())
		if err != nil {
			return err
		}
		proof, err = boc(root)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(proof) > MaxHeaderProof {
		return nil, attestation.Unknown("header of block %d: %d bytes, at most %d", b.Seqno, len(proof), MaxHeaderProof)
	}
	return proof, nil
}

// VerifyHeader checks the proof of a masterchain block's header against the number
// and root hash of the block, and returns it; the file hash is zero. That the block
// is one of the chain the caller knows from elsewhere. Malformed bytes are bad
// input, a header of another block is false.
func VerifyHeader(proof []byte, seqno uint32, root [32]byte) (b Block, err error) {
	if len(proof) > MaxHeaderProof {
		return Block{}, attestation.BadInput("block header: a proof of %d bytes, at most %d", len(proof), MaxHeaderProof)
	}
	roots, err := parseRoots(proof)
	if err == nil && len(roots) != 1 {
		err = fmt.Errorf("%d roots, want one", len(roots))
	}
	if err != nil {
		return Block{}, attestation.BadInput("block header: %v", err)
	}
	if again, err := boc(roots...); err != nil || !slices.Equal(again, proof) {
		return Block{}, attestation.BadInput("block header: cells are not in the canonical serialisation")
	}
	defer func() {
		if r := recover(); r != nil {
			b, err = Block{}, attestation.False("block header: malformed: %v", r)
		}
	}()
	if err := checkLevels(roots[0]); err != nil {
		return Block{}, attestation.False("block header: %w", err)
	}
	id := BlockID{Seqno: seqno, RootHash: root}
	h, err := checkHeader(roots[0], id)
	if err != nil {
		return Block{}, attestation.False("block header: %w", err)
	}
	return h.of(id), nil
}

var errNoTransactions = errors.New("none, though the account has one")

// headerProof asks for the header of a block, and checks it.
func (s *server) headerProof(ctx context.Context, id BlockID) (root *cell.Cell, err error) {
	resp, err := s.query(ctx, ton.GetBlockHeader{ID: id.ext()})
	if err != nil {
		return nil, err
	}
	r, err := answerOf[ton.BlockHeader](s, "a block header", resp)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, s.lie("a block header", fmt.Errorf("malformed proof: %v", r))
		}
	}()
	c, err := parseCell(r.HeaderProof)
	if err != nil {
		return nil, s.lie("a block header", err)
	}
	if err := checkLevels(c); err != nil {
		return nil, s.lie("a block header", err)
	}
	if _, err := checkHeader(c, id); err != nil {
		return nil, s.lie("a block header", err)
	}
	return c, nil
}
