// Package certificate is mode B as verifiers and operators see it: the file with
// a certificate and its signatures ([File]), what an operator asks verifiers with
// ([Request]), and how an honest verifier signs ([Signer]).
//
// Specification: docs/spec/certificate.md. What the contracts make of a
// certificate is in docs/spec/contracts-node.md and contracts-verifier.md.
//
// Nothing here makes a client trust a node: clients appraise the evidence
// themselves. A certificate only stands in for what a contract can't verify.
package certificate

import (
	"bytes"
	"crypto/ed25519"
	"maps"
	"slices"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Limits of the files, in bytes.
const (
	MaxFileSize    = 4 << 10
	MaxRequestSize = attestation.MaxBundleSize + 1<<10
)

const fileID = "cocoon/certificate/v1"

// File is a certificate with the signatures of some verifiers, by their keys.
type File struct {
	Certificate contracts.Certificate
	Signatures  map[[32]byte][64]byte
}

type wireFile struct {
	ID          string   `cbor:"0,keyasint"`
	ChainID     int32    `cbor:"1,keyasint"`
	Node        []byte   `cbor:"2,keyasint"` // 36 bytes
	Epoch       uint32   `cbor:"3,keyasint"`
	Kind        uint8    `cbor:"4,keyasint"`
	Platform    []byte   `cbor:"5,keyasint"` // 32 bytes
	Measurement []byte   `cbor:"6,keyasint"` // 32 bytes
	Claims      []byte   `cbor:"7,keyasint"` // 32 bytes
	Block       uint32   `cbor:"8,keyasint"`
	Expiry      uint32   `cbor:"9,keyasint"`
	Set         uint32   `cbor:"10,keyasint"`
	Signatures  [][]byte `cbor:"11,keyasint"` // 96 bytes each: key, signature; ascending by key
}

const signatureSize = ed25519.PublicKeySize + ed25519.SignatureSize

// Parse reads a file, strictly. It proves nothing: see [File.Verify].
func Parse(data []byte) (*File, error) {
	if len(data) > MaxFileSize {
		return nil, attestation.BadInput("certificate: %d bytes, the limit is %d", len(data), MaxFileSize)
	}
	var w wireFile
	if err := decode("certificate", data, &w); err != nil {
		return nil, err
	}
	f, err := w.file()
	if err != nil {
		return nil, err
	}
	if err := f.parseSignatures(w.Signatures); err != nil {
		return nil, err
	}
	return f, nil
}

// file reads everything but the signatures.
func (w *wireFile) file() (*File, error) {
	if w.ID != fileID {
		return nil, attestation.BadInput("certificate: identifier %.40q, want %q", w.ID, fileID)
	}
	node, err := address(w.Node)
	if err != nil {
		return nil, err
	}
	if len(w.Platform) != 32 || len(w.Measurement) != 32 || len(w.Claims) != 32 {
		return nil, attestation.BadInput("certificate: digests of %d, %d and %d bytes, want 32", len(w.Platform), len(w.Measurement), len(w.Claims))
	}
	if w.Kind != contracts.KindSNP && w.Kind != contracts.KindTDXQuorum {
		return nil, attestation.BadInput("certificate: kind %d is not one that verifiers vouch for", w.Kind)
	}
	return &File{
		Certificate: contracts.Certificate{
			ChainID: w.ChainID, Node: node, Epoch: w.Epoch, Kind: w.Kind, PlatformID: [32]byte(w.Platform), Measurement: [32]byte(w.Measurement),
			ClaimsDigest: [32]byte(w.Claims), BlockSeqno: w.Block, Expiry: w.Expiry, Set: w.Set,
		},
		Signatures: map[[32]byte][64]byte{},
	}, nil
}

func (f *File) parseSignatures(list [][]byte) error {
	if len(list) == 0 || len(list) > contracts.MaxQuorum {
		return attestation.BadInput("certificate: %d signatures, want 1 to %d", len(list), contracts.MaxQuorum)
	}
	var last []byte
	for _, s := range list {
		if len(s) != signatureSize {
			return attestation.BadInput("certificate: a signature with its key has %d bytes, want %d", len(s), signatureSize)
		}
		if bytes.Compare(last, s[:32]) >= 0 {
			return attestation.BadInput("certificate: keys are not in ascending order")
		}
		last = s[:32]
		f.Signatures[[32]byte(s)] = [64]byte(s[32:])
	}
	return nil
}

// address reads an address as claims have it: workchain int32, account id.
func address(b []byte) (a attestation.Address, err error) {
	if len(b) != 36 {
		return a, attestation.BadInput("certificate: an address of %d bytes, want 36", len(b))
	}
	a.Workchain = int32(uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]))
	a.Hash = [32]byte(b[4:])
	return a, nil
}

// Encode returns the file.
func (f *File) Encode() ([]byte, error) {
	data, err := encoder.Marshal(f.wire())
	if err != nil {
		return nil, err
	}
	if _, err := Parse(data); err != nil {
		return nil, err
	}
	return data, nil
}

func (f *File) wire() *wireFile {
	c := &f.Certificate
	w := &wireFile{
		ID: fileID, ChainID: c.ChainID, Node: c.Node.AppendTo(nil), Epoch: c.Epoch, Kind: c.Kind, Platform: c.PlatformID[:], Measurement: c.Measurement[:],
		Claims: c.ClaimsDigest[:], Block: c.BlockSeqno, Expiry: c.Expiry, Set: c.Set,
	}
	for _, k := range f.keys() {
		s := f.Signatures[k]
		w.Signatures = append(w.Signatures, slices.Concat(k[:], s[:]))
	}
	return w
}

func (f *File) keys() [][32]byte {
	return slices.SortedFunc(maps.Keys(f.Signatures), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
}

// Verify reports a signature that does not hold, as an [*attestation.FalseError].
func (f *File) Verify() error {
	d := f.Certificate.Digest()
	for _, k := range f.keys() {
		if s := f.Signatures[k]; !ed25519.Verify(k[:], d[:], s[:]) {
			return attestation.False("certificate: the signature of verifier %x does not hold", k[:8])
		}
	}
	return nil
}

// Merge returns the certificate with the signatures of all files. It fails where
// two files are of different certificates, and says in what they differ.
func Merge(files ...*File) (*File, error) {
	if len(files) == 0 {
		return nil, attestation.BadInput("no certificate")
	}
	out := &File{files[0].Certificate, map[[32]byte][64]byte{}}
	for _, f := range files {
		if what := difference(&out.Certificate, &f.Certificate); what != "" {
			return nil, attestation.BadInput("the certificates differ in %s: signatures count together only under the same one", what)
		}
		for k, s := range f.Signatures {
			if _, ok := out.Signatures[k]; !ok {
				out.Signatures[k] = s
			}
		}
	}
	if len(out.Signatures) > contracts.MaxQuorum {
		return nil, attestation.BadInput("certificate: %d signatures, at most %d", len(out.Signatures), contracts.MaxQuorum)
	}
	return out, nil
}

// difference names the first field in which two certificates differ, "" if none.
func difference(a, b *contracts.Certificate) string {
	for _, f := range []struct {
		name string
		same bool
	}{
		{"their chain", a.ChainID == b.ChainID}, {"their node", a.Node == b.Node}, {"their epoch", a.Epoch == b.Epoch},
		{"the kind of evidence", a.Kind == b.Kind}, {"their platform", a.PlatformID == b.PlatformID},
		{"their measurement", a.Measurement == b.Measurement}, {"their claims", a.ClaimsDigest == b.ClaimsDigest},
		{"their block", a.BlockSeqno == b.BlockSeqno}, {"their expiry", a.Expiry == b.Expiry}, {"their verifier set", a.Set == b.Set},
	} {
		if !f.same {
			return f.name
		}
	}
	return ""
}

// Approvals returns the signatures as the contracts take them from a set:
// those of its members. An [*attestation.RefusedError] says that they are too few,
// or that the certificate is of a set with another number.
func (f *File) Approvals(set contracts.VerifierSet) (contracts.Approvals, error) {
	if f.Certificate.Set != set.Number {
		return nil, attestation.Refused("the certificate is of verifier set %d, the registry has set %d: ask the verifiers again", f.Certificate.Set, set.Number)
	}
	if err := f.Verify(); err != nil {
		return nil, err
	}
	a := contracts.Approvals{}
	for i, k := range set.Quorum.Keys {
		if s, ok := f.Signatures[k]; ok {
			a[i] = s
		}
	}
	if len(a) < int(set.Quorum.Threshold) || set.Quorum.Threshold == 0 {
		return nil, attestation.Refused("the certificate is signed by %d verifiers that the registry counts, %d are needed; %d other signatures are of verifiers without stake or of strangers",
			len(a), set.Quorum.Threshold, len(f.Signatures)-len(a))
	}
	return a, nil
}
