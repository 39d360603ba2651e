package host

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/command"
)

// ChainStatus is what the chain says about a node, for its operator: proved, as of
// one block. The keys of its JSON are stable. Amounts are in nano coins.
type ChainStatus struct {
	Block     uint32    `json:"block"`
	BlockTime time.Time `json:"block_time"`

	Registry     attestation.Address `json:"registry"`
	Operator     attestation.Address `json:"operator"`
	Status       string              `json:"status"` // none, active or inactive
	Epoch        uint32              `json:"epoch"`
	RegisteredAt time.Time           `json:"registered_at"`
	Expires      time.Time           `json:"expires"`
	Listed       bool                `json:"listed"` // in the registry's list, where clients look for nodes
	Endpoint     string              `json:"endpoint"`
	// Prices in nano coins per million tokens.
	PromptPrice     uint64 `json:"price_prompt_nano_per_million"`
	CompletionPrice uint64 `json:"price_completion_nano_per_million"`

	AnchorSize uint64    `json:"anchor_size"` // receipts that the newest anchor covers
	AnchorTime time.Time `json:"anchor_time"`
	MergeDelay float64   `json:"merge_delay_seconds"` // within which a receipt must be anchored
	// Lag is the time since the last anchor while the log has receipts that no
	// anchor covers: the oldest of them is not older. Zero when all are covered.
	Lag float64 `json:"lag_seconds"`

	Stake       uint64     `json:"stake_nano"`
	MinStake    uint64     `json:"min_stake_nano"`         // of the registry, for a registration
	Unbonding   uint64     `json:"unbonding_nano"`         // on its way out
	UnbondingAt *time.Time `json:"unbonding_at,omitempty"` // it may be withdrawn from then on
	Credits     uint64     `json:"credits_nano"`           // that the operator may withdraw
	Owed        uint64     `json:"owed_nano"`              // all credits and bonds

	Balance uint64 `json:"balance_nano"` // of the contract
	Reserve uint64 `json:"reserve_nano"` // that it keeps for its storage
	// Spare is what anchors can use: the balance beyond reserve, stake and debts.
	// It is negative when they are not covered.
	Spare  int64  `json:"spare_nano"`
	Wallet uint64 `json:"wallet_nano"` // balance of the operator's wallet

	Challenges []OpenChallenge `json:"challenges"`         // that wait for an answer
	Platform   *SlotStatus     `json:"platform,omitempty"` // nil: no slots in this registry, or never registered
}

// OpenChallenge is a question that the node has not answered.
type OpenChallenge struct {
	ID       string    `json:"id"`       // hexadecimal
	Deadline time.Time `json:"deadline"` // end of the answer window
	// Receipt is the index of the receipt that must be proved to be in the log, or
	// the size of the head that the log must be proved to go on from (Log).
	Receipt uint64 `json:"receipt"`
	Log     bool   `json:"log"`
	Loss    uint64 `json:"loss_nano"` // what silence costs
}

// SlotStatus is the node's slot on its machine.
type SlotStatus struct {
	Address  attestation.Address `json:"address"`         // of the Platform contract
	Held     int                 `json:"held"`            // by all nodes
	Limit    int                 `json:"limit"`           // slots of the machine
	Until    *time.Time          `json:"until,omitempty"` // nil: the node has no slot
	Revoked  bool                `json:"revoked"`         // by the registry: nothing registers on it
	Welcomed bool                `json:"welcomed"`        // the registry has told it the limit
}

// anchorCost is about what the contract pays for an anchor.
const anchorCost = 2_000_000

// walletFees is about what a wallet pays to send a message.
const walletFees = 10_000_000

// ReadStatus asks the chain about a node. enclave, which may be nil, is what its
// enclave says of itself.
func ReadStatus(ctx context.Context, c chain.Reader, node attestation.Address, enclave *EnclaveState) (*ChainStatus, error) {
	r := registry.Reader{Reader: c}
	acc, err := c.Account(ctx, node)
	if err != nil {
		return nil, err
	}
	n, err := registry.NodeOf(acc)
	if err != nil {
		return nil, fmt.Errorf("node %v: %w", node, err)
	}
	root, err := r.Root(ctx, n.Root)
	if err != nil {
		return nil, fmt.Errorf("registry %v: %w", n.Root, err)
	}
	wallet, err := c.Account(ctx, n.Operator)
	if err != nil {
		return nil, err
	}
	s := statusOf(n, root, acc.Balance, wallet.Balance, enclave)
	s.Platform, err = slotStatus(ctx, r, n, root)
	return s, err
}

func statusOf(n *registry.Node, root *registry.Root, balance, wallet *big.Int, enclave *EnclaveState) *ChainStatus {
	e, _ := n.Epoch(n.Current)
	_, listed := root.State.Nodes[n.Address]
	s := &ChainStatus{
		Listed: listed, Endpoint: n.Endpoint, PromptPrice: n.PromptPrice, CompletionPrice: n.CompletionPrice,
		Block: n.At.Seqno, BlockTime: n.At.Time.UTC(), Registry: n.Root, Operator: n.Operator, Status: n.Status, Epoch: n.Current,
		RegisteredAt: e.RegisteredAt.UTC(), Expires: e.Expires.UTC(), AnchorSize: n.Anchor.Size, AnchorTime: n.Anchor.Time.UTC(), MergeDelay: root.MergeDelay.Seconds(),
		Stake: n.Stake, MinStake: root.MinStake, Unbonding: n.State.Unbonding, Credits: n.State.Book.Credits[n.Operator], Owed: n.State.Owed,
		Balance: balance.Uint64(), Reserve: contracts.NodeReserveRetired, Wallet: wallet.Uint64(), Challenges: []OpenChallenge{},
	}
	if n.Status == contracts.StatusActive.String() {
		s.Reserve = contracts.NodeReserve
	}
	s.Spare = int64(s.Balance - s.Reserve - n.State.Protected())
	if s.Unbonding > 0 {
		at := time.Unix(int64(n.State.Book.UnbondingAt), 0).UTC()
		s.UnbondingAt = &at
	}
	if enclave != nil && enclave.Size > s.AnchorSize {
		from := s.AnchorTime
		if s.RegisteredAt.After(from) {
			from = s.RegisteredAt
		}
		s.Lag = max(0, s.BlockTime.Sub(from).Seconds())
	}
	for id, c := range n.State.Book.Challenges {
		s.Challenges = append(s.Challenges, OpenChallenge{hex.EncodeToString(id[:]), time.Unix(int64(c.Deadline), 0).UTC(), c.Number, c.Log, c.Loss})
	}
	slices.SortFunc(s.Challenges, func(a, b OpenChallenge) int { return a.Deadline.Compare(b.Deadline) })
	return s
}

// slotStatus reads the platform of the node's current epoch.
func slotStatus(ctx context.Context, r registry.Reader, n *registry.Node, root *registry.Root) (*SlotStatus, error) {
	e, ok := n.Epoch(n.Current)
	if !ok || root.State.Platform == (contracts.CodeID{}) {
		return nil, nil
	}
	p, err := r.Platform(ctx, n.Root, e.PlatformID)
	if errors.Is(err, registry.ErrNoContract) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("platform %x: %w", e.PlatformID, err)
	}
	s := &SlotStatus{Address: p.Address, Held: p.Held, Limit: p.Limit, Revoked: p.State.Revoked || root.State.Revoked[e.PlatformID], Welcomed: p.Welcomed}
	if until, ok := p.Slot(n.Address); ok {
		until = until.UTC()
		s.Until = &until
	}
	return s, nil
}

// Err says in an error's family why clients do not use the node, as far as the
// chain decides it. enclave may be nil.
func (s *ChainStatus) Err(enclave *EnclaveState) error {
	switch {
	case enclave != nil && enclave.Epoch != s.Epoch:
		return attestation.ChainDisagrees("the enclave is of epoch %d, the chain's current one is %d: another host runs this node", enclave.Epoch, s.Epoch)
	case s.Status != contracts.StatusActive.String():
		return attestation.Refused("the node is not registered: its status is %s", s.Status)
	case !s.BlockTime.Before(s.Expires):
		return attestation.Refused("the registration ended at %s", s.Expires.Format(time.RFC3339))
	}
	return nil
}

// Attention lists what the operator has to do something about, most urgent first.
func (s *ChainStatus) Attention() (out []string) {
	add := func(yes bool, format string, args ...any) {
		if yes {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	for _, c := range s.Challenges {
		left := c.Deadline.Sub(s.BlockTime)
		add(left > 0, "challenge %.16s must be answered within %s, or it costs %s coins of stake; `up` answers it, and `answer` where that does not run", c.ID, left.Round(time.Minute), command.Coins(c.Loss))
		add(left <= 0, "challenge %.16s was not answered in time: whoever settles it takes %s coins of stake", c.ID, command.Coins(c.Loss))
	}
	if p := s.Platform; p != nil {
		add(p.Revoked, "the registry has revoked this machine")
		add(!p.Revoked && p.Until == nil && s.Status == contracts.StatusActive.String(), "the node has no slot on its machine")
	}
	add(!s.Listed && s.Status == contracts.StatusActive.String(), "the registry does not list the node: clients find it by its address only; `cocoon-node recheck` lists it where there is room")
	add(s.Lag > s.MergeDelay/2, "receipts wait for an anchor, the last one was %.0f s ago; the enclave stops serving when one has waited for %.0f s", s.Lag, s.MergeDelay)
	add(s.Spare < 100*anchorCost, "the contract can pay for about %d more anchors: send it coins", max(0, s.Spare/anchorCost))
	add(s.Wallet < contracts.ValueAnswer+walletFees, "the operator's wallet holds %s coins: too little to answer a challenge, or to register again", command.Coins(s.Wallet))
	add(s.Stake < s.MinStake, "the stake is %s coins, the registry wants %s", command.Coins(s.Stake), command.Coins(s.MinStake))
	left := s.Expires.Sub(s.BlockTime)
	add(s.Status == contracts.StatusActive.String() && left < 3*24*time.Hour, "the registration ends in %s: restart the enclave for a new one", left.Round(time.Minute))
	return out
}
