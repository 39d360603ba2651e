package attestation

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// DeviceVerdict are the facts of one GPU or switch.
type DeviceVerdict struct {
	Kind       string   `json:"kind"` // "hopper", "blackwell", "ls10"
	Model      string   `json:"model"`
	DeviceID   string   `json:"device_id,omitempty"`
	UEID       string   `json:"ueid"` // serial number of the attestation key's certificate
	Feature    string   `json:"feature,omitempty"`
	Driver     string   `json:"driver,omitempty"`
	VBIOS      string   `json:"vbios"`
	FWID       string   `json:"fwid"`
	Golden     bool     `json:"golden"` // all measurements are those that the vendor published
	Compared   int      `json:"measurements_compared"`
	Mismatches []string `json:"mismatches"` // of which measurements, and whose values they should have
	NonceBound bool     `json:"nonce_bound"`
	NotAfter   string   `json:"not_after"` // RFC 3339
	Source     string   `json:"source"`    // "report": everything follows from it and documents; "nras": the remote service says the rest
}

func deviceVerdict(d *nvidia.Facts) DeviceVerdict {
	o := &d.Report.Opaque
	v := DeviceVerdict{
		Kind: string(d.Kind), Model: d.Model, UEID: d.UEID, Feature: string(o.Feature), Driver: o.Driver, VBIOS: o.VBIOS,
		FWID: hex.EncodeToString(d.FWID[:]), NonceBound: d.NonceBound, NotAfter: stamp(d.NotAfter), Mismatches: []string{}, Source: "report",
	}
	if d.NRAS != nil {
		v.Source = "nras"
	}
	if d.HasDeviceID {
		v.DeviceID = hex.EncodeToString(d.DeviceID[:])
	}
	if d.Golden != nil {
		v.Golden, v.Compared, v.Mismatches = d.Golden.Match(), d.Golden.Compared, mismatches(d.Golden)
	}
	return v
}

func mismatches(g *nvidia.Golden) []string {
	out := []string{}
	for _, m := range g.Mismatches {
		how := "differs"
		if m.Absent {
			how = "is absent"
		}
		out = append(out, fmt.Sprintf("measurement %d of the %s %s", m.Index, m.Source, how))
	}
	return out
}

// goldenText says how measurements compare.
func goldenText(d *nvidia.Facts) string {
	switch {
	case d.NRAS != nil && (d.Golden == nil || len(d.Golden.Mismatches) == 0):
		return "golden as the remote attestation service says"
	case d.Golden == nil || !d.Golden.Complete:
		return "not compared with all documents"
	case d.Golden.Match():
		return fmt.Sprintf("%d golden", d.Golden.Compared)
	}
	return strings.Join(mismatches(d.Golden), ", ")
}
