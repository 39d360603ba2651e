package host

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts"
)

// explained is a registry with one of everything under digest 1.
func explained(t *testing.T) *contracts.RootState {
	t.Helper()
	q := contracts.Quorum{Threshold: 1, Keys: map[uint8][32]byte{0: {7}, 1: {8}}}
	s := contracts.NewRoot(q, contracts.DefaultParams())
	s.Measurements[[32]byte{1}] = contracts.Measurement{Flags: contracts.MeasurementAccepted}
	s.Models[[32]byte{1}] = contracts.Model{Licence: "MIT", URL: "https://a.example"}
	s.Floors[[6]byte{1}] = contracts.TDXFloor{PCESVN: 5}
	s.AddCAKey(contracts.CAPlatform, contracts.PublicKey{X: [32]byte{1}})
	s.Revoked[[32]byte{1}] = true
	s.List(contracts.VerifierSet{Number: 4, Quorum: q})
	c, err := contracts.ActionCell(contracts.AddMeasurement{Digest: [32]byte{3}, Flags: contracts.MeasurementAccepted})
	if err != nil {
		t.Fatal(err)
	}
	s.Proposals[6] = contracts.Proposal{Action: c}
	return s
}

func TestExplain(t *testing.T) {
	s := explained(t)
	params := s.Params
	params.MergeDelay, params.MinStake = 1200, 200e9
	key := contracts.PublicKey{X: [32]byte{1}}
	one, two := "01"+strings.Repeat("00", 31), "02"+strings.Repeat("00", 31)
	accepted := contracts.MeasurementAccepted
	for _, tt := range []struct {
		action  contracts.Action
		changes []string // "what: old -> new"
		refused int
	}{
		{contracts.RemoveMeasurement{Digest: [32]byte{1}}, []string{"measurement " + one + ": accepted -> not listed"}, 0},
		{contracts.RemoveMeasurement{Digest: [32]byte{2}}, nil, contracts.CodeNotFound},
		{contracts.AddMeasurement{Digest: [32]byte{2}, Flags: accepted}, []string{"measurement " + two + ": not listed -> accepted"}, 0},
		{contracts.AddMeasurement{Digest: [32]byte{1}, Flags: accepted}, nil, 0},
		{contracts.AddMeasurement{Digest: [32]byte{1}, Flags: 2}, []string{"measurement " + one + ": accepted -> listed with flags 0x2"}, 0},
		{contracts.RemoveModel{Digest: [32]byte{1}}, []string{"model " + one + `: listed, licence "MIT", from "https://a.example" -> not listed`}, 0},
		{contracts.RemoveModel{Digest: [32]byte{2}}, nil, contracts.CodeNotFound},
		{contracts.AddModel{Digest: [32]byte{1}, Model: contracts.Model{Licence: "MIT", URL: "https://a.example/\u202e\n"}},
			[]string{"model " + one + `: listed, licence "MIT", from "https://a.example" -> listed, licence "MIT", from "https://a.example/\u202e\n"`}, 0},
		{contracts.RemoveFloor{FMSPC: [6]byte{1}}, []string{"floor of FMSPC 010000000000: listed -> not listed"}, 0},
		{contracts.RemoveFloor{FMSPC: [6]byte{2}}, nil, contracts.CodeNotFound},
		{contracts.RaiseFloor{FMSPC: [6]byte{1}, Floor: contracts.TDXFloor{PCESVN: 6}}, []string{"floor of FMSPC 010000000000, PCESVN: 5 -> 6"}, 0},
		{contracts.RaiseFloor{FMSPC: [6]byte{1}, Floor: contracts.TDXFloor{PCESVN: 4}}, []string{"floor of FMSPC 010000000000, PCESVN: 5 -> 4"}, contracts.CodeBadAction},
		{contracts.SetFloor{FMSPC: [6]byte{1}, Floor: contracts.TDXFloor{PCESVN: 4}}, []string{"floor of FMSPC 010000000000, PCESVN: 5 -> 4"}, 0},
		{contracts.RemoveCAKey{Digest: key.Digest()}, []string{fmt.Sprintf("CA key %x: PCK Platform CA, x %s, y %064x -> not listed", key.Digest(), one, 0)}, 0},
		{contracts.RemoveCAKey{}, nil, contracts.CodeNotFound},
		{contracts.AddCAKey{Key: contracts.CAKey{Kind: contracts.CAProcessor, Key: key}},
			[]string{fmt.Sprintf("CA key %x: PCK Platform CA, x %s, y %064x -> PCK Processor CA, x %s, y %064x", key.Digest(), one, 0, one, 0)}, 0},
		{contracts.RemoveVerifiers{}, []string{"verifiers: 1 of 2 keys -> none", fmt.Sprintf("verifiers, key 0: 07%062x -> none", 0), fmt.Sprintf("verifiers, key 1: 08%062x -> none", 0)}, 0},
		{contracts.SetVerifiers{Verifiers: contracts.VerifierSet{Number: 4, Quorum: s.Governance}}, nil, contracts.CodeBadAction},
		{contracts.SetVerifiers{Verifiers: contracts.VerifierSet{Number: 5, Quorum: s.Governance}}, []string{"verifier set: 4 -> 5"}, 0},
		{contracts.SetGovernance{Governance: contracts.Quorum{Threshold: 2, Keys: map[uint8][32]byte{0: {7}, 1: {9}, 2: {10}}}}, []string{
			"governors: 1 of 2 keys -> 2 of 3 keys", fmt.Sprintf("governors, key 1: 08%062x -> 09%062x", 0, 0), fmt.Sprintf("governors, key 2: none -> 0a%062x", 0)}, 0},
		{contracts.Pause{}, []string{"registration: open -> paused"}, 0},
		{contracts.Resume{}, nil, 0},
		{contracts.RevokePlatform{PlatformID: [32]byte{2}}, []string{"machine " + two + ": not revoked -> revoked"}, 0},
		{contracts.RestorePlatform{PlatformID: [32]byte{1}}, []string{"machine " + one + ": revoked -> not revoked"}, 0},
		{contracts.RestorePlatform{PlatformID: [32]byte{2}}, nil, contracts.CodeNotFound},
		{contracts.CancelProposal{Number: 6}, []string{fmt.Sprintf("proposal 6: waits: measurement 03%062x from not listed to accepted; -> withdrawn", 0)}, 0},
		{contracts.CancelProposal{Number: 7}, []string{"proposal 7: does not wait -> withdrawn"}, contracts.CodeNotFound},
		{contracts.SetParams{Params: params}, []string{"minimum stake: 100 coins -> 200 coins", "merge delay: 10m0s -> 20m0s"}, 0},
	} {
		e := Explain(tt.action, s)
		var got []string
		for _, c := range e.Changes {
			got = append(got, fmt.Sprintf("%s: %s -> %s", c.What, c.Old, c.New))
		}
		if !slices.Equal(got, tt.changes) || e.Refused != tt.refused || e.Means == "" {
			t.Errorf("%T: %q, refused %d, %q; want %q, %d", tt.action, got, e.Refused, e.Means, tt.changes, tt.refused)
		}
		// No registration ends by a decision alone: TestRecheck.
		if contracts.Tightens(tt.action) && Judges(tt.action) != strings.HasSuffix(e.Means, untilRechecked) {
			t.Errorf("%T: what becomes of registered nodes: %q", tt.action, e.Means)
		}
	}
	s.Listed = nil
	if e := Explain(contracts.RemoveVerifiers{}, s); e.Refused != contracts.CodeNotFound {
		t.Errorf("no verifiers: %+v", e)
	}
	if e := Explain(contracts.RaiseFloor{FMSPC: [6]byte{2}}, s); e.Refused != contracts.CodeNotFound {
		t.Errorf("no floor: %+v", e)
	}
}

// TestExplainParams: no parameter changes without words.
func TestExplainParams(t *testing.T) {
	old := contracts.DefaultParams()
	v := reflect.TypeOf(old)
	for i := range v.NumField() {
		now := old
		f := reflect.ValueOf(&now).Elem().Field(i)
		f.SetUint(f.Uint() + 1)
		if e := explainParams(now, old); len(e.Changes) != 1 {
			t.Errorf("%s: %+v", v.Field(i).Name, e.Changes)
		}
	}
}

// TestExplainFloor: no part of a floor changes without words, and what is less
// strict than before is foreseen to be refused as a raise.
func TestExplainFloor(t *testing.T) {
	eight := func(b byte) (v [8]byte) { v[0] = b; return v }
	sixteen := func(b byte) (v [16]byte) { v[15] = b; return v }
	at := func(b byte, allowed byte) contracts.TDXFloor {
		return contracts.TDXFloor{
			CPUSVN: sixteen(b), PCESVN: uint16(b), TEESVN: sixteen(b), Modules: sixteen(b), QESVN: uint16(b), QESigner: [32]byte{1},
			TDRequired: eight(b), TDAllowed: eight(allowed), XFAMRequired: eight(b), XFAMAllowed: eight(allowed),
		}
	}
	old, strict, loose := at(3, 3), at(7, 1), at(1, 7) // 1, 3, 7: each has the bits of the one before
	strict.QESigner = old.QESigner
	loose.QESigner = [32]byte{2}
	s := contracts.NewRoot(contracts.Quorum{}, contracts.DefaultParams())
	s.Floors[[6]byte{}] = old
	typ := reflect.TypeOf(old)
	for i := range typ.NumField() {
		for _, tt := range []struct {
			from    contracts.TDXFloor
			refused int
		}{{strict, 0}, {loose, contracts.CodeBadAction}} {
			now := old
			reflect.ValueOf(&now).Elem().Field(i).Set(reflect.ValueOf(tt.from).Field(i))
			want := 1
			if now == old {
				want = 0 // the signer can't be stricter
			}
			e := Explain(contracts.RaiseFloor{Floor: now}, s)
			if e.Refused != tt.refused || len(e.Changes) != want {
				t.Errorf("%s: refused %d, %+v; want %d", typ.Field(i).Name, e.Refused, e.Changes, tt.refused)
			}
		}
	}
}

// TestExplainAll: every action that can be proposed has words.
func TestExplainAll(t *testing.T) {
	s := explained(t)
	quote := `"` + strings.Repeat("00", 10) + `"`
	digest := `"` + strings.Repeat("11", 32) + `"`
	params, err := json.Marshal(paramsValue(s.Params))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"pause": "", "resume": "", "remove-verifiers": "", "cancel": "6", "remove-floor": `"001122334455"`, "raise-floor": quote, "set-floor": quote,
		"set-params": string(params), "set-governance": `{"threshold":1,"keys":[` + digest + `]}`, "set-verifiers": `{"number":9,"threshold":1,"keys":[` + digest + `]}`,
		"sweep":     `{"to":"0:` + strings.Repeat("11", 32) + `","keep_nano":1000000000}`,
		"add-model": `{"digest":` + digest + `,"licence":"MIT","url":"u"}`, "add-ca": `{"kind":"platform","x":` + digest + `,"y":` + digest + `}`,
	}
	for _, name := range Actions() {
		v, ok := values[name]
		if !ok {
			v = digest
		}
		a, err := actions[name](json.RawMessage(v))
		if name == "raise-floor" || name == "set-floor" {
			a, err = contracts.SetFloor{}, nil
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if e := Explain(a, s); e == nil || strings.Contains(e.Means, "no words") {
			t.Errorf("%s has no words: %+v", name, e)
		}
	}
}
