package contracts

import (
	"bytes"
	"errors"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// sent knows how to read each message that people send, by its operation.
var sent = map[uint64]func(s *sentReader) any{
	opRegisterTDX:      (*sentReader).registerTDX,
	opRegisterTDXAgain: (*sentReader).registerTDXAgain,
	opRegisterQuorum:   (*sentReader).registerQuorum,
	opAnchorInternal:   (*sentReader).anchorInternal,
	opSetProfile:       (*sentReader).setProfile,
	opStake:            func(s *sentReader) any { return &Stake{s.query} },
	opUnbond:           func(s *sentReader) any { return &Unbond{s.query, s.u64()} },
	opWithdraw:         func(s *sentReader) any { return &Withdraw{s.query, s.u64()} },
	opRetire:           func(s *sentReader) any { return &Retire{s.query} },
	opRecheck:          func(s *sentReader) any { return &Recheck{s.query} },
	opReportHeads:      (*sentReader).reportHeads,
	opReportReceipts:   (*sentReader).reportReceipts,
	opChallengeReceipt: (*sentReader).challengeReceipt,
	opChallengeLog:     (*sentReader).challengeLog,
	opAnswer:           (*sentReader).answer,
	opSettle:           func(s *sentReader) any { return &Settle{s.query, s.b32()} },

	opGovern:  (*sentReader).govern,
	opExecute: func(s *sentReader) any { return &Execute{s.query, s.u32()} },
	opPrune:   func(s *sentReader) any { return &Prune{s.query, s.b32(), s.u8()} },

	opRenewPlatform: func(s *sentReader) any { return &RenewPlatform{s.query} },

	opStakeVerifier:      func(s *sentReader) any { return &StakeVerifier{s.query, s.signature()} },
	opLeaveVerifiers:     func(s *sentReader) any { return &LeaveVerifiers{s.query} },
	opRefreshVerifier:    func(s *sentReader) any { return &RefreshVerifier{s.query} },
	opWithdrawVerifier:   func(s *sentReader) any { return &WithdrawVerifier{s.query} },
	opReportCertificates: (*sentReader).reportCertificates,
}

// sentReader reads a message behind its operation and query id.
type sentReader struct {
	*reader
	query   uint64
	chainID int32
	to      attestation.Address
}

// ParseSent reads a message that somebody sent to a Root, Node, Platform or
// Verifier, as a pointer to the type that builds it: [RegisterTDX], [Stake],
// [Govern] and so on. What is signed and not sent, the chain and the contract that
// it went to, comes from the caller. It checks shape only: whether signatures hold,
// and what the contract makes of it, is not looked at. Messages of channels and
// between contracts have parsers of their own. Everything else is bad input.
func ParseSent(body *cell.Cell, chainID int32, to attestation.Address) (any, error) {
	r := read(body, "message")
	parse := sent[r.u(32)]
	if r.err == nil && parse == nil {
		r.fail(errors.New("of a kind that people don't send to these contracts"))
	}
	query := r.u64()
	if r.err != nil {
		return nil, r.err
	}
	m := parse(&sentReader{r, query, chainID, to})
	if r.end(); r.err != nil {
		return nil, r.err
	}
	return m, nil
}

func (r *reader) signature() (v [64]byte) { r.bytes(v[:]); return v }

// inside reads the next reference with f, to its end.
func (s *sentReader) inside(f func(r *reader)) {
	c := s.ref()
	if s.err != nil {
		return
	}
	r := read(c, s.what)
	if r.err == nil {
		f(r)
	}
	if r.end(); r.err != nil {
		s.err = r.err
	}
}

// content reads the next reference as so many bytes and nothing else.
func (s *sentReader) content(size int) []byte {
	b := make([]byte, size)
	s.inside(func(r *reader) { r.bytes(b) })
	return b
}

func (s *sentReader) twoSignatures() (a, b [64]byte) {
	s.inside(func(r *reader) {
		a = r.signature()
		(&sentReader{reader: r}).inside(func(r *reader) { b = r.signature() })
	})
	return a, b
}

// same demands that what was read is written as it came: dictionaries have one form,
// and reading one does not see what stands beside a fork.
func (r *reader) same(written, read *cell.Cell) {
	if !bytes.Equal(written.Hash(), read.Hash()) {
		r.fail(errors.New("not in the one form that it has"))
	}
}

func (s *sentReader) govern() any {
	d := Decision{ChainID: s.chainID, Root: s.to, Number: s.u32(), Expiry: s.u32()}
	action, list := s.ref(), s.ref()
	if s.err == nil {
		d.Action, s.err = ParseAction(action)
	}
	if s.err == nil {
		if again, err := ActionCell(d.Action); err == nil { // else it has this shape, and no registry takes it
			s.same(again, action)
		}
	}
	return &Govern{s.query, d, s.approvals(list)}
}

// approvals reads a list of at most [MaxQuorum], in ascending order.
func (s *sentReader) approvals(list *cell.Cell) Approvals {
	a := Approvals{}
	for last := -1; list != nil && s.err == nil; {
		r := read(list, "approval")
		index, signature := r.u8(), r.signature()
		list = r.maybeRef()
		if r.end(); r.err == nil && int(index) <= last {
			r.fail(errors.New("not in ascending order"))
		}
		if r.err == nil && len(a) == MaxQuorum {
			r.fail(errors.New("more than a quorum has"))
		}
		last, s.err, a[index] = int(index), r.err, signature
	}
	return a
}

func (s *sentReader) reportCertificates() any {
	about := Certificate{ChainID: s.chainID, Node: attestation.Address{Workchain: int32(s.u32()), Hash: s.b32()}, Epoch: s.u32()}
	return &ReportCertificates{s.query, s.signedCertificate(about), s.signedCertificate(about)}
}

func (s *sentReader) signedCertificate(about Certificate) SignedCertificate {
	out := SignedCertificate{Certificate: about}
	s.inside(func(r *reader) {
		(&sentReader{reader: r}).inside(func(r *reader) {
			c := &out.Certificate
			c.Kind, c.PlatformID, c.Measurement, c.ClaimsDigest = r.u8(), r.b32(), r.b32(), r.b32()
			c.BlockSeqno, c.Expiry, c.Set = r.u32(), r.u32(), r.u32()
		})
		out.Signature = r.signature()
	})
	return out
}
