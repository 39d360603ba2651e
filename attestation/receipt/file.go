package receipt

import (
	"crypto/ed25519"

	"github.com/cocoon-go/cocoon/attestation"
)

// File is the content of X.receipt: what a client keeps of one answer. The
// salts and the seed are secret: store it with mode 0600 and do not print it.
type File struct {
	Receipt      *Receipt
	RequestSalt  [32]byte // opens the request commitment
	ResponseSalt [32]byte // opens the response commitment
	HolderSeed   [32]byte // Ed25519 seed of the one-time holder key
}

const (
	fileType = "cocoon/receipt-file/v1"
	maxFile  = MaxReceipt + 256
)

type wireFile struct {
	Type         string   `cbor:"0,keyasint"`
	Receipt      []byte   `cbor:"1,keyasint"`
	RequestSalt  [32]byte `cbor:"2,keyasint"`
	ResponseSalt [32]byte `cbor:"3,keyasint"`
	HolderSeed   [32]byte `cbor:"4,keyasint"`
}

// Encode returns the bytes of the file.
func (f *File) Encode() ([]byte, error) {
	r, err := f.Receipt.Encode()
	if err != nil {
		return nil, err
	}
	return encode(wireFile{fileType, r, f.RequestSalt, f.ResponseSalt, f.HolderSeed})
}

// ParseFile decodes what [File.Encode] writes and nothing else. It checks shape
// only.
func ParseFile(p []byte) (*File, error) {
	var w wireFile
	if err := decode("receipt file", p, maxFile, &w); err != nil {
		return nil, err
	}
	if w.Type != fileType {
		return nil, attestation.BadInput("receipt file: type %q, want %q", w.Type, fileType)
	}
	r, err := Parse(w.Receipt)
	if err != nil {
		return nil, err
	}
	return &File{r, w.RequestSalt, w.ResponseSalt, w.HolderSeed}, nil
}

// HolderKey returns the key that proves possession of the receipt.
func (f *File) HolderKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(f.HolderSeed[:]) }
