package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// A receipt is kept as NAME.receipt. What a proof of it needs later lies beside
// it, once for each bundle: DIGEST.bundle, DIGEST.endorsements, DIGEST.relay.

// keeper stores receipts in a directory.
type keeper struct{ dir string }

// newKeeper returns the keeper of a directory; "" means receipts/ in the
// configuration directory. It makes nothing yet: see open.
func newKeeper(dir string) (*keeper, error) {
	if dir == "" {
		c, err := configDir()
		if err != nil {
			return nil, err
		}
		dir = filepath.Join(c, "receipts")
	}
	return &keeper{dir}, nil
}

// open makes the directory, before anything is asked: an answer whose receipt
// can't be kept is not worth asking for.
func (k *keeper) open() error {
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return attestation.BadInput("the directory for receipts: %w; name another with --receipts", err)
	}
	return nil
}

// keep stores the receipt of an answer under a name, and what its proof needs.
// An empty name makes one of time and index.
func (k *keeper) keep(ctx context.Context, name string, f *receipt.File, n *client.Node) (path string, err error) {
	h := &f.Receipt.Head
	if name == "" {
		name = fmt.Sprintf("%d-%x-%d", h.Time, h.Node.Hash[:4], h.Index)
	}
	if err := k.keepSource(ctx, filepath.Join(k.dir, fmt.Sprintf("%x", f.Receipt.Body.ClaimsDigest[:16])), n); err != nil {
		return "", err
	}
	enc, err := f.Encode()
	if err != nil {
		return "", err
	}
	path = filepath.Join(k.dir, name+".receipt")
	if err := atomicfile.Create(path, enc, 0o600); err != nil {
		return "", err
	}
	return path, nil
}

// keepSource stores what a proof needs of a node, once for each bundle. The bundle
// is written last: where it is, all is.
func (k *keeper) keepSource(ctx context.Context, stem string, n *client.Node) error {
	if _, err := os.Stat(stem + ".bundle"); err == nil {
		return nil
	}
	src, err := n.Source(ctx)
	if err != nil {
		return err
	}
	files := make([]endorse.File, len(src.Endorsements))
	for i, e := range src.Endorsements {
		files[i] = endorse.File(e)
	}
	set, err := endorse.Encode(files)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		ext  string
		data []byte
	}{{".relay", []byte(src.Endpoint + "\n")}, {".endorsements", set}, {".bundle", src.Bundle}} {
		if err := atomicfile.Write(stem+f.ext, f.data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// loadReceipt reads NAME.receipt and what lies beside it.
func loadReceipt(path string) (*receipt.File, client.Source, error) {
	var src client.Source
	f, err := readReceiptFile(path)
	if err != nil {
		return nil, src, err
	}
	stem := filepath.Join(filepath.Dir(path), fmt.Sprintf("%x", f.Receipt.Body.ClaimsDigest[:16]))
	if src.Bundle, err = command.ReadFile(stem+".bundle", attestation.MaxBundleSize); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = attestation.Unknown("the bundle of the enclave that gave this receipt is not beside it (%s.bundle): keep receipts in the directory where cocoon put them", stem)
		}
		return nil, src, err
	}
	set, err := command.ReadFile(stem+".endorsements", endorse.MaxSize)
	if err != nil {
		return nil, src, err
	}
	files, err := endorse.Parse(set)
	if err != nil {
		return nil, src, err
	}
	for _, e := range files {
		src.Endorsements = append(src.Endorsements, client.EndorsementFile(e))
	}
	relay, err := command.ReadFile(stem+".relay", 1<<10)
	if err != nil {
		return nil, src, err
	}
	src.Endpoint = string(trimNewline(relay))
	return f, src, nil
}

func readReceiptFile(path string) (*receipt.File, error) {
	data, err := command.ReadFile(path, receipt.MaxProof)
	if err != nil {
		return nil, err
	}
	f, err := receipt.ParseFile(data)
	if kind, _ := describe(data); err != nil && kind != "" {
		return nil, attestation.BadInput("%s is %s, not a receipt as cocoon keeps it (X.receipt)", path, article[kind])
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func trimNewline(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		return b[:n-1]
	}
	return b
}
