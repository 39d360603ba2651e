package nvidia

import "strings"

// switchBoard names the board of LS10 in ids; its reports do not.
const switchBoard = "5612_0002_890"

// DriverRIMID returns the id of the RIM document of the driver that a report
// names, under which the RIM service keeps it. Switches have none.
func DriverRIMID(k Kind, o *Opaque) string {
	switch k {
	case Hopper:
		return "NV_GPU_DRIVER_GH100_" + o.Driver
	case Blackwell:
		chip := o.Chip
		if chip == "" {
			chip = "GB100"
		}
		return "NV_GPU_CC_DRIVER_" + chip + "_" + o.Driver
	}
	return ""
}

// VBIOSRIMID returns the id of the RIM document of the VBIOS that a report
// names.
func VBIOSRIMID(k Kind, o *Opaque) string {
	version := strings.ReplaceAll(o.VBIOS, ".", "")
	if k.Switch() {
		return "NV_SWITCH_BIOS_" + switchBoard + "_" + strings.ToUpper(version)
	}
	return strings.ToUpper("NV_GPU_VBIOS_" + o.Project + "_" + o.ProjectSKU + "_" + o.ChipSKU + "_" + version)
}
