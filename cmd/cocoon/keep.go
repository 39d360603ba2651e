package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

	storing sync.Mutex // held while a source is stored: of answers that end at once one does it
	mu      sync.Mutex
	known   map[[32]byte]time.Time // by claims digest: end of the verdict whose documents are there; guarded by mu
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
	return k.sweep()
}

// sweep removes what a process that was killed had begun to write, an hour ago or
// more.
func (k *keeper) sweep() error {
	begun, err := filepath.Glob(globQuote(k.dir) + "/.*.*.*")
	if err != nil {
		return err
	}
	for _, path := range begun {
		kinds := []string{".receipt.", ".bundle.", ".relay.", ".endorsements."}
		if !slices.ContainsFunc(kinds, func(k string) bool { return strings.Contains(filepath.Base(path), k) }) {
			continue
		}
		if fi, err := os.Lstat(path); err == nil && fi.Mode().IsRegular() && time.Since(fi.ModTime()) > time.Hour {
			if err := atomicfile.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep stores the receipt of an answer under a name, and what its proof needs.
// An empty name makes one of time and index.
func (k *keeper) keep(ctx context.Context, name string, f *receipt.File, n *client.Node) (path string, err error) {
	return k.store(name, f, n.Verified().NotAfter(), func() (client.Source, error) { return n.Source(ctx) })
}

// store is keep for a receipt of a verdict that ends at a time. The receipt comes
// first: nobody can give it a second time, while the node still serves the rest, and
// a process that is killed in between leaves no papers without a receipt.
func (k *keeper) store(name string, f *receipt.File, ends time.Time, source func() (client.Source, error)) (path string, err error) {
	h := &f.Receipt.Head
	if name == "" {
		name = fmt.Sprintf("%d-%x-%d", h.Time, h.Node.Hash[:4], h.Index)
	}
	enc, err := f.Encode()
	if err != nil {
		return "", err
	}
	path = filepath.Join(k.dir, name+".receipt")
	if err := atomicfile.Create(path, enc, 0o600); err != nil {
		return "", err
	}
	if err := k.storeSource(f.Receipt, ends, source); err != nil {
		return "", fmt.Errorf("%s is kept, but not what its proof needs: %w; export it while the node runs", path, err)
	}
	return path, nil
}

// maxKnown bounds the memory of what is there. What was forgotten is looked at again.
const maxKnown = 10_000

// storeSource stores what a proof needs of a node, when the node was verified anew:
// answers from then on are proved by the same documents.
func (k *keeper) storeSource(r *receipt.Receipt, ends time.Time, source func() (client.Source, error)) error {
	digest := r.Body.ClaimsDigest
	there := func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.known[digest].Equal(ends)
	}
	if there() {
		return nil
	}
	k.storing.Lock()
	defer k.storing.Unlock()
	if there() {
		return nil
	}
	src, err := source()
	if err != nil {
		return err
	}
	if err := keptSource(k.dir, digest).add(src, r.Head.Time); err != nil {
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

// loadReceipt reads NAME.receipt and what lies beside it. Without a bundle there the
// source is empty: see complete.
func loadReceipt(path string) (*receipt.File, client.Source, error) {
	f, err := readReceiptFile(path)
	if err != nil {
		return nil, client.Source{}, err
	}
	src, err := keptSource(filepath.Dir(path), f.Receipt.Body.ClaimsDigest).read(f.Receipt.Head.Time)
	if err != nil {
		return nil, client.Source{}, err
	}
	return f, src, nil
}

// complete brings a source up to date: where the log of the receipt's node is served
// now, and what is not kept beside the receipt, as long as the node serves it.
func complete(ctx context.Context, sess *session, path string, r *receipt.Receipt, src client.Source) (client.Source, error) {
	relay, err := relayNow(ctx, sess, r, src.Endpoint)
	if err != nil {
		return client.Source{}, err
	}
	src.Endpoint = relay
	if src.Bundle != nil {
		return src, nil
	}
	digest := r.Body.ClaimsDigest
	if src, err = sess.FetchSource(ctx, relay, digest); err != nil {
		return client.Source{}, attestation.Unknown("the bundle of the enclave that gave this receipt is not beside it (%s.bundle), and its node does not serve it: %w", keptSource(filepath.Dir(path), digest), err)
	}
	return src, nil
}

func readReceiptFile(path string) (*receipt.File, error) {
	data, err := command.ReadFile(path, receipt.MaxProof)
	if err != nil {
		return nil, err
	}
	f, err := receipt.ParseFile(data)
	if err != nil {
		return nil, command.NotA(command.ReceiptFile, path, data, "`cocoon chat` and `cocoon proxy` keep them as X.receipt", err)
	}
	return f, nil
}
