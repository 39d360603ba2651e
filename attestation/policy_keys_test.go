package attestation

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestSpecPolicyKeys: every key that a policy may have is in docs/spec/policy.md.
func TestSpecPolicyKeys(t *testing.T) {
	text, err := os.ReadFile("../docs/spec/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var visit func(reflect.Type)
	visit = func(s reflect.Type) {
		for s.Kind() == reflect.Map || s.Kind() == reflect.Pointer {
			s = s.Elem()
		}
		if s.Kind() != reflect.Struct {
			return
		}
		for i := range s.NumField() {
			f := s.Field(i)
			key := f.Tag.Get("toml")
			n++
			if !strings.Contains(string(text), "`"+key+"`") && !strings.Contains(string(text), "`["+key+"]`") {
				t.Errorf("docs/spec/policy.md lacks the key %s", key)
			}
			visit(f.Type)
		}
	}
	visit(reflect.TypeFor[policyFile]())
	if n < 40 {
		t.Errorf("only %d keys", n)
	}
}
