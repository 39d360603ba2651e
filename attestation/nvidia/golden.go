package nvidia

import (
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
	Driver *RIMFacts // nil for a switch, or when it was missing
	VBIOS  *RIMFacts // nil when it was missing

	Complete   bool       // no document was missing
	Compared   int        // measurements compared, absent ones included
	Skipped    []int      // active ones that NVIDIA's algorithm does not compare
	Mismatches []Mismatch // by index
}

// Match reports whether the report was compared with all documents, and
// everything is golden. A nil result, of no documents, never matches.
func (g *Golden) Match() bool {
	return g != nil && g.Complete && g.Compared > 0 && len(g.Mismatches) == 0
}

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
// compared.
//
// A missing document is nil, as the driver's always is for a switch; then the
// result never matches, unless it is a switch. Documents of another version or
// kind of device, that contradict each other, or that hold reference values that
// can't be compared here, are "could not find out".
func CompareGolden(r *Report, driver, vbios *RIM) (*Golden, error) {
	if r == nil || driver == nil && vbios == nil {
		return nil, inputAt(StepGolden, "no report or no RIM document given")
	}
	edition := editionGPU
	if r.Opaque.Driver == "" {
		edition = editionSwitch
	}
	if driver != nil && edition == editionSwitch {
		return nil, inputAt(StepGolden, "a switch has no driver")
	}
	if driver != nil && vbios != nil {
		if err := contradict(driver, vbios); err != nil {
			return nil, err
		}
	}
	g := &Golden{Complete: vbios != nil && (driver != nil || edition == editionSwitch)}
	if driver != nil {
		g.Driver = &driver.facts
		if err := g.compare(r, "driver", driver, edition, r.Opaque.Driver); err != nil {
			return nil, err
		}
	}
	if vbios != nil {
		g.VBIOS = &vbios.facts
		if err := g.compare(r, "vbios", vbios, edition, r.Opaque.VBIOS); err != nil {
			return nil, err
		}
	}
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

// compare compares with one document.
func (g *Golden) compare(r *Report, source string, doc *RIM, edition, version string) error {
	if err := doc.fits(edition, version); err != nil {
		return err
	}
	for i, want := range doc.doc.golden {
		switch {
		case want == nil:
			continue
		case i == nvdecMeasurement && r.Opaque.NVDEC0 == Off:
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
	return nil
}
