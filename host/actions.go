package host

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Actions lists the names of actions.
func Actions() []string {
	var out []string
	for name := range actions {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// quorumJSON is a quorum as a value.
type quorumJSON struct {
	Number    uint32   `json:"number,omitempty"` // of a verifier set
	Threshold int      `json:"threshold"`
	Keys      []string `json:"keys"` // hexadecimal
}

func (v *quorumJSON) quorum() (contracts.Quorum, error) {
	var keys []ed25519.PublicKey
	for _, s := range v.Keys {
		b, err := hex.DecodeString(s)
		if err != nil {
			return contracts.Quorum{}, fmt.Errorf("key %q is not hexadecimal", s)
		}
		keys = append(keys, b)
	}
	return contracts.NewQuorum(v.Threshold, keys...)
}

// actions make an action of its value.
var actions = map[string]func(json.RawMessage) (contracts.Action, error){
	"remove-measurement": digestAction(func(d [32]byte) contracts.Action { return contracts.RemoveMeasurement{Digest: d} }),
	"add-measurement": digestAction(func(d [32]byte) contracts.Action {
		return contracts.AddMeasurement{Digest: d, Flags: contracts.MeasurementAccepted}
	}),
	"remove-model": digestAction(func(d [32]byte) contracts.Action { return contracts.RemoveModel{Digest: d} }),
	"add-ca": func(v json.RawMessage) (contracts.Action, error) {
		var k struct {
			Kind string `json:"kind"` // platform or processor
			X    string `json:"x"`
			Y    string `json:"y"`
		}
		if err := strictJSON(v, &k); err != nil {
			return nil, err
		}
		kind, ok := map[string]uint8{"platform": contracts.CAPlatform, "processor": contracts.CAProcessor}[k.Kind]
		if !ok {
			return nil, fmt.Errorf("kind %q: platform and processor are known", k.Kind)
		}
		x, xerr := digest(k.X)
		y, yerr := digest(k.Y)
		return contracts.AddCAKey{Key: contracts.CAKey{Kind: kind, Key: contracts.PublicKey{X: x, Y: y}}}, errors.Join(xerr, yerr)
	},
	"remove-ca":        digestAction(func(d [32]byte) contracts.Action { return contracts.RemoveCAKey{Digest: d} }),
	"revoke-platform":  digestAction(func(d [32]byte) contracts.Action { return contracts.RevokePlatform{PlatformID: d} }),
	"restore-platform": digestAction(func(d [32]byte) contracts.Action { return contracts.RestorePlatform{PlatformID: d} }),
	"remove-verifiers": plainAction(contracts.RemoveVerifiers{}),
	"pause":            plainAction(contracts.Pause{}),
	"resume":           plainAction(contracts.Resume{}),
	"cancel": func(v json.RawMessage) (contracts.Action, error) {
		n, err := strconv.ParseUint(string(v), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("value %s is not the number of a proposal", v)
		}
		return contracts.CancelProposal{Number: uint32(n)}, nil
	},
	"add-model": func(v json.RawMessage) (contracts.Action, error) {
		var m struct {
			Digest  string `json:"digest"`
			Licence string `json:"licence"`
			URL     string `json:"url"`
		}
		if err := strictJSON(v, &m); err != nil {
			return nil, err
		}
		d, err := digest(m.Digest)
		return contracts.AddModel{Digest: d, Model: contracts.Model{Licence: m.Licence, URL: m.URL}}, err
	},
	"raise-floor": floorAction(func(fmspc [6]byte, f contracts.TDXFloor) contracts.Action {
		return contracts.RaiseFloor{FMSPC: fmspc, Floor: f}
	}),
	"set-floor": floorAction(func(fmspc [6]byte, f contracts.TDXFloor) contracts.Action {
		return contracts.SetFloor{FMSPC: fmspc, Floor: f}
	}),
	"remove-floor": func(v json.RawMessage) (contracts.Action, error) {
		var s string
		if err := strictJSON(v, &s); err != nil {
			return nil, err
		}
		b, err := hex.DecodeString(s)
		if err != nil || len(b) != 6 {
			return nil, fmt.Errorf("%q is not an FMSPC: 12 hexadecimal digits", s)
		}
		return contracts.RemoveFloor{FMSPC: [6]byte(b)}, nil
	},
	"set-params": func(v json.RawMessage) (contracts.Action, error) {
		p, err := parseParams(v)
		return contracts.SetParams{Params: p}, err
	},
	"sweep": func(v json.RawMessage) (contracts.Action, error) {
		var w struct {
			To   attestation.Address `json:"to"`
			Keep uint64              `json:"keep_nano"`
		}
		if err := strictJSON(v, &w); err != nil {
			return nil, err
		}
		a := contracts.Sweep{To: w.To, Keep: w.Keep}
		_, err := contracts.ActionCell(a)
		return a, err
	},
	"set-governance": func(v json.RawMessage) (contracts.Action, error) {
		var q quorumJSON
		if err := strictJSON(v, &q); err != nil {
			return nil, err
		}
		g, err := q.quorum()
		return contracts.SetGovernance{Governance: g}, err
	},
	"set-verifiers": func(v json.RawMessage) (contracts.Action, error) {
		var q quorumJSON
		if err := strictJSON(v, &q); err != nil {
			return nil, err
		}
		if q.Number == 0 {
			return nil, fmt.Errorf("number is missing: it must be higher than that of every set before")
		}
		g, err := q.quorum()
		return contracts.SetVerifiers{Verifiers: contracts.VerifierSet{Number: q.Number, Quorum: g}}, err
	},
}

func digest(s string) (d [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 {
		return d, fmt.Errorf("%q is not a digest: 64 hexadecimal digits", s)
	}
	return [32]byte(b), nil
}

func digestAction(f func([32]byte) contracts.Action) func(json.RawMessage) (contracts.Action, error) {
	return func(v json.RawMessage) (contracts.Action, error) {
		var s string
		if err := strictJSON(v, &s); err != nil {
			return nil, fmt.Errorf("wants a digest as a JSON string: %w", err)
		}
		d, err := digest(s)
		if err != nil {
			return nil, err
		}
		return f(d), nil
	}
}

func plainAction(a contracts.Action) func(json.RawMessage) (contracts.Action, error) {
	return func(v json.RawMessage) (contracts.Action, error) {
		if len(v) > 0 {
			return nil, fmt.Errorf("takes no value")
		}
		return a, nil
	}
}

// floorAction takes a quote, in hexadecimal: the floor is the strictest one that
// accepts its platform.
func floorAction(f func([6]byte, contracts.TDXFloor) contracts.Action) func(json.RawMessage) (contracts.Action, error) {
	return func(v json.RawMessage) (contracts.Action, error) {
		var s string
		if err := strictJSON(v, &s); err != nil {
			return nil, fmt.Errorf("wants a TDX quote in hexadecimal as a JSON string: %w", err)
		}
		b, err := hex.DecodeString(s)
		if err != nil {
			return nil, fmt.Errorf("the quote is not hexadecimal")
		}
		info, err := contracts.ReadQuote(b)
		if err != nil {
			return nil, err
		}
		return f(info.FMSPC, contracts.FloorOf(info.TCB)), nil
	}
}
