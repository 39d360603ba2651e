package translog

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/cocoon-go/cocoon/attestation"
)

// Limits.
const (
	// MaxSize is the largest tree, in leaves: what tiles of levels 0 to 5 cover.
	MaxSize = 1<<48 - 1
	// MaxProof is the largest number of hashes in a proof.
	MaxProof = 64
	// MaxNote is the largest note, in bytes. Witnesses may add signatures to it.
	MaxNote = 64 << 10
)

// Checkpoint is the head of a node's log at one size, signed by the log key of
// one epoch.
type Checkpoint struct {
	ChainID int32               // TON global_id
	Node    attestation.Address // whose log it is
	Epoch   uint32              // boot whose log key signs
	Size    uint64              // leaves, at most MaxSize
	Root    [32]byte            // RFC 9162 tree hash
}

// AnchorDigest returns the 32 bytes that the log key signs for the contract:
//
//	SHA-256("cocoon/anchor/v1\n" || chain id int32 || node workchain int32 ||
//	        node hash[32] || epoch uint32 || size uint64 || root[32])
func (c *Checkpoint) AnchorDigest() [32]byte {
	b := make([]byte, 0, 128)
	b = append(b, "cocoon/anchor/v1\n"...)
	b = binary.BigEndian.AppendUint32(b, uint32(c.ChainID))
	b = c.Node.AppendTo(b)
	b = binary.BigEndian.AppendUint32(b, c.Epoch)
	b = binary.BigEndian.AppendUint64(b, c.Size)
	b = append(b, c.Root[:]...)
	return sha256.Sum256(b)
}

// SignAnchor signs the anchor digest. It panics when the key has the wrong
// length, as ed25519.Sign does.
func (c *Checkpoint) SignAnchor(logKey ed25519.PrivateKey) [ed25519.SignatureSize]byte {
	d := c.AnchorDigest()
	return [ed25519.SignatureSize]byte(ed25519.Sign(logKey, d[:]))
}

// VerifyAnchor checks the signature over the anchor digest. A failure is false
// evidence.
func (c *Checkpoint) VerifyAnchor(logKey [32]byte, sig [ed25519.SignatureSize]byte) error {
	d := c.AnchorDigest()
	if !ed25519.Verify(logKey[:], d[:], sig[:]) {
		return attestation.False("checkpoint of %d leaves: not signed by the log key of epoch %d", c.Size, c.Epoch)
	}
	return nil
}

// Origin returns the name of a node's log, which is the first line of its notes
// and the name of the key that signs them. The workchain is not part of it.
func Origin(node attestation.Address) string {
	return "cocoon/" + base64.RawURLEncoding.EncodeToString(node.Hash[:])
}

// SignNote returns the checkpoint as a signed C2SP note of three lines: origin,
// size in decimal, root in base64. A note names neither chain nor epoch.
func (c *Checkpoint) SignNote(logKey ed25519.PrivateKey) ([]byte, error) {
	if len(logKey) != ed25519.PrivateKeySize {
		return nil, attestation.BadInput("log key: %d bytes, want %d", len(logKey), ed25519.PrivateKeySize)
	}
	origin := Origin(c.Node)
	text := origin + "\n" + strconv.FormatUint(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
	key := noteKey{origin, [32]byte(logKey.Public().(ed25519.PublicKey))}
	b, err := note.Sign(&note.Note{Text: text}, noteSigner{key, logKey})
	if err != nil {
		return nil, attestation.BadInput("signing a note: %v", err)
	}
	return b, nil
}

// ParseNote opens a signed note of node's log under logKey and returns size and
// root. Signatures by other keys, such as those of witnesses, are ignored. A
// note of the wrong shape is bad input; one without a valid signature, or of
// another log, is false evidence.
func ParseNote(b []byte, node attestation.Address, logKey [32]byte) (size uint64, root [32]byte, err error) {
	if len(b) > MaxNote {
		return 0, root, attestation.BadInput("checkpoint note: %d bytes, limit %d", len(b), MaxNote)
	}
	origin := Origin(node)
	n, err := note.Open(b, note.VerifierList(noteVerifier{noteKey{origin, logKey}}))
	if err != nil {
		if _, unverified := err.(*note.UnverifiedNoteError); unverified {
			return 0, root, attestation.False("checkpoint note: not signed by the log key of %s", origin)
		}
		if _, invalid := err.(*note.InvalidSignatureError); invalid {
			return 0, root, attestation.False("checkpoint note: the signature of %s does not hold", origin)
		}
		return 0, root, attestation.BadInput("checkpoint note: %v", err)
	}
	return parseNoteText(n.Text, origin)
}

func parseNoteText(text, origin string) (size uint64, root [32]byte, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return 0, root, attestation.BadInput("checkpoint note: want exactly three lines: origin, size, root")
	}
	if lines[0] != origin {
		return 0, root, attestation.False("checkpoint note: of the log %q, want %q", lines[0], origin)
	}
	size, err = strconv.ParseUint(lines[1], 10, 64)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] || size > MaxSize {
		return 0, root, attestation.BadInput("checkpoint note: %.40q is not a log size", lines[1])
	}
	h, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(h) != len(root) {
		return 0, root, attestation.BadInput("checkpoint note: %.60q is not a root in base64", lines[2])
	}
	return size, [32]byte(h), nil
}

// noteKey names an Ed25519 key as C2SP signed-note does: the key hash is the
// start of SHA-256(name || "\n" || 0x01 || public key).
type noteKey struct {
	name string
	pub  [32]byte
}

func (k noteKey) Name() string { return k.name }

func (k noteKey) KeyHash() uint32 {
	h := sha256.New()
	h.Write([]byte(k.name + "\n\x01"))
	h.Write(k.pub[:])
	return binary.BigEndian.Uint32(h.Sum(nil))
}

type noteVerifier struct{ noteKey }

func (v noteVerifier) Verify(msg, sig []byte) bool { return ed25519.Verify(v.pub[:], msg, sig) }

type noteSigner struct {
	noteKey
	key ed25519.PrivateKey
}

func (s noteSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }
