package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

// certified has the verifiers certify the enclave's evidence, by files: it writes
// a request, and waits until certificates of enough of them lie beside it. When
// the evidence gets too old it asks for newer: so much newer that verifiers who
// signed before may sign again.
func (n *node) certified(ctx context.Context, proc *process) (*attestation.Bundle, []*certificate.File, error) {
	if n.pile == nil {
		n.pile = newPile(n.Certificates, n.Log)
	}
	for from := uint32(0); ; {
		b, heads, err := proc.bundleFrom(ctx, from)
		if err != nil {
			return nil, nil, err
		}
		request, err := n.request(b)
		if err != nil {
			return nil, nil, err
		}
		n.Log.Info("waiting for the verifiers", "request", request, "epoch", heads.Epoch, "block", heads.BlockSeqno)
		files, err := n.awaitCertificates(ctx, b, heads)
		_ = os.Remove(request)
		if !tooOld(err) {
			return b, files, err
		}
		n.Log.Warn("no certificate came in time; asking again with newer evidence")
		from = heads.BlockSeqno + contracts.KnownBlocks
	}
}

// bundleFrom waits for evidence over a block or a later one.
func (p *process) bundleFrom(ctx context.Context, block uint32) (*attestation.Bundle, *attestation.Heads, error) {
	for {
		b, err := p.bundle(ctx)
		if err != nil {
			return nil, nil, err
		}
		claims, err := b.Claims()
		if err != nil {
			return nil, nil, err
		}
		if claims.BlockSeqno >= block {
			return b, &claims.Heads, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, attestation.Unknown("waiting for newer evidence: %w", ctx.Err())
		case <-time.After(certificateInterval):
		}
	}
}

// request writes what the verifiers need into the directory of certificates.
func (n *node) request(b *attestation.Bundle) (path string, err error) {
	valid := n.CertifiedFor
	if valid <= 0 {
		valid = CertificateValid
	}
	r, err := certificate.NewRequest(b, uint32(time.Now().Add(valid).Unix()), n.Wallet)
	if err != nil {
		return "", err
	}
	data, err := r.Encode()
	if err != nil {
		return "", err
	}
	n.removeRequests()
	d := b.Digest()
	path = filepath.Join(n.Certificates, fmt.Sprintf("%x%s", d[:16], RequestSuffix))
	return path, atomicfile.Write(path, data, 0o644)
}

// maxRequests bounds the requests of a directory that are looked at.
const maxRequests = 64

// removeRequests removes what a crash left: requests of this node. Verifiers who sign
// that of an earlier boot would have to refuse this one for ten minutes. Requests of
// other nodes stay.
func (n *node) removeRequests() {
	entries, err := os.ReadDir(n.Certificates)
	if err != nil {
		return // said when the request is written
	}
	looked := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), RequestSuffix) || !e.Type().IsRegular() {
			continue
		}
		if looked++; looked > maxRequests {
			return
		}
		path := filepath.Join(n.Certificates, e.Name())
		if n.isOwn(path) {
			_ = os.Remove(path)
		}
	}
}

// isOwn says whether a file is a request of this node.
func (n *node) isOwn(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, certificate.MaxRequestSize+1))
	if err != nil {
		return false
	}
	r, err := certificate.ParseRequest(data)
	if err != nil {
		return false
	}
	b, err := attestation.ParseBundle(r.Bundle)
	if err != nil {
		return false
	}
	claims, err := b.Claims()
	return err == nil && claims.Node == n.op.Node
}

// awaitCertificates polls the directory until what lies there is enough to
// register with.
func (n *node) awaitCertificates(ctx context.Context, b *attestation.Bundle, heads *attestation.Heads) ([]*certificate.File, error) {
	var last string
	for {
		files, err := n.lookForCertificates(ctx, b, heads)
		switch {
		case tooOld(err):
			return nil, err
		case err == nil && len(files) > 0:
			return files, nil
		case err != nil && err.Error() != last:
			last = err.Error()
			n.Log.Warn("the certificates are not enough yet", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, attestation.Unknown("waiting for the verifiers: %w", errors.Join(ctx.Err(), err))
		case <-time.After(certificateInterval):
		}
	}
}

// certificateInterval is between two looks for certificates.
const certificateInterval = time.Second

// lookForCertificates returns none where there is none yet, and an error where
// they are not enough. Evidence that is too old is said first: no file can help it.
func (n *node) lookForCertificates(ctx context.Context, b *attestation.Bundle, heads *attestation.Heads) ([]*certificate.File, error) {
	root, err := n.op.Root(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the registry: %w", err)
	}
	if err := freshBlock(root.At.Seqno, heads.BlockSeqno); err != nil {
		return nil, err
	}
	if root.State.Verifiers == nil {
		return nil, foreseen(contracts.CodeVerifierSet, "registry %v has no verifiers", root.Address)
	}
	files, err := n.pile.look(b.Digest(), *root.State.Verifiers)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	_, err = certificateProof(root, b, heads, files)
	return files, err
}

// freshBlock refuses claims over a block that a registration can't name any more.
func freshBlock(head, block uint32) error {
	if head < block || head-block < contracts.KnownBlocks {
		return nil
	}
	return foreseen(contracts.CodeStaleBlock, "the claims name block %d, the chain is at block %d: boot again, or let the enclave make its evidence again", block, head)
}

// tooOld says whether an error is that refusal.
func tooOld(err error) bool {
	var r *RefusalError
	return errors.As(err, &r) && r.Code == contracts.CodeStaleBlock
}
