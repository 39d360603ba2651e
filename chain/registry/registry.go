// Package registry is what the contracts on TON say, in the words of this
// module: nodes with their epochs and anchors, and the lists of the root. It
// joins the light client (package chain), which proves accounts, and the
// bindings (package chain/contracts), which parse them.
package registry

import (
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Anchor is a log head that the chain holds.
type Anchor struct {
	Epoch uint32    // the node's at the time of the state: before its first anchor it still has that of the epoch before
	Size  uint64    // leaves of the log
	Root  [32]byte  // RFC 9162 tree hash
	Time  time.Time // when the chain took it; of [Epoch.Final]: when the epoch ended
}

// Epoch is the record of one boot of a node.
type Epoch struct {
	Number       uint32   // boot counter of the node, from 1
	ClaimsDigest [32]byte // of the bundle that was registered
	Measurement  [32]byte // digest that the registry lists
	PlatformID   [32]byte // of the machine
	ReceiptKey   [32]byte // Ed25519, as the next two
	LogKey       [32]byte
	IdentityKey  [32]byte
	// ByQuorum says that verifiers vouched for the evidence: no contract verified
	// it, and who believes the registration believes them.
	ByQuorum     bool
	StartBlock   uint32    // that the claims name
	RegisteredAt time.Time // by the chain
	Expires      time.Time // end of the registration, or of the evidence, whichever is earlier
	// Active says that the root's policy, and a platform's slot, were
	// confirmed.
	Active bool // for the current epoch only
	// Final is the last anchor of an epoch that is over.
	Final Anchor
}

// Node is the proved record of one node (docs/spec/contracts-node.md). It must not be
// changed; then it may be used concurrently.
type Node struct {
	Address  attestation.Address // of its contract
	Root     attestation.Address // of its registry
	Operator attestation.Address // wallet that owns it
	Index    uint32              // tells nodes of one operator apart
	Endpoint string              // URL of its relay
	// Prices in nano coins per million tokens.
	PromptPrice, CompletionPrice uint64
	Stake                        uint64               // nano coins
	Status                       string               // none, active or inactive
	AnchorInterval               time.Duration        // between anchors that the node pays, at least; zero before the first registration
	Anchor                       Anchor               // the latest
	Current                      uint32               // number of the current epoch, 0 before the first
	Epochs                       map[uint32]Epoch     // by number: the current one, and those whose windows are open
	State                        *contracts.NodeState // everything else
	At                           chain.Block          // the block that proves all this
}

// Epoch returns a record by its number.
func (n *Node) Epoch(number uint32) (Epoch, bool) {
	e, ok := n.Epochs[number]
	return e, ok
}

// Root is the proved record of the registry's root (docs/spec/contracts-root.md). Its
// lists have at most 65,536 entries each.
type Root struct {
	Address      attestation.Address
	Measurements [][32]byte            // accepted for registration, sorted
	Models       [][32]byte            // sorted
	Nodes        []attestation.Address // that registered, sorted; active or not
	Paused       bool                  // no registrations
	MergeDelay   time.Duration         // from receipt to anchor, at most
	MinStake     uint64                // nano coins
	State        *contracts.RootState  // everything else
	At           chain.Block
}
