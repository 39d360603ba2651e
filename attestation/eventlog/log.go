package eventlog

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // the banks of a log are named by the log; weak ones are for the caller to refuse
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/binary"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/internal/cursor"
)

// Limits of [Parse].
const (
	MaxLog       = 4 << 20 // bytes in a log
	MaxEvents    = 16384   // events in a log
	MaxEventData = 1 << 20 // bytes of data in one event
	MaxBanks     = 8       // hash algorithms in a log
)

// Alg is a TPM hash algorithm identifier (TCG Algorithm Registry, table 3).
type Alg uint16

// The hash algorithms that can be replayed. Others may occur in a log and are
// skipped.
const (
	SHA1   Alg = 0x0004
	SHA256 Alg = 0x000b
	SHA384 Alg = 0x000c
	SHA512 Alg = 0x000d
)

// Hash returns the algorithm, or 0 when it cannot be computed here.
func (a Alg) Hash() crypto.Hash {
	switch a {
	case SHA1:
		return crypto.SHA1
	case SHA256:
		return crypto.SHA256
	case SHA384:
		return crypto.SHA384
	case SHA512:
		return crypto.SHA512
	}
	return 0
}

// String returns a name such as "sha256".
func (a Alg) String() string {
	switch a {
	case SHA1:
		return "sha1"
	case SHA256:
		return "sha256"
	case SHA384:
		return "sha384"
	case SHA512:
		return "sha512"
	}
	return fmt.Sprintf("alg-%#04x", uint16(a))
}

// Digest is one digest of an event.
type Digest struct {
	Alg   Alg
	Value []byte
}

// Event is one entry of a log.
type Event struct {
	Number   int    // position in the log, the header is 0
	Register uint32 // PCR index; in a CCEL, measurement register index (1 to 4 are RTMR 0 to 3)
	Type     Type
	Digests  []Digest // in the order of the log, one per bank at most
	data     []byte
}

// RawData returns the event data as it stands in the log, covered by a digest
// or not. It must not be changed.
func (e *Event) RawData() []byte { return e.data }

// Digest returns the digest in one bank, or nil.
func (e *Event) Digest(a Alg) []byte {
	for _, d := range e.Digests {
		if d.Alg == a {
			return d.Value
		}
	}
	return nil
}

// Log is a parsed event log. It is immutable.
type Log struct {
	Banks    []Alg // algorithms that the header announces, in its order
	Events   []Event
	Locality uint8 // locality of the TPM start-up, which sets the start value of PCR 0
	Trailer  int   // bytes of padding after the last event
}

// header is the signature of the header event's data (PFP 10.4.5.1).
var header = []byte("Spec ID Event03\x00")

// startupLocality is the signature of a no-action event (PFP 10.4.5.3).
var startupLocality = []byte("StartupLocality\x00")

// Parse reads a crypto-agile log: a TCG2 log as in
// /sys/kernel/security/tpm0/binary_bios_measurements, or the data of a CCEL.
// The log may be followed by padding of one repeated byte, 0x00 or 0xff, as
// firmware leaves it in a fixed area. Errors are bad input.
func Parse(b []byte) (*Log, error) {
	if len(b) > MaxLog {
		return nil, fault.BadInput("event log: %d bytes, at most %d", len(b), MaxLog)
	}
	r := newReader(b)
	sizes, err := parseHeader(r)
	if err != nil {
		return nil, err
	}
	l := &Log{}
	for _, s := range sizes {
		l.Banks = append(l.Banks, s.alg)
	}
	for n := 1; len(r.B) > 0; n++ {
		if padding(r.B) {
			l.Trailer = len(r.B)
			break
		}
		if n > MaxEvents {
			return nil, fault.BadInput("event log: more than %d events", MaxEvents)
		}
		e, err := parseEvent(r, sizes)
		if err != nil {
			return nil, fault.BadInput("event log: event %d: %w", n, err)
		}
		e.Number = n
		if e.Type == NoAction && bytes.HasPrefix(e.data, startupLocality) {
			if err := l.setLocality(e); err != nil {
				return nil, err
			}
		}
		l.Events = append(l.Events, e)
	}
	return l, nil
}

func (l *Log) setLocality(e Event) error {
	rest := e.data[len(startupLocality):]
	if len(rest) != 1 || rest[0] > 4 || e.Register != 0 || l.Locality != 0 {
		return fault.BadInput("event log: event %d: malformed or repeated start-up locality", e.Number)
	}
	for _, before := range l.Events {
		if before.Register == 0 && before.Type != NoAction {
			return fault.BadInput("event log: event %d: start-up locality after PCR 0 was extended", e.Number)
		}
	}
	l.Locality = rest[0]
	return nil
}

type bank struct {
	alg  Alg
	size int
}

// parseHeader reads the first event, which has the old SHA-1 form (PFP
// 10.4.5.1, TCG_EfiSpecIDEventStruct).
func parseHeader(r *reader) ([]bank, error) {
	reg, typ := r.U32(), Type(r.U32())
	zero := r.Take(20)
	spec := newReader(r.Take(uint64(r.U32())))
	if r.Short {
		return nil, fault.BadInput("event log: truncated header")
	}
	if reg != 0 && reg != 1 || typ != NoAction || !bytes.Equal(zero, make([]byte, 20)) || !bytes.Equal(spec.Take(16), header) {
		return nil, fault.BadInput("event log: does not start with the header of a crypto-agile log")
	}
	spec.Take(8) // platform class, version, errata, size of UINTN
	n := spec.U32()
	if n == 0 || n > MaxBanks {
		return nil, fault.BadInput("event log: %d hash algorithms, from 1 to %d are allowed", n, MaxBanks)
	}
	var banks []bank
	for range n {
		k := bank{Alg(spec.U16()), int(spec.U16())}
		if h := k.alg.Hash(); h != 0 && h.Size() != k.size || k.size == 0 || k.size > 64 {
			return nil, fault.BadInput("event log: digests of %v have %d bytes", k.alg, k.size)
		}
		for _, o := range banks {
			if o.alg == k.alg {
				return nil, fault.BadInput("event log: %v is announced twice", k.alg)
			}
		}
		banks = append(banks, k)
	}
	spec.Take(uint64(spec.U8())) // vendor info
	if spec.Short || len(spec.B) != 0 {
		return nil, fault.BadInput("event log: header of the wrong length")
	}
	return banks, nil
}

// parseEvent reads one TCG_PCR_EVENT2 (PFP 10.2.2).
func parseEvent(r *reader, banks []bank) (Event, error) {
	e := Event{Register: r.U32(), Type: Type(r.U32())}
	n := r.U32()
	if r.Short {
		return e, fmt.Errorf("truncated")
	}
	if n == 0 || n > uint32(len(banks)) {
		return e, fmt.Errorf("%d digests for %d hash algorithms", n, len(banks))
	}
	for range n {
		a := Alg(r.U16())
		size := -1
		for _, k := range banks {
			if k.alg == a {
				size = k.size
			}
		}
		if size < 0 {
			return e, fmt.Errorf("digest of %v, which the header does not announce", a)
		}
		if e.Digest(a) != nil {
			return e, fmt.Errorf("two digests of %v", a)
		}
		e.Digests = append(e.Digests, Digest{a, r.Take(uint64(size))})
	}
	size := r.U32()
	if size > MaxEventData {
		return e, fmt.Errorf("%d bytes of data, at most %d", size, MaxEventData)
	}
	e.data = r.Take(uint64(size))
	if r.Short {
		return e, fmt.Errorf("truncated")
	}
	return e, nil
}

// padding reports whether b is one byte value over and over, 0x00 or 0xff, and
// thus no event: an event starts with a register, a type and a digest count,
// which are never all zero and never all ones.
func padding(b []byte) bool {
	if b[0] != 0 && b[0] != 0xff {
		return false
	}
	for _, x := range b {
		if x != b[0] {
			return false
		}
	}
	return true
}

// reader takes little-endian values off a slice.
type reader = cursor.Reader

func newReader(b []byte) *reader { return &reader{B: b, Order: binary.LittleEndian} }
