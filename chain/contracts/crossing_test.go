package contracts

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestNodeCrossing is TestNodeRandom where messages cross: they wait in a queue
// for each pair of accounts, and in random order somebody acts, time goes by, or
// the first message of some queue is delivered. Messages wait for minutes or hours,
// longer than a registration does and into its end. What must hold is checked
// after every delivery; at the end all is delivered, and everybody takes what is
// his. A failure is shrunk to the steps that it needs and printed as a story.
// COCOON_LONG runs more seeds.
func TestNodeCrossing(t *testing.T) {
	seeds := uint64(8)
	if os.Getenv("COCOON_LONG") != "" {
		seeds = 400
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			tryCrossing(t, seed)
		})
	}
}

// crossingSteps is how many steps a story has before it ends.
const crossingSteps = 420

func tryCrossing(t *testing.T, seed uint64) {
	steps := make([]int, crossingSteps)
	for i := range steps {
		steps[i] = i
	}
	first := runCrossing(t, seed, steps, false)
	if first.failure == "" {
		return
	}
	kept := shrink(steps, func(s []int) bool { return runCrossing(t, seed, s, false).class == first.class })
	last := runCrossing(t, seed, kept, true)
	t.Errorf("seed %d: %s\nof %d steps these are enough:\n%s%s", seed, first.failure, len(steps), last.story, last.failure)
}

// ending is what came of one run.
type ending struct {
	failure string // empty: all held
	class   string // what failures of one kind share
	story   string
}

// runCrossing plays some steps of a seed's story. Each step has randomness of its
// own, so leaving one out changes the others as little as may be.
func runCrossing(t testing.TB, seed uint64, steps []int, tell bool) (e ending) {
	p := &probe{TB: t}
	var story *strings.Builder
	if tell {
		story = new(strings.Builder)
	}
	p.run(func() {
		c := newCrossing(p, seed, story)
		for _, i := range steps {
			c.step(i)
		}
		c.end()
	})
	e.failure, e.class = p.failure, p.class
	if tell {
		e.story = story.String()
	}
	return e
}

// probe is a test that ends at its first failure and keeps it.
type probe struct {
	testing.TB
	failure, class string
	cleanups       []func()
}

type probeEnded struct{}

// run calls f and then what it registered to be called at its end.
func (p *probe) run(f func()) {
	defer func() {
		r := recover()
		for _, c := range slices.Backward(p.cleanups) {
			c()
		}
		if _, ended := r.(probeEnded); r != nil && !ended {
			panic(r)
		}
	}()
	f()
}

func (p *probe) fail(class, failure string) {
	p.class, p.failure = class, failure
	panic(probeEnded{})
}

func (p *probe) Helper()                   {}
func (p *probe) Cleanup(f func())          { p.cleanups = append(p.cleanups, f) }
func (p *probe) Error(a ...any)            { p.fail(fmt.Sprint(a...), fmt.Sprint(a...)) }
func (p *probe) Fatal(a ...any)            { p.Error(a...) }
func (p *probe) Errorf(f string, a ...any) { p.fail(f, fmt.Sprintf(f, a...)) }
func (p *probe) Fatalf(f string, a ...any) { p.Errorf(f, a...) }
func (p *probe) Fail()                     { p.Error("failed") }
func (p *probe) FailNow()                  { p.Error("failed") }

// shrinking bounds what all failures of a test run may cost.
var shrinking struct {
	sync.Mutex
	spent time.Duration
}

const shrinkTime = 60 * time.Second

// shrink leaves out steps as long as the failure stays: halves, then quarters,
// and so on to single steps.
func shrink(steps []int, fails func([]int) bool) []int {
	shrinking.Lock()
	defer shrinking.Unlock()
	begin := time.Now()
	end := begin.Add((shrinkTime - shrinking.spent) / 2)
	defer func() { shrinking.spent += time.Since(begin) }()
	for size := len(steps) / 2; size > 0; size /= 2 {
		for at := 0; at < len(steps) && time.Now().Before(end); {
			rest := slices.Concat(steps[:at], steps[min(at+size, len(steps)):])
			if fails(rest) {
				steps = rest
			} else {
				at += size
			}
		}
	}
	return steps
}

// TestShrink keeps the steps that a failure needs, and no others.
func TestShrink(t *testing.T) {
	steps := make([]int, 100)
	for i := range steps {
		steps[i] = i
	}
	got := shrink(steps, func(s []int) bool { return slices.Contains(s, 3) && slices.Contains(s, 77) })
	if !slices.Equal(got, []int{3, 77}) {
		t.Errorf("kept %v", got)
	}
}

// TestProbe ends a run at its first failure, and its cleanups run.
func TestProbe(t *testing.T) {
	p, clean := &probe{TB: t}, false
	p.run(func() {
		p.Cleanup(func() { clean = true })
		p.Errorf("%d are too many", 3)
		t.Error("the run goes on")
	})
	if p.failure != "3 are too many" || p.class != "%d are too many" || !clean {
		t.Errorf("failure %q of class %q, cleaned %v", p.failure, p.class, clean)
	}
}
