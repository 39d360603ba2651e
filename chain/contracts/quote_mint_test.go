package contracts

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
	"github.com/cocoon-go/cocoon/chain/p256hint"
)

// minted is a quote in pieces, one a cell, with keys of the test's own: any
// byte may be changed and signed again, so that one thing alone is wrong.
type minted struct {
	t             testing.TB
	tbs, qe, body [][]byte
	key           []byte // attestation key and authentication data
	sgx           int    // index in tbs of the piece with the heads of SGX Extensions
	ca, pck, ak   *ecdsa.PrivateKey
	now           int64
	bound         bool // the QE report names the key: on unless a test says otherwise
	// Signatures by another key than the one that should sign.
	wrongCA, wrongPCK, wrongAK bool
}

func testKey(name string) *ecdsa.PrivateKey {
	d := sha256.Sum256([]byte("p-256 key " + name))
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		panic(err)
	}
	return k
}

func rawKey(k *ecdsa.PrivateKey) (out p256hint.Key) {
	b, err := k.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	copy(out[:], b[1:])
	return out
}

// pieces cuts b into copies of these sizes.
func pieces(b []byte, sizes []int) (out [][]byte) {
	for _, n := range sizes {
		out = append(out, slices.Clone(b[:n]))
		b = b[n:]
	}
	return out
}

// remint takes a quote apart and puts keys of the test into it.
func remint(t testing.TB, quote []byte) *minted {
	t.Helper()
	q, err := splitQuote(quote)
	if err != nil {
		t.Fatal(err)
	}
	sizes, err := cutTBS(q.tbs)
	if err != nil {
		t.Fatal(err)
	}
	body := []int{quoteHeaderSize + 64, 120, 96, 96, 96, 112}
	if q.version == 5 {
		body[0] += 6
	}
	if rest := len(q.body) - sum(body); rest > 0 {
		body = append(body, rest)
	}
	m := &minted{
		t: t, ca: testKey("ca"), pck: testKey("pck"), ak: testKey("ak"), now: tvmtest.Start, bound: true,
		tbs: pieces(q.tbs, sizes), qe: pieces(q.qeReport, []int{96, 96, 96, 96}), body: pieces(q.body, body),
	}
	pub := rawKey(m.pck)
	copy(m.tbs[4][27:], pub[:])
	ak := rawKey(m.ak)
	m.key = append(ak[:], q.auth...)
	for i, p := range m.tbs {
		if len(p) > 17 && bytes.HasPrefix(p[4:], sgxOIDHead) {
			m.sgx = i
		}
	}
	return m
}

// newMinted returns a good quote of a simulated machine.
func newMinted(t testing.TB, td sim.TD) *minted {
	t.Helper()
	return remint(t, mint(t, platform(t, "machine", sim.IntelOptions{}), td))
}

func (m *minted) sign(k *ecdsa.PrivateKey, msg [][]byte) p256hint.Signature {
	h := sha256.Sum256(bytes.Join(msg, nil))
	der, err := k.Sign(nil, h[:], crypto.SHA256)
	if err != nil {
		m.t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		m.t.Fatal(err)
	}
	var out p256hint.Signature
	rs.R.FillBytes(out[:32])
	rs.S.FillBytes(out[32:])
	return out
}

// signature signs msg. A wrong signature is a good one of another message,
// with the hints that belong to it.
func (m *minted) signature(k *ecdsa.PrivateKey, msg [][]byte, wrong bool) *cell.Cell {
	if wrong {
		msg = append(slices.Clone(msg), []byte{1})
	}
	s := m.sign(k, msg)
	h, err := p256hint.New(sha256.Sum256(bytes.Join(msg, nil)), rawKey(k), s)
	if err != nil {
		m.t.Fatal(err)
	}
	return signatureWithHint(s, h)
}

func chainOf(p [][]byte) *cell.Cell {
	var next *cell.Cell
	for _, b := range slices.Backward(p) {
		c := build().MustStoreSlice(b, uint(8*len(b)))
		if next != nil {
			c.MustStoreRef(next)
		}
		next = c.EndCell()
	}
	return next
}

func (m *minted) cells() *cell.Cell {
	m.t.Helper()
	if m.bound {
		d := sha256.Sum256(m.key)
		copy(m.qe[3][32:], d[:])
	}
	sigs := build().
		MustStoreRef(m.signature(m.ca, m.tbs, m.wrongCA)).
		MustStoreRef(m.signature(m.pck, m.qe, m.wrongPCK)).
		MustStoreRef(m.signature(m.ak, m.body, m.wrongAK)).
		MustStoreRef(build().MustStoreSlice(m.key, uint(8*len(m.key))).EndCell()).EndCell()
	return build().MustStoreRef(chainOf(m.body)).MustStoreRef(chainOf(m.qe)).MustStoreRef(chainOf(m.tbs)).MustStoreRef(sigs).EndCell()
}

func (m *minted) verifyCells(c *cell.Cell) result {
	m.t.Helper()
	ca := rawKey(m.ca)
	return call(m.t, m.now, "verify", c, new(big.Int).SetBytes(ca[:32]), new(big.Int).SetBytes(ca[32:]))
}

func (m *minted) verify() result {
	m.t.Helper()
	return m.verifyCells(m.cells())
}

// grow adds n to a length of two bytes.
func grow(b []byte, n int) {
	binary.BigEndian.PutUint16(b, uint16(int(binary.BigEndian.Uint16(b))+n))
}

// Lengths in the certificate, outermost first.
func (m *minted) tbsSize() []byte   { return m.tbs[0][2:] }
func (m *minted) outerSize() []byte { return m.tbs[4][93:] }
func (m *minted) listSize() []byte  { return m.tbs[4][97:] }
func (m *minted) sgxSize() []byte   { return m.tbs[m.sgx][2:] }
func (m *minted) octetSize() []byte { return m.tbs[m.sgx][17:] }
func (m *minted) fieldSize() []byte { return m.tbs[m.sgx][21:] }
func (m *minted) tcbSize() []byte   { return m.tbs[m.sgx][57:] }
func (m *minted) svnSize() []byte   { return m.tbs[m.sgx][73:] }

// growAll adds n to these lengths.
func growAll(n int, sizes ...[]byte) {
	for _, s := range sizes {
		grow(s, n)
	}
}

// growTo makes room for n bytes more in SGX Extensions, outside of TCB.
func (m *minted) growTo(n int) {
	growAll(n, m.tbsSize(), m.outerSize(), m.listSize(), m.sgxSize(), m.octetSize(), m.fieldSize())
}

// component encodes component n of the TCB, 17 is PCESVN.
func component(n int, content ...byte) []byte {
	id := []byte{0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01, 0x02, byte(n)}
	v := append(id, append([]byte{2, byte(len(content))}, content...)...)
	return append([]byte{0x30, byte(len(v))}, v...)
}

// integer is the content of a DER INTEGER that is not negative.
func integer(v int) []byte {
	b := []byte{byte(v)}
	for v >>= 8; v > 0; v >>= 8 {
		b = append([]byte{byte(v)}, b...)
	}
	if b[0] >= 0x80 {
		b = append([]byte{0}, b...)
	}
	return b
}

// setSVN replaces the components of the TCB, contents as given.
func (m *minted) setSVN(contents [17][]byte) {
	before, at := 0, m.sgx+1
	for i, n := range []int{6, 6, 5} {
		before += len(m.tbs[at+i])
		m.tbs[at+i] = nil
		for k := range n {
			m.tbs[at+i] = append(m.tbs[at+i], component(6*i+k+1, contents[6*i+k]...)...)
		}
		before -= len(m.tbs[at+i])
	}
	growAll(-before, m.tcbSize(), m.svnSize())
	m.growTo(-before)
}

// setTime replaces the validity; GeneralizedTime from 2050 on, or if told.
func (m *minted) setTime(from, to time.Time, general bool) {
	enc := func(t time.Time) []byte {
		t = t.UTC()
		if general || t.Year() >= 2050 {
			return append([]byte{0x18, 15}, t.Format("20060102150405Z")...)
		}
		return append([]byte{0x17, 13}, t.Format("060102150405Z")...)
	}
	v := append(enc(from), enc(to)...)
	grow(m.tbsSize(), len(v)+2-len(m.tbs[2]))
	m.tbs[2] = append([]byte{0x30, byte(len(v))}, v...)
}
