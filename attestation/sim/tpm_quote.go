package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// TPMQuote says what to quote. The zero value quotes all registers of all banks
// with an empty nonce.
type TPMQuote struct {
	ExtraData []byte
	Bank      eventlog.Alg // default: all banks, in one quote
	PCRs      []int        // default: all

	Edit       func([]byte) []byte // changes the TPMS_ATTEST before it is signed
	EditSigned func(*tpm.Quote)    // changes the quote afterwards
}

var be = binary.BigEndian

func sized(b, v []byte) []byte {
	return append(be.AppendUint16(b, uint16(len(v))), v...)
}

// publicArea writes the TPMT_PUBLIC of the attestation key.
func (t *TPM) publicArea() []byte {
	typ := uint16(0x0001)
	if t.cfg.Scheme == tpm.ECDSA {
		typ = 0x0023
	}
	b := be.AppendUint16(nil, typ)
	b = be.AppendUint16(b, uint16(eventlog.SHA256))
	b = be.AppendUint32(b, uint32(t.cfg.Attributes))
	b = sized(b, nil)
	b = be.AppendUint16(b, 0x0010)
	b = be.AppendUint16(b, uint16(t.cfg.Scheme))
	b = be.AppendUint16(b, uint16(t.cfg.Hash))
	switch k := t.key.Public().(type) {
	case *rsa.PublicKey:
		b = be.AppendUint16(b, uint16(k.N.BitLen()))
		b = be.AppendUint32(b, 0)
		b = sized(b, k.N.Bytes())
	case *ecdsa.PublicKey:
		b = be.AppendUint16(b, map[int]uint16{256: 3, 384: 4, 521: 5}[k.Curve.Params().BitSize])
		b = be.AppendUint16(b, 0x0010)
		point, err := k.Bytes()
		if err != nil {
			panic("sim: a generated key is not on its curve: " + err.Error())
		}
		size := len(point) / 2
		b = sized(sized(b, point[1:1+size]), point[1+size:])
	}
	return b
}

// qualifiedName returns the name of the key below its hierarchy.
func (t *TPM) qualifiedName() []byte {
	prefix := be.AppendUint16(nil, uint16(eventlog.SHA256))
	name := append(prefix[:2:2], digest(eventlog.SHA256, t.Public)...)
	parent := be.AppendUint32(nil, uint32(t.cfg.Hierarchy))
	return append(prefix[:2:2], digest(eventlog.SHA256, append(parent, name...))...)
}

// Quote makes a quote.
func (t *TPM) Quote(q TPMQuote) (tpm.Quote, error) {
	if len(q.PCRs) == 0 {
		for i := range eventlog.NumPCRs {
			q.PCRs = append(q.PCRs, i)
		}
	}
	banks := t.cfg.Banks
	if q.Bank != 0 {
		banks = []eventlog.Alg{q.Bank}
	}
	out := tpm.Quote{PCRs: tpm.PCRs{}}
	a := be.AppendUint32(nil, 0xff544347)
	a = be.AppendUint16(a, 0x8018)
	a = sized(sized(a, t.qualifiedName()), q.ExtraData)
	a = be.AppendUint64(a, t.Clock)
	a = be.AppendUint32(be.AppendUint32(a, t.Reset), t.Restart)
	a = append(a, 1)
	a = be.AppendUint64(a, t.Firmware)
	a = be.AppendUint32(a, uint32(len(banks)))
	var values []byte
	for _, bank := range banks {
		out.PCRs[bank] = map[int][]byte{}
		var bits [3]byte
		for _, i := range q.PCRs {
			v, ok := t.PCRs[bank][i]
			if !ok {
				return out, fmt.Errorf("simulated TPM: no PCR %d in bank %v", i, bank)
			}
			bits[i/8] |= 1 << (i % 8)
			values = append(values, v...)
			out.PCRs[bank][i] = append([]byte(nil), v...)
		}
		a = append(be.AppendUint16(a, uint16(bank)), 3)
		a = append(a, bits[:]...)
	}
	a = sized(a, digest(t.cfg.Hash, values))
	if q.Edit != nil {
		a = q.Edit(a)
	}
	out.Attest = a
	var err error
	if out.Signature, err = t.Sign(a); err == nil && q.EditSigned != nil {
		q.EditSigned(&out)
	}
	return out, err
}

// Sign signs a message with the attestation key and returns a TPMT_SIGNATURE.
func (t *TPM) Sign(message []byte) ([]byte, error) {
	h := t.cfg.Hash.Hash()
	d := digest(t.cfg.Hash, message)
	b := be.AppendUint16(be.AppendUint16(nil, uint16(t.cfg.Scheme)), uint16(t.cfg.Hash))
	var opts crypto.SignerOpts = h
	random := rand.Reader
	if t.cfg.Scheme == tpm.ECDSA {
		random = nil // as RFC 6979 says, so that equal input gives equal output
	}
	if t.cfg.Scheme == tpm.RSAPSS {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}
	}
	sig, err := t.key.Sign(random, d, opts)
	if err != nil || t.cfg.Scheme != tpm.ECDSA {
		return sized(b, sig), err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &rs); err != nil {
		return nil, err
	}
	size := (t.cfg.Curve.Params().BitSize + 7) / 8
	return sized(sized(b, rs.R.FillBytes(make([]byte, size))), rs.S.FillBytes(make([]byte, size))), nil
}

// Evidence quotes all registers of every bank, a quote for each, with the
// certificates of the attestation key.
func (t *TPM) Evidence(extraData []byte) (*tpm.Evidence, error) {
	e := &tpm.Evidence{Public: t.Public, Certificates: [][]byte{t.Certificate.Raw, t.vendor.CA.Raw, t.vendor.Root.Raw}}
	for _, bank := range t.cfg.Banks {
		q, err := t.Quote(TPMQuote{ExtraData: extraData, Bank: bank})
		if err != nil {
			return nil, err
		}
		e.Quotes = append(e.Quotes, q)
	}
	return e, nil
}
