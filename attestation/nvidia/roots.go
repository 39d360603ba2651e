package nvidia

import (
	"crypto/sha256"
	"crypto/x509"
	"embed"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"sync"
)

//go:embed roots/*.pem
var rootFiles embed.FS

// role is what a root certificate is trusted for. A root of one role is nothing
// in the other: the names differ, and the name is part of what is pinned.
type role struct {
	name string // common name of the root
	file string
	pin  string // SHA-256 of NVIDIA's certificate in DER form
}

// NVIDIA's two roots.
var (
	deviceRole = &role{"NVIDIA Device Identity CA", "device-identity.pem",
		"102bf659d5419614c9d8e6aecebc80454eb26b1df6a769ac720b9a690b167b48"}
	rimRole = &role{"NVIDIA CoRIM signing Root CA", "corim-signing.pem",
		"12977b5115acb0381179279fffeb5a8c4d264971ebb32298023a465fa41df5d1"}
)

// builtin parses NVIDIA's roots once. It panics when a file in roots is not the
// pinned certificate.
var builtin = sync.OnceValue(func() map[*role]*x509.Certificate {
	m := map[*role]*x509.Certificate{}
	for _, r := range []*role{deviceRole, rimRole} {
		b, err := rootFiles.ReadFile("roots/" + r.file)
		if err != nil {
			panic("nvidia: roots: " + err.Error())
		}
		p, _ := pem.Decode(b)
		c, err := x509.ParseCertificate(p.Bytes)
		if err != nil {
			panic("nvidia: roots: " + err.Error())
		}
		if d := sha256.Sum256(c.Raw); hex.EncodeToString(d[:]) != r.pin || c.Subject.CommonName != r.name {
			panic("nvidia: roots: " + r.file + " is not the pinned certificate")
		}
		m[r] = c
	}
	return m
})

// DeviceRoot returns the SHA-256 of NVIDIA's root of devices.
func DeviceRoot() [32]byte { return sha256.Sum256(builtin()[deviceRole].Raw) }

// RIMRoot returns the SHA-256 of NVIDIA's root of RIM documents.
func RIMRoot() [32]byte { return sha256.Sum256(builtin()[rimRole].Raw) }

// trust says whether c may end a chain of this role: it is NVIDIA's root, or one
// of the same name that the caller named, which is then a simulated one.
func (r *role) trust(c *x509.Certificate, o *Options) (simulated bool, err error) {
	if c.Equal(builtin()[r]) {
		return false, nil
	}
	d := sha256.Sum256(c.Raw)
	if c.Subject.CommonName == r.name && slices.Contains(o.SimulatedRoots, d) {
		return true, nil
	}
	return false, falseAt(StepRoot, "the chain ends at root sha256:%x (%q), which is neither %q of NVIDIA nor named by the caller", d, c.Subject.CommonName, r.name)
}
