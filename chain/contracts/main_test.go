package contracts

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// seen are the codes that contracts ended with in the worlds of this run: as an
// exit code, or as the code of a request's end.
var seen = struct {
	sync.Mutex
	codes map[int]bool
}{codes: map[int]bool{}}

func noteCodes(w *tvmtest.World) {
	seen.Lock()
	defer seen.Unlock()
	for _, s := range w.Record() {
		seen.codes[int(s.ExitCode)] = true
	}
	for _, l := range w.Letters() {
		if d, err := ParseDone(l.Body); err == nil {
			seen.codes[int(d.Code)] = true
		}
	}
}

// neverSeen are the codes of errors.tolk that did not occur.
func neverSeen() (out []string) {
	table := errorTable()
	for _, c := range slices.Sorted(maps.Keys(table)) {
		if !seen.codes[c] {
			out = append(out, ErrorName(c))
		}
	}
	return out
}

// TestMain demands that the tests see every error that a contract can end with. A
// code that no test reaches has no test, whatever its name stands in.
func TestMain(m *testing.M) {
	tvmtest.Ended = noteCodes
	result := m.Run()
	some := false // of the tests run
	flag.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "test.run", "test.skip", "test.list", "test.fuzz", "test.fuzzworker", "test.short", "update":
			some = true
		}
	})
	if never := neverSeen(); result == 0 && !some && len(never) > 0 {
		for _, n := range never {
			fmt.Fprintf(os.Stderr, "no test saw a contract end with %s\n", n)
		}
		result = 1
	}
	os.Exit(result)
}
