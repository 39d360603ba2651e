package devnet

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cocoon-go/cocoon/chain/filelock"
)

type storeMeta struct {
	Format     string `json:"format"`
	Seed       []byte `json:"seed"`
	GlobalID   int32  `json:"global_id"`
	Validators int    `json:"validators"`
}

// asked is what the caller of Start asked for; zero where he left it open.
type asked struct {
	globalID   int32
	validators int
}

// agrees reports what a stored chain can't be.
func (a asked) agrees(m *storeMeta) error {
	if a.globalID != 0 && a.globalID != m.GlobalID {
		return fmt.Errorf("the stored chain has id %d, not %d: use another directory", m.GlobalID, a.globalID)
	}
	if a.validators != 0 && a.validators != m.Validators {
		return fmt.Errorf("the stored chain has %d validators, not %d: use another directory", m.Validators, a.validators)
	}
	return nil
}

// openDir locks the directory, reads or writes its metadata and opens the block
// file. It reports whether the chain is new.
func (s *store) openDir(o *Options) (fresh bool, err error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return false, err
	}
	if s.lock, err = filelock.Acquire(s.dir); err != nil {
		return false, fmt.Errorf("dev chain directory %w", err)
	}
	path := filepath.Join(s.dir, "chain.json")
	raw, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		raw, err = json.Marshal(storeMeta{storeFormat, o.Seed, o.GlobalID, o.Validators})
		if err != nil {
			return false, err
		}
	case err != nil:
		return false, err
	}
	var m storeMeta
	if err := json.Unmarshal(raw, &m); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	if m.Format != storeFormat {
		return false, fmt.Errorf("%s: format %q, want %q", path, m.Format, storeFormat)
	}
	if err := o.asked.agrees(&m); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	o.Seed, o.GlobalID, o.Validators = m.Seed, m.GlobalID, m.Validators
	if s.f, err = os.OpenFile(filepath.Join(s.dir, "blocks"), os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return false, err
	}
	if _, err := os.Stat(s.statePath(0)); !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	// A new chain, or a start that died before it had a zerostate. Then there is no
	// block either.
	if st, err := s.f.Stat(); err != nil || st.Size() > 0 {
		return false, errors.Join(err, fmt.Errorf("dev chain directory %s has blocks, and %s is missing: restore it, or use another directory", s.dir, s.statePath(0)))
	}
	return true, writeFile(path, append(raw, '\n'))
}

// writeFile replaces a file so that a crash leaves the old or the new one.
func writeFile(path string, data []byte) error {
	var r [6]byte
	if _, err := rand.Read(r[:]); err != nil {
		return err
	}
	tmp := fmt.Sprintf("%s.%x.tmp", path, r)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}
