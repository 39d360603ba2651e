package nvidia

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Namespaces of RIM documents: SWID tags (ISO/IEC 19770-2:2015) with the
// attributes of TCG's PC Client RIM, section 5.
const (
	swidSpace   = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
	sha384Space = "http://www.w3.org/2001/04/xmlenc#sha384"
)

// maxAlternatives bounds the golden values of one index; four are the most that
// is known.
const maxAlternatives = 64

// RIMDocument is a parsed RIM document: the golden measurements of one version
// of a driver or a VBIOS. Parsing proves nothing; see [VerifyRIM].
type RIMDocument struct {
	Version string // of the driver or VBIOS, "535.86.09" or "96.00.5E.00.01"
	Edition string // "GPU" or "SWITCH"
	Product string // "GH100"
	TagID   string // unique identifier of the tag, hex

	golden [MaxMeasurements][][DigestSize]byte // alternatives by index; nil where inactive
	other  []string                            // active reference values that are no digests
	digest [32]byte
	signed *signedXML
}

// Digest returns the SHA-256 of the XML document.
func (d *RIMDocument) Digest() [32]byte { return d.digest }

// ParseRIM reads a RIM document: the XML itself, or the JSON in which NVIDIA's
// RIM service hands it out. It checks shape only. Errors are bad input.
func ParseRIM(b []byte) (*RIMDocument, error) {
	if bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("{")) {
		var err error
		if b, err = unwrapRIM(b); err != nil {
			return nil, inputAt(StepRIM, "%w", err)
		}
	}
	d := &RIMDocument{digest: sha256.Sum256(b)}
	var err error
	if d.signed, err = parseSignedXML(b); err != nil {
		return nil, inputAt(StepRIM, "%w", err)
	}
	if err := d.read(d.signed.content); err != nil {
		return nil, inputAt(StepRIM, "%w", err)
	}
	return d, nil
}

// read parses the signed bytes of a document.
func (d *RIMDocument) read(content []byte) error {
	root, err := parseXML(content)
	if err != nil {
		return err
	}
	if !root.is(swidSpace, "SoftwareIdentity") {
		return errors.New("the root element is not a SWID SoftwareIdentity")
	}
	for _, kind := range []string{"corpus", "patch", "supplemental"} {
		if v := root.attr("", kind); v != "" && v != "false" {
			return fmt.Errorf("it is a %s tag, want a primary one", kind)
		}
	}
	d.TagID = root.attr("", "tagId")
	meta, err := root.only("Meta")
	if err != nil {
		return err
	}
	if err := d.readMeta(meta); err != nil {
		return err
	}
	payload, err := root.only("Payload")
	if err != nil {
		return err
	}
	return d.readPayload(payload)
}

func (d *RIMDocument) readMeta(e *element) error {
	d.Version, d.Edition, d.Product = e.attr("", "colloquialVersion"), e.attr("", "edition"), e.attr("", "product")
	if d.Version == "" {
		return errors.New("it names no version")
	}
	for _, s := range []string{d.Version, d.Product, d.TagID} {
		if len(s) > maxRIMName || strings.Trim(s, rimNameChars) != "" {
			return fmt.Errorf("version, product or tag id are not names of at most %d letters, digits, dots, dashes and underscores", maxRIMName)
		}
	}
	if d.Edition != editionGPU && d.Edition != editionSwitch {
		return fmt.Errorf("it is for %.40q, want %s or %s", d.Edition, editionGPU, editionSwitch)
	}
	return nil
}

// The editions, and what names may hold.
const (
	editionGPU    = "GPU"
	editionSwitch = "SWITCH"
	maxRIMName    = 128
	rimNameChars  = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-"
)

func (d *RIMDocument) readPayload(e *element) error {
	var seen [MaxMeasurements]bool
	active := 0
	for _, k := range e.kids {
		if k.el == nil {
			continue
		}
		if !k.el.is(swidSpace, "Resource") {
			return fmt.Errorf("its payload holds %s, want Resource alone", k.el.name)
		}
		r, err := readResource(k.el)
		if err != nil {
			return err
		}
		switch {
		case !r.digests:
			if r.active {
				d.other = append(d.other, r.name)
			}
			continue
		case seen[r.index]:
			return fmt.Errorf("measurement %d is there twice", r.index)
		}
		seen[r.index] = true
		if r.active {
			active++
			d.golden[r.index] = r.values
		}
	}
	if active == 0 {
		return errors.New("it has no active measurement")
	}
	return nil
}

// resource is one reference value. Values that are not digests of a measurement
// exist since NVIDIA's "Opaque Data RIM Attributes" of 2026, as minimum security
// versions; they are noted and not read.
type resource struct {
	digests bool
	active  bool
	name    string
	index   int
	values  [][DigestSize]byte
}

func readResource(e *element) (r resource, err error) {
	r.name = e.attr("", "name")
	switch v := e.attr("", "active"); v {
	case "True", "False":
		r.active = v == "True"
	default: // NVIDIA's two verifiers read anything else in opposite ways
		return r, fmt.Errorf("resource %.80q: active is %.20q, want True or False", r.name, v)
	}
	r.index = decimal(e.attr("", "index"))
	if r.digests = r.index >= 0 && r.index < MaxMeasurements && e.plain(); !r.digests {
		return r, nil
	}
	if e.attr("", "size") != strconv.Itoa(DigestSize) {
		return r, fmt.Errorf("measurement %d has a size other than %d", r.index, DigestSize)
	}
	r.values, err = readHashes(e)
	if err != nil {
		return r, fmt.Errorf("measurement %d: %w", r.index, err)
	}
	return r, nil
}

// plain reports whether an element has no attributes but those of a digest.
func (e *element) plain() bool {
	for _, a := range e.attrs {
		switch {
		case a.space == sha384Space:
		case a.space != "":
			return false
		case !strings.Contains(" type index active alternatives name size ", " "+a.name.local+" "):
			return false
		}
	}
	return e.attr("", "type") == "Measurement"
}

// readHashes reads the attributes Hash0 to Hashn: as many as are announced.
func readHashes(e *element) ([][DigestSize]byte, error) {
	n := decimal(e.attr("", "alternatives"))
	if n < 1 || n > maxAlternatives {
		return nil, fmt.Errorf("number of alternatives is not 1 to %d", maxAlternatives)
	}
	values := make([][DigestSize]byte, n)
	for i := range values {
		b, err := hex.DecodeString(e.attr(sha384Space, "Hash"+strconv.Itoa(i)))
		if err != nil || len(b) != DigestSize {
			return nil, fmt.Errorf("alternative %d is not a SHA-384 digest", i)
		}
		values[i] = [DigestSize]byte(b)
	}
	for _, a := range e.attrs {
		if a.space == sha384Space {
			n--
		}
	}
	if n != 0 {
		return nil, errors.New("more alternatives than announced")
	}
	return values, nil
}

// decimal reads a number in its one decimal form; it is negative when s is none.
func decimal(s string) int {
	if n, _ := strconv.Atoi(s); strconv.Itoa(n) == s {
		return n
	}
	return -1
}

// attr returns the value of an attribute, or nothing.
func (e *element) attr(space, local string) string {
	for _, a := range e.attrs {
		if a.space == space && a.name.local == local {
			return a.value
		}
	}
	return ""
}

// only returns the one child of this name.
func (e *element) only(local string) (*element, error) {
	var found *element
	for _, k := range e.kids {
		if k.el == nil || !k.el.is(swidSpace, local) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("it has more than one %s", local)
		}
		found = k.el
	}
	if found == nil {
		return nil, fmt.Errorf("it has no %s", local)
	}
	return found, nil
}
