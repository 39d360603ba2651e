package nvidia

// bind checks that the report is of the device that the certificates are for.
func (d *device) bind(r *Report) error {
	o := &r.Opaque
	switch {
	case d.kind.Switch() && (o.Driver != "" || o.PDI == [8]byte{}):
		return falseAt(StepBinding, "the certificate is of a switch, the report is not")
	case !d.kind.Switch() && (o.Driver == "" || o.PDI != [8]byte{}):
		return falseAt(StepBinding, "the certificate is of a GPU, the report is not")
	case o.Chip != "" && o.Chip != d.chip:
		return falseAt(StepBinding, "the report is of a %q, the certificate of a %q", o.Chip, d.chip)
	case o.FWID != nil && [DigestSize]byte(o.FWID) != d.fwid:
		return falseAt(StepBinding, "firmware %x, the certificate is for %x", o.FWID, d.fwid)
	case d.kind.Switch() && d.hasID && o.PDI != d.id:
		return falseAt(StepBinding, "the report is of switch %x, the certificate of %x", o.PDI, d.id)
	}
	return nil
}
