package nvidia

import (
	"bytes"
	"encoding/json"
)

// Limits of the files of NVIDIA's tools.
const (
	MaxFile    = 8 << 20 // bytes
	MaxDevices = 64      // in one file
)

// ParseFile reads a file with the evidence of one device or several, in any of
// the forms that occur:
//
//   - the form of bundles ([ParseEvidence])
//   - a report alone, as the driver hands it out; [Endorsements.Complete] finds
//     its certificates
//   - JSON of NVIDIA's tools: a list of objects, or one, with "evidence" (the
//     report in base64) and "certificate" (the chain in PEM in base64), or such
//     a list as "evidences". Other fields are not used: the report itself says it.
//
// Errors are bad input.
func ParseFile(data []byte) ([]*Evidence, error) {
	t := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(data) > MaxFile:
		return nil, inputAt(StepReport, "file of %d bytes, limit %d", len(data), MaxFile)
	case bytes.HasPrefix(data, reportMagic):
		if _, err := ParseReport(data); err != nil {
			return nil, err
		}
		return []*Evidence{{Report: bytes.Clone(data)}}, nil
	case bytes.HasPrefix(t, []byte("[")) || bytes.HasPrefix(t, []byte("{")):
		return parseJSON(t)
	}
	e, err := ParseEvidence(data)
	if err != nil {
		return nil, err
	}
	return []*Evidence{e}, nil
}

// reportMagic starts a report: SPDM 1.1, GET_MEASUREMENTS, signed, all blocks.
var reportMagic = []byte{0x11, 0xe0, 0x01, 0xff}

// IsEvidence reports whether data looks like a file that [ParseFile] reads.
func IsEvidence(data []byte) bool {
	if bytes.HasPrefix(data, reportMagic) || bytes.HasPrefix(data, evidencePrefix) {
		return true
	}
	t := bytes.TrimLeft(data, " \t\r\n")
	return (bytes.HasPrefix(t, []byte("[")) || bytes.HasPrefix(t, []byte("{"))) &&
		bytes.Contains(t, []byte(`"evidence"`)) && bytes.Contains(t, []byte(`"certificate"`))
}

// jsonDevice is one device in the JSON of NVIDIA's tools (attestation-sdk,
// gpu/evidence.cpp; nvtrust, "evidence_list").
type jsonDevice struct {
	Evidence    []byte `json:"evidence"`
	Certificate []byte `json:"certificate"`
}

func parseJSON(data []byte) ([]*Evidence, error) {
	var list []jsonDevice
	if data[0] == '[' {
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, inputAt(StepReport, "evidence file: %w", err)
		}
	} else {
		var one struct {
			jsonDevice
			Evidences []jsonDevice `json:"evidences"`
		}
		if err := json.Unmarshal(data, &one); err != nil {
			return nil, inputAt(StepReport, "evidence file: %w", err)
		}
		if list = one.Evidences; list == nil {
			list = []jsonDevice{one.jsonDevice}
		}
	}
	if len(list) == 0 || len(list) > MaxDevices {
		return nil, inputAt(StepReport, "evidence file: %d devices, want 1 to %d", len(list), MaxDevices)
	}
	var out []*Evidence
	for i, d := range list {
		e, err := NewEvidence(d.Evidence, d.Certificate)
		if err != nil {
			return nil, inputAt(StepReport, "evidence file: device %d: %w", i, err)
		}
		out = append(out, e)
	}
	return out, nil
}
