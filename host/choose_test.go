package host

import (
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// edited returns a certificate file like those of b but for a change.
func (b *certifiedBoot) edited(edit func(*contracts.Certificate), who ...string) *certificate.File {
	o := *b
	edit(&o.cert)
	return o.signed(who...)
}

// forged has signatures of these verifiers that don't hold.
func (b *certifiedBoot) forged(who ...string) *certificate.File {
	f := b.signed(who...)
	for k := range f.Signatures {
		f.Signatures[k] = [64]byte{1}
	}
	return f
}

// TestChoose: what strangers and other certificates add does not keep a good
// certificate from being taken, in whatever order the files come.
func TestChoose(t *testing.T) {
	b := newCertifiedBoot(t)
	later := func(c *contracts.Certificate) { c.Expiry += 100 }
	for name, bad := range map[string]*certificate.File{
		"a stranger's":                 b.signed("x"),
		"a stranger's, other expiry":   b.edited(later, "x", "y"),
		"a member's, other expiry":     b.edited(later, "a"),
		"another set":                  b.edited(func(c *contracts.Certificate) { c.Set = 2 }, "a", "b"),
		"the set before":               b.edited(func(c *contracts.Certificate) { c.Set = 0 }, "a", "b"),
		"expired":                      b.edited(func(c *contracts.Certificate) { c.Expiry -= 100 }, "a", "b"),
		"another node":                 b.edited(func(c *contracts.Certificate) { c.Node.Hash[0]++; c.Expiry++ }, "a", "b"),
		"a measurement not listed":     b.edited(func(c *contracts.Certificate) { c.Measurement[0] = 9; c.Expiry++ }, "a", "b"),
		"forged":                       b.forged("a", "b"),
		"forged, other expiry":         func() *certificate.File { o := *b; later(&o.cert); return o.forged("a", "b") }(),
		"one of two, and forged other": func() *certificate.File { f := b.forged("b"); return f }(),
		"as many as a file can hold":   b.signed(strings.Split("c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7", " ")...),
	} {
		t.Run(name, func(t *testing.T) {
			good := []*certificate.File{b.signed("a"), b.signed("b")}
			for _, files := range [][]*certificate.File{{bad, good[0], good[1]}, {good[0], bad, good[1]}, {good[0], good[1], bad}} {
				p, err := b.prove(files...)
				if err != nil || p.check.PlatformID != b.cert.PlatformID {
					t.Errorf("%+v, %v", p, err)
				}
			}
		})
	}
}

// TestChooseLongest: of two good certificates the one that is good for longer is
// taken, whichever comes first; of two that are the same so far, always the same.
func TestChooseLongest(t *testing.T) {
	b := newCertifiedBoot(t)
	var all []*certificate.File
	for i := range 8 { // so many that the order of their digests is another
		all = append(all, b.edited(func(c *contracts.Certificate) { c.Expiry += uint32(i) }, "a", "b"))
	}
	set := *b.root.State.Verifiers
	any := func(*contracts.Certificate) error { return nil }
	for range 2 {
		x, err := choose(all, set, any)
		if err != nil || x.Expiry != b.cert.Expiry+7 {
			t.Errorf("%+v, %v", x, err)
		}
		slices.Reverse(all)
	}
	twins := []*certificate.File{b.signed("a", "b"), b.edited(func(c *contracts.Certificate) { c.PlatformID[0]++ }, "a", "b")}
	x, err := choose(twins, set, any)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(twins)
	if y, err := choose(twins, set, any); err != nil || x.Certificate != y.Certificate {
		t.Errorf("%+v and %+v, %v", x, y, err)
	}
}

// TestChooseTooFew: signatures under different certificates don't add up, and the
// reasons say so.
func TestChooseTooFew(t *testing.T) {
	b := newCertifiedBoot(t)
	later := func(c *contracts.Certificate) { c.Expiry += 100 }
	for _, tc := range []struct {
		name  string
		files []*certificate.File
		want  []string
	}{
		{"split", []*certificate.File{b.signed("a"), b.edited(later, "b")}, []string{"signed by 1 verifiers", "2 different certificates: signatures count together only under the same one"}},
		{"forged", []*certificate.File{b.signed("a"), b.forged("b")}, []string{"signed by 1 verifiers", "1 other signatures"}},
		{"strangers", []*certificate.File{b.signed("x", "y")}, []string{"signed by 0 verifiers", "2 other signatures"}},
	} {
		p, err := b.prove(tc.files...)
		if p != nil || attestation.ExitCode(err) != 4 {
			t.Errorf("%s: %+v, %v", tc.name, p, err)
			continue
		}
		for _, w := range tc.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q", tc.name, err, w)
			}
		}
	}
	var many []*certificate.File
	for i := range 64 {
		many = append(many, b.edited(func(c *contracts.Certificate) { c.Expiry += uint32(i) }, "x"))
	}
	if _, err := b.prove(many...); err == nil || len(err.Error()) > 2000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}
