package tpm

import "time"

// Each visits every document of the set, in the order given: its kind, whose it
// is, and its validity, ends included. Nothing of it is verified.
func (e *Endorsements) Each(visit func(kind, subject string, notBefore, notAfter time.Time)) {
	for _, c := range e.set.Certs {
		visit("certificate", c.Subject.String(), c.NotBefore, c.NotAfter)
	}
	for _, l := range e.set.CRLs {
		visit("revocation list", l.Issuer.String(), l.ThisUpdate, l.NextUpdate)
	}
}
