package tpm

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Runtime is what the runtime data of an HCL report says. It names the
// attestation key; the rest are settings of the machine for a policy to judge.
type Runtime struct {
	Key           *rsa.PublicKey  // HCLAkPub
	Configuration VMConfiguration // of the confidential VM
	UserData      []byte          // what the guest wrote to NV index 0x01400002, at most 64 bytes
}

// VMConfiguration are settings that the host chose and the paravisor obeys. A
// nil flag is one that this paravisor does not report.
type VMConfiguration struct {
	SecureBoot         *bool  // firmware starts only signed code
	Console            *bool  // the host has a console of the guest
	InteractiveConsole *bool  // and can type into it
	TPM                *bool  // the guest has the virtual TPM
	TPMPersisted       *bool  // its state survives a reboot, so the key may be older than the boot
	FilteredVPCI       *bool  // only some devices of the host are let in
	RootThumbprint     string // of the certificate that releases the disk key, as reported
	UniqueID           string // of the VM
	CurrentTime        *int64 // unix seconds, as the paravisor believed
	HardwareSealing    string // how the hardware seals the TPM's state for later boots; empty when not reported

	// Other names the settings that are not known here, sorted.
	Other []string
}

const (
	maxUserData = 64
	maxKeys     = 16
	maxMembers  = 64
)

// Fresh reports whether the paravisor says that no state of the TPM was brought
// from the host's disk, so that the attestation key was made in this very boot.
// What is not reported counts as brought.
func (c *VMConfiguration) Fresh() bool {
	return c.TPMPersisted != nil && !*c.TPMPersisted && (c.HardwareSealing == "" || c.HardwareSealing == "none")
}

// parseRuntime reads runtime data. Members that are not known are let in, for
// the format grows; that a name occurs once is checked, and so is everything
// about the one key of the name HCLAkPub.
func parseRuntime(b []byte) (*Runtime, error) {
	top, err := object(b)
	if err != nil {
		return nil, err
	}
	r := &Runtime{}
	if r.Key, err = runtimeKey(top["keys"]); err != nil {
		return nil, err
	}
	if c, ok := top["vm-configuration"]; ok {
		if err := r.Configuration.parse(c); err != nil {
			return nil, fmt.Errorf("vm-configuration: %w", err)
		}
	}
	if u, ok := top["user-data"]; ok {
		s, err := text(u)
		if err == nil {
			r.UserData, err = hex.DecodeString(s)
		}
		if err != nil || len(r.UserData) > maxUserData {
			return nil, fmt.Errorf("user-data is not hex of at most %d bytes", maxUserData)
		}
	}
	return r, nil
}

// runtimeKey finds the attestation key, a JWK (RFC 7517), among the keys.
func runtimeKey(b []byte) (*rsa.PublicKey, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(b, &list); err != nil || len(list) > maxKeys {
		return nil, fmt.Errorf("keys is not a list of at most %d", maxKeys)
	}
	var found *rsa.PublicKey
	for _, raw := range list {
		jwk, err := object(raw)
		if err != nil {
			return nil, err
		}
		if kid, err := text(jwk["kid"]); err != nil || kid != "HCLAkPub" {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("two keys named HCLAkPub")
		}
		if found, err = rsaJWK(jwk); err != nil {
			return nil, fmt.Errorf("HCLAkPub: %w", err)
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no key named HCLAkPub")
	}
	return found, nil
}

func rsaJWK(jwk map[string]json.RawMessage) (*rsa.PublicKey, error) {
	var ops []string
	if err := json.Unmarshal(jwk["key_ops"], &ops); err != nil || len(ops) != 1 || ops[0] != "sign" {
		return nil, fmt.Errorf("not a key for signing only")
	}
	if kty, err := text(jwk["kty"]); err != nil || kty != "RSA" {
		return nil, fmt.Errorf("not an RSA key")
	}
	if e, err := text(jwk["e"]); err != nil || e != "AQAB" {
		return nil, fmt.Errorf("exponent is not 65537")
	}
	s, err := text(jwk["n"])
	if err != nil {
		return nil, fmt.Errorf("no modulus")
	}
	n, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("modulus is not base64url")
	}
	return rsaKey(n, 8*len(n))
}

func (c *VMConfiguration) parse(b []byte) error {
	m, err := object(b)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		dst  any
	}{
		{"secure-boot", &c.SecureBoot}, {"console-enabled", &c.Console}, {"interactive-console-enabled", &c.InteractiveConsole},
		{"tpm-enabled", &c.TPM}, {"tpm-persisted", &c.TPMPersisted}, {"filtered-vpci-devices-allowed", &c.FilteredVPCI},
		{"root-cert-thumbprint", &c.RootThumbprint}, {"vmUniqueId", &c.UniqueID}, {"current-time", &c.CurrentTime},
		{"hardware-sealing-policy", &c.HardwareSealing},
	} {
		v, ok := m[f.name]
		if !ok {
			continue
		}
		delete(m, f.name)
		if string(v) == "null" || json.Unmarshal(v, f.dst) != nil {
			return fmt.Errorf("%s has the wrong type", f.name)
		}
	}
	c.Other = slices.Sorted(maps.Keys(m))
	return nil
}

// object splits a JSON object into its members. Unlike encoding/json alone it
// refuses a name that occurs twice, and keeps upper and lower case apart.
func object(b []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("not a JSON object")
	}
	m := map[string]json.RawMessage{}
	for d.More() {
		var v json.RawMessage
		name, err := d.Token()
		if err == nil {
			err = d.Decode(&v)
		}
		if err != nil {
			return nil, fmt.Errorf("malformed JSON")
		}
		key, _ := name.(string) // the decoder takes nothing else as a name
		if _, ok := m[key]; ok {
			return nil, fmt.Errorf("%.32q occurs twice", key)
		}
		if len(m) == maxMembers {
			return nil, fmt.Errorf("more than %d members", maxMembers)
		}
		m[key] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("malformed JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("data after the JSON object")
	}
	return m, nil
}

// text reads a JSON string.
func text(b []byte) (string, error) {
	if len(b) == 0 || b[0] != '"' {
		return "", fmt.Errorf("not a string")
	}
	var s string
	err := json.Unmarshal(b, &s)
	return s, err
}
