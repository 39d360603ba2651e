package nvidia

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// object is a JSON object (RFC 8259) whose names occur once. Names are compared
// exactly, unlike in encoding/json.
type object map[string]json.RawMessage

// jsonObject reads an object and nothing after it.
func jsonObject(b []byte) (object, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	o := object{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("not a JSON object")
		}
		if _, twice := o[name]; twice {
			return nil, fmt.Errorf("%.80q is there twice", name)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, errors.New("not a JSON object")
		}
		o[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the JSON object")
	}
	return o, nil
}

// jsonArray reads an array.
func jsonArray(b []byte) ([]json.RawMessage, error) {
	var a []json.RawMessage
	if err := json.Unmarshal(b, &a); err != nil || a == nil {
		return nil, errors.New("not a JSON array")
	}
	return a, nil
}

// jsonText reads a string; it is empty when b is none.
func jsonText(b []byte) string {
	var s string
	if len(b) == 0 || b[0] != '"' || json.Unmarshal(b, &s) != nil {
		return ""
	}
	return s
}

func (o object) text(name string) string { return jsonText(o[name]) }

// isTrue and isFalse report whether a member is just that.
func (o object) isTrue(name string) bool  { return string(o[name]) == "true" }
func (o object) isFalse(name string) bool { return string(o[name]) == "false" }

// seconds reads a time in seconds since 1970 (RFC 7519, section 2, NumericDate),
// without fractions.
func (o object) seconds(name string) (int64, bool) {
	var n int64
	err := json.Unmarshal(o[name], &n)
	return n, err == nil && n > 0 && n < 1<<40
}
