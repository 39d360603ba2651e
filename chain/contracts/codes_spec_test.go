package contracts

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSpecificationCodes: docs/spec/exit-codes.md has every exit code of the
// contracts, by number, as errors.tolk says it.
func TestSpecificationCodes(t *testing.T) {
	const file, begin, end = "../../docs/spec/exit-codes.md", "<!-- codes -->\n", "<!-- end -->\n"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the codes", file)
	}
	var table strings.Builder
	table.WriteString("| code | name | meaning |\n|---|---|---|\n")
	codes := errorTable()
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		fmt.Fprintf(&table, "| %d | `%s` | %s |\n", code, codes[code].name, codes[code].text)
	}
	want := head + begin + table.String() + end + tail
	switch {
	case want == string(b):
	case !*update:
		t.Errorf("%s has other codes than errors.tolk: go test ./chain/contracts -run Specification -update", file)
	default:
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
