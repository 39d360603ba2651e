package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/host"
)

// TestActionValues: the help has every action once, and no other; a value that
// lacks or is too much is named.
func TestActionValues(t *testing.T) {
	var named []string
	for _, k := range valueKinds {
		named = append(named, k.actions...)
	}
	slices.Sort(named)
	if !slices.Equal(named, host.Actions()) {
		t.Errorf("help names %v\nwant %v", named, host.Actions())
	}
	for _, k := range valueKinds {
		for _, a := range k.actions {
			raw, err := proposalValue(a, "")
			if k.read == nil && (err != nil || raw != nil) || k.read != nil && (err == nil || !strings.Contains(err.Error(), a+" needs a value")) {
				t.Errorf("%s without a value: %s, %v", a, raw, err)
			}
			if _, err := proposalValue(a, "x"); k.read == nil && err == nil {
				t.Errorf("%s takes a value", a)
			}
		}
	}
}
