package nvidia

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// xmlText checks that b is UTF-8 and holds only characters of XML 1.0 (section
// 2.2), and normalizes line ends (section 2.11).
func xmlText(b []byte) (string, error) {
	s := string(b)
	if !utf8.ValidString(s) {
		return "", errors.New("not UTF-8")
	}
	for _, r := range s {
		if (r < ' ' || r > '~') && !xmlChar(r) {
			return "", errors.New("a character that XML does not allow")
		}
	}
	if strings.Contains(s, "\r") {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	}
	return s, nil
}

func xmlChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' ||
		r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}

// xmlDeclaration is the declaration that is allowed: version 1.0, and UTF-8 when
// an encoding is named (XML 1.0, section 2.8).
var xmlDeclaration = regexp.MustCompile(`^<\?xml version=("1\.0"|'1\.0')( encoding=("(?i:utf-8)"|'(?i:utf-8)'))?( standalone=("(yes|no)"|'(yes|no)'))? ?\?>`)

// declaration skips an XML declaration. It is not signed, since Canonical XML
// leaves it out; nothing else may be in its place.
func (p *xmlParser) declaration() error {
	if !strings.HasPrefix(p.in, "<?xml ") {
		return nil
	}
	p.pos = len(xmlDeclaration.FindString(p.in))
	if p.pos == 0 {
		return errors.New("the XML declaration is not one of XML 1.0 in UTF-8")
	}
	return nil
}

func (p *xmlParser) skipSpace() bool {
	start := p.pos
	for p.pos < len(p.in) && (p.in[p.pos] == ' ' || p.in[p.pos] == '\t' || p.in[p.pos] == '\n') {
		p.pos++
	}
	return p.pos > start
}

func (p *xmlParser) accept(s string) bool {
	if !strings.HasPrefix(p.rest(), s) {
		return false
	}
	p.pos += len(s)
	return true
}

// name reads a name of ASCII characters with at most one prefix.
func (p *xmlParser) name() (qname, error) {
	first, ok := p.part()
	if !ok {
		return qname{}, errors.New("no name")
	}
	if !p.accept(":") {
		return qname{"", first}, nil
	}
	local, ok := p.part()
	if !ok || strings.HasPrefix(p.rest(), ":") {
		return qname{}, errors.New("a name with a lone colon")
	}
	return qname{first, local}, nil
}

func (p *xmlParser) part() (string, bool) {
	r := p.rest()
	n := 0
	for n < len(r) && nameByte(r[n], n == 0) {
		n++
	}
	p.pos += n
	return r[:n], n > 0 && n <= maxXMLName
}

func nameByte(c byte, first bool) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_':
		return true
	case c >= '0' && c <= '9', c == '-', c == '.':
		return !first
	}
	return false
}

// attrValue reads what follows the name of an attribute, and normalizes the
// value (XML 1.0, section 3.3.3).
func (p *xmlParser) attrValue() (string, error) {
	p.skipSpace()
	if !p.accept("=") {
		return "", errors.New("an attribute without a value")
	}
	p.skipSpace()
	quote := `"`
	if !p.accept(quote) {
		if quote = "'"; !p.accept(quote) {
			return "", errors.New("an attribute value without quotes")
		}
	}
	raw, _, ok := strings.Cut(p.rest(), quote)
	if !ok || strings.Contains(raw, "<") {
		return "", errors.New("an attribute value that does not end")
	}
	p.pos += len(raw) + 1
	if strings.ContainsAny(raw, "\t\n") {
		raw = strings.NewReplacer("\t", " ", "\n", " ").Replace(raw)
	}
	return unescape(raw)
}

// unescape resolves character references and the five entities that XML itself
// defines; there are no others.
func unescape(s string) (string, error) {
	if !strings.Contains(s, "&") {
		return s, nil
	}
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(s, "&")
		out.WriteString(before)
		if !ok {
			return out.String(), nil
		}
		ref, rest, ok := strings.Cut(after, ";")
		r, known := reference(ref)
		if !ok || !known {
			return "", errors.New("an unknown reference")
		}
		out.WriteRune(r)
		s = rest
	}
}

func reference(s string) (rune, bool) {
	switch s {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(s, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	return rune(n), err == nil && xmlChar(rune(n)) && digits[0] != '+'
}
