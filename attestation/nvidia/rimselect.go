package nvidia

import (
	"strings"
	"time"
)

// rimCheck finds the RIM documents of a report, verifies them, and compares.
type rimCheck struct {
	v         *Verifier
	kind      Kind
	chip      string
	documents []*RIMDocument
	responses *ocspSet
	at        time.Time
	w         *window // narrowed to the documents in use
}

// golden compares a report with the documents of its driver and VBIOS. A missing
// one fails unless the caller opted out, and the error names both when both are
// missing; the result is nil when all are.
func (c *rimCheck) golden(r *Report) (*Golden, error) {
	var l lacks
	vbios, err := c.find(r.Opaque.VBIOS, VBIOSRIMID(c.kind, &r.Opaque))
	if err := l.note(err); err != nil {
		return nil, err
	}
	var driver *RIM
	if !c.kind.Switch() {
		driver, err = c.find(r.Opaque.Driver, DriverRIMID(c.kind, &r.Opaque))
		if err := l.note(err); err != nil {
			return nil, err
		}
	}
	if err := l.all(); err != nil {
		return nil, err
	}
	if vbios == nil && driver == nil {
		return nil, nil
	}
	return CompareGolden(r, driver, vbios)
}

// maxRIMTries bounds the documents that are tried for one version.
const maxRIMTries = 8

// find returns the first document for this version and kind of device that
// verifies, those for the very chip first. When none does, the first failure is
// the reason.
func (c *rimCheck) find(version, id string) (*RIM, error) {
	var first error
	tries := 0
	for _, exact := range []bool{true, false} {
		for _, d := range c.documents {
			if !strings.EqualFold(d.Version, version) || !d.isForKind(c.kind) || exact != (d.Product == c.chip) || tries == maxRIMTries {
				continue
			}
			tries++
			r, err := c.v.verifyRIM(d, c.responses, c.at, c.w)
			if err == nil {
				return r, nil
			}
			if first == nil {
				first = err
			}
		}
	}
	if first != nil || c.v.o.WithoutRIMUnsafe {
		return nil, first
	}
	return nil, missing(StepRIM, "RIM document "+id, "missing", RIMServiceURL+id)
}

// isForKind reports whether the product of a document is of a kind of device.
func (d *RIMDocument) isForKind(k Kind) bool {
	switch k {
	case Hopper:
		return d.Product == "GH100" && d.Edition == editionGPU
	case Blackwell:
		return strings.HasPrefix(d.Product, "GB") && d.Edition == editionGPU
	case LS10:
		return d.Product == "LS10" && d.Edition == editionSwitch
	}
	return false
}
