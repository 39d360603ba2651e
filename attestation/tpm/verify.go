package tpm

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// Verify proves that a TPM made the quotes of e, that their PCR values are the
// given ones, and who certified the TPM's key. It judges nothing that the quotes
// say, and it does not look at the nonce: compare with [Facts.CheckExtraData].
//
// hw is required when e has an HCL report, and must come from hardware evidence
// that the caller has verified ([Evidence.Hardware] finds it). A nil s is an
// empty set. Without an HCL report, the key needs a certificate up to a root of
// o, or has to be a development key of o.
//
// On failure the facts are nil and the error wraps a [*StepError]. A key that
// nobody certified, missing hardware evidence and outdated documents are "could
// not find out".
func Verify(e *Evidence, hw *Hardware, s *Endorsements, o Options, at time.Time) (*Facts, error) {
	if e == nil {
		return nil, inputAt(StepEvidence, "no evidence given")
	}
	if at.IsZero() {
		return nil, inputAt(StepValidity, "no time given")
	}
	if s == nil {
		s = &Endorsements{}
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	k, err := e.key()
	if err != nil {
		return nil, err
	}
	f := &Facts{Scheme: k.scheme, Hash: k.hash, At: at}
	if f.KeyDigest, err = keyDigest(k.key); err != nil {
		return nil, err
	}
	if err := f.certify(e, k, hw, s, &o, at); err != nil {
		return nil, err
	}
	if err := f.quotes(e, k); err != nil {
		return nil, err
	}
	return f, nil
}

// signer is an attestation key and the one way in which it signs.
type signer struct {
	key    crypto.PublicKey
	scheme Scheme
	hash   eventlog.Alg
	public *Public // nil when only the HCL report has the key
	hcl    *HCL    // nil without one
}

// key finds the attestation key.
func (e *Evidence) key() (*signer, error) {
	k := &signer{}
	if len(e.HCL) != 0 {
		var err error
		if k.hcl, err = ParseHCL(e.HCL); err != nil {
			return nil, err
		}
		// The paravisor makes the key with this scheme and reports no other.
		k.key, k.scheme, k.hash = k.hcl.Runtime.Key, RSASSA, eventlog.SHA256
	}
	if len(e.Public) == 0 {
		return k, nil
	}
	p, err := ParsePublic(e.Public)
	if err != nil {
		return nil, err
	}
	if err := p.checkAttributes(); err != nil {
		return nil, err
	}
	if k.hcl != nil && !k.hcl.Runtime.Key.Equal(p.Key) {
		return nil, falseAt(StepKey, "the HCL report names another key than the public area")
	}
	k.public, k.key, k.scheme, k.hash = p, p.Key, p.Scheme, p.Hash
	return k, nil
}

// certify finds out who vouches for the key. Everything that is there is
// checked: an HCL report and a certificate must both hold.
func (f *Facts) certify(e *Evidence, k *signer, hw *Hardware, s *Endorsements, o *Options, at time.Time) error {
	if k.hcl == nil && hw != nil {
		return inputAt(StepHCL, "hardware evidence given, but there is no HCL report that binds the key to it")
	}
	if k.hcl != nil {
		if hw == nil {
			return missing(StepHCL, "verified "+k.hcl.Kind.String()+" evidence of the machine", "missing")
		}
		if err := k.hcl.bind(hw); err != nil {
			return err
		}
		f.HCL = k.hcl.facts()
	}
	if len(e.Certificates) != 0 {
		c, err := verifyChain(e.Certificates, k.key, s, o, at)
		if err != nil {
			return err
		}
		f.Certificate, f.NotBefore, f.NotAfter = c, c.NotBefore, c.NotAfter
	}
	switch {
	case f.HCL != nil:
	case f.Certificate != nil:
		f.Simulated, f.Development = f.Certificate.Simulated, f.Certificate.Simulated
	case slices.Contains(o.UnsafeDevelopmentKeys, k.public.Digest()):
		f.Development = true
	default:
		return missing(StepCertification, "certificate of the attestation key, or HCL report", "missing: nobody vouches for this key")
	}
	return nil
}

// quotes verifies all quotes and takes over what they say.
func (f *Facts) quotes(e *Evidence, k *signer) error {
	f.PCRs = PCRs{}
	for i, q := range e.Quotes {
		a, err := k.verify(q)
		if err != nil {
			return err
		}
		if i > 0 {
			if err := sameBoot(&f.Quotes[0], a); err != nil {
				return err
			}
		}
		for _, s := range a.Selection {
			if len(s.PCRs) != 0 && f.PCRs[s.Bank] != nil {
				return inputAt(StepEvidence, "two quotes of PCR bank %v", s.Bank)
			}
		}
		for bank, values := range q.PCRs.Clone() {
			f.PCRs[bank] = values
		}
		f.Quotes = append(f.Quotes, *a)
	}
	f.ExtraData = clone(f.Quotes[0].ExtraData)
	if k.public != nil {
		f.Name, f.Public = k.public.Name(), k.public.Digest()
		f.Hierarchy = k.public.hierarchy(f.Quotes[0].QualifiedSigner)
	}
	return nil
}

// verify verifies one quote.
func (k *signer) verify(q Quote) (*Attest, error) {
	a, err := ParseAttest(q.Attest)
	if err != nil {
		return nil, err
	}
	sig, err := ParseSignature(q.Signature)
	if err != nil {
		return nil, err
	}
	if sig.Scheme != k.scheme || sig.Hash != k.hash {
		return nil, falseAt(StepSignature, "signed with %v and %v, the key signs with %v and %v only", sig.Scheme, sig.Hash, k.scheme, k.hash)
	}
	if err := sig.verify(k.key, q.Attest); err != nil {
		return nil, falseAt(StepSignature, "%w", err)
	}
	return a, a.checkPCRs(q.PCRs, k.hash)
}

// sameBoot checks that two quotes of one key speak of one boot and answer one
// question.
func sameBoot(a, b *Attest) error {
	if !bytes.Equal(a.QualifiedSigner, b.QualifiedSigner) {
		return falseAt(StepSignature, "the quotes are by keys of different names")
	}
	if a.ResetCount != b.ResetCount || a.RestartCount != b.RestartCount {
		return falseAt(StepSignature, "the quotes are of different boots: reset %d, restart %d, then reset %d, restart %d",
			a.ResetCount, a.RestartCount, b.ResetCount, b.RestartCount)
	}
	if !bytes.Equal(a.ExtraData, b.ExtraData) {
		return falseAt(StepSignature, "the quotes have different nonces")
	}
	return nil
}

func keyDigest(k crypto.PublicKey) ([32]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k)
	if err != nil {
		return [32]byte{}, inputAt(StepEvidence, "the key has no standard encoding")
	}
	return sha256.Sum256(der), nil
}
