package nvidia

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// RIMServiceURL is the address of NVIDIA's RIM service; the id of a RIM document
// comes after it.
const RIMServiceURL = "https://rim.attestation.nvidia.com/v1/rim/"

// unwrapRIM reads the service's answer: an object with the document in base64,
// its id, and other fields that are not signed and not used.
func unwrapRIM(b []byte) ([]byte, error) {
	if len(b) > MaxRIM/3*4+4096 {
		return nil, fmt.Errorf("%d bytes of JSON, limit %d", len(b), MaxRIM/3*4+4096)
	}
	var w struct {
		RIM    *string `json:"rim"`
		Format string  `json:"rim_format"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&w); err != nil || d.More() {
		return nil, errors.New("not an answer of the RIM service: not one JSON object")
	}
	if w.RIM == nil {
		return nil, errors.New("not an answer of the RIM service: no field rim")
	}
	if w.Format != "" && w.Format != "TCG" {
		return nil, fmt.Errorf("format %.20q of the RIM service is not known, want TCG", w.Format)
	}
	doc, err := base64.StdEncoding.Strict().DecodeString(*w.RIM)
	if err != nil {
		return nil, errors.New("not an answer of the RIM service: rim is not base64")
	}
	return doc, nil
}
