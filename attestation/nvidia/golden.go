package nvidia

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// nvdecMeasurement is the index that is not compared while the first video
// decoder is off (nvtrust, verifier.py; attestation-sdk, gpu/verify.cpp).
const nvdecMeasurement = 35

// Golden says how the measurements of a report compare with the golden ones of
// its RIM documents. Whether a difference is acceptable is for the caller.
type Golden struct {
	Driver *RIMFacts // nil for a switch
	VBIOS  *RIMFacts

	Compared   int        // measurements compared, missing ones included
	Skipped    []int      // active ones that NVIDIA's algorithm does not compare
	Mismatches []Mismatch // by index
}

// Match reports whether everything that was compared is golden.
func (g *Golden) Match() bool { return g.Compared > 0 && len(g.Mismatches) == 0 }

// Mismatch is one measurement that is not golden.
type Mismatch struct {
	Index  int    // as in RIM documents: SPDM index minus one
	Source string // "driver" or "vbios": whose document holds the golden values
	Absent bool   // the report does not have this measurement
	Got    [DigestSize]byte
	Want   [][DigestSize]byte // any of these
}

// CompareGolden compares a report with the RIM documents of its driver and its
// VBIOS, as NVIDIA's verifiers do: every active golden measurement has to be in
// the report and to equal one of its alternatives. Measurement 35 is left out
// when the report says that NVDEC0 is off. What only the report has is not
// compared. For a switch the driver's document is nil.
//
// Documents of another version or kind of device, that contradict each other,
// or that hold reference values that can't be compared here, are "could not find
// out".
func CompareGolden(r *Report, driver, vbios *RIM) (*Golden, error) {
	if r == nil || vbios == nil {
		return nil, inputAt(StepGolden, "no report or no RIM document of its VBIOS given")
	}
	edition := editionGPU
	if r.Opaque.Driver == "" {
		edition = editionSwitch
	}
	if (driver == nil) != (edition == editionSwitch) {
		return nil, inputAt(StepGolden, "a GPU has a driver's RIM document, a switch has none")
	}
	g := &Golden{VBIOS: &vbios.facts}
	if err := vbios.fits(edition, r.Opaque.VBIOS); err != nil {
		return nil, err
	}
	if driver != nil {
		g.Driver = &driver.facts
		if err := driver.fits(edition, r.Opaque.Driver); err != nil {
			return nil, err
		}
		if err := contradict(driver, vbios); err != nil {
			return nil, err
		}
		g.compare(r, "driver", &driver.doc.golden)
	}
	g.compare(r, "vbios", &vbios.doc.golden)
	slices.SortFunc(g.Mismatches, func(a, b Mismatch) int { return a.Index - b.Index })
	return g, nil
}

func unknownAt(s Step, format string, a ...any) error {
	return fault.Unknown("%w", &StepError{s, fmt.Errorf(format, a...)})
}

// fits checks that the document is for this version, and that all of it can be
// compared.
func (r *RIM) fits(edition, version string) error {
	if r.facts.Edition != edition || !strings.EqualFold(r.facts.Version, version) {
		return unknownAt(StepGolden, "the %s is not for the report's %s %q", r.what(), edition, version)
	}
	if n := len(r.doc.other); n != 0 {
		return unknownAt(StepGolden, "the %s holds %d reference values that are no digests, like %.40q; they need a newer version of this program", r.what(), n, r.doc.other[0])
	}
	return nil
}

// contradict refuses two documents that both say what one measurement has to be.
func contradict(driver, vbios *RIM) error {
	for i := range MaxMeasurements {
		if driver.doc.golden[i] != nil && vbios.doc.golden[i] != nil {
			return unknownAt(StepGolden, "the %s and the %s both have measurement %d", driver.what(), vbios.what(), i)
		}
	}
	return nil
}

func (g *Golden) compare(r *Report, source string, golden *[MaxMeasurements][][DigestSize]byte) {
	for i, want := range golden {
		switch {
		case want == nil:
			continue
		case i == nvdecMeasurement && r.nvdec0Off():
			g.Skipped = append(g.Skipped, i)
			continue
		}
		g.Compared++
		if !r.Present[i] || !slices.Contains(want, r.Measurements[i]) {
			g.Mismatches = append(g.Mismatches, Mismatch{
				Index: i, Source: source, Absent: !r.Present[i], Got: r.Measurements[i], Want: slices.Clone(want),
			})
		}
	}
}

// nvdec0Off reports whether the report says that NVDEC0 is off. Saying nothing is
// not saying so.
func (r *Report) nvdec0Off() bool {
	if r.Opaque.NVDEC0Enabled || len(r.signed) < requestSize+8 {
		return false
	}
	// Behind the request: eight bytes, the record, a nonce, the opaque data.
	b := r.signed[requestSize:]
	record := int(b[5]) | int(b[6])<<8 | int(b[7])<<16
	for b = b[8+record+34:]; len(b) >= 4; {
		t, n := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if t == fieldNVDEC0 {
			return true
		}
		b = b[4+n:]
	}
	return false
}
