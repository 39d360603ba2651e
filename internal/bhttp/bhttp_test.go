package bhttp

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples of RFC 9292, section 5.
const (
	rfcKnownRequest = `00034745 54056874 74707300 0a2f6865 6c6c6f2e 74787440 6c0a7573 65722d61
		67656e74 34637572 6c2f372e 31362e33 206c6962 6375726c 2f372e31 362e3320 4f70656e 53534c2f
		302e392e 376c207a 6c69622f 312e322e 3304686f 73740f77 77772e65 78616d70 6c652e63 6f6d0f61
		63636570 742d6c61 6e677561 67650665 6e2c206d 690000`
	rfcIndeterminateRequest = `02034745 54056874 74707300 0a2f6865 6c6c6f2e 7478740a 75736572 2d616765
		6e743463 75726c2f 372e3136 2e33206c 69626375 726c2f37 2e31362e 33204f70 656e5353 4c2f302e
		392e376c 207a6c69 622f312e 322e3304 686f7374 0f777777 2e657861 6d706c65 2e636f6d 0f616363
		6570742d 6c616e67 75616765 06656e2c 206d6900 00000000 00000000 00000000`
	rfcResponse = `03406607 72756e6e 696e670a 22736c65 65702031 35220040 67046c69 6e6b233c
		2f737479 6c652e63 73733e3b 2072656c 3d707265 6c6f6164 3b206173 3d737479 6c65046c 696e6b24
		3c2f7363 72697074 2e6a733e 3b207265 6c3d7072 656c6f61 643b2061 733d7363 72697074 0040c804
		64617465 1d4d6f6e 2c203237 204a756c 20323030 39203132 3a32383a 35332047 4d540673 65727665
		72064170 61636865 0d6c6173 742d6d6f 64696669 65641d57 65642c20 3232204a 756c2032 30303920
		31393a31 353a3536 20474d54 04657461 67142233 34616133 38372d64 2d313536 38656230 30220d61
		63636570 742d7261 6e676573 05627974 65730e63 6f6e7465 6e742d6c 656e6774 68023531 04766172
		790f4163 63657074 2d456e63 6f64696e 670c636f 6e74656e 742d7479 70650a74 6578742f 706c6169
		6e003348 656c6c6f 20576f72 6c642120 4d792063 6f6e7465 6e742069 6e636c75 64657320 61207472
		61696c69 6e672043 524c462e 0d0a0000`
	rfcChunked = `0140c800 1d546869 7320636f 6e74656e 7420636f 6e746169 6e732043 524c462e
		0d0a0d07 74726169 6c657204 74657874`
)

func TestRFC9292Requests(t *testing.T) {
	want := RequestHead{"GET", "https", "", "/hello.txt", []Field{
		{"user-agent", "curl/7.16.3 libcurl/7.16.3 OpenSSL/0.9.7l zlib/1.2.3"},
		{"host", "www.example.com"}, {"accept-language", "en, mi"}}}
	known, indeterminate := unhex(t, rfcKnownRequest), unhex(t, rfcIndeterminateRequest)
	for name, msg := range map[string][]byte{
		"known": known, "known-1": known[:len(known)-1], "known-2": known[:len(known)-2],
		"indeterminate": indeterminate, "indeterminate-10": indeterminate[:len(indeterminate)-10],
		"indeterminate-12": indeterminate[:len(indeterminate)-12],
	} {
		r, err := ReadRequest(bytes.NewReader(msg), DefaultLimits)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !reflect.DeepEqual(r.RequestHead, want) {
			t.Errorf("%s: %+v", name, r.RequestHead)
		}
		if b, err := io.ReadAll(r.Body); len(b) != 0 || err != nil || len(r.Body.Trailer()) != 0 {
			t.Errorf("%s: body %q, %v", name, b, err)
		}
	}
	if got, _ := AppendKnownRequest(nil, &want, nil, nil); !bytes.Equal(got, known) {
		t.Errorf("known-length encoding is\n%x\nwant\n%x", got, known)
	}
	got, _ := AppendRequest(nil, &want)
	if got, _ = AppendEnd(got, nil); !bytes.Equal(got, indeterminate[:len(indeterminate)-10]) {
		t.Errorf("indeterminate-length encoding is\n%x\nwant\n%x", got, indeterminate)
	}
}

func TestRFC9292Responses(t *testing.T) {
	r, err := ReadResponse(bytes.NewReader(unhex(t, rfcResponse)), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	if r.Status != 200 || len(r.Fields) != 8 || err != nil ||
		string(b) != "Hello World! My content includes a trailing CRLF.\r\n" {
		t.Errorf("%d %v %q %v", r.Status, r.Fields, b, err)
	}
	r, err = ReadResponse(bytes.NewReader(unhex(t, rfcChunked)), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	b, err = io.ReadAll(r.Body)
	trailer := []Field{{"trailer", "text"}}
	if string(b) != "This content contains CRLF.\r\n" || err != nil || !reflect.DeepEqual(r.Body.Trailer(), trailer) {
		t.Errorf("%q, %v, %v", b, err, r.Body.Trailer())
	}
	if got, _ := AppendKnownResponse(nil, 200, nil, b, trailer); !bytes.Equal(got, unhex(t, rfcChunked)) {
		t.Errorf("encoding is %x", got)
	}
}

var sample = RequestHead{"POST", "https", "a.example:8443", "/v1/chat?x=1",
	[]Field{{"accept", "*/*"}, {"content-type", "application/json"}, {"x-empty", ""}}}

// indeterminate returns a request with two chunks and a trailer.
func indeterminate(t testing.TB) []byte {
	b, err := AppendRequest(nil, &sample)
	if err != nil {
		t.Fatal(err)
	}
	b = AppendChunk(b, []byte("hello "))
	b = AppendChunk(b, nil)
	b = AppendChunk(b, bytes.Repeat([]byte("x"), 100))
	if b, err = AppendEnd(b, []Field{{"cocoon-receipt", "abc"}}); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	content := "hello " + strings.Repeat("x", 100)
	trailer := []Field{{"cocoon-receipt", "abc"}}
	known, err := AppendKnownRequest(nil, &sample, []byte(content), trailer)
	if err != nil {
		t.Fatal(err)
	}
	for name, msg := range map[string][]byte{"known": known, "indeterminate": indeterminate(t)} {
		for way, r := range map[string]io.Reader{
			"bytes": bytes.NewReader(msg), "one byte": iotest.OneByteReader(bytes.NewReader(msg)),
			"data with EOF": iotest.DataErrReader(bytes.NewReader(msg)), "half": iotest.HalfReader(bytes.NewReader(msg)),
		} {
			req, err := ReadRequest(r, DefaultLimits)
			if err != nil {
				t.Errorf("%s, %s: %v", name, way, err)
				continue
			}
			b, err := io.ReadAll(req.Body)
			if string(b) != content || err != nil || !reflect.DeepEqual(req.RequestHead, sample) || !reflect.DeepEqual(req.Body.Trailer(), trailer) {
				t.Errorf("%s, %s: %+v, %q, %v, %v", name, way, req.RequestHead, b, err, req.Body.Trailer())
			}
		}
	}
}

// A message may end only where RFC 9292 lets it be truncated.
func TestEveryTruncation(t *testing.T) {
	head, _ := AppendRequest(nil, &sample)
	control := len(head) - 1 - int(linesSize(sample.Fields))
	msg := indeterminate(t)
	content := len(head) + 1 + 6 + 2 + 100
	may := map[int]bool{control: true, len(head): true, content + 1: true, len(msg): true}
	for i := range msg {
		checkTruncation(t, "indeterminate", msg[:i], may[i])
	}
	msg, _ = AppendKnownRequest(nil, &sample, []byte("hello"), []Field{{"a", "b"}})
	content = len(msg) - 5 - 6
	may = map[int]bool{control: true, content: true, content + 6: true}
	for i := range msg {
		checkTruncation(t, "known", msg[:i], may[i])
	}
	// Lengths of two bytes, also where a message may end before them.
	fields := []Field{{"a", strings.Repeat("b", 100)}}
	msg, _ = AppendKnownRequest(nil, &RequestHead{Method: "GET", Scheme: "https", Path: "/", Fields: fields}, make([]byte, 100), fields)
	control, content = 1+4+6+1+2, len(msg)-2-104
	may = map[int]bool{control: true, control + 2 + 104: true, content: true, len(msg): true}
	for i := range msg {
		checkTruncation(t, "known, longer", msg[:i], may[i])
	}
}

func checkTruncation(t *testing.T, name string, msg []byte, may bool) {
	t.Helper()
	r, err := ReadRequest(bytes.NewReader(msg), DefaultLimits)
	if err == nil {
		_, err = io.ReadAll(r.Body)
	}
	switch {
	case may && err != nil:
		t.Errorf("%s cut at %d: %v", name, len(msg), err)
	case !may && !(errors.Is(err, ErrInvalid) && errors.Is(err, io.ErrUnexpectedEOF)):
		t.Errorf("%s cut at %d: %v, want an invalid, truncated message", name, len(msg), err)
	}
}

func TestRefusedRequests(t *testing.T) {
	edit := func(f func(*RequestHead)) []byte {
		h := sample
		f(&h)
		b := appendFields(appendControl([]byte{indeterminateRequest}, &h), h.Fields)
		if _, err := AppendRequest(nil, &h); err == nil {
			t.Errorf("AppendRequest accepts %+v", h)
		}
		return append(b, 0, 0)
	}
	field := func(name, value string) []byte {
		return edit(func(h *RequestHead) { h.Fields = []Field{{"accept", "*"}, {name, value}} })
	}
	raw := func(s string) []byte { return append([]byte("\x02\x03GET\x05https\x00\x01/"), s...) }
	many := func(n int) (f []Field) {
		for range n {
			f = append(f, Field{"a", "b"})
		}
		return f
	}
	for name, c := range map[string]struct {
		msg  []byte
		want error
	}{
		"framing of a response":   {[]byte("\x03\x03GET\x05https\x00\x01/\x00\x00\x00"), ErrInvalid},
		"framing 4":               {[]byte("\x04\x03GET\x05https\x00\x01/\x00\x00\x00"), ErrInvalid},
		"framing not minimal":     {[]byte("\x40\x02\x03GET\x05https\x00\x01/\x00\x00\x00"), ErrInvalid},
		"empty":                   {nil, ErrInvalid},
		"no method":               {edit(func(h *RequestHead) { h.Method = "" }), ErrInvalid},
		"method with space":       {edit(func(h *RequestHead) { h.Method = "GE T" }), ErrInvalid},
		"CONNECT":                 {edit(func(h *RequestHead) { h.Method = "CONNECT" }), ErrInvalid},
		"no scheme":               {edit(func(h *RequestHead) { h.Scheme = "" }), ErrInvalid},
		"scheme with colon":       {edit(func(h *RequestHead) { h.Scheme = "https:" }), ErrInvalid},
		"scheme starts with 1":    {edit(func(h *RequestHead) { h.Scheme = "1a" }), ErrInvalid},
		"user info":               {edit(func(h *RequestHead) { h.Authority = "u@h" }), ErrInvalid},
		"authority with newline":  {edit(func(h *RequestHead) { h.Authority = "h\r\nx: y" }), ErrInvalid},
		"no path":                 {edit(func(h *RequestHead) { h.Path = "" }), ErrInvalid},
		"relative path":           {edit(func(h *RequestHead) { h.Path = "v1" }), ErrInvalid},
		"path *":                  {edit(func(h *RequestHead) { h.Path = "*" }), ErrInvalid},
		"path with space":         {edit(func(h *RequestHead) { h.Path = "/a b" }), ErrInvalid},
		"path with fragment":      {edit(func(h *RequestHead) { h.Path = "/a#b" }), ErrInvalid},
		"path not ASCII":          {edit(func(h *RequestHead) { h.Path = "/é" }), ErrInvalid},
		"path with DEL":           {edit(func(h *RequestHead) { h.Path = "/\x7f" }), ErrInvalid},
		"upper case name":         {field("Accept", "x"), ErrInvalid},
		"pseudo-field":            {field(":path", "/x"), ErrInvalid},
		"name with space":         {field("a b", "x"), ErrInvalid},
		"connection":              {field("connection", "close"), ErrInvalid},
		"transfer-encoding":       {field("transfer-encoding", "chunked"), ErrInvalid},
		"keep-alive":              {field("keep-alive", "x"), ErrInvalid},
		"proxy-connection":        {field("proxy-connection", "x"), ErrInvalid},
		"upgrade":                 {field("upgrade", "h2c"), ErrInvalid},
		"http2-settings":          {field("http2-settings", "x"), ErrInvalid},
		"te: gzip":                {field("te", "gzip"), ErrInvalid},
		"value with newline":      {field("a", "x\ny"), ErrInvalid},
		"value with CR":           {field("a", "x\ry"), ErrInvalid},
		"value with NUL":          {field("a", "x\x00y"), ErrInvalid},
		"value with ESC":          {field("a", "x\x1by"), ErrInvalid},
		"value with DEL":          {field("a", "x\x7fy"), ErrInvalid},
		"leading space":           {field("a", " x"), ErrInvalid},
		"trailing tab":            {field("a", "x\t"), ErrInvalid},
		"too many fields":         {edit(func(h *RequestHead) { h.Fields = many(MaxFields + 1) }), ErrTooLarge},
		"header over limit":       {raw("\x01a\x80\x01\x00\x00"), ErrTooLarge},
		"huge name":               {raw("\xff\xff\xff\xff\xff\xff\xff\xff"), ErrTooLarge},
		"length not minimal":      {raw("\x40\x01a\x01b\x00\x00\x00"), ErrInvalid},
		"chunk not minimal":       {raw("\x00\x40\x01a\x00\x00"), ErrInvalid},
		"chunk over limit":        {raw("\x00\x81\x00\x00\x01"), ErrTooLarge},
		"chunks over limit":       {append(append(raw("\x00\x80\xff\xff\xff"), make([]byte, 1<<24-1)...), 2, 'x', 'y', 0, 0), ErrTooLarge},
		"padding not zero":        {raw("\x00\x00\x00\x00\x01"), ErrInvalid},
		"padding over limit":      {raw("\x00\x00\x00" + strings.Repeat("\x00", MaxPadding+1)), ErrTooLarge},
		"bad trailer":             {raw("\x00\x00\x01A\x01b\x00"), ErrInvalid},
		"trailer over limit":      {raw("\x00\x00\x01a\x80\x01\x00\x00"), ErrTooLarge},
		"known: empty name":       {[]byte("\x00\x03GET\x05https\x00\x01/\x02\x00\x00\x00\x00"), ErrInvalid},
		"known: name overrun":     {[]byte("\x00\x03GET\x05https\x00\x01/\x02\x02aa\x00\x00\x00"), ErrInvalid},
		"known: value overrun":    {[]byte("\x00\x03GET\x05https\x00\x01/\x03\x01a\x02bb\x00\x00"), ErrInvalid},
		"known: length overrun":   {[]byte("\x00\x03GET\x05https\x00\x01/\x02\x01a\x00\x00\x00"), ErrInvalid},
		"known: section too long": {[]byte("\x00\x03GET\x05https\x00\x01/\x80\x01\x00\x01"), ErrTooLarge},
		"known: content too long": {[]byte("\x00\x03GET\x05https\x00\x01/\x00\x81\x00\x00\x01"), ErrTooLarge},
		"known: length differs":   {[]byte("\x00\x03GET\x05https\x00\x01/\x11\x0econtent-length\x013\x02hi\x00"), ErrInvalid},
		"content-length differs":  {raw("\x0econtent-length\x013\x00\x02hi\x00\x00"), ErrInvalid},
		"content-length signed":   {raw("\x0econtent-length\x02+2\x00\x02hi\x00\x00"), ErrInvalid},
		"content-length empty":    {raw("\x0econtent-length\x00\x00\x00\x00"), ErrInvalid},
		"content-length twice":    {raw("\x0econtent-length\x012\x0econtent-length\x012\x00\x02hi\x00\x00"), ErrInvalid},
	} {
		r, err := ReadRequest(bytes.NewReader(c.msg), DefaultLimits)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if r != nil {
			if _, again := r.Body.Read(make([]byte, 1)); again != err {
				t.Errorf("%s: the error is not sticky: %v, then %v", name, err, again)
			}
		}
	}
	for name, msg := range map[string][]byte{
		"te: trailers":          raw("\x02te\x08trailers\x00\x00\x00"),
		"true content-length":   raw("\x0econtent-length\x012\x00\x02hi\x00\x00"),
		"OPTIONS *":             []byte("\x02\x07OPTIONS\x05https\x00\x01*\x00\x00\x00"),
		"obs-text in a value":   raw("\x01a\x02\xc3\xa9\x00\x00\x00"),
		"as much padding as is": raw("\x00\x00\x00" + strings.Repeat("\x00", MaxPadding)),
	} {
		r, err := ReadRequest(bytes.NewReader(msg), DefaultLimits)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusedResponses(t *testing.T) {
	for name, msg := range map[string]string{
		"request":               "\x02\x03GET\x05https\x00\x01/\x00\x00\x00",
		"status 99":             "\x03\x40\x63\x00\x00\x00",
		"status 600":            "\x03\x42\x58\x00\x00\x00",
		"status huge":           "\x03\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00",
		"only informational":    "\x03\x40\x66\x00",
		"bad informational":     "\x03\x40\x66\x01A\x01b\x00\x40\xc8\x00\x00\x00",
		"bad field":             "\x03\x40\xc8\x01A\x01b\x00\x00\x00",
		"content-length, chunk": "\x03\x40\xc8\x0econtent-length\x013\x00\x02hi\x00\x00",
	} {
		r, err := ReadResponse(strings.NewReader(msg), DefaultLimits)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Informational responses count against the header limit.
	flood := "\x03" + strings.Repeat("\x40\x66\x00", 30<<10)
	if _, err := ReadResponse(strings.NewReader(flood), DefaultLimits); !errors.Is(err, ErrTooLarge) {
		t.Errorf("flood of informational responses: %v", err)
	}
	// A response to HEAD has a length and no content.
	r, err := ReadResponse(strings.NewReader("\x03\x40\xc8\x0econtent-length\x013\x00"), DefaultLimits)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		t.Errorf("response to HEAD: %v", err)
	}
	for _, status := range []int{0, 100, 199, 600} {
		if _, err := AppendResponse(nil, status, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("AppendResponse of status %d: %v", status, err)
		}
		if _, err := AppendKnownResponse(nil, status, nil, nil, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("AppendKnownResponse of status %d: %v", status, err)
		}
	}
	bad := []Field{{"A", "b"}}
	for name, f := range map[string]func() ([]byte, error){
		"AppendResponse":               func() ([]byte, error) { return AppendResponse(nil, 200, bad) },
		"AppendEnd":                    func() ([]byte, error) { return AppendEnd(nil, bad) },
		"AppendKnownResponse":          func() ([]byte, error) { return AppendKnownResponse(nil, 200, bad, nil, nil) },
		"AppendKnownResponse, trailer": func() ([]byte, error) { return AppendKnownResponse(nil, 200, nil, nil, bad) },
		"AppendKnownRequest, trailer":  func() ([]byte, error) { return AppendKnownRequest(nil, &sample, nil, bad) },
		"AppendKnownRequest": func() ([]byte, error) {
			return AppendKnownRequest(nil, &RequestHead{Method: "GET"}, nil, nil)
		},
	} {
		if b, err := f(); !errors.Is(err, ErrInvalid) || len(b) != 0 {
			t.Errorf("%s with a bad field: %x, %v", name, b, err)
		}
	}
}

// An error of the reader below comes through as it is.
func TestReaderError(t *testing.T) {
	msg := indeterminate(t)
	boom := errors.New("boom")
	for i := range msg {
		r, err := ReadRequest(io.MultiReader(bytes.NewReader(msg[:i]), iotest.ErrReader(boom)), DefaultLimits)
		if err == nil {
			_, err = io.ReadAll(r.Body)
		}
		if !errors.Is(err, boom) {
			t.Fatalf("at %d: %v", i, err)
		}
	}
}

// Content is handed out when it is there, before the chunk is complete.
func TestIncremental(t *testing.T) {
	pr, pw := io.Pipe()
	head, _ := AppendResponse(nil, 200, nil)
	go func() {
		pw.Write(head)
		pw.Write([]byte{5, 'a', 'b'})
		pw.Write([]byte("cde"))
		pw.Write([]byte{0, 0})
		pw.Close()
	}()
	r, err := ReadResponse(pr, DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	for _, want := range []string{"ab", "cde"} {
		if n, err := r.Body.Read(buf); string(buf[:n]) != want || err != nil {
			t.Fatalf("got %q, %v, want %q", buf[:n], err, want)
		}
	}
	if n, err := r.Body.Read(buf); n != 0 || err != io.EOF {
		t.Fatalf("end: %d, %v", n, err)
	}
}

func TestHTTP(t *testing.T) {
	in, _ := http.NewRequest("POST", "https://node.example/v1/x?y=%20", nil)
	in.Header = http.Header{"Accept": {"a", "b"}, "Secret": {"s"}, "Content-Type": {"t"}}
	h, err := FromRequest(in, func(name string) bool { return name != "secret" })
	if err != nil {
		t.Fatal(err)
	}
	want := &RequestHead{"POST", "https", "node.example", "/v1/x?y=%20", []Field{{"accept", "a"}, {"accept", "b"}, {"content-type", "t"}}}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("FromRequest: %+v", h)
	}
	h.Fields = append(h.Fields, Field{"host", "node.example"}, Field{"content-length", "2"})
	msg, _ := AppendKnownRequest(nil, h, []byte("hi"), []Field{{"a", "1"}})
	r, err := ReadRequest(bytes.NewReader(msg), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	type key struct{}
	out, err := r.HTTP(context.WithValue(context.Background(), key{}, 1))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(out.Body)
	if out.Method != "POST" || out.URL.Path != "/v1/x" || out.URL.RawQuery != "y=%20" || out.Host != "node.example" ||
		out.ContentLength != 2 || string(body) != "hi" || err != nil || out.Context().Value(key{}) != 1 ||
		!reflect.DeepEqual(out.Header, http.Header{"Accept": {"a", "b"}, "Content-Type": {"t"}}) ||
		!reflect.DeepEqual(out.Trailer, http.Header{"A": {"1"}}) {
		t.Errorf("%+v, body %q, %v", out, body, err)
	}
	for name, fields := range map[string][]Field{
		"another host": {{"host", "x"}}, "two hosts": {{"host", "node.example"}, {"host", "node.example"}},
	} {
		r := &Request{RequestHead: RequestHead{"GET", "https", "node.example", "/", fields}, Body: &Body{}}
		if _, err := r.HTTP(context.Background()); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := &Request{RequestHead: RequestHead{"GET", "https", "", "/%zz", nil}, Body: &Body{}}
	if _, err := bad.HTTP(context.Background()); !errors.Is(err, ErrInvalid) {
		t.Errorf("path that does not parse: %v", err)
	}
	in.Method = "CONNECT"
	if _, err := FromRequest(in, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("FromRequest of CONNECT: %v", err)
	}

	msg, _ = AppendResponse(nil, 404, []Field{{"b", "1"}, {"b", "2"}, {"c", "3"}})
	msg, _ = AppendEnd(AppendChunk(msg, []byte("no")), []Field{{"cocoon-receipt", "r"}})
	res, err := ReadResponse(bytes.NewReader(msg), DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	hr := res.HTTP(in)
	body, err = io.ReadAll(hr.Body)
	if hr.StatusCode != 404 || hr.Status != "404 Not Found" || hr.ContentLength != -1 || string(body) != "no" || err != nil ||
		!reflect.DeepEqual(hr.Header, http.Header{"B": {"1", "2"}, "C": {"3"}}) ||
		hr.Trailer.Get("Cocoon-Receipt") != "r" || hr.Request != in || hr.Body.Close() != nil {
		t.Errorf("%+v, body %q, %v", hr, body, err)
	}
}

// The head pool must not leave one message's bytes in another.
func TestPoolIsWiped(t *testing.T) {
	d := newDecoder(bytes.NewReader([]byte("secret")), DefaultLimits)
	if err := d.bytes(6); err != nil {
		t.Fatal(err)
	}
	text := d.head.text
	d.free()
	if bytes.Contains(text[:6], []byte("s")) {
		t.Errorf("pooled buffer still holds %q", text[:6])
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add(unhex(f, rfcKnownRequest))
	f.Add(unhex(f, rfcIndeterminateRequest))
	f.Add(indeterminate(f))
	f.Fuzz(func(t *testing.T, msg []byte) {
		r, err := ReadRequest(bytes.NewReader(msg), Limits{Header: 4096, Content: 4096})
		if err != nil {
			return
		}
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		// What was accepted encodes again, and decodes to the same.
		again, err := AppendKnownRequest(nil, &r.RequestHead, content, r.Body.Trailer())
		if err != nil {
			t.Fatal(err)
		}
		r2, err := ReadRequest(bytes.NewReader(again), Limits{Header: 8192, Content: 4096})
		if err != nil {
			t.Fatal(err)
		}
		content2, err := io.ReadAll(r2.Body)
		if err != nil || !bytes.Equal(content, content2) || !reflect.DeepEqual(r.RequestHead, r2.RequestHead) ||
			!reflect.DeepEqual(r.Body.Trailer(), r2.Body.Trailer()) {
			t.Fatalf("%+v became %+v, %v", r.RequestHead, r2.RequestHead, err)
		}
		r.HTTP(context.Background())
	})
}

func FuzzReadResponse(f *testing.F) {
	f.Add(unhex(f, rfcResponse))
	f.Add(unhex(f, rfcChunked))
	f.Fuzz(func(t *testing.T, msg []byte) {
		r, err := ReadResponse(bytes.NewReader(msg), Limits{Header: 4096, Content: 4096})
		if err != nil {
			return
		}
		content, err := io.ReadAll(r.HTTP(nil).Body)
		if err != nil {
			return
		}
		again, err := AppendResponse(nil, r.Status, r.Fields)
		if err != nil {
			t.Fatal(err)
		}
		if again, err = AppendEnd(AppendChunk(again, content), r.Body.Trailer()); err != nil {
			t.Fatal(err)
		}
		r2, err := ReadResponse(bytes.NewReader(again), Limits{Header: 8192, Content: 4096})
		if err != nil {
			t.Fatal(err)
		}
		content2, err := io.ReadAll(r2.Body)
		if err != nil || !bytes.Equal(content, content2) || r.Status != r2.Status || !reflect.DeepEqual(r.Fields, r2.Fields) {
			t.Fatalf("%v became %v, %v", r.Fields, r2.Fields, err)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	content := bytes.Repeat([]byte("x"), 1024)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = AppendRequest(buf[:0], &sample)
		buf, _ = AppendEnd(AppendChunk(buf, content), nil)
		r, err := ReadRequest(bytes.NewReader(buf), DefaultLimits)
		if err != nil {
			b.Fatal(err)
		}
		hr, err := r.HTTP(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, hr.Body); n != 1024 || err != nil {
			b.Fatal(n, err)
		}
	}
}
