package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// Attributes of an object (TPMA_OBJECT, TPM2 part 2, 8.3).
type Attributes uint32

// The attributes that matter for a key that signs.
const (
	FixedTPM            Attributes = 1 << 1  // never leaves its TPM
	FixedParent         Attributes = 1 << 4  // never gets another parent
	SensitiveDataOrigin Attributes = 1 << 5  // the TPM made the private part
	Restricted          Attributes = 1 << 16 // signs only digests that the TPM made
	Decrypt             Attributes = 1 << 17
	Sign                Attributes = 1 << 18
	X509Sign            Attributes = 1 << 19

	attributesKnown Attributes = 0x000f0ff6 // up to library version 1.83; the others are reserved and zero
	attributesAK               = FixedTPM | FixedParent | SensitiveDataOrigin | Restricted | Sign
)

var attributeNames = []struct {
	bit  Attributes
	name string
}{
	{FixedTPM, "fixedTPM"}, {FixedParent, "fixedParent"}, {SensitiveDataOrigin, "sensitiveDataOrigin"},
	{Restricted, "restricted"}, {Decrypt, "decrypt"}, {Sign, "sign"}, {X509Sign, "x509sign"},
}

// Public is the public area of an attestation key (TPMT_PUBLIC, TPM2 part 2,
// 12.2.4). It proves nothing by itself.
type Public struct {
	NameAlg    eventlog.Alg
	Attributes Attributes
	AuthPolicy []byte
	Scheme     Scheme       // fixed: the only one that the key signs with
	Hash       eventlog.Alg // of the scheme
	Key        crypto.PublicKey

	raw []byte
}

// The curves of attestation keys (TCG Algorithm Registry, table 4).
var curves = map[uint16]elliptic.Curve{3: elliptic.P256(), 4: elliptic.P384(), 5: elliptic.P521()}

// ParsePublic reads the TPMT_PUBLIC of a signing key with a fixed scheme, and
// nothing after it: RSA of 2048 to 4096 bits or ECC on P-256, P-384, P-521.
// A TPM2B_PUBLIC has two more bytes in front. Errors are bad input.
func ParsePublic(b []byte) (*Public, error) {
	if len(b) > MaxPublic {
		return nil, inputAt(StepEvidence, "public area of %d bytes, at most %d", len(b), MaxPublic)
	}
	r := newReader(b)
	p := &Public{raw: clone(b)}
	typ := r.U16()
	p.NameAlg, p.Attributes, p.AuthPolicy = eventlog.Alg(r.U16()), Attributes(r.U32()), clone(r.sized())
	symmetric := r.U16()
	switch {
	case r.Short:
		return nil, inputAt(StepEvidence, "truncated public area")
	case typ != algRSA && typ != algECC:
		return nil, inputAt(StepEvidence, "public area of type %#04x; RSA and ECC keys are known", typ)
	case p.NameAlg.Hash() == 0:
		return nil, inputAt(StepEvidence, "public area: name algorithm %v", p.NameAlg)
	case p.Attributes&^attributesKnown != 0:
		return nil, inputAt(StepEvidence, "public area: reserved attributes %#x", uint32(p.Attributes&^attributesKnown))
	case len(p.AuthPolicy) != 0 && len(p.AuthPolicy) != p.NameAlg.Hash().Size():
		return nil, inputAt(StepEvidence, "public area: policy of %d bytes", len(p.AuthPolicy))
	case symmetric != algNull:
		return nil, inputAt(StepEvidence, "public area: symmetric algorithm %#04x: a storage key, which signs nothing", symmetric)
	}
	if err := p.parseKey(r, typ); err != nil {
		return nil, inputAt(StepEvidence, "public area: %w", err)
	}
	return p, nil
}

func (p *Public) parseKey(r *reader, typ uint16) (err error) {
	p.Scheme = Scheme(r.U16())
	if typ == algRSA && p.Scheme != RSASSA && p.Scheme != RSAPSS || typ == algECC && p.Scheme != ECDSA {
		return fmt.Errorf("no fixed signing scheme for this type of key: %v", p.Scheme)
	}
	if p.Hash = eventlog.Alg(r.U16()); !signingHash(p.Hash) {
		return fmt.Errorf("scheme with hash %v", p.Hash)
	}
	if typ == algRSA {
		p.Key, err = parseRSA(r)
	} else {
		p.Key, err = parseECC(r)
	}
	if err == nil && !r.Done() {
		err = fmt.Errorf("wrong length")
	}
	return err
}

func parseRSA(r *reader) (crypto.PublicKey, error) {
	bits, exponent, n := r.U16(), r.U32(), r.sized()
	if r.Short {
		return nil, fmt.Errorf("truncated")
	}
	if exponent != 0 && exponent != 65537 { // 0 is the TPM's way of writing 65537
		return nil, fmt.Errorf("RSA exponent %d, want 65537", exponent)
	}
	return rsaKey(n, int(bits))
}

// rsaKey makes a key of the given size out of a modulus without leading zeros.
func rsaKey(n []byte, bits int) (*rsa.PublicKey, error) {
	if bits != 2048 && bits != 3072 && bits != 4096 {
		return nil, fmt.Errorf("RSA key of %d bits; 2048, 3072 and 4096 are allowed", bits)
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}
	if len(n) != bits/8 || k.N.BitLen() != bits || k.N.Bit(0) == 0 {
		return nil, fmt.Errorf("RSA modulus is not an odd number of %d bits", bits)
	}
	return k, nil
}

func parseECC(r *reader) (crypto.PublicKey, error) {
	id, kdf, x, y := r.U16(), r.U16(), r.sized(), r.sized()
	if r.Short {
		return nil, fmt.Errorf("truncated")
	}
	curve := curves[id]
	if curve == nil || kdf != algNull {
		return nil, fmt.Errorf("curve %#04x with key derivation %#04x; P-256, P-384 and P-521 without are known", id, kdf)
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) > size || len(y) > size {
		return nil, fmt.Errorf("coordinates of %d and %d bytes, at most %d", len(x), len(y), size)
	}
	point := make([]byte, 1+2*size)
	point[0] = 4
	copy(point[1+size-len(x):], x)
	copy(point[1+2*size-len(y):], y)
	k, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, fmt.Errorf("not a point on the curve")
	}
	return k, nil
}

// checkAttributes refuses keys that would sign a forged quote: one that is not
// restricted signs any digest that its user gives it.
func (p *Public) checkAttributes() error {
	var lack []string
	for _, a := range attributeNames {
		if attributesAK&^p.Attributes&a.bit != 0 {
			lack = append(lack, a.name)
		}
	}
	if len(lack) != 0 {
		return falseAt(StepKey, "the key is not an attestation key: it lacks %s", strings.Join(lack, ", "))
	}
	if p.Attributes&(Decrypt|X509Sign) != 0 {
		return falseAt(StepKey, "the key is not an attestation key: it also decrypts or signs certificates")
	}
	return nil
}

// Bytes returns the TPMT_PUBLIC.
func (p *Public) Bytes() []byte { return clone(p.raw) }

// Digest returns SHA-256 of the TPMT_PUBLIC, by which a caller names a key.
func (p *Public) Digest() [32]byte { return sha256.Sum256(p.raw) }

// Name returns the name of the object: name algorithm and digest of the public
// area (TPM2 part 1, 16.1).
func (p *Public) Name() []byte { return p.name(p.raw) }

func (p *Public) name(parts ...[]byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(p.NameAlg)), digestOf(p.NameAlg, parts...)...)
}

// Hierarchy is the seed that a primary key comes from. The zero value is
// unknown: the key is not a primary key.
type Hierarchy uint32

// The hierarchies (TPM2 part 2, 7.4).
const (
	HierarchyOwner       Hierarchy = 0x40000001
	HierarchyNull        Hierarchy = 0x40000007
	HierarchyEndorsement Hierarchy = 0x4000000b
	HierarchyPlatform    Hierarchy = 0x4000000c
)

// String returns "owner", "null", "endorsement", "platform" or "unknown".
func (h Hierarchy) String() string {
	switch h {
	case HierarchyOwner:
		return "owner"
	case HierarchyNull:
		return "null"
	case HierarchyEndorsement:
		return "endorsement"
	case HierarchyPlatform:
		return "platform"
	}
	return "unknown"
}

// hierarchy returns the hierarchy under which the key has the given qualified
// name (TPM2 part 1, 16.2). A match means that the TPM that signed knows the key
// with exactly this public area, attributes included.
func (p *Public) hierarchy(qualified []byte) Hierarchy {
	name := p.Name()
	for _, h := range []Hierarchy{HierarchyOwner, HierarchyNull, HierarchyEndorsement, HierarchyPlatform} {
		if bytes.Equal(qualified, p.name(binary.BigEndian.AppendUint32(nil, uint32(h)), name)) {
			return h
		}
	}
	return 0
}
