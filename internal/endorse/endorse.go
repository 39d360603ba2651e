// Package endorse is how endorsements travel from a host to a client, and how
// they lie in a directory. They are signed by vendors and replaceable: who
// carries them is not trusted (docs/spec/endorsements.md).
package endorse

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/cocoon-go/cocoon/attestation"
)

// Path is where a relay serves the set, MediaType its type.
const (
	Path      = "/.well-known/cocoon/endorsements"
	MediaType = "application/vnd.cocoon.endorsements+cbor"
)

// Limits of a set.
const (
	MaxSize  = 16 << 20 // bytes of an encoded set
	MaxFiles = 64
	maxName  = 200
)

const kind = "cocoon/endorsements/v1"

// File is one document, or several in one form that
// attestation.Endorsements.AddFile reads.
type File struct {
	Name string `cbor:"1,keyasint"`
	Data []byte `cbor:"2,keyasint"`
}

type set struct {
	Kind  string `cbor:"0,keyasint"`
	Files []File `cbor:"1,keyasint"`
}

// Encode returns the deterministic encoding of a set, sorted by name.
func Encode(files []File) ([]byte, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	if err := check(files); err != nil {
		return nil, err
	}
	em, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	return em.Marshal(set{kind, files})
}

// Parse reads what Encode writes, and nothing else.
func Parse(data []byte) ([]File, error) {
	if len(data) > MaxSize {
		return nil, attestation.BadInput("endorsements: %d bytes, the limit is %d", len(data), MaxSize)
	}
	dm, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		MaxArrayElements: MaxFiles, MaxNestedLevels: 4, MaxMapPairs: 16,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, TagsMd: cbor.TagsForbidden,
	}.DecMode()
	if err != nil {
		return nil, err
	}
	var s set
	if err := dm.Unmarshal(data, &s); err != nil {
		return nil, attestation.BadInput("endorsements: %w", err)
	}
	if s.Kind != kind {
		return nil, attestation.BadInput("endorsements: type %q, want %q", s.Kind, kind)
	}
	again, err := Encode(s.Files)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, attestation.BadInput("endorsements: not the deterministic encoding")
	}
	return s.Files, nil
}

func check(files []File) error {
	if len(files) > MaxFiles {
		return attestation.BadInput("endorsements: %d files, at most %d", len(files), MaxFiles)
	}
	for i, f := range files {
		switch {
		case f.Name == "" || len(f.Name) > maxName || strings.ContainsFunc(f.Name, func(r rune) bool { return r < 0x21 || r > 0x7e || r == '/' || r == '\\' }) || f.Name[0] == '.':
			return attestation.BadInput("endorsements: file name %.40q", f.Name)
		case i > 0 && files[i-1].Name == f.Name:
			return attestation.BadInput("endorsements: %q is there twice", f.Name)
		case len(f.Data) == 0 || len(f.Data) > attestation.MaxEndorsementSize:
			return attestation.BadInput("endorsements: %q has %d bytes", f.Name, len(f.Data))
		}
	}
	return nil
}

// Set makes a set to verify with.
func Set(files []File) (*attestation.Endorsements, error) {
	e := attestation.NewEndorsements()
	for _, f := range files {
		if err := e.AddFile(f.Name, f.Data); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// String keeps contents out of logs.
func (f File) String() string { return fmt.Sprintf("%s (%d bytes)", f.Name, len(f.Data)) }
