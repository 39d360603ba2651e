package nvidia

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// object is a JSON object (RFC 8259) whose names occur once. Names are compared
// exactly, unlike in encoding/json.
type object map[string]json.RawMessage

// jsonObject reads an object and nothing after it.
func jsonObject(b []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, _ := d.Token(); t != json.Delim('{') || !json.Valid(b) || !utf8.Valid(b) {
		return nil, errors.New("not a JSON object")
	}
	o := object{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := fmt.Sprint(t)
		if _, twice := o[name]; twice {
			return nil, fmt.Errorf("%.80q is there twice", name)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		o[name] = v
	}
	return o, nil
}

// jsonArray reads an array; it is nil when b is none.
func jsonArray(b []byte) []json.RawMessage {
	var a []json.RawMessage
	if json.Unmarshal(b, &a) != nil {
		return nil
	}
	return a
}

// jsonText reads a string; it is empty when b is none.
func jsonText(b []byte) string {
	var s string
	if json.Unmarshal(b, &s) != nil {
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
