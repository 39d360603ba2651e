package tpm

import (
	"encoding/binary"

	"github.com/cocoon-go/cocoon/attestation/internal/cursor"
)

// reader takes values off a slice as the TPM writes them.
type reader struct{ cursor.Reader }

func newReader(b []byte) *reader { return &reader{cursor.Reader{B: b, Order: binary.BigEndian}} }

// sized takes a TPM2B: a length of two bytes and that many bytes.
func (r *reader) sized() []byte { return r.Take(uint64(r.U16())) }
