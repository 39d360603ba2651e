package host

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Bounds of a look at the directory of certificates. Others write there.
const (
	maxNames        = 1 << 16 // names that are read of it
	maxReads        = 512     // files that one look reads; the next look goes on
	maxCertificates = 256     // certificates that are kept
	maxNamed        = 16      // useless files that the log names
	// settleTime is how old a file must be before what was read of it is believed
	// to stay: who copies it may be in the middle, and file systems keep time in
	// steps of up to two seconds.
	settleTime = 3 * time.Second
)

// pile is the directory of certificates: what verifiers put there, and whatever
// else lies there. It remembers what it has read, so that thousands of old files
// cost a list of names. It is not for concurrent use.
type pile struct {
	dir   string
	log   *slog.Logger
	now   func() time.Time
	named map[string]bool // files of which the log has said that they are of no use
	full  sync.Once       // it has said that there are too many

	// what follows holds for these claims and this set
	claims [32]byte
	set    contracts.VerifierSet
	read   map[string]reading
}

// reading is what was read of a file when it had a size and a time.
type reading struct {
	size int64
	time time.Time
	file *certificate.File // nil: of no use
}

func newPile(dir string, log *slog.Logger) *pile {
	return &pile{dir: dir, log: log, now: time.Now, named: map[string]bool{}}
}

// look returns the certificates of claims that a member of the set signed, by the
// order of their names. A file that is of no use is passed over, and named in the
// log once.
func (p *pile) look(claims [32]byte, set contracts.VerifierSet) ([]*certificate.File, error) {
	if p.claims != claims || !sameSet(p.set, set) {
		set.Quorum.Keys = maps.Clone(set.Quorum.Keys)
		p.claims, p.set, p.read = claims, set, nil
	}
	entries, err := p.entries()
	if err != nil {
		return nil, attestation.BadInput("the directory of certificates: %w", err)
	}
	var out []*certificate.File
	read, reads := map[string]reading{}, 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		r, known := p.read[e.Name()]
		if !known || r.size != info.Size() || !r.time.Equal(info.ModTime()) {
			if reads++; reads > maxReads {
				continue
			}
			r = p.take(info)
		}
		if p.settled(info) {
			read[e.Name()] = r
		}
		if r.file != nil && len(out) < maxCertificates {
			out = append(out, r.file)
		}
	}
	p.read = read
	return out, nil
}

// entries lists the files that by their names are certificates, sorted.
func (p *pile) entries() ([]fs.DirEntry, error) {
	d, err := os.Open(p.dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var out []fs.DirEntry
	for n := 0; n < maxNames; {
		list, err := d.ReadDir(1024)
		n += len(list)
		for _, e := range list {
			if strings.HasSuffix(e.Name(), CertificateSuffix) && e.Type().IsRegular() {
				out = append(out, e)
			}
		}
		if errors.Is(err, io.EOF) {
			return sorted(out), nil
		}
		if err != nil {
			return nil, err
		}
	}
	p.full.Do(func() {
		p.log.Warn("the directory of certificates holds too many files, and some are not looked at: remove old ones", "dir", p.dir, "limit", maxNames)
	})
	return sorted(out), nil
}

func sorted(list []fs.DirEntry) []fs.DirEntry {
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list
}

// take reads a file.
func (p *pile) take(info fs.FileInfo) reading {
	f, err := p.parse(info)
	if err != nil && p.settled(info) {
		p.name(info.Name(), err)
	}
	return reading{info.Size(), info.ModTime(), f}
}

// parse returns nothing for a certificate of another boot: the directory may hold
// all that there ever were.
func (p *pile) parse(info fs.FileInfo) (*certificate.File, error) {
	f, err := os.Open(filepath.Join(p.dir, info.Name()))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, certificate.MaxFileSize+1)) // more is refused
	if err != nil {
		return nil, err
	}
	c, err := certificate.Parse(data)
	if err != nil || c.Certificate.ClaimsDigest != p.claims {
		return nil, err
	}
	switch {
	case c.Certificate.Set != p.set.Number:
		return nil, attestation.Refused("it is of verifier set %d, the registry has set %d", c.Certificate.Set, p.set.Number)
	case len(approvalsOf(c, p.set)) == 0:
		return nil, attestation.Refused("no verifier that the registry counts has signed it")
	}
	return c, nil
}

// settled says whether a file is as it will stay.
func (p *pile) settled(info fs.FileInfo) bool {
	age := p.now().Sub(info.ModTime())
	return age > settleTime || age < -settleTime // one of a clock that is ahead is as good
}

// name says once that a file is of no use.
func (p *pile) name(file string, err error) {
	if p.named[file] || len(p.named) > maxNamed {
		return
	}
	p.named[file] = true
	if len(p.named) > maxNamed {
		p.log.Warn("more files in the directory of certificates are of no use", "dir", p.dir)
		return
	}
	p.log.Warn("a file in the directory of certificates is of no use", "file", file, "err", err)
}

func sameSet(a, b contracts.VerifierSet) bool {
	return a.Number == b.Number && a.Quorum.Threshold == b.Quorum.Threshold && maps.Equal(a.Quorum.Keys, b.Quorum.Keys)
}
