package chain

import (
	"context"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
)

// Limits in time. They are part of docs/spec/light-client.md.
const (
	// MaxHeadAge is how old the head may be: an older one says nothing about now.
	MaxHeadAge = 120 * time.Second
	// maxHeadAhead is how far the head may be ahead of this machine's clock.
	maxHeadAhead = 60 * time.Second
	// MaxTrustAge is how old the trusted block of a config may be: validators of
	// that time have since taken their stakes back.
	MaxTrustAge = 30 * 24 * time.Hour

	defaultTimeout  = 5 * time.Second  // of one query
	crossCheckEvery = 10 * time.Second // between comparisons of two servers
	crossCheckWait  = 2 * time.Second
	maxRecent       = 256 // proved blocks that are remembered
)

// Reader is what the rest of this module needs of a chain. [*Client] implements
// it; tests may bring their own. All methods may be called concurrently, and all
// results are proved. What nobody can prove is [attestation.UnknownError], what
// proved blocks contradict [attestation.ChainError].
type Reader interface {
	// Head returns the newest masterchain block, proved from the trusted block.
	// A head older than MaxHeadAge is "could not find out". Heads do not go back.
	Head(ctx context.Context) (Block, error)
	// Block returns the masterchain block with a number, proved. One that the chain
	// does not have yet is "could not find out".
	Block(ctx context.Context, seqno uint32) (Block, error)
	// Account returns the state of an account at the head.
	Account(ctx context.Context, addr attestation.Address) (*Account, error)
	// Transactions returns up to limit of the newest transactions of an account,
	// newest first. acc must come from the Reader; limit is at most 10,000.
	Transactions(ctx context.Context, acc *Account, limit int) ([]Transaction, error)
	// History is Transactions up to and with the one that last names, when it comes
	// before the limit.
	History(ctx context.Context, acc *Account, limit int, last func(*Transaction) bool) ([]Transaction, error)
	// AccountAt returns the state of an account after a block that was proved.
	// Liteservers that are no archives have the states of a day or so.
	AccountAt(ctx context.Context, b Block, addr attestation.Address) (*Account, error)
	// FirstState finds out after which masterchain block something began to hold of
	// an account, and returns the account after that block and after the one before
	// it. What began to hold holds at the head, does not hold after the block
	// since, and never ends.
	FirstState(ctx context.Context, addr attestation.Address, since uint32, holds func(*Account) (bool, error)) (before, first *Account, err error)
	// HeaderProof returns a proof of the header of a proved block, for
	// VerifyHeader, at most MaxHeaderProof bytes.
	HeaderProof(ctx context.Context, b Block) ([]byte, error)
	// ChainID returns configuration parameter 19 (block.tlb, ConfigParam).
	ChainID(ctx context.Context) (int32, error)
}
