package chain_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// The other consensus of TON signs a vote for a candidate that names the block,
// in place of the block (consensus.simplex.* of ton_api.tl and lite_api.tl).

// candidate is the hash data of a candidate for a block: of a new block, after
// another candidate or the first, or of none ("empty").
func candidate(t testing.TB, id chain.BlockID, parent any, empty bool) []byte {
	t.Helper()
	var c any = ton.ConsensusCandidateHashDataOrdinary{Block: *id.Ext(), CollatedFileHash: bytes.Repeat([]byte{7}, 32), Parent: parent}
	if empty {
		c = ton.ConsensusCandidateHashDataEmpty{Block: *id.Ext(), Parent: ton.ConsensusCandidateID{Slot: 4, Hash: bytes.Repeat([]byte{8}, 32)}}
	}
	b, err := tl.Serialize(c, true)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vote is what a validator signs to make a candidate final.
func vote(t testing.TB, session []byte, slot int32, candidate []byte) []byte {
	t.Helper()
	h := sha256.Sum256(candidate)
	data, err := tl.Serialize(ton.ConsensusSimplexFinalizeVote{ID: ton.ConsensusCandidateID{Slot: slot, Hash: h[:]}}, true)
	if err != nil {
		t.Fatal(err)
	}
	return sessionData(t, session, data)
}

func sessionData(t testing.TB, session, data []byte) []byte {
	t.Helper()
	msg, err := tl.Serialize(ton.ConsensusDataToSign{SessionID: session, Data: data}, true)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// simplex signs a block as the other consensus does.
func (m *minter) simplex(t testing.TB, id chain.BlockID, cand []byte) ton.SignatureSetSimplex {
	t.Helper()
	session := bytes.Repeat([]byte{0x51}, 32)
	const slot = 77
	return ton.SignatureSetSimplex{
		CCSeqno: 1, ValidatorSetHash: m.hash, SessionID: session, Slot: slot, Candidate: cand,
		Signatures: m.signBytes(vote(t, session, slot, cand)),
	}
}

func TestSimplex(t *testing.T) {
	m := mintingChain(t)
	head := m.block(t, m.l.Chain.Head().ID.SeqNo)
	first := ton.ConsensusCandidateWithoutParents{}
	link := m.forward(t, head)
	verify := func(set any) error {
		step := link
		if s, ok := set.(ton.SignatureSetSimplex); ok {
			s.Signatures = slices.Clone(s.Signatures) // verifying sorts them
			set = s
		}
		step.SignatureSet = set
		from := chain.BlockID{Seqno: step.From.SeqNo, RootHash: [32]byte(step.From.RootHash), FileHash: [32]byte(step.From.FileHash)}
		b, err := chain.VerifyStep(step, from)
		if err == nil && b.ID() != head.id {
			t.Errorf("proved %s, want %s", b.ID(), head.id)
		}
		return err
	}
	for name, c := range map[string][]byte{
		"the first candidate": candidate(t, head.id, first, false),
		"one after another":   candidate(t, head.id, ton.ConsensusCandidateParent{ID: ton.ConsensusCandidateID{Slot: 3, Hash: make([]byte, 32)}}, false),
		"an empty one":        candidate(t, head.id, nil, true),
	} {
		set := m.simplex(t, head.id, c)
		if err := verify(set); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		b, err := chain.EncodeSignatures(set)
		if err != nil {
			t.Fatal(err)
		}
		again, err := chain.DecodeSignatures(b)
		if err != nil {
			t.Fatal(err)
		}
		sorted := set
		sorted.Signatures = slices.SortedFunc(slices.Values(set.Signatures), func(a, b ton.Signature) int { return bytes.Compare(a.NodeIDShort, b.NodeIDShort) })
		if !reflect.DeepEqual(any(sorted), again) {
			t.Errorf("%s: stored and loaded: %v, want %v", name, again, sorted)
		}
		if err := verify(again); err != nil {
			t.Errorf("%s: stored and loaded: %v", name, err)
		}
	}
	cand := candidate(t, head.id, first, false)
	resign := func(s *ton.SignatureSetSimplex) {
		s.Signatures = m.signBytes(vote(t, s.SessionID, s.Slot, s.Candidate))
	}
	before := m.block(t, head.id.Seqno-1).id
	for name, edit := range map[string]func(s *ton.SignatureSetSimplex){
		"another validator set":       func(s *ton.SignatureSetSimplex) { s.ValidatorSetHash++ },
		"another catchain session":    func(s *ton.SignatureSetSimplex) { s.CCSeqno++ },
		"another slot":                func(s *ton.SignatureSetSimplex) { s.Slot++ },
		"a short session":             func(s *ton.SignatureSetSimplex) { s.SessionID = s.SessionID[1:] },
		"no session":                  func(s *ton.SignatureSetSimplex) { s.SessionID = nil },
		"no candidate":                func(s *ton.SignatureSetSimplex) { s.Candidate = nil },
		"no signature":                func(s *ton.SignatureSetSimplex) { s.Signatures = nil },
		"two thirds and no more":      func(s *ton.SignatureSetSimplex) { s.Signatures = s.Signatures[:2] },
		"one signature three times":   func(s *ton.SignatureSetSimplex) { s.Signatures[1], s.Signatures[2] = s.Signatures[0], s.Signatures[0] },
		"one signature twice, beside": func(s *ton.SignatureSetSimplex) { s.Signatures = append(s.Signatures, s.Signatures[1]) },
		"a candidate for another block, signed": func(s *ton.SignatureSetSimplex) {
			s.Candidate = candidate(t, before, first, false)
			resign(s)
		},
		"an empty candidate for another block, signed": func(s *ton.SignatureSetSimplex) {
			s.Candidate = candidate(t, before, nil, true)
			resign(s)
		},
		"a candidate of another number, signed": func(s *ton.SignatureSetSimplex) {
			id := head.id
			id.Seqno++
			s.Candidate = candidate(t, id, first, false)
			resign(s)
		},
		"bytes behind the candidate, signed": func(s *ton.SignatureSetSimplex) {
			s.Candidate = append(bytes.Clone(s.Candidate), 0, 0, 0, 0)
			resign(s)
		},
		"a candidate that is none, signed": func(s *ton.SignatureSetSimplex) {
			s.Candidate = []byte("block")
			resign(s)
		},
		"another vote for the candidate": func(s *ton.SignatureSetSimplex) {
			h := sha256.Sum256(s.Candidate)
			id, err := tl.Serialize(ton.ConsensusCandidateID{Slot: s.Slot, Hash: h[:]}, true)
			if err != nil {
				t.Fatal(err)
			}
			kind := crc32.ChecksumIEEE([]byte("consensus.simplex.notarizeVote id:consensus.CandidateId = consensus.simplex.UnsignedVote"))
			s.Signatures = m.signBytes(sessionData(t, s.SessionID, append(binary.LittleEndian.AppendUint32(nil, kind), id...)))
		},
		"a vote of no session": func(s *ton.SignatureSetSimplex) {
			h := sha256.Sum256(s.Candidate)
			data, err := tl.Serialize(ton.ConsensusSimplexFinalizeVote{ID: ton.ConsensusCandidateID{Slot: s.Slot, Hash: h[:]}}, true)
			if err != nil {
				t.Fatal(err)
			}
			s.Signatures = m.signBytes(data)
		},
		"signatures of the block": func(s *ton.SignatureSetSimplex) { s.Signatures = m.sign(head.id.Ext()) },
	} {
		set := m.simplex(t, head.id, bytes.Clone(cand))
		edit(&set)
		if err := verify(set); err == nil {
			t.Errorf("%s: proved", name)
		}
	}
	set := m.simplex(t, head.id, cand)
	if err := verify(ton.SignatureSetOrdinary{ValidatorSetHash: m.hash, CatchainSeqno: 1, Signatures: set.Signatures}); err == nil {
		t.Error("votes as signatures of the block: proved")
	}
	stride := 3
	if os.Getenv("COCOON_LONG") != "" {
		stride = 1
	}
	flip := func(name string, b *[]byte, n int) {
		honest := *b
		for i := 0; i < 8*n; i += stride {
			*b = bytes.Clone(honest)
			(*b)[i/8] ^= 1 << (i % 8)
			if err := verify(set); err == nil {
				t.Errorf("%s, bit %d: proved", name, i)
			}
		}
		*b = honest
	}
	flip("session", &set.SessionID, 32)
	flip("candidate", &set.Candidate, len(set.Candidate))
	flip("node", &set.Signatures[1].NodeIDShort, 32)
	flip("signature", &set.Signatures[2].Signature, 64)
	if err := verify(set); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// simplexChain lets a server sign by the other consensus whatever it links to.
func (m *minter) simplexChain(t testing.TB) {
	m.l.Liteservers()[0].Inject(devnet.Fault{Forge: func(_, honest tl.Serializable) tl.Serializable {
		p, ok := honest.(ton.PartialBlockProof)
		if !ok {
			return honest
		}
		p.Steps = slices.Clone(p.Steps)
		for i, s := range p.Steps {
			if f, ok := s.(ton.BlockLinkForward); ok {
				id := chain.BlockID{Seqno: f.To.SeqNo, RootHash: [32]byte(f.To.RootHash), FileHash: [32]byte(f.To.FileHash)}
				f.SignatureSet = m.simplex(t, id, candidate(t, id, ton.ConsensusCandidateWithoutParents{}, false))
				p.Steps[i] = f
			}
		}
		return p
	}})
}

// TestSimplexProof reads an account of a chain of the other consensus, and its
// proof offline.
func TestSimplexProof(t *testing.T) {
	m := mintingChain(t)
	m.simplexChain(t)
	cfg := only(t, m.l.Chain, 0)
	cl, err := chain.Dial(testContext(t), cfg, chain.WithClock(m.l.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	acc, err := cl.Account(testContext(t), m.l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	honest, err := chain.Dial(testContext(t), only(t, m.l.Chain, 1), chain.WithClock(m.l.clock.Now))
	if err != nil {
		t.Fatal(err)
	}
	defer honest.Close()
	ordinary, err := honest.Account(testContext(t), m.l.faucet)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(acc.Proof, ordinary.Proof) {
		t.Fatal("the proof holds no signature of the other consensus")
	}
	got, err := chain.VerifyAccountProof(acc.Proof, m.l.faucet, cfg.Trusted())
	if err != nil || got.LastHash != acc.LastHash {
		t.Fatalf("offline: %v", err)
	}
	for i := 0; i < len(acc.Proof); i += 7 {
		p := bytes.Clone(acc.Proof)
		p[i] ^= 1 << (i % 8)
		if _, err := chain.VerifyAccountProof(p, m.l.faucet, cfg.Trusted()); err == nil {
			t.Errorf("byte %d of %d changed: accepted", i, len(p))
		}
	}
}

// TestSignaturesMalformed reads signature sets that nobody writes.
func TestSignaturesMalformed(t *testing.T) {
	sig := func(id byte) ton.Signature {
		return ton.Signature{NodeIDShort: bytes.Repeat([]byte{id}, 32), Signature: make([]byte, 64)}
	}
	for name, set := range map[string]any{
		"a short node id":   ton.SignatureSetOrdinary{Signatures: []ton.Signature{{NodeIDShort: make([]byte, 31), Signature: make([]byte, 64)}}},
		"a short signature": ton.SignatureSetSimplex{Signatures: []ton.Signature{{NodeIDShort: make([]byte, 32), Signature: make([]byte, 63)}}},
		"of another kind":   ton.SignatureSet{},
		"none":              nil,
	} {
		if b, err := chain.EncodeSignatures(set); err == nil {
			t.Errorf("%s: %x", name, b)
		}
	}
	// an encoder sorts, so it writes a set with one signature twice
	twice, err := chain.EncodeSignatures(ton.SignatureSetOrdinary{Signatures: []ton.Signature{sig(1), sig(1)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.DecodeSignatures(twice); err == nil {
		t.Error("a signature twice: read")
	}
	for name, b := range map[string][]byte{
		"out of order":                     slices.Concat([]byte{0xa3, 1, 0, 2, 0, 3, 0x82}, cborBytes(bytes.Repeat([]byte{2}, 96)), cborBytes(bytes.Repeat([]byte{1}, 96))),
		"a signature of 95 bytes":          slices.Concat([]byte{0xa3, 1, 0, 2, 0, 3, 0x81}, cborBytes(make([]byte, 95))),
		"a session and no slot":            slices.Concat([]byte{0xa4, 1, 0, 2, 0, 3, 0x80, 4}, cborBytes(make([]byte, 32))),
		"a candidate and no slot":          {0xa4, 1, 0, 2, 0, 3, 0x80, 6, 0x41, 1},
		"a slot of more than 32 bits":      {0xa4, 1, 0, 2, 0, 3, 0x80, 5, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0},
		"a field that is not of this form": {0xa4, 1, 0, 2, 0, 3, 0x80, 7, 0},
	} {
		if set, err := chain.DecodeSignatures(b); err == nil {
			t.Errorf("%s: %v", name, set)
		}
	}
}

// cborBytes is a byte string of up to 255 bytes.
func cborBytes(b []byte) []byte { return append([]byte{0x58, byte(len(b))}, b...) }

// FuzzSignatures demands that a set that can be read is written again as the same
// set.
func FuzzSignatures(f *testing.F) {
	m := newMinter(f, newLyingChain(f, devnet.Options{Seed: []byte(mintSeed)}), 1)
	head := m.block(f, m.l.Chain.Head().ID.SeqNo).id
	for _, set := range []any{
		ton.SignatureSetOrdinary{ValidatorSetHash: m.hash, CatchainSeqno: 1, Signatures: m.sign(head.Ext())},
		m.simplex(f, head, candidate(f, head, ton.ConsensusCandidateWithoutParents{}, false)),
		m.simplex(f, head, candidate(f, head, nil, true)),
	} {
		b, err := chain.EncodeSignatures(set)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := chain.DecodeSignatures(b)
		if err != nil {
			return
		}
		again, err := chain.EncodeSignatures(set)
		if err != nil {
			t.Fatalf("read, and not written: %v", err)
		}
		other, err := chain.DecodeSignatures(again)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(other), fmt.Sprint(set); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// FuzzSimplexProof looks for a second proof, with signatures of the other
// consensus.
func FuzzSimplexProof(f *testing.F) {
	m := newMinter(f, newLyingChain(f, devnet.Options{Seed: []byte(mintSeed)}), 1)
	m.simplexChain(f)
	cl := dial(f, m.l.Chain)
	acc, err := cl.Account(testContext(f), m.l.faucet)
	if err != nil {
		f.Fatal(err)
	}
	trusted := config(f, m.l.Chain).Trusted()
	if _, err := chain.VerifyAccountProof(acc.Proof, m.l.faucet, trusted); err != nil {
		f.Fatal(err)
	}
	f.Add(acc.Proof)
	f.Fuzz(func(t *testing.T, p []byte) {
		_, err := chain.VerifyAccountProof(p, m.l.faucet, trusted)
		if err == nil && !bytes.Equal(p, acc.Proof) {
			t.Error("another proof was accepted")
		}
		var bad *attestation.InputError
		var false_ *attestation.FalseError
		var unknown *attestation.UnknownError
		if err != nil && !errors.As(err, &bad) && !errors.As(err, &false_) && !errors.As(err, &unknown) {
			t.Errorf("of no family: %v", err)
		}
	})
}
