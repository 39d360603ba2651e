package nvidia

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// maxTokenSets bounds the sets of tokens in [Endorsements]. Each costs two
// signatures where it is needed.
const maxTokenSets = 64

// IsNRASTokens reports whether data looks like a set of tokens of NVIDIA's remote
// attestation service. It is a guess at the kind of a file, not a check.
func IsNRASTokens(data []byte) bool {
	t := bytes.TrimLeft(data, " \t\r\n")
	if t, ok := bytes.CutPrefix(t, []byte("[")); ok {
		t, ok = bytes.CutPrefix(bytes.TrimLeft(t, " \t\r\n"), []byte("["))
		return ok && bytes.HasPrefix(bytes.TrimLeft(t, " \t\r\n"), []byte(`"JWT"`))
	}
	return false
}

// IsNRASKeys reports whether data looks like the key set of NVIDIA's remote
// attestation service: an object with "keys" that have "x5c".
func IsNRASKeys(data []byte) bool {
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	return json.Unmarshal(data, &set) == nil && len(set.Keys) > 0 && set.Keys[0]["x5c"] != nil
}

// AddNRASTokens adds a set of tokens, of which only the shape is checked. They
// count only in [Verifier.VerifyVouched].
func (e *Endorsements) AddNRASTokens(data []byte) error {
	if _, _, err := splitNRAS(data); err != nil {
		return inputAt(StepToken, "%w", err)
	}
	d := sha256.Sum256(data)
	if !e.seen[d] && len(e.tokens) == maxTokenSets {
		return fault.BadInput("nvidia endorsements: more than %d sets of tokens", maxTokenSets)
	}
	fresh, err := e.add(d)
	if fresh {
		e.tokens = append(e.tokens, bytes.Clone(data))
	}
	return err
}

// AddNRASKeys adds a key set of the remote attestation service. Of two keys with
// one id, the first counts.
func (e *Endorsements) AddNRASKeys(data []byte) error {
	k, err := ParseNRASKeys(data)
	if err != nil {
		return err
	}
	fresh, err := e.add(sha256.Sum256(data))
	if !fresh {
		return err
	}
	all := map[string]*nrasKey{}
	for _, keys := range []*NRASKeys{k, e.keys} { // those that were there win
		if keys == nil {
			continue
		}
		for id, key := range keys.keys {
			all[id] = key
		}
	}
	if len(all) > maxNRASKeys {
		return fault.BadInput("nvidia endorsements: more than %d keys of the remote attestation service", maxNRASKeys)
	}
	e.keys = &NRASKeys{all}
	return nil
}

// VerifyVouched does what [Verifier.Verify] does. Where RIM documents or OCSP
// responses are missing, tokens of NVIDIA's remote attestation service in the set
// stand in for them: tokens over the same nonce that vouch for this device, its
// driver and VBIOS. Then [Facts.NRAS] is set. Documents that are there are
// checked and obeyed as ever, and so is everything else.
//
// Without tokens that vouch, the error is that of Verify. A report whose nonce is
// not known can't be vouched for.
func (v *Verifier) VerifyVouched(ev *Evidence, n Nonce, e *Endorsements, at time.Time) (*Facts, error) {
	f, err := v.Verify(ev, n, e, at)
	if err == nil || fault.FamilyOf(err) != fault.FamilyUnknown || !n.given || len(e.tokens) == 0 {
		return f, err
	}
	lenient := *v
	lenient.o.WithoutRevocationUnsafe, lenient.o.WithoutRIMUnsafe = true, true
	f, again := lenient.Verify(ev, n, e, at)
	if again != nil {
		return nil, again
	}
	why := f.vouched(e, &v.o, n.want, at)
	if why != nil {
		return nil, fault.Unknown("%w; no tokens of the remote attestation service stand in for it: %v", err, why)
	}
	return f, nil
}

// vouched looks for tokens that vouch for a device, and takes over what they
// say. The reason of the last ones is returned when none does.
func (f *Facts) vouched(e *Endorsements, o *Options, nonce [32]byte, at time.Time) error {
	var last error
	for _, tokens := range e.tokens {
		keys := e.keys
		if keys == nil {
			keys = &NRASKeys{}
		}
		t, err := VerifyNRAS(tokens, keys, nonce, *o, at)
		if err == nil {
			err = t.vouchFor(f)
		}
		if err != nil {
			last = err
			continue
		}
		f.NRAS, f.Simulated = t, f.Simulated || t.Simulated
		if t.NotBefore.After(f.NotBefore) {
			f.NotBefore = t.NotBefore
		}
		if t.NotAfter.Before(f.NotAfter) {
			f.NotAfter = t.NotAfter
		}
		return nil
	}
	return last
}

// vouchFor checks that one of the devices is the one of f, as f's report says.
func (t *NRASFacts) vouchFor(f *Facts) error {
	id, ok := new(big.Int).SetString(f.UEID, 16)
	if !ok {
		return fmt.Errorf("the device has no serial number")
	}
	for _, d := range t.Devices {
		if d.UEID != id.String() {
			continue
		}
		o := &f.Report.Opaque
		switch {
		case d.Switch != f.Kind.Switch() || d.Driver != o.Driver || !strings.EqualFold(d.VBIOS, o.VBIOS):
			return fmt.Errorf("%q is described with driver %q and VBIOS %q, the report has %q and %q", d.Name, d.Driver, d.VBIOS, o.Driver, o.VBIOS)
		case !d.SecureBoot || !d.DebugDisabled:
			return fmt.Errorf("the service does not say that %q started securely and can't be debugged", d.Name)
		}
		return nil
	}
	return fmt.Errorf("tokens of %d devices, none of this one", len(t.Devices))
}

// tokenTimes returns the validity that the overall token of a set names, zero
// where it names none. Nothing of it is verified.
func tokenTimes(tokens []byte) (from, to time.Time) {
	overall, _, err := splitNRAS(tokens)
	if err != nil {
		return from, to
	}
	if parts := strings.Split(overall, "."); len(parts) == 3 && len(overall) <= maxNRASToken {
		raw, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			return from, to
		}
		claims, err := jsonObject(raw)
		if err != nil {
			return from, to
		}
		if s, ok := claims.seconds("iat"); ok {
			from = time.Unix(s, 0)
		}
		if s, ok := claims.seconds("exp"); ok {
			to = time.Unix(s, 0).Add(-1)
		}
	}
	return from, to
}
