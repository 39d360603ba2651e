package amd

import (
	"fmt"
	"time"
)

// Each visits every document of the set, in the order given: its kind, what it
// is for, and its validity, ends included. Nothing of it is verified.
func (e *Endorsements) Each(visit func(kind, subject string, notBefore, notAfter time.Time)) {
	for _, c := range e.set.Certs {
		subject := c.Subject.CommonName
		if l, err := parseLeaf(c); err == nil {
			subject += fmt.Sprintf(", %s, TCB %s", l.product, l.tcb)
		}
		visit("certificate", subject, c.NotBefore, c.NotAfter)
	}
	for _, l := range e.set.CRLs {
		visit("revocation list", l.Issuer.CommonName, l.ThisUpdate, l.NextUpdate)
	}
}
