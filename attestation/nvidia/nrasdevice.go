package nvidia

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// device verifies the token of one device and notes what it says.
func (c *nrasCheck) device(name, token string) error {
	what := fmt.Sprintf("token of %.40q", name)
	claims, err := c.token(what, token)
	if err != nil {
		return err
	}
	if claims.text("measres") != "success" {
		return falseAt(StepToken, "%s: the service says that measurements are not golden", what)
	}
	prefix, err := passed(claims)
	if err != nil {
		return falseAt(StepToken, "%s: %w", what, err)
	}
	d := NRASDevice{
		Name: name, Switch: prefix == switchClaims, Model: claims.text("hwmodel"), UEID: claims.text("ueid"),
		Driver: claims.text(prefix + "driver-version"), VBIOS: claims.text(prefix + "vbios-version"),
		SecureBoot: claims.isTrue("secboot"), DebugDisabled: claims.text("dbgstat") == "disabled",
	}
	if d.Switch {
		d.VBIOS = claims.text(prefix + "bios-version")
	}
	for _, s := range []string{d.Name, d.Model, d.UEID, d.Driver, d.VBIOS} {
		if len(s) > maxRIMName || strings.Trim(s, rimNameChars+" ") != "" {
			return inputAt(StepToken, "%s: names with characters that are not allowed", what)
		}
	}
	if d.UEID == "" {
		return falseAt(StepToken, "%s: it names no device", what)
	}
	c.facts.Devices = append(c.facts.Devices, d)
	return nil
}

// Kind returns the generation that the service names, empty when it is not known
// here.
func (d *NRASDevice) Kind() Kind {
	chip, _, _ := strings.Cut(d.Model, " ")
	return kindOf(chip)
}

// Prefixes of the claims about single checks.
const (
	gpuClaims    = "x-nvidia-gpu-"
	switchClaims = "x-nvidia-switch-"
)

// passed checks the claims about single checks of the service: two have to be
// there, none may be false, and every chain of certificates has to be valid and
// good. It returns the prefix of the claims, which says what the device is.
func passed(claims object) (prefix string, err error) {
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		p := gpuClaims
		if strings.HasPrefix(name, switchClaims) {
			p = switchClaims
		} else if !strings.HasPrefix(name, gpuClaims) {
			continue
		}
		if prefix != "" && p != prefix {
			return "", errors.New("it is about a GPU and a switch")
		}
		prefix = p
		if claims.isFalse(name) {
			return "", fmt.Errorf("%.80s is false", name)
		}
		if chain, err := jsonObject(claims[name]); err == nil && strings.HasSuffix(name, "-cert-chain") &&
			(chain.text("x-nvidia-cert-status") != "valid" || chain.text("x-nvidia-cert-ocsp-status") != "good") {
			return "", fmt.Errorf("%.80s is not valid and good", name)
		}
	}
	for _, name := range []string{"attestation-report-nonce-match", "attestation-report-signature-verified"} {
		if !claims.isTrue(prefix + name) {
			return "", fmt.Errorf("%s is not true", prefix+name)
		}
	}
	return prefix, nil
}

// distinct refuses one device under two names.
func (c *nrasCheck) distinct() error {
	seen := map[string]string{}
	for _, d := range c.facts.Devices {
		if other, twice := seen[d.UEID]; twice {
			return falseAt(StepToken, "%q and %q are one device", other, d.Name)
		}
		seen[d.UEID] = d.Name
	}
	return nil
}
