package chain

import (
	"encoding/json"
	"sync"
)

// Intent is a payment that a [Writer] began: what it signed, and how it ended.
// A journal stores it; nothing in it is secret.
type Intent struct {
	ID        string   `json:"id"`
	Wallet    string   `json:"wallet"`     // address
	Seqno     uint32   `json:"seqno"`      // of the wallet, the same in all messages
	LT        uint64   `json:"lt"`         // of the wallet's last transaction before
	Block     uint32   `json:"block"`      // masterchain block that showed both
	Messages  [][]byte `json:"messages"`   // the external messages signed last (BoC), at most 16, newest last
	Orders    [][]byte `json:"orders"`     // the internal messages asked for (BoC)
	ExpiresAt int64    `json:"expires_at"` // Unix time at which the newest message is void

	Done bool   `json:"done"`           // nothing more will happen
	Sent *Sent  `json:"sent,omitempty"` // done and good
	Fail string `json:"fail,omitempty"` // done and not sent: why
	Void bool   `json:"void,omitempty"` // done, and proved that the chain takes none of its messages: as if never begun
}

// Sent is a payment that is part of the chain.
type Sent struct {
	Seqno uint32   `json:"seqno"`   // of the wallet
	LT    uint64   `json:"lt"`      // of the wallet's transaction
	Hash  [32]byte `json:"hash"`    // of the wallet's transaction
	InMsg [32]byte `json:"in_hash"` // of the external message
	Block BlockID  `json:"block"`   // a masterchain block that shows it
}

// Journal keeps intents. A Writer saves before it acts and reads before it
// repeats, so the journal decides whether a payment can be made twice:
//
//   - Save must be durable when it returns, and must replace an intent with the
//     same id. When it fails the writer does not go on.
//   - Load returns what was saved last for an id, nil when nothing was.
//   - Pending returns the intent that is not done, nil when all are. The writer
//     has at most one.
//
// One writer uses a journal at a time; calls do not overlap.
type Journal interface {
	Load(id string) (*Intent, error)
	Pending() (*Intent, error)
	Save(*Intent) error
}

// MemoryJournal is a Journal that ends with the process: payments are safe
// against lost answers, not against a crash. The zero value is ready.
type MemoryJournal struct {
	mu      sync.Mutex
	intents map[string][]byte
	pending string
}

// Load implements [Journal].
func (j *MemoryJournal) Load(id string) (*Intent, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	b, ok := j.intents[id]
	if !ok {
		return nil, nil
	}
	return decodeIntent(b)
}

// Pending implements [Journal].
func (j *MemoryJournal) Pending() (*Intent, error) {
	j.mu.Lock()
	id := j.pending
	j.mu.Unlock()
	if id == "" {
		return nil, nil
	}
	return j.Load(id)
}

// Save implements [Journal].
func (j *MemoryJournal) Save(in *Intent) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.intents == nil {
		j.intents = map[string][]byte{}
	}
	j.intents[in.ID] = b
	switch {
	case !in.Done:
		j.pending = in.ID
	case j.pending == in.ID:
		j.pending = ""
	}
	return nil
}

func decodeIntent(b []byte) (*Intent, error) {
	var in Intent
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	return &in, nil
}
