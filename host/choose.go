package host

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"errors"
	"slices"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// certified is one certificate with the signatures that the registry counts.
type certified struct {
	contracts.Certificate
	approvals contracts.Approvals
	others    map[[32]byte]bool // who else signed
}

// choose returns the first certificate that enough members of a set signed, and
// that is usable. Files of one certificate count together. The longest
// registration comes first, then the smaller digest: the same files give the same
// certificate.
func choose(files []*certificate.File, set contracts.VerifierSet, usable func(*contracts.Certificate) error) (*certified, error) {
	if len(files) == 0 {
		return nil, attestation.BadInput("no certificate")
	}
	var reasons []error
	all := group(files, set)
	for _, c := range all {
		err := usable(&c.Certificate)
		if err == nil {
			err = c.enough(set)
		}
		if err == nil {
			return c, nil
		}
		if reasons = append(reasons, err); len(reasons) == maxReasons {
			break
		}
	}
	if len(all) > 1 {
		reasons = append(reasons, attestation.BadInput("there are %d different certificates: signatures count together only under the same one", len(all)))
	}
	return nil, errors.Join(reasons...)
}

// maxReasons is how many certificates an error tells of.
const maxReasons = 4

// group puts the signatures of files together by what they certify.
func group(files []*certificate.File, set contracts.VerifierSet) []*certified {
	by := map[contracts.Certificate]*certified{}
	var out []*certified
	for _, f := range files {
		c := by[f.Certificate]
		if c == nil {
			c = &certified{Certificate: f.Certificate, approvals: contracts.Approvals{}, others: map[[32]byte]bool{}}
			by[f.Certificate] = c
			out = append(out, c)
		}
		c.add(f, set)
	}
	slices.SortFunc(out, func(a, b *certified) int {
		x, y := a.Digest(), b.Digest()
		return cmp.Or(cmp.Compare(b.Expiry, a.Expiry), bytes.Compare(x[:], y[:]))
	})
	return out
}

// add takes the signatures of a file that count: those of members that hold.
func (c *certified) add(f *certificate.File, set contracts.VerifierSet) {
	approvals := approvalsOf(f, set)
	for i, s := range approvals {
		c.approvals[i] = s
	}
	for k := range f.Signatures {
		if i, ok := memberOf(set, k); !ok || approvals[i] == ([64]byte{}) {
			c.others[k] = true
		}
	}
}

// approvalsOf returns the signatures of a file that are of members of a set and
// hold.
func approvalsOf(f *certificate.File, set contracts.VerifierSet) contracts.Approvals {
	out := contracts.Approvals{}
	d := f.Certificate.Digest()
	for i, k := range set.Quorum.Keys {
		if s, ok := f.Signatures[k]; ok && ed25519.Verify(k[:], d[:], s[:]) {
			out[i] = s
		}
	}
	return out
}

// memberOf returns the number of a key in a set.
func memberOf(set contracts.VerifierSet, key [32]byte) (uint8, bool) {
	for i, k := range set.Quorum.Keys {
		if k == key {
			return i, true
		}
	}
	return 0, false
}

// enough reports why a certificate does not suffice for a set, if it does not.
func (c *certified) enough(set contracts.VerifierSet) error {
	switch need := int(set.Quorum.Threshold); {
	case c.Set != set.Number:
		return attestation.Refused("the certificate is of verifier set %d, the registry has set %d: ask the verifiers again", c.Set, set.Number)
	case len(c.approvals) < need || need == 0:
		return attestation.Refused("the certificate is signed by %d verifiers that the registry counts, %d are needed; %d other signatures are of verifiers without stake or of strangers",
			len(c.approvals), need, len(c.others))
	}
	return nil
}
