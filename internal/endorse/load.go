package endorse

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
)

// Limits of [Load].
const (
	maxLoadFiles = 1024     // looked at
	maxLoadSize  = 64 << 20 // bytes in all
	maxLoadDepth = 4        // levels of directories
)

// Load reads a file, or the endorsements in a directory and below it. Hidden
// files, links to directories, and files in a directory that hold nothing of the
// kind (reports, texts, scripts) are left out; see [Scan]. A file with an encoded
// set gives the files in it.
func Load(path string) ([]File, error) {
	files, _, err := Scan(path)
	return files, err
}

// Scan is [Load], and names the files that were left out because they hold no
// endorsement.
func Scan(path string) (files []File, other []string, err error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	l := &loader{root: path, all: !fi.IsDir()}
	if !fi.IsDir() {
		l.root = filepath.Dir(path)
		err = l.file(path)
	} else {
		err = filepath.WalkDir(path, l.visit)
	}
	if err != nil {
		return nil, nil, err
	}
	if len(l.files) == 0 {
		return nil, nil, attestation.Unknown("%s holds no endorsements (%d files of other kinds)", path, len(l.other))
	}
	return l.files, l.other, nil
}

type loader struct {
	root  string
	all   bool // take a file whatever it holds: the caller named it
	files []File
	other []string
	seen  int
	size  int64
}

func (l *loader) visit(p string, d fs.DirEntry, err error) error {
	if err != nil {
		return unreadable(err)
	}
	hidden := strings.HasPrefix(d.Name(), ".") && p != l.root
	switch rel, _ := filepath.Rel(l.root, p); {
	case d.IsDir() && (hidden || strings.Count(rel, string(filepath.Separator)) >= maxLoadDepth):
		return fs.SkipDir
	case d.IsDir() || hidden:
		return nil
	}
	fi, err := os.Stat(p) // also of what a link points to
	if err != nil {
		return unreadable(err)
	}
	if !fi.Mode().IsRegular() {
		return nil
	}
	return l.file(p)
}

// file reads one file.
func (l *loader) file(p string) error {
	if l.seen++; l.seen > maxLoadFiles {
		return attestation.BadInput("%s holds more than %d files", l.root, maxLoadFiles)
	}
	rel, err := filepath.Rel(l.root, p)
	if err != nil {
		return unreadable(err)
	}
	data, err := readFile(p)
	if err != nil {
		return err
	}
	known := bytes.HasPrefix(data, setPrefix) || attestation.IsEndorsement(data)
	switch {
	case !known && !l.all, len(data) == 0 && !l.all:
		l.other = append(l.other, rel)
		return nil
	case len(data) > attestation.MaxEndorsementSize && !bytes.HasPrefix(data, setPrefix):
		return attestation.BadInput("%s has more than %d bytes", p, attestation.MaxEndorsementSize)
	}
	if l.size += int64(len(data)); l.size > maxLoadSize {
		return attestation.BadInput("%s holds more than %d bytes of endorsements", l.root, maxLoadSize)
	}
	if bytes.HasPrefix(data, setPrefix) {
		set, err := Parse(data)
		l.files = append(l.files, set...)
		return err
	}
	l.files = append(l.files, File{strings.ReplaceAll(filepath.ToSlash(rel), "/", "_"), data})
	return nil
}

// setPrefix starts an encoded set: a map of two, its kind first.
var setPrefix = append([]byte{0xa2, 0x00, 0x76}, kind...)

// readFile reads as much of a file as any form of it may have, and a byte more.
func readFile(p string) ([]byte, error) {
	f, err := os.Open(p)
	if err != nil {
		return nil, unreadable(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, unreadable(err)
	}
	return data, nil
}

func unreadable(err error) error {
	return attestation.BadInput("reading endorsements: %w", err)
}
