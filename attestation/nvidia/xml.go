package nvidia

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of RIM documents. A genuine one has 20 KiB, 6 levels and 100 elements.
const (
	MaxRIM         = 4 << 20 // bytes
	maxXMLDepth    = 32
	maxXMLElements = 1 << 14
	maxXMLAttrs    = 256 // of one element, namespaces included
	maxXMLAllAttrs = 1 << 16
	maxXMLSpaces   = 64  // namespace declarations
	maxXMLName     = 128 // bytes in half a name
)

// The parser reads a subset of XML 1.0 with namespaces that is enough for RIM
// documents, and in which a document means one thing only. Outside the subset,
// and refused: document types and with them entities, processing instructions,
// comments, CDATA sections, attributes of the prefix xml, names that are not
// ASCII, relative namespace names, and any encoding but UTF-8.

// element is one element of a document.
type element struct {
	parent *element
	name   qname
	space  string // namespace of the name
	decls  []nsDecl
	attrs  []xmlAttr
	kids   []xmlNode
}

// xmlNode is an element, or text when el is nil.
type xmlNode struct {
	el   *element
	text string
}

type qname struct{ prefix, local string }

func (q qname) String() string {
	if q.prefix == "" {
		return q.local
	}
	return q.prefix + ":" + q.local
}

// nsDecl is a namespace declaration; the prefix of a default namespace is empty.
type nsDecl struct{ prefix, uri string }

type xmlAttr struct {
	name         qname
	space, value string
}

// lookup returns the namespace that a prefix stands for in e.
func (e *element) lookup(prefix string) (uri string, ok bool) {
	for ; e != nil; e = e.parent {
		for _, d := range e.decls {
			if d.prefix == prefix {
				return d.uri, true
			}
		}
	}
	return "", false
}

// parseXML reads a document of at most [MaxRIM] bytes. It uses no memory out of
// proportion to the document and does not recurse.
func parseXML(b []byte) (*element, error) {
	if len(b) > MaxRIM {
		return nil, fmt.Errorf("%d bytes, limit %d", len(b), MaxRIM)
	}
	s, err := xmlText(b)
	if err != nil {
		return nil, err
	}
	p := &xmlParser{in: s}
	if err := p.declaration(); err != nil {
		return nil, err
	}
	for p.pos < len(p.in) {
		if err := p.step(); err != nil {
			return nil, fmt.Errorf("at byte %d: %w", p.pos, err)
		}
	}
	if p.root == nil || p.cur != nil {
		return nil, errors.New("the document ends too early")
	}
	return p.root, nil
}

type xmlParser struct {
	in        string
	pos       int
	root, cur *element
	depth     int
	elements  int
	attrs     int
	spaces    int
	ids       map[string]bool
}

func (p *xmlParser) rest() string { return p.in[p.pos:] }

// step reads a tag or the text before the next one.
func (p *xmlParser) step() error {
	switch r := p.rest(); {
	case strings.HasPrefix(r, "<!"):
		return errors.New("document types, comments and CDATA sections are not allowed")
	case strings.HasPrefix(r, "<?"):
		return errors.New("processing instructions are not allowed")
	case strings.HasPrefix(r, "</"):
		return p.endTag()
	case r[0] == '<':
		return p.startTag()
	}
	return p.text()
}

// text reads character data. Outside the root it has to be white space.
func (p *xmlParser) text() error {
	raw, _, _ := strings.Cut(p.rest(), "<")
	if p.cur == nil {
		if strings.Trim(raw, " \t\n") != "" {
			return errors.New("text outside the root element")
		}
		p.pos += len(raw)
		return nil
	}
	if strings.Contains(raw, "]]>") {
		return errors.New("]]> in text")
	}
	s, err := unescape(raw)
	if err != nil {
		return err
	}
	p.cur.kids = append(p.cur.kids, xmlNode{text: s})
	p.pos += len(raw)
	return nil
}

func (p *xmlParser) endTag() error {
	p.pos += 2
	name, err := p.name()
	if err != nil {
		return err
	}
	p.skipSpace()
	if p.cur == nil || p.cur.name != name || !p.accept(">") {
		return errors.New("an end tag without its start tag")
	}
	p.close()
	return nil
}

func (p *xmlParser) close() { p.cur, p.depth = p.cur.parent, p.depth-1 }

// startTag reads the tag of an element, opens the element, and closes it again
// when it is an empty one.
func (p *xmlParser) startTag() error {
	p.pos++
	name, err := p.name()
	if err != nil {
		return err
	}
	e := &element{parent: p.cur, name: name}
	if err := p.open(e); err != nil {
		return err
	}
	for {
		space := p.skipSpace()
		if p.accept("/>") {
			p.close()
			return e.resolve()
		}
		if p.accept(">") {
			return e.resolve()
		}
		if !space {
			return errors.New("no space before an attribute")
		}
		if err := p.attribute(e); err != nil {
			return err
		}
	}
}

func (p *xmlParser) open(e *element) error {
	if p.elements++; p.elements > maxXMLElements {
		return fmt.Errorf("more than %d elements", maxXMLElements)
	}
	if p.depth++; p.depth > maxXMLDepth {
		return fmt.Errorf("more than %d levels", maxXMLDepth)
	}
	switch {
	case p.cur != nil:
		p.cur.kids = append(p.cur.kids, xmlNode{el: e})
	case p.root != nil:
		return errors.New("a second root element")
	default:
		p.root = e
	}
	p.cur = e
	return nil
}
