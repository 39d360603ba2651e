package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
)

// Endings of the files in a directory of certificates.
const (
	RequestSuffix     = ".request"
	CertificateSuffix = ".certificate"
)

// CertificateValid is for how long a node wants a certificate unless told
// otherwise. Verifiers sign for no longer than their own verification is good.
const CertificateValid = 144 * time.Hour

// proof is what a registration rests on: a quote that the contract verifies, or
// the certificate of the verifiers.
type proof struct {
	platform [32]byte
	body     func(query uint64) (*cell.Cell, error)
}

// quoteProof is mode A. last is the node's current record, nil if it has none.
func quoteProof(b *attestation.Bundle, heads *attestation.Heads, last *contracts.EpochRecord) (*proof, error) {
	quote := evidence(b, attestation.KindTDX)
	if quote == nil {
		return nil, attestation.BadInput("the bundle holds no evidence that a contract verifies: it needs a certificate of the registry's verifiers (docs/operator.md)")
	}
	info, err := contracts.ReadQuote(quote)
	if err != nil {
		return nil, err
	}
	body := registration
	if last != nil && last.Knows(info, uint32(time.Now().Unix())) {
		body = laterRegistration
	}
	return &proof{info.PlatformID, func(query uint64) (*cell.Cell, error) { return body(quote, heads, query) }}, nil
}

// evidence returns the first evidence of a kind in a bundle, nil if none.
func evidence(b *attestation.Bundle, kind string) []byte {
	for _, e := range b.Evidence {
		if e.Kind == kind {
			return e.Data
		}
	}
	return nil
}

// certificateProof is mode B. All that the contracts will look at is looked at
// first: a refusal costs nothing.
func certificateProof(root *registry.Root, b *attestation.Bundle, heads *attestation.Heads, files []*certificate.File) (*proof, error) {
	f, err := certificate.Merge(files...)
	if err != nil {
		return nil, err
	}
	c := &f.Certificate
	if err := sameBoot(c, b, heads); err != nil {
		return nil, err
	}
	if err := freshBlock(root.At.Seqno, c.BlockSeqno); err != nil {
		return nil, err
	}
	s := root.State
	switch {
	case s.Paused:
		return nil, foreseen(contracts.CodePaused, "registry %v takes no registrations now", root.Address)
	case int64(c.Expiry) <= root.At.Time.Unix():
		return nil, foreseen(contracts.CodeExpired, "the certificate was good until %s", time.Unix(int64(c.Expiry), 0).UTC().Format(time.RFC3339))
	case s.Verifiers == nil:
		return nil, foreseen(contracts.CodeVerifierSet, "registry %v has no verifiers", root.Address)
	case s.Measurements[c.Measurement].Flags&contracts.MeasurementAccepted == 0:
		return nil, foreseen(contracts.CodeMeasurement, "registry %v does not list measurement %x", root.Address, c.Measurement)
	}
	approvals, err := f.Approvals(*s.Verifiers)
	if err != nil {
		return nil, err
	}
	return &proof{c.PlatformID, func(query uint64) (*cell.Cell, error) {
		m := &contracts.RegisterQuorum{QueryID: query, Heads: heads, Certificate: *c, Verifiers: *s.Verifiers, Approvals: approvals}
		return m.Body()
	}}, nil
}

// sameBoot wants a certificate to be about the claims of a bundle.
func sameBoot(c *contracts.Certificate, b *attestation.Bundle, h *attestation.Heads) error {
	kind := map[uint8]string{contracts.KindSNP: attestation.KindSNP, contracts.KindTDXQuorum: attestation.KindTDX}[c.Kind]
	switch {
	case c.ChainID != h.ChainID:
		return attestation.ChainDisagrees("the certificate is for chain %d, the bundle for chain %d", c.ChainID, h.ChainID)
	case c.Node != h.Node:
		return attestation.BadInput("the certificate is of node %v, the bundle of node %v", c.Node, h.Node)
	case c.Epoch != h.Epoch:
		return attestation.BadInput("the certificate is of epoch %d, the bundle of epoch %d", c.Epoch, h.Epoch)
	case c.ClaimsDigest != h.Digest() || c.BlockSeqno != h.BlockSeqno:
		return attestation.BadInput("the certificate is of another boot, or of earlier evidence of this one: claims %x over block %d, the bundle has %x over block %d",
			c.ClaimsDigest[:8], c.BlockSeqno, first8(h.Digest()), h.BlockSeqno)
	case evidence(b, kind) == nil:
		return attestation.BadInput("the certificate is about evidence of kind %q, the bundle holds none", kind)
	}
	return nil
}

func first8(d [32]byte) []byte { return d[:8] }

// proofOf returns what a bundle is registered by: the certificate where there is
// one, its quote otherwise.
func (o *Operator) proofOf(ctx context.Context, b *attestation.Bundle, heads *attestation.Heads, files []*certificate.File) (*proof, error) {
	if len(files) == 0 {
		rec, err := o.Record(ctx)
		if err != nil {
			return nil, err
		}
		return quoteProof(b, heads, rec.State.Current)
	}
	id, err := o.Client.ChainID(ctx)
	if err != nil {
		return nil, err
	}
	if heads.ChainID != id {
		return nil, attestation.ChainDisagrees("the bundle is for chain %d, this is chain %d", heads.ChainID, id)
	}
	root, err := o.Root(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the registry: %w", err)
	}
	return certificateProof(root, b, heads, files)
}

// certified has the verifiers certify the enclave's evidence, by files: it writes
// a request, and waits until certificates of enough of them lie beside it. When
// the evidence gets too old it asks for newer: so much newer that verifiers who
// signed before may sign again.
func (n *node) certified(ctx context.Context, proc *process) (*attestation.Bundle, []*certificate.File, error) {
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
	d := b.Digest()
	path = filepath.Join(n.Certificates, fmt.Sprintf("%x%s", d[:16], RequestSuffix))
	return path, atomicfile.Write(path, data, 0o644)
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
// they are not enough.
func (n *node) lookForCertificates(ctx context.Context, b *attestation.Bundle, heads *attestation.Heads) ([]*certificate.File, error) {
	files, err := readCertificates(n.Certificates, b.Digest())
	if err != nil {
		return nil, err
	}
	if len(files) > 0 {
		_, err := n.op.proofOf(ctx, b, heads, files)
		return files, err
	}
	head, err := n.op.Client.Head(ctx)
	if err != nil {
		return nil, err
	}
	return nil, freshBlock(head.Seqno, heads.BlockSeqno)
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
	var r *Refusal
	return errors.As(err, &r) && r.Code == contracts.CodeStaleBlock
}

// maxCertificates bounds the files of a directory that are looked at.
const maxCertificates = 1024

// readCertificates returns the certificates in a directory that are of claims
// with a digest. What can't be read is passed over: others write there.
func readCertificates(dir string, claims [32]byte) ([]*certificate.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, attestation.BadInput("the directory of certificates: %w", err)
	}
	var out []*certificate.File
	for i, e := range entries {
		if i == maxCertificates {
			return nil, attestation.BadInput("%s holds more than %d files: remove old ones", dir, maxCertificates)
		}
		if !strings.HasSuffix(e.Name(), CertificateSuffix) || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err != nil || info.Size() > certificate.MaxFileSize {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if f, err := certificate.Parse(data); err == nil && f.Certificate.ClaimsDigest == claims && f.Verify() == nil {
			out = append(out, f)
		}
	}
	return out, nil
}
