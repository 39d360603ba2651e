package bhttp

import "github.com/cocoon-go/cocoon/internal/bhttp/varint"

// The framing indicators (RFC 9292, section 3.3).
const (
	knownRequest          = 0
	knownResponse         = 1
	indeterminateRequest  = 2
	indeterminateResponse = 3
)

// AppendRequest appends the head of an indeterminate-length request. Content
// chunks and [AppendEnd] follow. It refuses what [ReadRequest] would refuse and
// then returns b as it was.
func AppendRequest(b []byte, r *RequestHead) ([]byte, error) {
	if err := r.check(); err != nil {
		return b, err
	}
	return appendFields(appendControl(append(b, indeterminateRequest), r), r.Fields), nil
}

// AppendResponse appends the head of an indeterminate-length response. Content
// chunks and [AppendEnd] follow.
func AppendResponse(b []byte, status int, fields []Field) ([]byte, error) {
	if err := checkStatus(status); err != nil {
		return b, err
	}
	if err := checkFields(fields); err != nil {
		return b, err
	}
	b = varint.Append(append(b, indeterminateResponse), uint64(status))
	return appendFields(b, fields), nil
}

// AppendChunk appends p as one chunk of content; nothing when p is empty.
func AppendChunk(b, p []byte) []byte {
	if len(p) == 0 {
		return b
	}
	return append(varint.Append(b, uint64(len(p))), p...)
}

// AppendEnd appends the end of the content and the trailer of an
// indeterminate-length message.
func AppendEnd(b []byte, trailer []Field) ([]byte, error) {
	if err := checkFields(trailer); err != nil {
		return b, err
	}
	return appendFields(append(b, 0), trailer), nil
}

// AppendKnownRequest appends a whole known-length request.
func AppendKnownRequest(b []byte, r *RequestHead, content []byte, trailer []Field) ([]byte, error) {
	if err := r.check(); err != nil {
		return b, err
	}
	if err := checkFields(trailer); err != nil {
		return b, err
	}
	b = appendControl(append(b, knownRequest), r)
	return appendKnown(b, r.Fields, content, trailer), nil
}

// AppendKnownResponse appends a whole known-length response.
func AppendKnownResponse(b []byte, status int, fields []Field, content []byte, trailer []Field) ([]byte, error) {
	if err := checkStatus(status); err != nil {
		return b, err
	}
	if err := checkFields(fields); err != nil {
		return b, err
	}
	if err := checkFields(trailer); err != nil {
		return b, err
	}
	b = varint.Append(append(b, knownResponse), uint64(status))
	return appendKnown(b, fields, content, trailer), nil
}

func appendControl(b []byte, r *RequestHead) []byte {
	b = appendString(b, r.Method)
	b = appendString(b, r.Scheme)
	b = appendString(b, r.Authority)
	return appendString(b, r.Path)
}

func appendString(b []byte, s string) []byte {
	return append(varint.Append(b, uint64(len(s))), s...)
}

func appendLines(b []byte, fields []Field) []byte {
	for _, f := range fields {
		b = appendString(appendString(b, f.Name), f.Value)
	}
	return b
}

func appendFields(b []byte, fields []Field) []byte {
	return append(appendLines(b, fields), 0)
}

func appendKnown(b []byte, fields []Field, content []byte, trailer []Field) []byte {
	b = appendLines(varint.Append(b, linesSize(fields)), fields)
	b = append(varint.Append(b, uint64(len(content))), content...)
	return appendLines(varint.Append(b, linesSize(trailer)), trailer)
}

func linesSize(fields []Field) (n uint64) {
	for _, f := range fields {
		name, value := uint64(len(f.Name)), uint64(len(f.Value))
		n += uint64(varint.Len(name)) + name + uint64(varint.Len(value)) + value
	}
	return n
}
