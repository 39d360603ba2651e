package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

// errand is what an operator was last told to do on the chain. It is stored
// before it is paid for and goes when its outcome is known to the user, so that
// the same words again, after a crash or a timeout, are the same errand.
type errand struct {
	What   string    `json:"what"`   // in words, the same for the same command
	Wallet string    `json:"wallet"` // that pays
	Query  uint64    `json:"query"`  // in the message and in its answer
	To     []string  `json:"to"`     // contracts: the first got the message, each may answer
	Begun  time.Time `json:"begun"`
	Done   bool      `json:"done"` // the contract took it; the user may not know
}

// payment is the id of its payment in the journal.
func (e *errand) payment() string { return fmt.Sprintf("operator-%d", e.Query) }

// addresses returns To.
func (e *errand) addresses() (out []attestation.Address, err error) {
	for _, s := range e.To {
		a, err := attestation.ParseAddress(s)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, attestation.BadInput("it names no contract")
	}
	return out, nil
}

// errands is where the errand is kept: load returns nil when there is none, and
// what save and remove did is durable when they return.
type errands interface {
	load() (*errand, error)
	save(*errand) error
	remove() error
}

// errandFile is the errands of a directory.
type errandFile string

// maxErrand bounds the file, in bytes.
const maxErrand = 64 << 10

func errandIn(dir string) errandFile { return errandFile(filepath.Join(dir, "errand.json")) }

func (f errandFile) load() (*errand, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	e, err := parseErrand(data)
	if err != nil {
		return nil, attestation.BadInput("%s, which says what was begun last, is damaged: %w; look with `cocoon-node status` what became of it, then remove the file", string(f), err)
	}
	return e, nil
}

// parseErrand reads an errand, strictly.
func parseErrand(data []byte) (*errand, error) {
	if len(data) > maxErrand {
		return nil, attestation.BadInput("%d bytes, at most %d", len(data), maxErrand)
	}
	e := new(errand)
	if err := strictJSON(data, e); err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	if e.What == "" || e.Wallet == "" || e.Query == 0 {
		return nil, attestation.BadInput("it lacks what was begun, the wallet or the query id")
	}
	_, err := e.addresses()
	return e, err
}

func (f errandFile) save(e *errand) error {
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(string(f), append(data, '\n'), 0o600)
}

func (f errandFile) remove() error { return atomicfile.Remove(string(f)) }
