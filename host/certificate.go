package host

import (
	"context"
	"fmt"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/registry"
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
	check contracts.Check // what the registry will judge
	body  func(query uint64) (*cell.Cell, error)
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
	check := contracts.Check{Kind: contracts.KindTDX, Measurement: info.Measurement, PlatformID: info.PlatformID, Authority: info.CA.Digest(), TDX: &contracts.CheckTDX{FMSPC: info.FMSPC, TCB: info.TCB}}
	return &proof{check, func(query uint64) (*cell.Cell, error) { return body(quote, heads, query) }}, nil
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
// first: a refusal costs nothing. Files that are of no use don't hurt: the first
// certificate with which the contracts would register is taken. That there is none
// is an [*uncertifiedError].
func certificateProof(root *registry.Root, b *attestation.Bundle, heads *attestation.Heads, files []*certificate.File) (*proof, error) {
	if err := freshBlock(root.At.Seqno, heads.BlockSeqno); err != nil {
		return nil, err
	}
	s := root.State
	switch {
	case s.Paused:
		return nil, foreseen(contracts.CodePaused, "registry %v takes no registrations now", root.Address)
	case s.Verifiers == nil:
		return nil, foreseen(contracts.CodeVerifierSet, "registry %v has no verifiers", root.Address)
	}
	c, err := choose(files, *s.Verifiers, func(c *contracts.Certificate) error { return usable(c, root, b, heads) })
	if err != nil {
		return nil, &uncertifiedError{err}
	}
	check := contracts.Check{Kind: c.Kind, Measurement: c.Measurement, PlatformID: c.PlatformID, Authority: [32]byte(s.Verifiers.Cell().Hash())}
	return &proof{check, func(query uint64) (*cell.Cell, error) {
		m := &contracts.RegisterQuorum{QueryID: query, Heads: heads, Certificate: c.Certificate, Verifiers: *s.Verifiers, Approvals: c.approvals}
		return m.Body()
	}}, nil
}

// uncertifiedError says that certificates do not suffice, or not any more: others
// may.
type uncertifiedError struct{ err error }

func (e *uncertifiedError) Error() string { return e.err.Error() }
func (e *uncertifiedError) Unwrap() error { return e.err }

// usable looks at a certificate as the contracts will, signatures apart.
func usable(c *contracts.Certificate, root *registry.Root, b *attestation.Bundle, heads *attestation.Heads) error {
	if err := sameBoot(c, b, heads); err != nil {
		return err
	}
	switch {
	case int64(c.Expiry) <= root.At.Time.Unix():
		return foreseen(contracts.CodeExpired, "the certificate was good until %s", time.Unix(int64(c.Expiry), 0).UTC().Format(time.RFC3339))
	case root.State.Measurements[c.Measurement].Flags&contracts.MeasurementAccepted == 0:
		return foreseen(contracts.CodeMeasurement, "registry %v does not list measurement %x", root.Address, c.Measurement)
	}
	return nil
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
