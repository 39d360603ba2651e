package contracts

import (
	"errors"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/attestation/translog"
)

func (s *sentReader) heads() *attestation.Heads {
	b := append(s.content(attestation.ClaimsHeadSize), s.content(attestation.ClaimsKeysSize)...)
	if s.err != nil {
		return nil
	}
	h, err := attestation.ParseHeads(b)
	s.err = err
	return h
}

func (s *sentReader) registerTDX() any {
	m := &RegisterTDX{QueryID: s.query, CA: PublicKey{s.b32(), s.b32()}, Heads: s.heads()}
	m.Quote = s.ref()
	return m
}

func (s *sentReader) registerTDXAgain() any {
	return &RegisterTDXAgain{QueryID: s.query, Heads: s.heads(), TDBody: s.ref(), Signature: s.ref()}
}

func (s *sentReader) registerQuorum() any {
	m := &RegisterQuorum{QueryID: s.query, Heads: s.heads()}
	if s.err != nil {
		return nil
	}
	m.Certificate = NewCertificate(m.Heads)
	s.inside(func(r *reader) {
		c := &m.Certificate
		c.Kind, c.PlatformID, c.Measurement, c.Expiry = r.u8(), r.b32(), r.b32(), r.u32()
		set, list := r.ref(), r.ref()
		if r.err != nil {
			return
		}
		v, err := parseVerifierSet(set)
		if r.err = err; err != nil {
			return
		}
		r.same(v.Cell(), set)
		m.Verifiers, c.Set = *v, v.Number
		m.Approvals = (&sentReader{reader: r}).approvals(list)
	})
	return m
}

func (s *sentReader) anchorInternal() any {
	return &AnchorInternal{s.query, Anchor{s.u32(), s.u64(), s.b32()}, s.signature()}
}

func (s *sentReader) setProfile() any {
	m := &SetProfile{QueryID: s.query}
	if c := s.ref(); s.err == nil {
		m.Profile, s.err = parseProfile(c)
	}
	return m
}

func (s *sentReader) reportHeads() any {
	m := &ReportHeads{QueryID: s.query}
	m.A = Anchor{s.u32(), s.u64(), s.b32()}
	m.B = Anchor{m.A.Epoch, m.A.Size, s.b32()}
	m.SignA, m.SignB = s.twoSignatures()
	return m
}

func (s *sentReader) reportReceipts() any {
	m := &ReportReceipts{QueryID: s.query, A: [receiptHeadSize]byte(s.content(receiptHeadSize)), B: [receiptHeadSize]byte(s.content(receiptHeadSize))}
	m.SignA, m.SignB = s.twoSignatures()
	return m
}

func (s *sentReader) challengeReceipt() any {
	m := &ChallengeReceipt{QueryID: s.query, ChainID: s.chainID, Payout: s.addr(), HolderKey: s.b32()}
	if b := s.content(receipt.HeadSize); s.err == nil {
		m.Head, s.err = receipt.ParseHead(b)
	}
	m.SignReceipt, m.SignHolder = s.twoSignatures()
	return m
}

func (s *sentReader) signedHead() (h SignedHead) {
	s.inside(func(r *reader) { h = SignedHead{Anchor{r.u32(), r.u64(), r.b32()}, r.signature()} })
	return h
}

func (s *sentReader) challengeLog() any {
	m := &ChallengeLog{QueryID: s.query, Head: s.signedHead()}
	if s.bool() {
		other := s.signedHead()
		m.Other = &other
	}
	return m
}

// answer reads a proof: three hashes in a cell, and only what is left in the next.
func (s *sentReader) answer() any {
	m := &Answer{QueryID: s.query, Challenge: s.b32()}
	for next := s.ref(); next != nil && s.err == nil; {
		r, before := read(next, "proof"), len(m.Proof)
		next = nil
		for r.err == nil && r.s.BitsLeft() > 0 {
			m.Proof = append(m.Proof, r.b32())
		}
		n := len(m.Proof) - before
		if n == 0 && before > 0 {
			r.fail(errors.New("an empty cell behind the last hash"))
		}
		if n == 3 && r.err == nil && r.s.RefsNum() > 0 {
			next = r.ref()
		}
		if r.end(); r.err == nil && len(m.Proof) > translog.MaxProof {
			r.fail(errors.New("more hashes than a proof can have"))
		}
		s.err = r.err
	}
	return m
}
