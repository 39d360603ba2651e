package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

// ReadFile reads a file of at most limit bytes. That it can't be read is bad
// input, and wraps the error of the file system.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, attestation.BadInput("%w", err)
	}
	if int64(len(data)) > limit {
		if k := KindOf(data); k != "" {
			return nil, attestation.BadInput("%s is %v, and larger than %d bytes", path, k, limit)
		}
		return nil, attestation.BadInput("%s is larger than %d bytes", path, limit)
	}
	return data, nil
}

// CreateFile writes a file that must not exist yet, whole or not at all. That it
// can't is bad input.
func CreateFile(path string, data []byte, mode os.FileMode) error {
	err := atomicfile.Create(path, data, mode)
	switch {
	case errors.Is(err, fs.ErrExist):
		return Exists(path)
	case err != nil:
		return attestation.BadInput("%w", err)
	}
	return nil
}

// Exists is the error about a file that is in the way.
func Exists(path string) error {
	return attestation.BadInput("%s exists, and nothing is overwritten: name another", path)
}

// ReadAddress returns the address that the value of --registry is, or that is
// in the file that it names.
func ReadAddress(value string) (attestation.Address, error) {
	if a, err := ParseAddress(value); err == nil {
		if a.IsZero() {
			return a, attestation.BadInput("--registry %s is nobody's address", value)
		}
		return a, nil
	}
	data, err := ReadFile(value, 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return attestation.Address{}, attestation.BadInput("--registry %q is neither an address (0: and 64 hexadecimal digits, or EQ…) nor a file", value)
	} else if err != nil {
		return attestation.Address{}, err
	}
	a, err := ParseAddress(strings.TrimSpace(string(data)))
	if err != nil {
		return a, fmt.Errorf("%s: %w", value, err)
	}
	return a, nil
}
