package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// stem is what the names of the files begin with that a proof of a receipt needs:
//
//	DIGEST.bundle              the bundle of the enclave
//	DIGEST.SET.endorsements    a set of the vendor's documents, by its digest
//	DIGEST.relay               URL of the node's relay
//
// Vendors renew their documents while an enclave runs. Sets are added and never
// replaced: a proof is judged at the time of its anchor, by those of that time.
type stem string

// keptSource names the files for a claims digest.
func keptSource(dir string, claims [32]byte) stem {
	return stem(filepath.Join(dir, fmt.Sprintf("%x", claims[:16])))
}

// add stores a source. The bundle is written last: where it is, all is.
func (s stem) add(src client.Source) error {
	files := make([]endorse.File, len(src.Endorsements))
	for i, e := range src.Endorsements {
		files[i] = endorse.File(e)
	}
	set, err := endorse.Encode(files)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(set)
	if err := s.addFile(fmt.Sprintf(".%x.endorsements", digest[:8]), set); err != nil {
		return err
	}
	if err := atomicfile.Write(string(s)+".relay", []byte(src.Endpoint+"\n"), 0o600); err != nil {
		return err
	}
	return s.addFile(".bundle", src.Bundle)
}

// addFile writes a file whose name says what is in it, unless it is there.
func (s stem) addFile(ext string, data []byte) error {
	if _, err := os.Stat(string(s) + ext); err == nil {
		return nil
	}
	return atomicfile.Write(string(s)+ext, data, 0o600)
}

// read returns the source with the endorsements of all sets.
func (s stem) read() (src client.Source, err error) {
	if src.Bundle, err = command.ReadFile(string(s)+".bundle", attestation.MaxBundleSize); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = attestation.Unknown("the bundle of the enclave that gave this receipt is not beside it (%s.bundle): keep receipts in the directory where cocoon put them", s)
		}
		return client.Source{}, err
	}
	if src.Endorsements, err = s.endorsements(); err != nil {
		return client.Source{}, err
	}
	relay, err := command.ReadFile(string(s)+".relay", 1<<10)
	if err != nil {
		return client.Source{}, err
	}
	src.Endpoint = strings.TrimSuffix(string(relay), "\n")
	return src, nil
}

// endorsements reads all sets, newest first, and each document once, as many as a
// proof may have. Of documents of one name the older ones get a digest before it.
func (s stem) endorsements() ([]client.EndorsementFile, error) {
	names, err := s.sets()
	if err != nil {
		return nil, err
	}
	var out []client.EndorsementFile
	for _, name := range names {
		set, err := command.ReadFile(name, endorse.MaxSize)
		if err != nil {
			return nil, err
		}
		files, err := endorse.Parse(set)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, f := range files {
			if len(out) == receipt.MaxEndorsements || slices.ContainsFunc(out, func(o client.EndorsementFile) bool { return bytes.Equal(o.Data, f.Data) }) {
				continue
			}
			if slices.ContainsFunc(out, func(o client.EndorsementFile) bool { return o.Name == f.Name }) {
				digest := sha256.Sum256(f.Data)
				f.Name = fmt.Sprintf("%x-%s", digest[:8], f.Name)
			}
			out = append(out, client.EndorsementFile(f))
		}
	}
	return out, nil
}

// sets returns the files of all sets, the one that was written last first.
func (s stem) sets() ([]string, error) {
	names, err := filepath.Glob(globQuote(string(s)) + ".*.endorsements")
	if err != nil {
		return nil, err
	}
	written := map[string]time.Time{}
	for _, n := range names {
		fi, err := os.Stat(n)
		if err != nil {
			return nil, err
		}
		written[n] = fi.ModTime()
	}
	slices.SortStableFunc(names, func(a, b string) int { return written[b].Compare(written[a]) })
	return names, nil
}

// globQuote makes a path match itself only.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
