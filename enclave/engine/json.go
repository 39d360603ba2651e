package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a request. JSON schemas of tools are the
// deepest that clients send.
const maxDepth = 64

// member is one field of the top-level object of a request, with its value as
// raw bytes of the body.
type member struct {
	name string
	raw  []byte
}

// scanObject validates a whole JSON text and returns the fields of its top-level
// object. It is stricter than RFC 8259 where parsers differ, because what is
// checked here is read again by another parser behind: no name twice in any
// object, no escapes in top-level names, valid UTF-8 only, bounded nesting.
// The errors name positions, never content.
func scanObject(b []byte) ([]member, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("not UTF-8")
	}
	s := &scanner{b: b}
	s.space()
	if s.peek() != '{' {
		return nil, fmt.Errorf("not a JSON object")
	}
	if err := s.object(0, true); err != nil {
		return nil, err
	}
	s.space()
	if s.i != len(b) {
		return nil, s.fail("more than one value")
	}
	return s.top, nil
}

type scanner struct {
	b   []byte
	i   int
	top []member
}

func (s *scanner) fail(what string) error { return fmt.Errorf("%s at byte %d", what, s.i) }

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

func (s *scanner) value(depth int) error {
	switch c := s.peek(); {
	case c == '{':
		return s.object(depth, false)
	case c == '[':
		return s.array(depth)
	case c == '"':
		_, err := s.text()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	for _, w := range [...]string{"true", "false", "null"} {
		if len(s.b)-s.i >= len(w) && string(s.b[s.i:s.i+len(w)]) == w {
			s.i += len(w)
			return nil
		}
	}
	return s.fail("no value")
}

func (s *scanner) object(depth int, top bool) error {
	if depth >= maxDepth {
		return s.fail("too deep")
	}
	s.i++ // {
	s.space()
	if s.peek() == '}' {
		s.i++
		return nil
	}
	var names nameSet
	for {
		if s.peek() != '"' {
			return s.fail("no field name")
		}
		raw, err := s.text()
		if err != nil {
			return err
		}
		name, err := fieldName(raw)
		if err != nil || top && len(name) != len(raw)-2 {
			return s.fail("field name with escapes")
		}
		if !names.add(name) {
			return s.fail("field given twice")
		}
		if s.space(); s.peek() != ':' {
			return s.fail("no colon")
		}
		s.i++
		s.space()
		start := s.i
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if top {
			s.top = append(s.top, member{string(name), s.b[start:s.i]})
		}
		s.space()
		switch s.peek() {
		case ',':
			s.i++
			s.space()
		case '}':
			s.i++
			return nil
		default:
			return s.fail("no comma")
		}
	}
}

func (s *scanner) array(depth int) error {
	if depth >= maxDepth {
		return s.fail("too deep")
	}
	s.i++ // [
	s.space()
	if s.peek() == ']' {
		s.i++
		return nil
	}
	for {
		if err := s.value(depth + 1); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.i++
			s.space()
		case ']':
			s.i++
			return nil
		default:
			return s.fail("no comma")
		}
	}
}

// text reads a string and returns it with its quotes, escapes untouched.
func (s *scanner) text() ([]byte, error) {
	start := s.i
	for s.i++; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start:s.i], nil
		case c < 0x20:
			return nil, s.fail("control character")
		case c == '\\':
			s.i++
			switch s.peek() {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					s.i++
					if c := s.peek() | 0x20; !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') || s.peek() < '0' {
						return nil, s.fail("bad escape")
					}
				}
			default:
				return nil, s.fail("bad escape")
			}
		}
	}
	return nil, s.fail("string without end")
}

func fieldName(raw []byte) (name []byte, err error) {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	var text string
	err = json.Unmarshal(raw, &text)
	return []byte(text), err
}

// nameSet holds the names of one object. Most objects are small: they need no
// map.
type nameSet struct {
	n     int
	small [16][]byte
	large map[string]struct{}
}

// add reports whether the name is new.
func (s *nameSet) add(name []byte) bool {
	if s.n < len(s.small) {
		for _, have := range s.small[:s.n] {
			if bytes.Equal(have, name) {
				return false
			}
		}
		s.small[s.n] = name
		s.n++
		return true
	}
	if s.large == nil {
		s.large = map[string]struct{}{}
		for _, have := range s.small {
			s.large[string(have)] = struct{}{}
		}
	}
	if _, have := s.large[string(name)]; have {
		return false
	}
	s.large[string(name)] = struct{}{}
	return true
}

func (s *scanner) digits() bool {
	start := s.i
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.i++
	}
	return s.i > start
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else if !s.digits() {
		return s.fail("bad number")
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return s.fail("bad number")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		if !s.digits() {
			return s.fail("bad number")
		}
	}
	return nil
}
