package tpm

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"
)

// checkRevocation looks c up in the newest revocation list of its issuer that is
// in force. A certificate that names no list, and of which none was given,
// cannot be revoked; the facts count it.
func (out *Certificate) checkRevocation(c, issuer *x509.Certificate, e *Endorsements, o *Options, at time.Time) error {
	what := fmt.Sprintf("revocation list of %q", c.Issuer)
	list, inForce := selectList(issuer, e.set.CRLs, at)
	if list == nil {
		switch {
		case len(c.CRLDistributionPoints) == 0:
			out.Revocation.Unlisted++
			return nil
		case o.WithoutRevocationUnsafe:
			out.Revocation.Skipped++
			return nil
		}
		return missing(StepRevocation, what, "missing", c.CRLDistributionPoints...)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return falseAt(StepRevocation, "%s: not signed by it: %w", what, err)
	}
	for _, x := range list.Extensions {
		if x.Critical { // RFC 5280, section 5.2: such a list must not be used
			return missing(StepRevocation, what, fmt.Sprintf("has the unknown critical extension %v", x.Id), c.CRLDistributionPoints...)
		}
	}
	if t, ok := revoked(list, c.SerialNumber); ok {
		return falseAt(StepRevocation, "the certificate of %q with serial number %x was revoked at %s", c.Subject, c.SerialNumber, day(t))
	}
	if !inForce && o.WithoutRevocationUnsafe {
		out.Revocation.Skipped++
		return nil
	}
	if err := out.narrow(StepRevocation, what, list.ThisUpdate, list.NextUpdate, at, c.CRLDistributionPoints...); err != nil {
		return err
	}
	out.Revocation.Checked++
	if r := &out.Revocation; r.ThisUpdate.IsZero() || list.ThisUpdate.Before(r.ThisUpdate) {
		r.ThisUpdate = list.ThisUpdate
	}
	return nil
}

// selectList returns the newest list of issuer that is in force at a time, or
// else the one that ended last.
func selectList(issuer *x509.Certificate, lists []*x509.RevocationList, at time.Time) (list *x509.RevocationList, inForce bool) {
	for _, l := range lists {
		if !bytes.Equal(l.RawIssuer, issuer.RawSubject) || !bytes.Equal(l.AuthorityKeyId, issuer.SubjectKeyId) {
			continue // another authority's, or of another key of it
		}
		now := !at.Before(l.ThisUpdate) && !at.After(l.NextUpdate)
		switch {
		case list == nil, now && !inForce:
		case now == inForce && l.ThisUpdate.After(list.ThisUpdate):
		default:
			continue
		}
		list, inForce = l, now
	}
	return list, inForce
}

func revoked(l *x509.RevocationList, serial *big.Int) (time.Time, bool) {
	for _, x := range l.RevokedCertificateEntries {
		if x.SerialNumber.Cmp(serial) == 0 {
			return x.RevocationTime, true
		}
	}
	return time.Time{}, false
}
