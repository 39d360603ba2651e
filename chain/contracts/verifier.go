package contracts

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// Amounts in nano that concern Verifier. What a message does not cost comes back.
const (
	ValueStakeVerifier    uint64 = 110_000_000 // beside the stake; a part fills the reserve up
	ValueVerifier         uint64 = 60_000_000  // what asks Root: leaving, refreshing, a report
	ValueWithdrawVerifier uint64 = 10_000_000
	VerifierReserve       uint64 = 50_000_000 // stays in a Verifier for its storage
)

// VerifierSilence is after how many seconds stake leaves where Root says nothing.
const VerifierSilence = 180 * day

var verifierCode = loadCode("verifier")

// VerifierCode returns the code of Verifier.
func VerifierCode() *cell.Cell { return verifierCode() }

// VerifierCodeID returns the identity of [VerifierCode].
func VerifierCodeID() CodeID { return CodeIDOf(VerifierCode()) }

// VerifierKey is the initial data of a Verifier: what its address depends on.
type VerifierKey struct {
	Root attestation.Address
	Key  [32]byte // Ed25519, that signs certificates
}

// Cell returns the initial data.
func (k VerifierKey) Cell() *cell.Cell {
	return storeAddr(build(), k.Root).MustStoreSlice(k.Key[:], 256).EndCell()
}

// VerifierAddress returns the address of a verifier's contract under a Root, and
// the StateInit that deploys it.
func VerifierAddress(root attestation.Address, key ed25519.PublicKey) (attestation.Address, *cell.Cell, error) {
	if err := checkPlace("root", root); err != nil {
		return attestation.Address{}, nil, err
	}
	if len(key) != ed25519.PublicKeySize || [32]byte(key) == ([32]byte{}) {
		return attestation.Address{}, nil, attestation.BadInput("verifier: no Ed25519 key")
	}
	a, si := place(VerifierCode(), VerifierKey{root, [32]byte(key)}.Cell())
	return a, si, nil
}

// VerifierState is the state of a Verifier.
type VerifierState struct {
	Key      VerifierKey
	Operator *attestation.Address // who staked first; nil: nobody yet
	Stake    uint64               // nano
	Owed     uint64               // sum of the credits
	Leaving  uint32               // when the operator asked for the stake; 0: he did not
	LeaveAt  uint32               // from when he gets it, unix seconds
	Known    bool                 // Root has answered once
	Slashed  bool                 // for ever
	Credits  map[attestation.Address]uint64
}

// ParseVerifier reads the state of a Verifier. One that was deployed and has not
// written yet holds its initial data, which is read too.
func ParseVerifier(data *cell.Cell) (*VerifierState, error) {
	r := read(data, "verifier state")
	s := &VerifierState{Key: VerifierKey{Root: r.addr(), Key: r.b32()}, Credits: map[attestation.Address]uint64{}}
	if r.err == nil && r.s.BitsLeft() == 0 {
		return parsed(r, s)
	}
	s.Operator = r.maybeAddr()
	s.Stake, s.Owed, s.Leaving, s.LeaveAt = r.u64(), r.u64(), r.u32(), r.u32()
	s.Known, s.Slashed = r.bool(), r.bool()
	r.dict(267, func(k, v *reader) { s.Credits[k.addr()] = v.u64() })
	return parsed(r, s)
}

const operatorDomain = "cocoon/verifier/v1\n"

// VerifierOperatorDigest returns the 32 bytes by whose signature a verifier's key
// names the operator of its contract, who alone gets the stake back:
//
//	SHA-256("cocoon/verifier/v1\n" || chain id int32 || workchain int32 ||
//	        contract[32] || operator workchain int32 || operator[32])
func VerifierOperatorDigest(chainID int32, verifier, operator attestation.Address) [32]byte {
	b := binary.BigEndian.AppendUint32([]byte(operatorDomain), uint32(chainID))
	return sha256.Sum256(operator.AppendTo(verifier.AppendTo(b)))
}
