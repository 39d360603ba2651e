package nvidia

import (
	"fmt"
	"slices"
)

// A protected board, HGX of the Hopper generation, has this many devices.
const (
	BoardGPUs     = 8
	BoardSwitches = 4
)

// Topology is what the devices of one machine say about each other.
type Topology struct {
	Feature  Feature   // mode of all GPUs
	GPUs     [][8]byte // their identities, sorted
	Switches [][8]byte // the switches' identities, sorted
}

// CheckTopology checks that devices, each of them verified, belong together:
// they are different, in one mode, of one generation and driver, under one
// root, answered the same nonce, and list each other.
//
// In mode [PPCIE] the links between GPUs are not encrypted, so every device on
// them has to be known: eight GPUs and four switches; each GPU lists exactly
// these switches, each switch exactly these GPUs. In the other modes no data
// passes a switch in the clear, and there must be none in the set.
//
// A device that others list and that is not in the set is "could not find out",
// with its identity; a contradiction is false evidence.
func CheckTopology(devices []*Facts) (*Topology, error) {
	gpus, switches, err := split(devices)
	if err != nil {
		return nil, err
	}
	t := &Topology{Feature: gpus[0].Report.Opaque.Feature, GPUs: identities(gpus), Switches: identities(switches)}
	switch t.Feature {
	case PPCIE:
		err = t.checkBoard(gpus, switches)
	case SPT, MPT:
		if len(switches) != 0 {
			err = falseAt(StepTopology, "%d switches with GPUs in mode %s, which uses none", len(switches), t.Feature)
		}
	default:
		if len(devices) != 1 {
			err = missing(StepTopology, "mode of the GPUs", "not reported by their firmware", "")
		}
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// CheckSwitches checks what can be said of switches without their GPUs: they are
// different, under one root, and answered the same nonce. Which GPUs they connect
// stays open.
func CheckSwitches(devices []*Facts) error {
	if i := slices.IndexFunc(devices, func(f *Facts) bool { return f != nil && !f.Kind.Switch() }); i >= 0 || len(devices) == 0 {
		return inputAt(StepTopology, "a GPU, or no device, where switches alone were announced")
	}
	return shared(devices)
}

// shared compares what all devices have to share.
func shared(devices []*Facts) error {
	seen := map[[8]byte]bool{}
	for _, f := range devices {
		if f == nil {
			return inputAt(StepTopology, "a device without facts")
		}
		if !f.HasDeviceID {
			return missing(StepTopology, "identity of "+f.Model, "not in its certificate", "")
		}
		if seen[f.DeviceID] {
			return falseAt(StepTopology, "device %x is there twice", f.DeviceID)
		}
		seen[f.DeviceID] = true
		if err := devices[0].together(f); err != nil {
			return err
		}
	}
	return nil
}

// split compares what all devices have to share, and tells GPUs from switches.
func split(devices []*Facts) (gpus, switches []*Facts, err error) {
	if err := shared(devices); err != nil {
		return nil, nil, err
	}
	for _, f := range devices {
		if f.Kind.Switch() {
			switches = append(switches, f)
		} else {
			gpus = append(gpus, f)
		}
	}
	if len(gpus) == 0 {
		return nil, nil, inputAt(StepTopology, "no GPU among %d devices", len(devices))
	}
	for _, f := range gpus {
		if err := gpus[0].like(f); err != nil {
			return nil, nil, err
		}
	}
	return gpus, switches, nil
}

// together checks that two devices were verified in the same way and at once.
func (f *Facts) together(g *Facts) error {
	if f.Root != g.Root {
		return falseAt(StepTopology, "the chains of devices %x and %x end at two roots", f.DeviceID, g.DeviceID)
	}
	if f.Report.RequestNonce != g.Report.RequestNonce {
		return falseAt(StepTopology, "devices %x and %x answer two nonces", f.DeviceID, g.DeviceID)
	}
	return nil
}

// like checks that two GPUs can be in one machine.
func (f *Facts) like(g *Facts) error {
	a, b := &f.Report.Opaque, &g.Report.Opaque
	for _, x := range []struct{ what, a, b string }{
		{"chip", f.Chip, g.Chip}, {"mode", string(a.Feature), string(b.Feature)}, {"driver", a.Driver, b.Driver},
	} {
		if x.a != x.b {
			return falseAt(StepTopology, "%s %q of GPU %x, %q of GPU %x", x.what, x.a, f.DeviceID, x.b, g.DeviceID)
		}
	}
	return nil
}

// checkBoard checks that GPUs and switches list each other, all of them and no
// others.
func (t *Topology) checkBoard(gpus, switches []*Facts) error {
	for _, g := range gpus {
		if err := sameSet("GPU", g.DeviceID, "switch", g.Report.Opaque.Switches, t.Switches); err != nil {
			return err
		}
	}
	for _, s := range switches {
		if err := sameSet("switch", s.DeviceID, "GPU", s.Report.Opaque.GPUs, t.GPUs); err != nil {
			return err
		}
	}
	if len(gpus) != BoardGPUs || len(switches) != BoardSwitches {
		return falseAt(StepTopology, "%d GPUs and %d switches on a board, want %d and %d", len(gpus), len(switches), BoardGPUs, BoardSwitches)
	}
	return nil
}

// sameSet checks that a device lists exactly the devices that are there. Zeros
// stand for links that are off.
func sameSet(kind string, id [8]byte, of string, listed, present [][8]byte) error {
	for _, l := range listed {
		if l != ([8]byte{}) && !slices.Contains(present, l) {
			return missing(StepTopology, fmt.Sprintf("evidence of %s %x", of, l), fmt.Sprintf("missing, and %s %x is connected to it", kind, id), "")
		}
	}
	for _, p := range present {
		if !slices.Contains(listed, p) {
			return falseAt(StepTopology, "%s %x is not connected to %s %x", kind, id, of, p)
		}
	}
	return nil
}

func identities(devices []*Facts) [][8]byte {
	out := make([][8]byte, 0, len(devices))
	for _, f := range devices {
		out = append(out, f.DeviceID)
	}
	slices.SortFunc(out, func(a, b [8]byte) int { return slices.Compare(a[:], b[:]) })
	return out
}
