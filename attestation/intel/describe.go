package intel

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Each visits every document of the set, in a stable order: its kind, what it is
// for, and its validity, ends included. Nothing of it is verified.
func (e *Endorsements) Each(visit func(kind, subject string, notBefore, notAfter time.Time)) {
	for _, c := range slices.Concat(e.signers, e.pcks) {
		subject := c.Subject.CommonName
		if p, err := parsePlatform(c); err == nil {
			subject += fmt.Sprintf(", FMSPC %x", p.FMSPC)
		}
		visit("certificate", subject, c.NotBefore, c.NotAfter)
	}
	for _, issuer := range slices.Sorted(maps.Keys(e.crls)) {
		for _, c := range e.crls[issuer] {
			visit("revocation list", c.list.Issuer.CommonName, c.valid.from, c.valid.to)
		}
	}
	keys := slices.SortedFunc(maps.Keys(e.tcbs), func(a, b tcbKey) int {
		return strings.Compare(a.String(), b.String())
	})
	for _, k := range keys {
		for _, d := range e.tcbs[k] {
			visit("TCB info", fmt.Sprintf("%s, evaluation %d", k, d.tcb.evaluation), d.tcb.issued, d.tcb.nextUpdate)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.qes)) {
		for _, d := range e.qes[id] {
			visit("QE identity", fmt.Sprintf("%s, evaluation %d", id, d.qe.evaluation), d.qe.issued, d.qe.nextUpdate)
		}
	}
}

func (k tcbKey) String() string { return fmt.Sprintf("%s, FMSPC %x", k.id, k.fmspc) }
