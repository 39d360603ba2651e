package chain

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/filelock"
)

// DirJournal is a Journal in a directory: one small file for each payment, named
// by the hash of its id, and "pending", which names the one that is not done.
// Files are written beside and renamed, and flushed to disk. The directory is
// locked: two writers of one wallet, each with its own idea of what was paid, could
// pay twice. Close it when done.
type DirJournal struct {
	dir  string
	lock *filelock.Lock
}

// OpenDirJournal locks the directory, and makes it when it is missing. That it is
// open already, here or in another process, is bad input, and wraps
// [filelock.ErrHeld].
func OpenDirJournal(dir string) (*DirJournal, error) {
	if err := makeDir(dir); err != nil {
		return nil, attestation.BadInput("payment journal: %w", err)
	}
	lock, err := filelock.Acquire(dir)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, attestation.BadInput("payment journal %w: wait until it has ended, or name another directory for another wallet", err)
	} else if err != nil {
		return nil, attestation.BadInput("payment journal: %w", err)
	}
	if err := removeUnfinished(dir); err != nil {
		return nil, errors.Join(attestation.BadInput("payment journal: %w", err), lock.Unlock())
	}
	return &DirJournal{dir, lock}, nil
}

// removeUnfinished removes the files that a crash left half-written.
func removeUnfinished(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), unfinished) && e.Type().IsRegular() {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// unfinished ends the name of a file that is being written.
const unfinished = ".tmp"

// Close lets others open the directory. The journal must not be used any more.
func (j *DirJournal) Close() error { return j.lock.Unlock() }

func (j *DirJournal) path(id string) string {
	h := sha256.Sum256([]byte(id))
	return filepath.Join(j.dir, hex.EncodeToString(h[:])+".json")
}

// Load implements [Journal].
func (j *DirJournal) Load(id string) (*Intent, error) {
	b, err := os.ReadFile(j.path(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	in, err := decodeIntent(b)
	if err == nil && in.ID != id {
		err = fmt.Errorf("it holds %q", in.ID)
	}
	if err != nil {
		return nil, attestation.BadInput("%s, of payment %q, is damaged, and what it says may be on the chain: %w", j.path(id), id, err)
	}
	return in, nil
}

// Pending implements [Journal].
func (j *DirJournal) Pending() (*Intent, error) {
	id, err := os.ReadFile(filepath.Join(j.dir, "pending"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	in, err := j.Load(string(id))
	if err != nil || in == nil || in.Done {
		// named before it was written, or done before the name was removed:
		// either way nothing was sent that is not recorded as done
		return nil, err
	}
	return in, nil
}

// Save implements [Journal].
func (j *DirJournal) Save(in *Intent) error {
	b, err := json.MarshalIndent(in, "", " ")
	if err != nil {
		return err
	}
	name := filepath.Join(j.dir, "pending")
	if !in.Done {
		if err := replaceFile(name, []byte(in.ID)); err != nil {
			return err
		}
	}
	if err := replaceFile(j.path(in.ID), b); err != nil {
		return err
	}
	if in.Done {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// replaceFile writes a file durably; a crash leaves the old or the new content.
func replaceFile(path string, data []byte) error {
	tmp := path + "." + rand.Text()[:8] + unfinished
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
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
		return err
	}
	return syncDir(filepath.Dir(path))
}

// makeDir makes a directory and those above it, durably: a journal that a power
// cut takes away has forgotten what was paid.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return &os.PathError{Op: "mkdir", Path: dir, Err: errors.New("it is a file")}
		}
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := makeDir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncDir(above)
}

// syncDir makes the names in a directory durable. Windows does so by itself, and
// refuses to be asked.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
