package ledger

import (
	"io"
	"os"
	"path/filepath"
)

// fsys is all the ledger asks of a file system; tests put a failing one here.
type fsys interface {
	// mkdir creates dir if it is missing, durably.
	mkdir(dir string) error
	// lock takes the exclusive lock on dir or fails at once.
	lock(dir string) (io.Closer, error)
	// open opens a file for reading and writing, and creates it if missing.
	open(path string) (file, error)
	// syncDir makes the names in dir durable.
	syncDir(dir string) error
}

type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	size() (int64, error)
}

type osFS struct{}

type osFile struct{ *os.File }

func (f osFile) size() (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (fs osFS) mkdir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return fs.syncDir(filepath.Dir(dir))
}

func (osFS) lock(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (osFS) open(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
