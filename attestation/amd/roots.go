package amd

import (
	"crypto/sha256"
	"crypto/x509"
	"embed"
	"encoding/pem"
	"fmt"
	"slices"
	"sync"
)

//go:embed roots/*.pem
var rootFiles embed.FS

// arkFingerprints are the SHA-256 of AMD's root certificates (ARK) in DER form.
var arkFingerprints = map[Product]string{
	Milan: "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
	Genoa: "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
	Turin: "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
}

type vendor struct {
	roots, intermediates []*x509.Certificate

	// issuer maps the digest of a built-in intermediate to the root that
	// signed it, which is checked once and not for every chain.
	issuer map[[32]byte]*x509.Certificate
}

// builtin parses and verifies AMD's constants once. It panics when a file in
// roots was changed: its ARK must be the pinned one and must have signed the
// others.
var builtin = sync.OnceValue(func() vendor {
	v := vendor{issuer: map[[32]byte]*x509.Certificate{}}
	for product, want := range arkFingerprints {
		name := map[Product]string{Milan: "milan", Genoa: "genoa", Turin: "turin"}[product]
		b, err := rootFiles.ReadFile("roots/" + name + ".pem")
		if err != nil {
			panic("amd: roots: " + err.Error())
		}
		for i := range 3 {
			p, rest := pem.Decode(b)
			c, err := x509.ParseCertificate(p.Bytes)
			if err != nil {
				panic("amd: roots: " + err.Error())
			}
			b = rest
			if i > 0 {
				root := v.roots[len(v.roots)-1]
				if err := signedBy(c, root); err != nil {
					panic("amd: roots: " + err.Error())
				}
				v.intermediates = append(v.intermediates, c)
				v.issuer[sha256.Sum256(c.Raw)] = root
				continue
			}
			if got := fmt.Sprintf("%x", sha256.Sum256(c.Raw)); got != want {
				panic("amd: roots: ARK of " + name + " is not the pinned one")
			}
			v.roots = append(v.roots, c)
		}
	}
	return v
})

// Options says what a verification accepts beyond the defaults. The zero value
// is the strict default: AMD's roots only, revocation required.
type Options struct {
	// SimulatedRoots lists the SHA-256 of DER root certificates, other than
	// AMD's, that the caller accepts. The certificate itself comes with the
	// endorsements. Facts that rest on such a root are marked simulated.
	SimulatedRoots [][32]byte

	// WithoutRevocationUnsafe accepts endorsements without a fresh revocation
	// list. A list that is there is still read, and obeyed when it revokes.
	WithoutRevocationUnsafe bool
}

func (o Options) clone() Options {
	o.SimulatedRoots = slices.Clone(o.SimulatedRoots)
	return o
}
