package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// stem is what the names of the files begin with that a proof of a receipt needs:
//
//	DIGEST.bundle                   the bundle of the enclave
//	DIGEST.TIME.SET.endorsements    a set of the vendor's documents, by its digest, and
//	                                the time of the first receipt that was judged by it
//	DIGEST.relay                    URL of the node's relay
//
// Vendors renew their documents while an enclave runs. Sets are added and never
// replaced: a proof is judged at the time of its anchor, by those of that time.
type stem string

// keptSource names the files for a claims digest.
func keptSource(dir string, claims [32]byte) stem {
	return stem(filepath.Join(dir, fmt.Sprintf("%x", claims[:16])))
}

// add stores the source of a receipt that was made at a time, in unix seconds. The
// bundle is written last: where it is, all is.
func (s stem) add(src client.Source, made uint32) error {
	d := documents{}
	for _, f := range src.Endorsements {
		if !d.add(endorse.File(f)) {
			return attestation.BadInput("the endorsements are more than %d files or %d bytes", endorse.MaxFiles, endorse.MaxSize)
		}
	}
	set, err := endorse.Encode(d.files)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(set)
	digest := fmt.Sprintf("%x", sum[:8])
	sets, err := s.sets(made)
	if err != nil {
		return err
	}
	if len(sets) == 0 || sets[0].digest != digest {
		if err := s.addFile(fmt.Sprintf(".%d.%s.endorsements", made, digest), set); err != nil {
			return err
		}
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

// read returns the source of a receipt that was made at a time, and an empty one when
// there is none.
func (s stem) read(made uint32) (src client.Source, err error) {
	if src.Bundle, err = command.ReadFile(string(s)+".bundle", attestation.MaxBundleSize); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return client.Source{}, err
	}
	if src.Endorsements, err = s.endorsements(made); err != nil {
		return client.Source{}, err
	}
	relay, err := command.ReadFile(string(s)+".relay", 1<<10)
	if err != nil {
		return client.Source{}, err
	}
	src.Endpoint = strings.TrimSuffix(string(relay), "\n")
	return src, nil
}

// endorsements reads the set that a receipt of a time was judged by, and of those
// before and after it, the nearest first, as many documents as a proof may have: by
// the time of the anchor the vendor may have renewed some.
func (s stem) endorsements(made uint32) ([]client.EndorsementFile, error) {
	sets, err := s.sets(made)
	if err != nil {
		return nil, err
	}
	d := documents{}
	for _, x := range sets {
		data, err := command.ReadFile(x.path, endorse.MaxSize)
		if err != nil {
			return nil, err
		}
		files, err := endorse.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", x.path, err)
		}
		for _, f := range files {
			if !d.add(f) {
				return d.out(), nil
			}
		}
	}
	return d.out(), nil
}

// documents are endorsements, each once. Of those with one name the later ones get a
// digest before it. They are no more than one set may have.
type documents struct {
	files []endorse.File
	size  int
}

// add reports whether there was room.
func (d *documents) add(f endorse.File) bool {
	if slices.ContainsFunc(d.files, func(o endorse.File) bool { return bytes.Equal(o.Data, f.Data) }) {
		return true
	}
	const framing = 300 // name and lengths
	if len(d.files) == min(endorse.MaxFiles, receipt.MaxEndorsements) || d.size+len(f.Data)+framing > endorse.MaxSize {
		return false
	}
	if slices.ContainsFunc(d.files, func(o endorse.File) bool { return o.Name == f.Name }) {
		digest := sha256.Sum256(f.Data)
		f.Name = fmt.Sprintf("%x-%s", digest[:8], f.Name[:min(len(f.Name), 180)])
	}
	d.files, d.size = append(d.files, f), d.size+len(f.Data)+framing
	return true
}

func (d *documents) out() []client.EndorsementFile {
	var out []client.EndorsementFile
	for _, f := range d.files {
		out = append(out, client.EndorsementFile(f))
	}
	return out
}

// keptSet is a file with a set.
type keptSet struct {
	path   string
	since  uint64 // unix seconds
	digest string
}

// nearby is how far the clocks of enclaves, and answers that end at once, may be apart.
const nearby = 600 // seconds

// sets returns all sets in the order in which they matter to a receipt that was made
// at a time: the newest that began by then, the one before it, those after it, and
// the older ones.
func (s stem) sets(made uint32) ([]keptSet, error) {
	paths, err := filepath.Glob(globQuote(string(s)) + ".*.*.endorsements")
	if err != nil {
		return nil, err
	}
	var all []keptSet
	for _, p := range paths {
		name := strings.Split(strings.TrimPrefix(p, string(s)+"."), ".")
		since, err := strconv.ParseUint(name[0], 10, 32)
		if err != nil || len(name) != 3 {
			return nil, attestation.BadInput("%s: its name is not one that cocoon gives", p)
		}
		all = append(all, keptSet{p, since, name[1]})
	}
	slices.SortFunc(all, func(a, b keptSet) int {
		return cmp.Or(cmp.Compare(a.since, b.since), strings.Compare(a.digest, b.digest))
	})
	n := 0 // sets that began by then
	for n < len(all) && all[n].since <= uint64(made)+nearby {
		n++
	}
	var out []keptSet
	if n > 0 {
		out = append(out, all[n-1])
	}
	if n > 1 {
		out = append(out, all[n-2])
	}
	out = append(out, all[n:]...)
	for i := n - 3; i >= 0; i-- {
		out = append(out, all[i])
	}
	return out, nil
}

// globQuote makes a path match itself only.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
