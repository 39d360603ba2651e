package nvidia

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Each visits every document of the set, in a stable order: its kind, what it is
// for, and its validity, ends included; that of a RIM document is its
// certificates'. Nothing of it is verified.
func (e *Endorsements) Each(visit func(kind, subject string, notBefore, notAfter time.Time)) {
	for _, c := range e.certs {
		visit("certificate", c.Subject.CommonName, c.NotBefore, c.NotAfter)
	}
	for _, d := range e.rims {
		var from, to time.Time
		for _, c := range d.signed.certs {
			if c.NotBefore.After(from) {
				from = c.NotBefore
			}
			if to.IsZero() || c.NotAfter.Before(to) {
				to = c.NotAfter
			}
		}
		visit("RIM document", fmt.Sprintf("%s %s, version %s", d.Product, d.Edition, d.Version), from, to)
	}
	for _, serial := range slices.Sorted(maps.Keys(e.responses.bySerial)) {
		for _, r := range e.responses.bySerial[serial] {
			visit("OCSP response", "serial number "+r.SerialNumber.Text(16), r.ThisUpdate, r.until())
		}
	}
	for i, t := range e.tokens {
		from, to := tokenTimes(t)
		visit("tokens", fmt.Sprintf("of the remote attestation service, set %d", i+1), from, to)
	}
	if e.keys == nil {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(e.keys.keys)) {
		c := e.keys.keys[id].cert
		visit("key", "of the remote attestation service, "+id, c.NotBefore, c.NotAfter)
	}
}
