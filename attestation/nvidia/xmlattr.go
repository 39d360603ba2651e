package nvidia

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// attribute reads one attribute or namespace declaration of e.
func (p *xmlParser) attribute(e *element) error {
	if p.attrs++; p.attrs > maxXMLAllAttrs || len(e.attrs)+len(e.decls) == maxXMLAttrs {
		return fmt.Errorf("more than %d attributes, or %d in the document", maxXMLAttrs, maxXMLAllAttrs)
	}
	name, err := p.name()
	if err != nil {
		return err
	}
	value, err := p.attrValue()
	if err != nil {
		return err
	}
	switch {
	case name == qname{"", "xmlns"}:
		return p.declare(e, "", value)
	case name.prefix == "xmlns":
		return p.declare(e, name.local, value)
	case name.prefix == "xml":
		return fmt.Errorf("attributes like %s are not allowed", name)
	}
	if e.attrs == nil {
		e.attrs = make([]xmlAttr, 0, 8)
	}
	e.attrs = append(e.attrs, xmlAttr{name: name, value: value})
	return p.noteID(name, value)
}

// noteID refuses a document in which two elements carry one identifier.
func (p *xmlParser) noteID(name qname, value string) error {
	if !strings.EqualFold(name.local, "id") {
		return nil
	}
	if p.ids[value] {
		return errors.New("an identifier is there twice")
	}
	if p.ids == nil {
		p.ids = map[string]bool{}
	}
	p.ids[value] = true
	return nil
}

func (p *xmlParser) declare(e *element, prefix, uri string) error {
	if p.spaces++; p.spaces > maxXMLSpaces {
		return fmt.Errorf("more than %d namespace declarations", maxXMLSpaces)
	}
	switch {
	case prefix == "xml" || prefix == "xmlns" || strings.HasPrefix(uri, "http://www.w3.org/XML/") || strings.HasPrefix(uri, "http://www.w3.org/2000/xmlns"):
		return errors.New("a reserved namespace is declared")
	case uri == "" && prefix != "":
		return fmt.Errorf("prefix %s is declared empty", prefix)
	case uri != "" && !strings.Contains(uri, ":"):
		return errors.New("a relative namespace name") // Canonical XML 1.1, section 1.3
	case strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("a namespace name that is not a URI")
	}
	for _, d := range e.decls {
		if d.prefix == prefix {
			return fmt.Errorf("namespace %q is declared twice", prefix)
		}
	}
	e.decls = append(e.decls, nsDecl{prefix, uri})
	return nil
}

// resolve finds the namespaces of the names in a tag, and sorts declarations and
// attributes as Canonical XML wants them.
func (e *element) resolve() error {
	var ok bool
	if e.space, ok = e.lookup(e.name.prefix); !ok && e.name.prefix != "" {
		return fmt.Errorf("prefix %s is not declared", e.name.prefix)
	}
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.name.prefix == "" {
			continue // the default namespace is not for attributes
		}
		if a.space, ok = e.lookup(a.name.prefix); !ok {
			return fmt.Errorf("prefix %s is not declared", a.name.prefix)
		}
	}
	slices.SortFunc(e.decls, func(a, b nsDecl) int { return strings.Compare(a.prefix, b.prefix) })
	slices.SortFunc(e.attrs, compareAttrs)
	for i := 1; i < len(e.attrs); i++ {
		if compareAttrs(e.attrs[i-1], e.attrs[i]) == 0 {
			return fmt.Errorf("attribute %s is there twice", e.attrs[i].name)
		}
	}
	return nil
}

func compareAttrs(a, b xmlAttr) int {
	if c := strings.Compare(a.space, b.space); c != 0 {
		return c
	}
	return strings.Compare(a.name.local, b.name.local)
}
