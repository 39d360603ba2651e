package command

import (
	"bytes"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
)

// FileKind is a kind of files that this project writes: the name with which they
// begin.
type FileKind string

// Kinds of files (docs/spec).
const (
	ProofFile        FileKind = "cocoon/proof/"
	ReceiptFile      FileKind = "cocoon/receipt-file/"
	BundleFile       FileKind = "cocoon/bundle/"
	CertificateFile  FileKind = "cocoon/certificate/"
	RequestFile      FileKind = "cocoon/certificate-request/"
	EndorsementsFile FileKind = "cocoon/endorsements/"
	AccountFile      FileKind = "cocoon/account-proof/"
	RecordFile       FileKind = "cocoon/node-record/"
)

var fileKinds = map[FileKind]string{
	ProofFile: "the proof of a receipt", ReceiptFile: "a receipt", BundleFile: "a bundle", CertificateFile: "a certificate of verifiers",
	RequestFile: "a request for certificates", EndorsementsFile: "a set of endorsements", AccountFile: "the proof of an account's state",
	RecordFile: "the record of a node",
}

// String says what it is, in words.
func (k FileKind) String() string { return fileKinds[k] }

// KindOf returns the kind that data claims to be, empty for none. It is for words
// about a file that can't be read; nothing of it is checked.
func KindOf(data []byte) FileKind {
	head := data[:min(len(data), 40)]
	for k := range fileKinds {
		if bytes.Contains(head, []byte(k)) {
			return k
		}
	}
	return ""
}

// NotA says why a file can't be read as what it has to be: what it is instead, or
// err. how says where the right one comes from.
func NotA(want FileKind, name string, data []byte, how string, err error) error {
	switch k := KindOf(data); {
	case len(data) == 0:
		return attestation.BadInput("%s is empty, want %v: %s", name, want, how)
	case k == want:
		return fmt.Errorf("%s: %w", name, err)
	case k != "":
		return attestation.BadInput("%s is %v, want %v: %s", name, k, want, how)
	}
	return attestation.BadInput("%s is not %v: %s", name, want, how)
}
