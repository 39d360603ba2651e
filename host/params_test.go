package host

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts"
)

// TestParamsValue: what is written is read, whatever the parameters, and nothing
// else is.
func TestParamsValue(t *testing.T) {
	want := contracts.DefaultParams()
	raw, err := json.Marshal(paramsValue(want))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseParams(raw); err != nil || got != want {
		t.Errorf("%s: %+v, %v", raw, got, err)
	}
	for key, values := range map[string][]any{
		"min_stake":      {100, "many", "0.0000000001", "-1", nil},
		"unbonding":      {604800, "7d", "168h0m0.5s", "-168h", "1193047h", nil},
		"answer_window":  {"-720h"},
		"platform_slots": {"4", 256, -1, 1.5, nil},
		"other":          {"1"},
	} {
		for _, v := range values {
			m := maps.Clone(paramsValue(want))
			m[key] = v
			raw, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parseParams(raw); err == nil || !strings.HasPrefix(err.Error(), key+": ") && err.Error() != key+" has no value" && err.Error() != `unknown parameter "`+key+`"` {
				t.Errorf("%s = %v: %v", key, v, err)
			}
		}
	}
	for key := range paramsValue(want) {
		m := maps.Clone(paramsValue(want))
		delete(m, key)
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseParams(raw); err == nil || !strings.Contains(err.Error(), key+" is missing") {
			t.Errorf("without %s: %v", key, err)
		}
	}
	m := paramsValue(want)
	m["governance_delay"] = "1h"
	raw, err = json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseParams(raw); err == nil || !strings.Contains(err.Error(), "governance delay") {
		t.Errorf("a contradiction: %v", err)
	}
}
