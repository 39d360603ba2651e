package device

import (
	"context"
	"encoding/asn1"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// TPM is the machine's TPM 2.0. Implementations are safe for concurrent use.
type TPM interface {
	// Evidence has the attestation key quote the registers over extraData
	// (docs/spec/tpm.md). Its signature and registers are right; who vouches for
	// the key is for others to find out.
	Evidence(ctx context.Context, extraData [32]byte) (*tpm.Evidence, error)
	// Close gives the TPM back. Nothing may be called after it.
	Close() error
}

// TPMConfig says what is quoted and by which key.
type TPMConfig struct {
	Key  uint32 // persistent handle of the attestation key, which needs no password
	PCRs []int  // registers of the SHA-256 bank, rising
	// Certificate is the NV index with the certificate of the key; 0: there is
	// none, and the TPM is one of development.
	Certificate uint32
}

// Ranges of handles (TPM2 part 2, 7.4: TPM_HT_PERSISTENT, TPM_HT_NV_INDEX).
const (
	minPersistent, maxPersistent = 0x81000000, 0x81ffffff
	minNVIndex, maxNVIndex       = 0x01000000, 0x01ffffff
)

// Check returns an [*attestation.InputError] unless the configuration can be
// used.
func (c *TPMConfig) Check() error {
	switch {
	case c.Key < minPersistent || c.Key > maxPersistent:
		return attestation.BadInput("TPM key %#08x: want a persistent handle, %#08x to %#08x", c.Key, minPersistent, maxPersistent)
	case c.Certificate != 0 && (c.Certificate < minNVIndex || c.Certificate > maxNVIndex):
		return attestation.BadInput("TPM certificate %#08x: want an NV index, %#08x to %#08x", c.Certificate, minNVIndex, maxNVIndex)
	case len(c.PCRs) == 0:
		return attestation.BadInput("TPM: no register to quote")
	}
	for i, n := range c.PCRs {
		if n < 0 || n >= eventlog.NumPCRs || i > 0 && n <= c.PCRs[i-1] {
			return attestation.BadInput("TPM registers %v: want numbers from 0 to %d, rising", c.PCRs, eventlog.NumPCRs-1)
		}
	}
	return nil
}

// tpmDevice asks a TPM by its commands.
type tpmDevice struct {
	cfg   TPMConfig
	close func() error

	mu  sync.Mutex
	tpm transport.TPM // guarded by mu
}

// newTPM takes a configuration that was checked.
func newTPM(t transport.TPM, c TPMConfig, close func() error) *tpmDevice {
	c.PCRs = slices.Clone(c.PCRs)
	return &tpmDevice{cfg: c, close: close, tpm: t}
}

// Close implements TPM.
func (d *tpmDevice) Close() error { return d.close() }

// quoteTries is how often registers may change between reading and quoting.
const quoteTries = 3

// Evidence implements TPM. Commands can't be interrupted; a context that is over
// stops the next one.
func (d *tpmDevice) Evidence(ctx context.Context, extraData [32]byte) (*tpm.Evidence, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	public, name, err := d.public()
	if err != nil {
		return nil, fmt.Errorf("TPM: key %#08x: %w", d.cfg.Key, err)
	}
	ev := &tpm.Evidence{Public: public}
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		q, err := d.quote(name, extraData)
		if err != nil {
			return nil, fmt.Errorf("TPM: %w", err)
		}
		ev.Quotes = []tpm.Quote{q}
		if err = check(ev, extraData); err == nil {
			break
		}
		if try == quoteTries {
			return nil, fmt.Errorf("TPM: its quote: %w", err)
		}
	}
	if d.cfg.Certificate == 0 {
		return ev, nil
	}
	cert, err := d.certificate()
	if err != nil {
		return nil, fmt.Errorf("TPM: certificate in NV index %#08x: %w", d.cfg.Certificate, err)
	}
	ev.Certificates = [][]byte{cert}
	return ev, nil
}

// check verifies the quote under the key that the TPM shows: it finds a TPM that
// quotes something else, or a key that is none for attestation.
func check(ev *tpm.Evidence, extraData [32]byte) error {
	p, err := tpm.ParsePublic(ev.Public)
	if err != nil {
		return err
	}
	f, err := tpm.Verify(ev, nil, nil, tpm.Options{UnsafeDevelopmentKeys: [][32]byte{p.Digest()}}, time.Now())
	if err != nil {
		return err
	}
	return f.CheckExtraData(extraData[:])
}

// public reads the public area of the key, and its name.
func (d *tpmDevice) public() (area []byte, name tpm2.TPM2BName, err error) {
	r, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(d.cfg.Key)}.Execute(d.tpm)
	if err != nil {
		return nil, name, unanswered(err)
	}
	return slices.Clone(r.OutPublic.Bytes()), r.Name, nil
}

func (d *tpmDevice) quote(name tpm2.TPM2BName, extraData [32]byte) (q tpm.Quote, err error) {
	values, err := d.read()
	if err != nil {
		return q, fmt.Errorf("reading registers: %w", err)
	}
	r, err := tpm2.Quote{
		SignHandle:     tpm2.AuthHandle{Handle: tpm2.TPMHandle(d.cfg.Key), Name: name, Auth: tpm2.PasswordAuth(nil)},
		QualifyingData: tpm2.TPM2BData{Buffer: extraData[:]},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, // the key has its own
		PCRSelect:      selection(d.cfg.PCRs),
	}.Execute(d.tpm)
	if err != nil {
		return q, fmt.Errorf("quoting: %w", unanswered(err))
	}
	q.Attest = slices.Clone(r.Quoted.Bytes())
	q.Signature = tpm2.Marshal(r.Signature)
	q.PCRs = tpm.PCRs{eventlog.SHA256: values}
	return q, nil
}

// read returns the values of the registers. A TPM returns eight at a time at
// most (TPM2 part 3, 22.4).
func (d *tpmDevice) read() (map[int][]byte, error) {
	values := map[int][]byte{}
	for left := d.cfg.PCRs; len(left) > 0; {
		r, err := tpm2.PCRRead{PCRSelectionIn: selection(left)}.Execute(d.tpm)
		if err != nil {
			return nil, unanswered(err)
		}
		digests := r.PCRValues.Digests
		if len(digests) == 0 || len(digests) > len(left) {
			return nil, attestation.Unknown("%d values for %d registers: has this TPM a SHA-256 bank?", len(digests), len(left))
		}
		for i, v := range digests { // in the order of the selection
			values[left[i]] = slices.Clone(v.Buffer)
		}
		left = left[len(digests):]
	}
	return values, nil
}

func selection(pcrs []int) tpm2.TPMLPCRSelection {
	var n []uint
	for _, i := range pcrs {
		n = append(n, uint(i))
	}
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(n...)}}}
}

// Reading of NV indexes: what every TPM returns at once, and the size of a
// certificate that is believed.
const (
	nvChunk        = 512
	maxCertificate = 8 << 10
)

// certificate reads the certificate of the key. What follows it in the index is
// padding.
func (d *tpmDevice) certificate() ([]byte, error) {
	index := tpm2.TPMHandle(d.cfg.Certificate)
	p, err := tpm2.NVReadPublic{NVIndex: index}.Execute(d.tpm)
	if err != nil {
		return nil, unanswered(err)
	}
	public, err := p.NVPublic.Contents()
	if err != nil {
		return nil, unanswered(err)
	}
	size := int(public.DataSize)
	if size > maxCertificate {
		return nil, attestation.Unknown("%d bytes, at most %d are read", size, maxCertificate)
	}
	as := tpm2.AuthHandle{Handle: index, Name: p.NVName, Auth: tpm2.PasswordAuth(nil)}
	if !public.Attributes.AuthRead {
		as = tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}
	}
	var data []byte
	for len(data) < size {
		r, err := tpm2.NVRead{
			AuthHandle: as, NVIndex: tpm2.NamedHandle{Handle: index, Name: p.NVName},
			Size: uint16(min(nvChunk, size-len(data))), Offset: uint16(len(data)),
		}.Execute(d.tpm)
		if err != nil {
			return nil, unanswered(err)
		}
		if len(r.Data.Buffer) == 0 {
			return nil, attestation.Unknown("it ends after %d of %d bytes", len(data), size)
		}
		data = append(data, r.Data.Buffer...)
	}
	var der asn1.RawValue
	if _, err := asn1.Unmarshal(data, &der); err != nil || der.Tag != asn1.TagSequence {
		return nil, attestation.Unknown("no certificate there")
	}
	return der.FullBytes, nil
}

// unanswered gives an error of the TPM its family.
func unanswered(err error) error { return attestation.Unknown("%w", err) }
