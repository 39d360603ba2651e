package tpm

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
)

// AzureFile is evidence of an Azure confidential VM in the JSON forms that the
// Confidential Containers attester writes (az-snp-vtpm, az-tdx-vtpm).
type AzureFile struct {
	Evidence *Evidence
	VCEK     []byte // certificate of the SEV-SNP report's key, DER or PEM; nil for TDX
}

// MaxAzureFile bounds the JSON of an [AzureFile], in bytes.
const MaxAzureFile = 1 << 20

// azureForm says how one version of the JSON names and encodes its fields.
type azureForm struct {
	quote, hcl   string // names of the members
	bytes, large decoder
}

type decoder func(json.RawMessage) ([]byte, error)

var (
	// formNumbered is of the files that carry a version, 1 or 2.
	formNumbered = azureForm{"tpm_quote", "hcl_report", hexBytes, base64Bytes}
	// formOld is of the files before that, with lists of numbers for bytes.
	formOld = azureForm{"quote", "report", listBytes, listBytes}
)

// IsAzureFile reports whether b starts like an [AzureFile]. It is a guess at the
// kind of a file, not a check.
func IsAzureFile(b []byte) bool {
	if len(b) > MaxAzureFile {
		return false
	}
	m, _ := object(b) // no members when it is none
	return m["hcl_report"] != nil && m["tpm_quote"] != nil || m["report"] != nil && m["quote"] != nil && m["vcek"] != nil
}

// ParseAzureFile reads an [AzureFile]: quote, all 24 registers of the SHA-256
// bank, HCL report, and the VCEK's certificate or the TDX quote. Quote and
// reports are not looked into. Errors are bad input.
func ParseAzureFile(b []byte) (*AzureFile, error) {
	if len(b) > MaxAzureFile {
		return nil, inputAt(StepEvidence, "%d bytes, at most %d", len(b), MaxAzureFile)
	}
	m, err := object(b)
	if err != nil {
		return nil, inputAt(StepEvidence, "%w", err)
	}
	f, err := readAzure(m)
	if err != nil {
		return nil, inputAt(StepEvidence, "Azure evidence: %w", err)
	}
	return f, nil
}

func readAzure(m map[string]json.RawMessage) (*AzureFile, error) {
	form := formOld
	if v, ok := m["version"]; ok {
		if form = formNumbered; string(v) != "1" && string(v) != "2" {
			return nil, fmt.Errorf("version %.16s; 1 and 2 are known", v)
		}
		delete(m, "version")
	}
	q, err := form.readQuote(m[form.quote])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", form.quote, err)
	}
	f := &AzureFile{Evidence: &Evidence{Quotes: []Quote{*q}}}
	if f.Evidence.HCL, err = form.large(m[form.hcl]); err != nil {
		return nil, fmt.Errorf("%s: %w", form.hcl, err)
	}
	delete(m, form.quote)
	delete(m, form.hcl)
	if v, ok := m["td_quote"]; ok {
		if f.Evidence.TDQuote, err = form.large(v); err != nil {
			return nil, fmt.Errorf("td_quote: %w", err)
		}
		delete(m, "td_quote")
	}
	if v, ok := m["vcek"]; ok {
		if f.VCEK, err = certificateBytes(v); err != nil {
			return nil, fmt.Errorf("vcek: %w", err)
		}
		delete(m, "vcek")
	}
	for name := range m {
		return nil, fmt.Errorf("unknown member %.32q", name)
	}
	return f, nil
}

func (f azureForm) readQuote(raw json.RawMessage) (*Quote, error) {
	m, err := object(raw)
	if err != nil {
		return nil, err
	}
	q := &Quote{PCRs: PCRs{eventlog.SHA256: {}}}
	if q.Attest, err = f.bytes(m["message"]); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	sig, err := f.bytes(m["signature"])
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	q.Signature = rsaSignature(sig)
	var pcrs []json.RawMessage
	if err := json.Unmarshal(m["pcrs"], &pcrs); err != nil || len(pcrs) != eventlog.NumPCRs || len(m) != 3 {
		return nil, fmt.Errorf("want message, signature and the %d values of pcrs, and nothing else", eventlog.NumPCRs)
	}
	for i, p := range pcrs {
		if q.PCRs[eventlog.SHA256][i], err = f.bytes(p); err != nil {
			return nil, fmt.Errorf("pcrs: %w", err)
		}
	}
	return q, nil
}

// rsaSignature puts a bare signature, as this JSON has it, into a TPMT_SIGNATURE.
func rsaSignature(sig []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(RSASSA))
	b = binary.BigEndian.AppendUint16(b, uint16(eventlog.SHA256))
	b = binary.BigEndian.AppendUint16(b, uint16(len(sig)))
	return append(b, sig...)
}

func hexBytes(raw json.RawMessage) ([]byte, error) {
	s, err := text(raw)
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(s)
}

func base64Bytes(raw json.RawMessage) ([]byte, error) {
	s, err := text(raw)
	if err != nil {
		return nil, err
	}
	return base64.URLEncoding.Strict().DecodeString(s)
}

// listBytes reads a list of numbers from 0 to 255. A list of bytes would be
// base64 to encoding/json.
func listBytes(raw json.RawMessage) ([]byte, error) {
	var numbers []int
	if err := json.Unmarshal(raw, &numbers); err != nil || string(raw) == "null" {
		return nil, fmt.Errorf("not a list of numbers")
	}
	out := make([]byte, len(numbers))
	for i, n := range numbers {
		if n < 0 || n > 255 {
			return nil, fmt.Errorf("%d is no byte", n)
		}
		out[i] = byte(n)
	}
	return out, nil
}

// certificateBytes reads a certificate: base64url of DER, or PEM.
func certificateBytes(raw json.RawMessage) ([]byte, error) {
	s, err := text(raw)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix([]byte(s), []byte("-----BEGIN ")) {
		return []byte(s), nil
	}
	return base64.URLEncoding.Strict().DecodeString(s)
}
