package receipt

import (
	"cmp"
	"slices"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/translog"
)

// Limits of a proof, in bytes unless said otherwise.
const (
	MaxProof        = 64 << 20 // the whole file
	MaxNote         = 64 << 10 // checkpoint note
	MaxAccountProof = 16 << 20 // account proofs, each of the two, and the passage
	MaxHeader       = 64 << 10 // block header
	MaxBundle       = 4 << 20  // evidence bundle
	MaxEndorsements = 64       // how many
	MaxEndorsement  = 4 << 20  // one of them
	MaxName         = 200      // its name
	MaxContent      = 16 << 20 // opened request and response, each
)

// Proof is the content of X.proof: everything that shows to a stranger that a
// receipt is genuine, logged and anchored. Nothing in it is believed: the
// verifier brings the trusted block, the policy and the registry.
type Proof struct {
	Receipt       *Receipt
	Inclusion     Inclusion // of the receipt in the tree of Checkpoint
	Checkpoint    Checkpoint
	AccountProof  []byte        // of the node's account, see package chain; empty when not anchored yet
	Bundle        []byte        // of the enclave that answered, encoded
	Endorsements  []Endorsement // sorted by name, no name twice
	Opening       *Opening      // nil unless the holder chose to open the commitments
	RegistryProof []byte        // of the registry's account; nil for none
	Passage       []byte        // what led to the state of the node's account, from before the anchor on, see package chain; nil for none
	BlockHeader   []byte        // of the block that the claims name; nil for none
}

// Inclusion shows that the receipt's head is leaf Index of the tree of Size
// leaves (RFC 9162 section 2.1.3).
type Inclusion struct {
	Index  uint64     `cbor:"1,keyasint"` // of the leaf
	Size   uint64     `cbor:"2,keyasint"` // leaves of the tree
	Hashes [][32]byte `cbor:"3,keyasint"` // at most translog.MaxProof
}

// Checkpoint is a log head with both signatures of the log key of its epoch,
// which may be a later one than the receipt's.
type Checkpoint struct {
	Epoch     uint32   `cbor:"1,keyasint"` // whose log key signed it
	Size      uint64   `cbor:"2,keyasint"` // leaves
	Root      [32]byte `cbor:"3,keyasint"` // RFC 9162 tree hash
	Signature [64]byte `cbor:"4,keyasint"` // over the anchor digest
	Note      []byte   `cbor:"5,keyasint"` // C2SP note; empty when the exporter had none
}

// Endorsement is one vendor-signed document that judging the bundle needs.
type Endorsement struct {
	Name  string `cbor:"1,keyasint"` // printable ASCII, at most MaxName
	Bytes []byte `cbor:"2,keyasint"` // a file that [attestation.Endorsements.AddFile] reads
}

// Opening reveals the contents behind both commitments.
type Opening struct {
	RequestSalt  [32]byte `cbor:"1,keyasint"` // of the request commitment
	ResponseSalt [32]byte `cbor:"2,keyasint"` // of the response commitment
	Request      []byte   `cbor:"3,keyasint"` // plaintext content
	Response     []byte   `cbor:"4,keyasint"` // plaintext content
}

const proofType = "cocoon/proof/v1"

type wireProof struct {
	Type          string        `cbor:"0,keyasint"`
	Receipt       []byte        `cbor:"1,keyasint"`
	Inclusion     Inclusion     `cbor:"2,keyasint"`
	Checkpoint    Checkpoint    `cbor:"3,keyasint"`
	AccountProof  []byte        `cbor:"4,keyasint"`
	Bundle        []byte        `cbor:"5,keyasint"`
	Endorsements  []Endorsement `cbor:"6,keyasint"`
	Opening       *Opening      `cbor:"7,keyasint,omitempty"`
	RegistryProof []byte        `cbor:"8,keyasint,omitempty"`
	Passage       []byte        `cbor:"9,keyasint,omitempty"`
	BlockHeader   []byte        `cbor:"10,keyasint,omitempty"`
}

// Encode returns the bytes of the file. It sorts the endorsements itself.
func (p *Proof) Encode() ([]byte, error) {
	r, err := p.Receipt.Encode()
	if err != nil {
		return nil, err
	}
	sorted := *p
	sorted.Endorsements = slices.SortedFunc(slices.Values(p.Endorsements), func(a, b Endorsement) int { return cmp.Compare(a.Name, b.Name) })
	if err := sorted.check(); err != nil {
		return nil, err
	}
	return encode(wireProof{
		proofType, r, p.Inclusion, p.Checkpoint, p.AccountProof, p.Bundle, sorted.Endorsements, p.Opening, p.RegistryProof, p.Passage, p.BlockHeader,
	})
}

// ParseProof decodes what [Proof.Encode] writes and nothing else. It checks
// shape only.
func ParseProof(b []byte) (*Proof, error) {
	var w wireProof
	if err := decode("proof", b, MaxProof, &w); err != nil {
		return nil, err
	}
	if w.Type != proofType {
		return nil, attestation.BadInput("proof: type %q, want %q", w.Type, proofType)
	}
	r, err := Parse(w.Receipt)
	if err != nil {
		return nil, err
	}
	p := &Proof{r, w.Inclusion, w.Checkpoint, w.AccountProof, w.Bundle, w.Endorsements, w.Opening, w.RegistryProof, w.Passage, w.BlockHeader}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Proof) check() error {
	bad := func(format string, a ...any) error { return attestation.BadInput("proof: "+format, a...) }
	switch {
	case len(p.Inclusion.Hashes) > translog.MaxProof:
		return bad("inclusion proof of %d hashes, limit %d", len(p.Inclusion.Hashes), translog.MaxProof)
	case p.Inclusion.Index != p.Receipt.Head.Index:
		return bad("inclusion proof is for leaf %d, the receipt is leaf %d", p.Inclusion.Index, p.Receipt.Head.Index)
	case p.Inclusion.Size != p.Checkpoint.Size:
		return bad("inclusion proof is for %d leaves, the checkpoint has %d", p.Inclusion.Size, p.Checkpoint.Size)
	case p.Checkpoint.Epoch < p.Receipt.Head.Epoch:
		return bad("checkpoint of epoch %d is older than the receipt, of epoch %d", p.Checkpoint.Epoch, p.Receipt.Head.Epoch)
	case len(p.Checkpoint.Note) > MaxNote:
		return bad("note of %d bytes, limit %d", len(p.Checkpoint.Note), MaxNote)
	case len(p.AccountProof) > MaxAccountProof || len(p.RegistryProof) > MaxAccountProof:
		return bad("account proof above the limit of %d bytes", MaxAccountProof)
	case len(p.Bundle) > MaxBundle:
		return bad("bundle of %d bytes, limit %d", len(p.Bundle), MaxBundle)
	case len(p.Endorsements) > MaxEndorsements:
		return bad("%d endorsements, limit %d", len(p.Endorsements), MaxEndorsements)
	case len(p.Passage) > MaxAccountProof || len(p.BlockHeader) > MaxHeader:
		return bad("passage or block header above the limits of %d and %d bytes", MaxAccountProof, MaxHeader)
	case p.RegistryProof != nil && len(p.RegistryProof) == 0:
		return bad("empty registry proof")
	case p.Passage != nil && len(p.Passage) == 0, p.BlockHeader != nil && len(p.BlockHeader) == 0:
		return bad("empty passage or block header")
	case p.Opening != nil && (len(p.Opening.Request) > MaxContent || len(p.Opening.Response) > MaxContent):
		return bad("opened content above the limit of %d bytes", MaxContent)
	}
	for i, e := range p.Endorsements {
		switch {
		case e.Name == "" || len(e.Name) > MaxName || !printable(e.Name):
			return bad("endorsement name %.40q is not 1 to %d printable ASCII characters", e.Name, MaxName)
		case len(e.Bytes) > MaxEndorsement:
			return bad("endorsement %q of %d bytes, limit %d", e.Name, len(e.Bytes), MaxEndorsement)
		case i > 0 && p.Endorsements[i-1].Name >= e.Name:
			return bad("endorsements are not sorted by name, or %q is there twice", e.Name)
		}
	}
	return nil
}

// Log returns the checkpoint as the log's own type. The chain id comes from the
// caller: it is the chain the account proof was checked against.
func (p *Proof) Log(chainID int32) translog.Checkpoint {
	return translog.Checkpoint{
		ChainID: chainID, Node: p.Receipt.Head.Node, Epoch: p.Checkpoint.Epoch,
		Size: p.Checkpoint.Size, Root: p.Checkpoint.Root,
	}
}

// VerifyInclusion checks that the receipt's head is in the checkpoint's tree.
// It does not check the checkpoint: compare it with the anchor that the account
// proof shows. A failure is false evidence.
func (p *Proof) VerifyInclusion() error {
	return translog.VerifyInclusion(p.Receipt.Head.LeafHash(), p.Inclusion.Index, p.Checkpoint.Size, p.Checkpoint.Root, p.Inclusion.Hashes)
}

// VerifyOpening checks the opened contents against the commitments. Without an
// opening there is nothing to check, and it returns nil.
func (p *Proof) VerifyOpening() error {
	if p.Opening == nil {
		return nil
	}
	if err := p.Receipt.Body.VerifyRequest(p.Opening.RequestSalt, p.Opening.Request); err != nil {
		return err
	}
	return p.Receipt.Body.VerifyResponse(p.Opening.ResponseSalt, p.Opening.Response)
}
