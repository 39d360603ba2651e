package contracts

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// described lists the sources whose tagged structs cocoon.tlb must have, all of them.
var described = []string{
	"messages.tolk", "root.tolk", "root_actions.tolk", "node.tolk", "node_storage.tolk", "node_faults.tolk", "node_challenges.tolk",
	"platform.tolk", "verifier.tolk", "channel.tolk",
}

var (
	tolkStruct = regexp.MustCompile(`(?ms)^struct (?:\((0x[0-9a-f]+)\) )?(\w+) \{\n?(.*?)\n?\}$`)
	tolkField  = regexp.MustCompile(`(?m)^\s*(\w+): (.*?)\s*(?://.*)?$`)
	tlbLine    = regexp.MustCompile(`(?s)^(\w+)(?:#([0-9a-f]+)|\$(_))\s+(.*?)\s*=\s*(\w+)$`)
	tlbField   = regexp.MustCompile(`(\w+):(\([^)]*(?:\([^)]*\))?[^)]*\)|\S+)`)
	upper      = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	tolkMap    = regexp.MustCompile(`^map<(\w+), (.*)>$`)
	tolkCell   = regexp.MustCompile(`^Cell<(\w+)>$`)
)

// constructor is a struct, as both languages have it.
type constructor struct {
	tag    string
	fields []string // name:type, TL-B's way
}

func snake(s string) string { return strings.ToLower(upper.ReplaceAllString(s, "${1}_$2")) }

// tlbType says a type of Tolk in TL-B.
func tlbType(s string) string {
	if m := tolkMap.FindStringSubmatch(s); m != nil {
		bits := strings.TrimPrefix(m[1], "uint")
		if m[1] == "address" {
			bits = "267"
		}
		return "(HashmapE " + bits + " " + tlbType(m[2]) + ")"
	}
	if m := tolkCell.FindStringSubmatch(s); m != nil {
		return "^" + m[1]
	}
	switch {
	case s == "address?":
		return "MsgAddress"
	case strings.HasSuffix(s, "?"):
		return "(Maybe " + tlbType(strings.TrimSuffix(s, "?")) + ")"
	case s == "address":
		return "MsgAddressInt"
	case s == "bool":
		return "Bool"
	case s == "cell":
		return "^Cell"
	}
	return s
}

// tolkStructs returns the structs of all sources by name, and those with a tag
// by source.
func tolkStructs(t *testing.T) (all map[string]constructor, tagged map[string][]string) {
	t.Helper()
	files, err := filepath.Glob("*.tolk")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	all, tagged = map[string]constructor{}, map[string][]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range tolkStruct.FindAllStringSubmatch(string(b), -1) {
			c := constructor{tag: strings.TrimPrefix(m[1], "0x")}
			for _, l := range tolkField.FindAllStringSubmatch(m[3], -1) {
				c.fields = append(c.fields, snake(l[1])+":"+tlbType(l[2]))
			}
			all[m[2]] = c
			if c.tag != "" {
				tagged[f] = append(tagged[f], m[2])
			}
		}
	}
	return all, tagged
}

func tlbConstructors(t *testing.T) map[string]constructor {
	t.Helper()
	b, err := os.ReadFile("cocoon.tlb")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)//.*$`).ReplaceAllString(string(b), "")
	out := map[string]constructor{}
	for _, l := range strings.Split(text, ";") {
		if l = strings.TrimSpace(l); l == "" {
			continue
		}
		m := tlbLine.FindStringSubmatch(l)
		if m == nil {
			t.Errorf("not a constructor: %q", l)
			continue
		}
		c := constructor{tag: m[2]}
		for _, f := range tlbField.FindAllStringSubmatch(m[4], -1) {
			c.fields = append(c.fields, f[1]+":"+f[2])
		}
		if rest := strings.TrimSpace(tlbField.ReplaceAllString(m[4], "")); rest != "" {
			t.Errorf("%s: %q is not a field", m[1], rest)
		}
		if _, twice := out[m[1]]; twice {
			t.Errorf("%s is defined twice", m[1])
		}
		out[m[1]] = c
	}
	return out
}

// TestSchema compares cocoon.tlb with the sources.
func TestSchema(t *testing.T) {
	structs, tagged := tolkStructs(t)
	byName := map[string]string{}
	for name := range structs {
		byName[snake(name)] = name
	}
	schema := tlbConstructors(t)
	for name, got := range schema {
		want, ok := structs[byName[name]]
		switch {
		case !ok:
			t.Errorf("%s: no struct has this name", name)
		case got.tag != want.tag:
			t.Errorf("%s: tag %s, the struct has %s", name, got.tag, want.tag)
		case !slices.Equal(got.fields, want.fields):
			t.Errorf("%s: fields\n%q, the struct has\n%q", name, got.fields, want.fields)
		}
	}
	for _, f := range described {
		if len(tagged[f]) == 0 {
			t.Errorf("%s has no messages: the test is wrong", f)
		}
		for _, s := range tagged[f] {
			if _, ok := schema[snake(s)]; !ok {
				t.Errorf("%s of %s is missing", s, f)
			}
		}
	}
}

// TestSchemaTags: no two messages share a tag.
func TestSchemaTags(t *testing.T) {
	structs, _ := tolkStructs(t)
	seen := map[string]string{}
	for name, c := range structs {
		if len(c.tag) != 8 || !strings.HasPrefix(c.tag, "c0c0") {
			continue
		}
		if seen[c.tag] != "" {
			t.Errorf("%s and %s share tag %s", name, seen[c.tag], c.tag)
		}
		seen[c.tag] = name
	}
}
