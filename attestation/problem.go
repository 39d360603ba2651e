package attestation

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/cocoon-go/cocoon/attestation/strict"
)

// PolicyProblem is one thing that is wrong with a policy, or worth knowing about
// it.
type PolicyProblem struct {
	Line int    `json:"line,omitempty"` // from 1; 0 when it is not about one line
	Key  string `json:"key,omitempty"`  // "tdx.attributes_allowed"
	Text string `json:"text"`
}

func (p *PolicyProblem) Error() string {
	s := p.Text
	if p.Key != "" {
		s = p.Key + ": " + s
	}
	if p.Line > 0 {
		s = fmt.Sprintf("line %d: %s", p.Line, s)
	}
	return s
}

func problem(key, format string, a ...any) error {
	return &PolicyProblem{Key: key, Text: fmt.Sprintf(format, a...)}
}

// PolicyProblems returns the problems in an error of [ParsePolicy], in order.
func PolicyProblems(err error) []PolicyProblem {
	var out []PolicyProblem
	walk(err, func(e error) {
		if p, ok := e.(*PolicyProblem); ok {
			out = append(out, *p)
		}
	})
	return out
}

// badTOML is the error for a text that is not TOML, or has unknown keys.
func badTOML(err error) error {
	var unknown *toml.StrictMissingError
	var at *strict.Problem
	var errs []error
	switch {
	case errors.As(err, &unknown):
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			errs = append(errs, &PolicyProblem{Line: line, Text: "unknown key " + strings.Join(e.Key(), ".")})
		}
	case errors.As(err, &at):
		errs = append(errs, &PolicyProblem{Line: at.Line, Text: at.Text})
	default:
		errs = append(errs, &PolicyProblem{Text: strings.TrimPrefix(err.Error(), "toml: ")})
	}
	return policyInput(errs)
}

// policyInput is the one error for several problems.
func policyInput(errs []error) error {
	return BadInput("policy: %w", errors.Join(errs...))
}

// located adds lines to the problems in err.
func located(err error, text []byte) error {
	lines := keyLines(text)
	var errs []error
	walk(err, func(e error) {
		if p, ok := e.(*PolicyProblem); ok {
			q := *p
			q.Line = lineOf(lines, q.Key)
			errs = append(errs, &q)
		}
	})
	if len(errs) == 0 {
		return BadInput("policy: %w", err)
	}
	return policyInput(errs)
}

// lineOf returns the line of a key, or of the section that lacks it.
func lineOf(lines map[string]int, key string) int {
	for {
		if n, ok := lines[key]; ok {
			return n
		}
		i := strings.LastIndexByte(key, '.')
		if i < 0 {
			return 0
		}
		key = key[:i]
	}
}

// keyLines returns the line of every key and section of a TOML text, by its full
// name. The text has been decoded before, so that it is correct.
func keyLines(text []byte) map[string]int {
	lines := map[string]int{}
	var p unstable.Parser
	p.Reset(text)
	section := ""
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.KeyValue && e.Kind != unstable.Table {
			continue
		}
		name, line := "", 0
		for it := e.Key(); it.Next(); {
			if line == 0 {
				line = p.Shape(it.Node().Raw).Start.Line
			}
			name = join(name, string(it.Node().Data))
		}
		if e.Kind == unstable.Table {
			section = name
		} else {
			name = join(section, name)
		}
		if _, ok := lines[name]; !ok {
			lines[name] = line
		}
	}
	return lines
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}
