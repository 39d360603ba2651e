package sim

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509/pkix"
	"fmt"
	"io"
)

// NewMachine makes one more machine of p: with a PPID, PCK and attestation key
// of its own, under the same root, CA and signer, so that the documents of p
// are good for it too. Its certificate is valid as long as that of p.
func (p *Intel) NewMachine(r io.Reader) (*Intel, error) {
	if r == nil {
		r = rand.Reader
	}
	q := *p
	m := &minter{r: r, from: p.pck.NotBefore, to: p.pck.NotAfter}
	for _, k := range []**ecdsa.PrivateKey{&q.pckKey, &q.ak} {
		*k = m.key()
	}
	m.read(q.ppid[:])
	ext, err := q.sgxExtension()
	if err != nil {
		return nil, err
	}
	caKind := "platform"
	if p.processor {
		caKind = "processor"
	}
	q.pck = m.certificate("pck", p.pck.Subject.CommonName, q.pckKey, p.ca, p.caKey, fmt.Sprintf(pckCRLURL, caKind), -1,
		pkix.Extension{Id: oidSGX, Value: ext})
	return &q, m.err
}
