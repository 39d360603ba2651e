package strict

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Problem is what is wrong with a text, in words for who wrote it.
type Problem struct {
	Line int // from 1; 0: not known
	Text string
	err  error
}

func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.Text
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Text)
}

func (p *Problem) Unwrap() error { return p.err }

// newProblem takes go-toml's errors, which speak of Go's types, for people.
func newProblem(err error) *Problem {
	p := &Problem{err: err}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		p.Line, _ = at.Position()
	}
	p.Text = plain(strings.TrimPrefix(err.Error(), "toml: "))
	return p
}

// otherType is of a value that a field can't hold: what it is, the field, its type.
var otherType = regexp.MustCompile(`(?s)^cannot decode TOML (.+?) into (?:struct field .*\.(\w+) of type|a Go value of type) (.+)$`)

// elsewhere is of such a value where go-toml does not name the field.
var elsewhere = regexp.MustCompile(`^cannot (?:store|assign) (.+?) (?:in|to) `)

func plain(text string) string {
	if m := otherType.FindStringSubmatch(text); m != nil {
		text = found(m[1]) + " where " + wanted(m[3]) + " is wanted"
		if m[2] != "" {
			text = strings.ToLower(m[2]) + ": " + text
		}
		return text
	}
	if m := elsewhere.FindStringSubmatch(text); m != nil {
		return found(m[1]) + " where another value is wanted"
	}
	switch {
	case strings.HasPrefix(text, "float cannot be assigned to"):
		return "a number with a point where a whole number is wanted"
	case strings.Contains(text, "value out of range"), strings.Contains(text, "number out of range"):
		return "a number that is too large"
	case strings.HasPrefix(text, "unhandled kv part"):
		return "a table where another value is wanted"
	}
	return text
}

// found says a kind of TOML's.
func found(kind string) string {
	switch kind {
	case "string":
		return "text"
	case "integer", "float":
		return "a number"
	case "boolean":
		return "true or false"
	case "array":
		return "a list"
	case "table", "inline table":
		return "a table"
	}
	return "a " + kind
}

// wanted says a type of Go's.
func wanted(t string) string {
	t = strings.TrimLeft(t, "*")
	switch {
	case t == "string":
		return "text in quotes"
	case t == "bool":
		return "true or false"
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"), strings.HasPrefix(t, "float"):
		return "a number"
	case strings.HasPrefix(t, "["):
		return "a list"
	case strings.HasPrefix(t, "map["), strings.HasPrefix(t, "struct"):
		return "a table"
	}
	return "another value"
}
