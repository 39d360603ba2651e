package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

// A receipt is kept as NAME.receipt. What a proof of it needs later lies beside
// it, once for each bundle; see keptSource.

// keeper stores receipts in a directory. Safe for concurrent use.
type keeper struct {
	dir string

	mu    sync.Mutex
	known map[[32]byte]time.Time // by claims digest: end of the verdict whose documents are there; guarded by mu
}

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
	return &keeper{dir: dir}, nil
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
	if err := k.keepSource(ctx, n); err != nil {
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

// maxKnown bounds the memory of what is there. What was forgotten is looked at again.
const maxKnown = 10_000

// keepSource stores what a proof needs of a node, when the node was verified anew:
// answers until then are proved by the same documents.
func (k *keeper) keepSource(ctx context.Context, n *client.Node) error {
	digest, ends := n.Verified().Digest(), n.Verified().NotAfter()
	k.mu.Lock()
	there := k.known[digest].Equal(ends)
	k.mu.Unlock()
	if there {
		return nil
	}
	src, err := n.Source(ctx)
	if err != nil {
		return err
	}
	if err := keptSource(k.dir, digest).add(src); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxKnown {
		k.known = map[[32]byte]time.Time{}
	}
	k.known[digest] = ends
	return nil
}

// loadReceipt reads NAME.receipt and what lies beside it.
func loadReceipt(path string) (*receipt.File, client.Source, error) {
	var src client.Source
	f, err := readReceiptFile(path)
	if err != nil {
		return nil, src, err
	}
	src, err = keptSource(filepath.Dir(path), f.Receipt.Body.ClaimsDigest).read()
	if err != nil {
		return nil, src, err
	}
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
