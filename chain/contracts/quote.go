package contracts

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math"
	"math/big"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/chain/p256hint"
)

// Sizes in bytes of what a quote is made of (Intel, "TDX DCAP quoting library
// API", appendix 3).
const (
	quoteHeaderSize = 48
	bodyTD10Size    = 584
	bodyTD15Size    = 648
	qeReportSize    = 384
	maxQuoteSize    = 64 << 10 // enough for any genuine quote with its chain
	qeAuthSize      = 32       // QE authentication data, the only size that contracts read
)

// QuoteCells encodes a TDX quote as Node's mode A registration takes it
// (docs/spec/quote-onchain.md), and returns the key of the PCK CA that signed
// its certificate. It takes quotes of version 4, and of version 5 with body
// types 2 and 3. Bytes after the quote are ignored.
//
// Signatures are checked on the way, so that nobody pays for a contract's
// refusal; whether the CA is Intel's, and what the quote says, is not. A
// malformed quote is an [fault.InputError], a signature that does not hold an
// [fault.FalseError].
func QuoteCells(quote []byte) (*cell.Cell, p256hint.Key, error) {
	q, err := splitQuote(quote)
	if err != nil {
		return nil, p256hint.Key{}, err
	}
	c, err := q.cell()
	return c, q.caKey, err
}

// quoteParts is a quote cut where its signatures begin and end.
type quoteParts struct {
	version  uint16
	body     []byte // header, and body with its descriptor: what the attestation key signed
	bodySig  p256hint.Signature
	key      p256hint.Key // attestation key
	qeReport []byte
	qeSig    p256hint.Signature
	auth     []byte
	tbs      []byte // to-be-signed part of the PCK certificate
	pckSig   p256hint.Signature
	pckKey   p256hint.Key
	caKey    p256hint.Key
	notAfter uint32 // of the PCK certificate
}

// bytesReader cuts bytes from the front; once it lacks some it stays empty and bad.
type bytesReader struct {
	b   []byte
	bad bool
}

func (r *bytesReader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return make([]byte, min(n, maxQuoteSize))
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *bytesReader) u16() int { return int(binary.LittleEndian.Uint16(r.take(2))) }
func (r *bytesReader) u32() int { return int(binary.LittleEndian.Uint32(r.take(4))) }

func splitQuote(quote []byte) (*quoteParts, error) {
	if len(quote) > maxQuoteSize {
		return nil, fault.BadInput("quote: %d bytes, at most %d", len(quote), maxQuoteSize)
	}
	q := new(quoteParts)
	r := &bytesReader{b: quote}
	head := r.take(quoteHeaderSize)
	q.version = binary.LittleEndian.Uint16(head)
	if r.bad || (q.version != 4 && q.version != 5) {
		return nil, fault.BadInput("quote: not of version 4 or 5")
	}
	if !bytes.Equal(head[2:8], []byte{2, 0, 0x81, 0, 0, 0}) {
		return nil, fault.BadInput("quote: not a TDX quote with an ECDSA P-256 key")
	}
	size := bodyTD10Size
	if q.version == 5 {
		kind, n := r.u16(), r.u32()
		switch {
		case kind == 2 && n == bodyTD10Size:
		case kind == 3 && n == bodyTD15Size:
		default:
			return nil, fault.BadInput("quote: body type %d of %d bytes is none that contracts read", kind, n)
		}
		size = n
	}
	r.take(size)
	q.body = quote[:len(quote)-len(r.b)]
	signed := &bytesReader{b: r.take(r.u32())}
	copy(q.bodySig[:], signed.take(64))
	copy(q.key[:], signed.take(64))
	if signed.u16() != 6 {
		return nil, fault.BadInput("quote: no certification data of type 6")
	}
	qe := &bytesReader{b: signed.take(signed.u32())}
	q.qeReport = qe.take(qeReportSize)
	copy(q.qeSig[:], qe.take(64))
	q.auth = qe.take(qe.u16())
	if kind := qe.u16(); kind != 5 {
		return nil, fault.BadInput("quote: certification data of type %d, want a PCK chain (5)", kind)
	}
	chain := qe.take(qe.u32())
	if r.bad || signed.bad || qe.bad {
		return nil, fault.BadInput("quote: truncated")
	}
	if len(signed.b) != 0 || len(qe.b) != 0 {
		return nil, fault.BadInput("quote: bytes left over in the signature data")
	}
	if len(q.auth) != qeAuthSize {
		return nil, fault.BadInput("quote: %d bytes of QE authentication data, contracts read %d", len(q.auth), qeAuthSize)
	}
	if err := q.readChain(chain); err != nil {
		return nil, err
	}
	return q, nil
}

// readChain reads the PCK certificate and the key of its issuer.
func (q *quoteParts) readChain(chain []byte) error {
	var certs []*x509.Certificate
	for len(certs) < 2 {
		var block *pem.Block
		block, chain = pem.Decode(chain)
		if block == nil {
			return fault.BadInput("quote: no PCK chain of two certificates")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fault.BadInput("quote: PCK chain: %v", err)
		}
		certs = append(certs, c)
	}
	var ok bool
	q.tbs = certs[0].RawTBSCertificate
	q.notAfter = uint32(min(max(certs[0].NotAfter.Unix(), 0), math.MaxUint32))
	if q.pckKey, ok = rawP256Key(certs[0]); !ok {
		return fault.BadInput("quote: the PCK is no P-256 key")
	}
	if q.caKey, ok = rawP256Key(certs[1]); !ok {
		return fault.BadInput("quote: the key of the PCK CA is no P-256 key")
	}
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(certs[0].Signature, &sig)
	if err != nil || len(rest) != 0 || sig.R.Sign() < 0 || sig.S.Sign() < 0 || sig.R.BitLen() > 256 || sig.S.BitLen() > 256 {
		return fault.BadInput("quote: the signature of the PCK certificate is malformed")
	}
	sig.R.FillBytes(q.pckSig[:32])
	sig.S.FillBytes(q.pckSig[32:])
	return nil
}

// rawP256Key returns the key of a certificate from its subjectPublicKeyInfo,
// which for P-256 and an uncompressed point has one form only.
func rawP256Key(c *x509.Certificate) (key p256hint.Key, ok bool) {
	spki := c.RawSubjectPublicKeyInfo
	if len(spki) != 91 || c.PublicKeyAlgorithm != x509.ECDSA || spki[26] != 4 {
		return key, false
	}
	copy(key[:], spki[27:])
	return key, true
}

// cell builds the tree of cells that contracts take.
func (q *quoteParts) cell() (*cell.Cell, error) {
	pck, err := signatureCell("PCK certificate", q.tbs, q.caKey, q.pckSig)
	if err != nil {
		return nil, err
	}
	qe, err := signatureCell("QE report", q.qeReport, q.pckKey, q.qeSig)
	if err != nil {
		return nil, err
	}
	td, err := signatureCell("TD report", q.body, q.key, q.bodySig)
	if err != nil {
		return nil, err
	}
	tbs, err := cutTBS(q.tbs)
	if err != nil {
		return nil, err
	}
	key := cell.BeginCell().MustStoreSlice(q.key[:], 512).MustStoreSlice(q.auth, uint(8*len(q.auth))).EndCell()
	signatures := cell.BeginCell().MustStoreRef(pck).MustStoreRef(qe).MustStoreRef(td).MustStoreRef(key).EndCell()
	return cell.BeginCell().
		MustStoreRef(q.bodyCell()).
		MustStoreRef(chainCells(q.qeReport, []int{96, 96, 96, 96})).
		MustStoreRef(chainCells(q.tbs, tbs)).
		MustStoreRef(signatures).EndCell(), nil
}

// bodyCell is header and body, what the attestation key signed.
func (q *quoteParts) bodyCell() *cell.Cell {
	body := []int{quoteHeaderSize + 64, 120, 96, 96, 96, 112}
	if q.version == 5 {
		body[0] += 6
	}
	if rest := len(q.body) - sum(body); rest > 0 {
		body = append(body, rest)
	}
	return chainCells(q.body, body)
}

// TDReportCells encodes the part of a TDX quote that changes from boot to boot,
// for [RegisterTDXAgain]: body, and its signature with hints. Errors are those of
// [QuoteCells].
func TDReportCells(quote []byte) (body, signature *cell.Cell, err error) {
	q, err := splitQuote(quote)
	if err != nil {
		return nil, nil, err
	}
	if signature, err = signatureCell("TD report", q.body, q.key, q.bodySig); err != nil {
		return nil, nil, err
	}
	return q.bodyCell(), signature, nil
}

func sum(n []int) (total int) {
	for _, v := range n {
		total += v
	}
	return total
}

// chainCells cuts b into pieces of these sizes, each a cell with a reference
// to the next.
func chainCells(b []byte, sizes []int) *cell.Cell {
	var next *cell.Cell
	end := len(b)
	for i := len(sizes) - 1; i >= 0; i-- {
		start := end - sizes[i]
		c := cell.BeginCell().MustStoreSlice(b[start:end], uint(8*sizes[i]))
		if next != nil {
			c.MustStoreRef(next)
		}
		next, end = c.EndCell(), start
	}
	return next
}

// signatureCell checks a signature over msg and encodes it with its hints.
func signatureCell(what string, msg []byte, key p256hint.Key, sig p256hint.Signature) (*cell.Cell, error) {
	h, err := p256hint.New(sha256.Sum256(msg), key, sig)
	if err != nil {
		return nil, fmt.Errorf("quote: signature of the %s: %w", what, err)
	}
	return signatureWithHint(sig, h), nil
}

// signatureWithHint is P256Signature of p256.tolk.
func signatureWithHint(sig p256hint.Signature, h p256hint.Hint) *cell.Cell {
	hint := cell.BeginCell().MustStoreSlice(h.DX[:], 256).MustStoreSlice(h.DY[:], 256).MustStoreSlice(h.Slope[:], 256).EndCell()
	return cell.BeginCell().MustStoreSlice(sig[:], 512).MustStoreSlice(h.RInverse[:], 256).MustStoreRef(hint).EndCell()
}
