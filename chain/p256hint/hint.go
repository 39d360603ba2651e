// Package p256hint computes the hints with which a TON contract checks an ECDSA
// signature over P-256 for a given digest (docs/spec/p256.md).
//
// TVM's own opcode hashes its input once more, so it can't check a signature of
// a message longer than one cell. The contract chain/contracts/p256.tolk asks
// the opcode three other questions instead, and needs four numbers to put them:
// the inverse of r, a point, and a slope. The contract trusts none of them;
// wrong hints only make it refuse. Everything here is public data, so nothing
// runs in constant time.
package p256hint

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Key is a public key, x || y, big-endian.
type Key [64]byte

// Signature is r || s, big-endian.
type Signature [64]byte

// Hint is what a contract needs beside digest, key and signature, big-endian.
type Hint struct {
	RInverse [32]byte // r^-1 mod n
	DX, DY   [32]byte // D = kG, k = (digest - z1)/r mod n
	Slope    [32]byte // (dy - qy)/(dx - qx) mod p
}

var (
	order = elliptic.P256().Params().N
	prime = elliptic.P256().Params().P
	gx    = elliptic.P256().Params().Gx
	z1    = new(big.Int).SetBytes(digestOf(1))
	z2    = new(big.Int).SetBytes(digestOf(2))
)

// digestOf is what the opcode computes for a small number: SHA-256 of its 32
// bytes.
func digestOf(n byte) []byte {
	var b [32]byte
	b[31] = n
	d := sha256.Sum256(b[:])
	return d[:]
}

// New computes the hint for a signature of digest. The error is an
// [fault.InputError] when key is no point of the curve, a [fault.FalseError]
// when the signature does not hold, and an [fault.UnknownError] when it holds
// and yet has no hint; for a digest of something nobody could choose the
// latter happens with probability about 2^-254.
func New(digest [32]byte, key Key, sig Signature) (Hint, error) {
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, key[:]...))
	if err != nil {
		return Hint{}, fault.BadInput("P-256 hint: the key is no point of the curve")
	}
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	if !ecdsa.Verify(pub, digest[:], r, s) {
		return Hint{}, fault.False("P-256 hint: the signature does not hold")
	}
	z := new(big.Int).SetBytes(digest[:])
	qx, qy := new(big.Int).SetBytes(key[:32]), new(big.Int).SetBytes(key[32:])
	rInverse := new(big.Int).ModInverse(r, order)
	k := new(big.Int).Sub(z, z1)
	k.Mul(k, rInverse).Mod(k, order)
	dx, dy, ok := baseMult(k)
	if !ok || dx.Cmp(qx) == 0 || !questionable(k) {
		return Hint{}, fault.Unknown("P-256 hint: the signature is one of the few that contracts can't check")
	}
	slope := new(big.Int).Sub(dx, qx)
	slope.ModInverse(slope.Mod(slope, prime), prime)
	slope.Mul(slope, new(big.Int).Sub(dy, qy)).Mod(slope, prime)
	var h Hint
	rInverse.FillBytes(h.RInverse[:])
	dx.FillBytes(h.DX[:])
	dy.FillBytes(h.DY[:])
	slope.FillBytes(h.Slope[:])
	return h, nil
}

// questionable reports whether both questions that pin kG have an s other than 0.
func questionable(k *big.Int) bool {
	for _, zi := range []*big.Int{z1, z2} {
		s := new(big.Int).Mul(k, gx)
		if s.Add(s, zi).Mod(s, order).Sign() == 0 {
			return false
		}
	}
	return true
}

// baseMult returns the coordinates of kG; it is false for k = 0.
func baseMult(k *big.Int) (x, y *big.Int, ok bool) {
	priv, err := ecdh.P256().NewPrivateKey(k.FillBytes(make([]byte, 32)))
	if err != nil {
		return nil, nil, false
	}
	b := priv.PublicKey().Bytes() // 4 || x || y
	return new(big.Int).SetBytes(b[1:33]), new(big.Int).SetBytes(b[33:]), true
}
