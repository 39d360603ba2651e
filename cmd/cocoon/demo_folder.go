package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/filelock"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

// demoMarker is a file that says that a folder was made by a demo.
const demoMarker = ".cocoon-demo"

// demoFolder empties the folder, or makes it, and locks it. A folder that holds
// something and that no demo made, or that one is using, is left as it is.
func demoFolder(dir string) (*filelock.Lock, error) {
	if _, err := demoEntries(dir); errors.Is(err, os.ErrNotExist) {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, attestation.BadInput("%w", err)
		}
	} else if err != nil {
		return nil, err
	}
	lock, err := filelock.Acquire(dir)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, attestation.BadInput("a demo is running in %s; end it or name another folder with --dir", dir)
	} else if err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	if err := emptyDemo(dir); err != nil {
		lock.Unlock()
		return nil, err
	}
	return lock, nil
}

// demoEntries returns what a demo may delete in a folder.
func demoEntries(dir string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	marked := slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == demoMarker && e.Type().IsRegular() })
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return e.Name() == "lock" || e.Name() == demoMarker })
	if len(entries) > 0 && !marked {
		return nil, attestation.BadInput("%s was not made by a demo and is not empty: name another folder with --dir", dir)
	}
	return entries, nil
}

// emptyDemo empties a folder that is locked, and marks it.
func emptyDemo(dir string) error {
	entries, err := demoEntries(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return atomicfile.Write(filepath.Join(dir, demoMarker), []byte("made by cocoon demo; replaced by the next one\n"), 0o644)
}
