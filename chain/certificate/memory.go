package certificate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// DirMemory is a [Memory] in a directory, for any number of processes of one
// verifier on one machine. For each epoch of a node it has a folder with numbered
// files, of which the last counts: to be the next is a name that only one can
// take. None is ever removed, or a slow process could take a name that was taken
// before. Never restore it from a backup, and never copy it to a second machine:
// who forgets what he signed may sign against it.
type DirMemory struct{ dir string }

// OpenDirMemory uses a directory, which is made when it is missing.
func OpenDirMemory(dir string) (*DirMemory, error) {
	if dir == "" {
		return nil, attestation.BadInput("memory: no directory")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, attestation.BadInput("memory: %w", err)
	}
	return &DirMemory{dir}, nil
}

// folder is where what was signed about an epoch lies.
func (m *DirMemory) folder(about About) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(about.ChainID))
	b = binary.BigEndian.AppendUint32(about.Node.AppendTo(b), about.Epoch)
	return filepath.Join(m.dir, fmt.Sprintf("%x", sha256.Sum256(b)))
}

// Update implements [Memory].
func (m *DirMemory) Update(ctx context.Context, about About, decide func(*contracts.Certificate) (*contracts.Certificate, error)) error {
	folder := m.folder(about)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := syncDir(m.dir); err != nil {
		return err
	}
	for ctx.Err() == nil {
		n, last, err := lastIn(folder)
		if err != nil {
			return err
		}
		next, err := decide(last)
		if err != nil {
			return err
		}
		if next == nil || (About{next.ChainID, next.Node, next.Epoch}) != about {
			return attestation.BadInput("memory: a certificate about something else")
		}
		if last != nil && *next == *last {
			return nil
		}
		if n >= maxChanges {
			return attestation.Refused("epoch %d of node %v was certified %d times, with another expiry or set each time: that is enough", about.Epoch, about.Node, n)
		}
		err = writeNext(folder, n+1, next)
		if !errors.Is(err, fs.ErrExist) {
			return err
		} // another process was first: decide again
	}
	return ctx.Err()
}

// maxChanges bounds the files of an epoch.
const maxChanges = 1024

func numbered(folder string, n uint64) string {
	return filepath.Join(folder, strconv.FormatUint(n, 10))
}

// lastIn returns the last certificate of a folder and its number; none is 0.
func lastIn(folder string) (n uint64, c *contracts.Certificate, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0, nil, err
	}
	for _, e := range entries {
		if v, err := strconv.ParseUint(e.Name(), 10, 64); err == nil && v > n {
			n = v
		}
	}
	if n == 0 {
		return 0, nil, nil
	}
	data, err := os.ReadFile(numbered(folder, n))
	if err != nil {
		return 0, nil, err
	}
	var w wireFile
	if err := decode("what was signed before", data, &w); err != nil {
		return 0, nil, fmt.Errorf("%s is damaged, and nothing may be signed for this epoch: %w", numbered(folder, n), err)
	}
	f, err := w.file()
	if err != nil {
		return 0, nil, fmt.Errorf("%s is damaged, and nothing may be signed for this epoch: %w", numbered(folder, n), err)
	}
	return n, &f.Certificate, nil
}

// writeNext makes a numbered file, whole and durable. It is fs.ErrExist when
// there is one.
func writeNext(folder string, n uint64, c *contracts.Certificate) error {
	data, err := encoder.Marshal((&File{Certificate: *c}).wire())
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(folder, "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), numbered(folder, n)); err != nil {
		return err
	}
	return syncDir(folder)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
