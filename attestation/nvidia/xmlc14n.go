package nvidia

import (
	"slices"
	"strings"
)

// canonical returns e in the form of Canonical XML 1.1 without comments. The
// element skip is left out, as the enveloped-signature transform wants it. When
// e is not the root of its document, the namespaces in scope come with it
// (section 2.4); there are no attributes of the prefix xml that could.
func canonical(e, skip *element) []byte {
	return appendCanonical(make([]byte, 0, 4096), e, skip, e)
}

// appendCanonical recurses at most maxXMLDepth times.
func appendCanonical(b []byte, e, skip, apex *element) []byte {
	b = appendName(append(b, '<'), e.name)
	for _, d := range rendered(e, apex) {
		b = append(b, " xmlns"...)
		if d.prefix != "" {
			b = append(append(b, ':'), d.prefix...)
		}
		b = appendValue(b, d.uri)
	}
	for _, a := range e.attrs {
		b = appendName(append(b, ' '), a.name)
		b = appendValue(b, a.value)
	}
	b = append(b, '>')
	for _, k := range e.kids {
		switch {
		case k.el == nil:
			b = append(b, textEscapes.Replace(k.text)...)
		case k.el != skip:
			b = appendCanonical(b, k.el, skip, apex)
		}
	}
	b = appendName(append(b, "</"...), e.name)
	return append(b, '>')
}

func appendName(b []byte, q qname) []byte {
	if q.prefix != "" {
		b = append(append(b, q.prefix...), ':')
	}
	return append(b, q.local...)
}

var (
	textEscapes  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
	valueEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
)

func appendValue(b []byte, s string) []byte {
	b = append(b, `="`...)
	b = append(b, valueEscapes.Replace(s)...)
	return append(b, '"')
}

// rendered returns the declarations that the tag of e shows, in order: those
// that are not in force in the output already.
func rendered(e, apex *element) []nsDecl {
	if e == apex {
		return inScope(e)
	}
	var out []nsDecl
	for _, d := range e.decls {
		if uri, _ := e.parent.lookup(d.prefix); uri != d.uri {
			out = append(out, d)
		}
	}
	return out
}

// inScope returns all declarations in force in e. An empty default namespace is
// the same as none.
func inScope(e *element) []nsDecl {
	var out []nsDecl
	seen := map[string]bool{}
	for ; e != nil; e = e.parent {
		for _, d := range e.decls {
			if !seen[d.prefix] && d.uri != "" {
				out = append(out, d)
			}
			seen[d.prefix] = true
		}
	}
	slices.SortFunc(out, func(a, b nsDecl) int { return strings.Compare(a.prefix, b.prefix) })
	return out
}
