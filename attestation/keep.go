package attestation

import (
	"slices"
	"strings"
	"time"
)

// keepKeys returns claims with the key configurations that [Verified.KeyConfig]
// may choose from now on, and until when these are all that it needs. Of the
// thirty that an enclave claims for a month these are two: the one of now, and
// the next. What is kept shares no memory with c.
func keepKeys(c *Claims, at time.Time) (kept *Claims, until time.Time) {
	now, next := -1, -1
	for i, k := range c.Body.KeyConfigs {
		if !at.Before(k.NotAfter) && k.NotAfter.After(until) {
			until = k.NotAfter // for claims whose keys are all over
		}
		switch {
		case k.NotBefore.After(at):
			if next < 0 || k.NotBefore.Before(c.Body.KeyConfigs[next].NotBefore) {
				next = i
			}
		case at.Before(k.NotAfter):
			if now < 0 || k.NotBefore.After(c.Body.KeyConfigs[now].NotBefore) {
				now = i
			}
		}
	}
	slim := *c
	slim.Body.KeyConfigs = nil
	for _, i := range []int{now, next} {
		if i < 0 {
			continue
		}
		k := c.Body.KeyConfigs[i]
		slim.Body.KeyConfigs = append(slim.Body.KeyConfigs, k)
		if k.NotAfter.After(until) {
			until = k.NotAfter
		}
	}
	for i, k := range c.Body.KeyConfigs {
		if i != next && k.NotBefore.After(at) && k.NotBefore.Before(until) {
			until = k.NotBefore // from then on it would be chosen
		}
	}
	return slim.clone(), until
}

// Size returns about how many bytes of memory v holds that no other Verified
// shares: for caches that must be bounded.
func (v *Verified) Size() int {
	v.must()
	const fixed = 5 << 10 // facts, heads, times
	n := fixed
	for _, k := range v.claims.Body.KeyConfigs {
		n += len(k.Config) + 96
	}
	for _, m := range v.claims.Body.Models {
		n += 2 * (len(m.Name) + 64)
	}
	n += len(v.claims.Body.GPUEvidence)*32 + len(v.subject.devices)*(4<<10)
	if v.subject.tpm != nil {
		n += 4 << 10
	}
	return n + v.subject.log.size()
}

func (l *logVerdict) size() int {
	if l == nil {
		return 0
	}
	n := 128 + 96*len(l.quoted) + 8*len(l.unexplained)
	if c := l.check; c != nil {
		n += 128 + len(c.Text) + len(c.Expected) + len(c.Got)
	}
	for _, s := range l.notChecked {
		n += 16 + len(s)
	}
	for _, c := range l.components {
		n += 96 + len(c.Role) + len(c.Type) + len(c.Digest) + len(c.Text)
	}
	return n
}

// clone returns a deep copy.
func (c *Claims) clone() *Claims {
	out := *c
	out.Body.KeyConfigs = slices.Clone(c.Body.KeyConfigs)
	for i := range out.Body.KeyConfigs {
		out.Body.KeyConfigs[i].Config = slices.Clone(out.Body.KeyConfigs[i].Config)
	}
	out.Body.Models = slices.Clone(c.Body.Models)
	for i := range out.Body.Models {
		out.Body.Models[i].Name = strings.Clone(out.Body.Models[i].Name)
	}
	out.Body.GPUEvidence = slices.Clone(c.Body.GPUEvidence)
	return &out
}
