package attestation

import "time"

// Document describes one endorsement by what it says of itself.
type Document struct {
	Vendor    string    `json:"vendor"`  // "intel", "amd", "nvidia", or "tpm" for those who certify TPMs
	Kind      string    `json:"kind"`    // "certificate", "revocation list", "TCB info", "QE identity", "RIM document", "OCSP response"
	Subject   string    `json:"subject"` // what it is for, or whose it is
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"` // the last moment of its validity
}

// InForce reports whether the document is valid at a time.
func (d *Document) InForce(at time.Time) bool {
	return !at.Before(d.NotBefore) && !at.After(d.NotAfter)
}

// Documents lists the documents of the set. Nothing of it is verified.
func (e *Endorsements) Documents() []Document {
	out := []Document{}
	list := func(vendor string) func(kind, subject string, from, to time.Time) {
		return func(kind, subject string, from, to time.Time) {
			out = append(out, Document{vendor, kind, subject, from.UTC(), to.UTC()})
		}
	}
	e.intel.Each(list("intel"))
	e.amd.Each(list("amd"))
	e.nvidia.Each(list("nvidia"))
	e.tpm.Each(list("tpm"))
	return out
}
