package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// Record is everything that the chain says of a node after one block, with the
// proofs of it (docs/spec/light-client.md, section 5).
type Record struct {
	Node     *registry.Node
	Root     *registry.Root
	Platform *registry.Platform // of the current epoch's machine; nil where there is none

	wire wireRecord
	far  error // why it can't be proved to others
}

const recordType = "cocoon/node-record/v1"

// MaxRecord is how long an encoded record may be, in bytes.
const MaxRecord = 3*chain.MaxAccountProof + 1<<10

type wireRecord struct {
	Type     string `cbor:"0,keyasint"`
	Node     []byte `cbor:"1,keyasint"`           // account proofs
	Root     []byte `cbor:"2,keyasint"`           //
	Platform []byte `cbor:"3,keyasint,omitempty"` // absent: no epoch yet
}

var (
	recordEnc = sure(cbor.CoreDetEncOptions().EncMode())
	recordDec = sure(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 4, MaxMapPairs: 16, MaxArrayElements: 16,
	}.DecMode())
)

func sure[T any](v T, err error) T {
	if err != nil {
		panic("client: constant options: " + err.Error())
	}
	return v
}

// Record reads what the chain says of a node. A node of another registry than this
// client's is refused.
func (c *Client) Record(ctx context.Context, addr attestation.Address) (*Record, error) {
	node, err := c.chain.Account(ctx, addr)
	if err != nil {
		return nil, err
	}
	rec, err := recordOf(node, c.cfg.Registry)
	if err != nil {
		return nil, err
	}
	root, err := c.chain.AccountAt(ctx, node.Block, c.cfg.Registry)
	if err != nil {
		return nil, err
	}
	var platform *chain.Account
	if at, ok, err := platformOf(rec.Node); err != nil {
		return nil, err
	} else if ok {
		if platform, err = c.chain.AccountAt(ctx, node.Block, at); err != nil {
			return nil, err
		}
	}
	if err := rec.add(root, platform); err != nil {
		return nil, err
	}
	return rec, nil
}

// recordOf begins a record with the state of its node.
func recordOf(node *chain.Account, reg attestation.Address) (*Record, error) {
	n, err := registry.NodeOf(node)
	if err != nil {
		return nil, err
	}
	if n.Root != reg {
		return nil, attestation.Refused("node %v belongs to registry %v, not to %v", n.Address, n.Root, reg)
	}
	return &Record{Node: n, wire: wireRecord{Type: recordType, Node: node.Proof}, far: node.Provable()}, nil
}

// platformOf returns the address of the machine of a node's current epoch.
func platformOf(n *registry.Node) (at attestation.Address, ok bool, err error) {
	e, ok := n.Epoch(n.Current)
	if !ok {
		return at, false, nil
	}
	at, _, err = contracts.PlatformAddress(n.Root, e.PlatformID)
	return at, err == nil, err
}

// add completes a record.
func (r *Record) add(root, platform *chain.Account) (err error) {
	if r.Root, err = registry.RootOf(root); err != nil {
		return err
	}
	r.keep(root, platform)
	if platform == nil {
		return nil
	}
	if r.Platform, err = registry.PlatformOf(platform); errors.Is(err, registry.ErrNoContract) {
		return nil
	}
	return err
}

// keep takes the proofs of the registry and, where there is one, of the machine.
func (r *Record) keep(root, platform *chain.Account) {
	r.wire.Root, r.far = root.Proof, errors.Join(r.far, root.Provable())
	if platform != nil {
		r.wire.Platform, r.far = platform.Proof, errors.Join(r.far, platform.Provable())
	}
}

// Encode returns the file, for [VerifyRecord]. Accounts without a proof for others
// are an error ([chain.Account.Provable]).
func (r *Record) Encode() ([]byte, error) {
	if r.far != nil {
		return nil, r.far
	}
	return recordEnc.Marshal(r.wire)
}

// parseRecord reads the shape of a file.
func parseRecord(data []byte) (*wireRecord, error) {
	if len(data) > MaxRecord {
		return nil, attestation.BadInput("node record: %d bytes, at most %d", len(data), MaxRecord)
	}
	var w wireRecord
	if err := recordDec.Unmarshal(data, &w); err != nil {
		return nil, attestation.BadInput("node record: %w", err)
	}
	if again, err := recordEnc.Marshal(w); err != nil || !bytes.Equal(again, data) {
		return nil, attestation.BadInput("node record: not in deterministic encoding")
	}
	if w.Type != recordType {
		return nil, attestation.BadInput("node record: type %.40q, want %q", w.Type, recordType)
	}
	return &w, nil
}

// RecordBlocks returns the masterchain blocks on the way of a record's proof, like
// [chain.ProofBlocks], without verifying anything.
func RecordBlocks(data []byte) ([]chain.BlockID, error) {
	w, err := parseRecord(data)
	if err != nil {
		return nil, err
	}
	return chain.ProofBlocks(w.Node)
}

// VerifyRecord checks what [Record.Encode] wrote, under a registry and masterchain
// blocks that the caller trusts. It opens no socket and reads no clock: it says
// what the chain held after the record's block, and nothing of later.
func VerifyRecord(data []byte, reg attestation.Address, trusted ...chain.BlockID) (*Record, error) {
	if reg.IsZero() || len(trusted) == 0 {
		return nil, attestation.BadInput("verifying a node's record needs a registry and a trusted block")
	}
	w, err := parseRecord(data)
	if err != nil {
		return nil, err
	}
	addr, err := chain.ProofAddress(w.Node)
	if err != nil {
		return nil, err
	}
	node, err := chain.VerifyAccountProof(w.Node, addr, trusted...)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	rec, err := recordOf(node, reg)
	if err != nil {
		return nil, err
	}
	root, err := chain.VerifyAccountProof(w.Root, reg, trusted...)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	at, ok, err := platformOf(rec.Node)
	if err != nil {
		return nil, err
	}
	if ok != (w.Platform != nil) {
		return nil, attestation.BadInput("node record: the machine of the node's epoch is missing, or there is one without an epoch")
	}
	var platform *chain.Account
	if ok {
		if platform, err = chain.VerifyAccountProof(w.Platform, at, trusted...); err != nil {
			return nil, fmt.Errorf("platform: %w", err)
		}
	}
	if root.Block != node.Block || platform != nil && platform.Block != node.Block {
		return nil, attestation.BadInput("node record: its parts are of different blocks")
	}
	if err := rec.add(root, platform); err != nil {
		return nil, err
	}
	return rec, nil
}
