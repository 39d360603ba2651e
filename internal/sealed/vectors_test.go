package sealed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"

	"github.com/cocoon-go/cocoon/internal/ohttp"
)

var update = flag.Bool("update", false, "rewrite the generated vectors in testdata/vectors")

const vectorLine = "cocoon sealed vector v1"

// vector is a test vector: lines of names and values, in order.
type vector struct {
	name  string
	lines [][2]string
}

func (v *vector) add(name, value string)       { v.lines = append(v.lines, [2]string{name, value}) }
func (v *vector) addHex(name string, b []byte) { v.add(name, hex.EncodeToString(b)) }

func (v *vector) all(name string) (out []string) {
	for _, l := range v.lines {
		if l[0] == name {
			out = append(out, l[1])
		}
	}
	return out
}

func (v *vector) get(name string) string {
	if a := v.all(name); len(a) == 1 {
		return a[0]
	}
	return ""
}

func (v *vector) bytes(t testing.TB, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.get(name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

func (v *vector) text() []byte {
	b := []byte(vectorLine + "\n")
	for _, l := range v.lines {
		b = append(b, (l[0] + ": " + l[1] + "\n")...)
	}
	return b
}

// names lists every line that a vector may have, and whether it must be there
// once.
var names = map[string]bool{
	"kind": true, "comment": true, "expect": true, "sealed": true,
	"reason": false, "seed": false, "id": false, "config": false, "method": false, "path": false, "claims": false, "holder": false,
	"request-salt": false, "response-salt": false, "enc": false, "secret": false, "status": false,
	"field": false, "trailer": false, "content": false, "frame": false,
}

func readVector(t testing.TB, name string) *vector {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if lines[0] != vectorLine {
		t.Fatalf("first line %q", lines[0])
	}
	v := &vector{name: name}
	for _, l := range lines[1:] {
		k, val, ok := strings.Cut(l, ": ")
		if _, known := names[k]; !ok || !known {
			t.Fatalf("unknown line %.40q", l)
		}
		v.add(k, val)
	}
	for k, once := range names {
		if once && len(v.all(k)) != 1 {
			t.Fatalf("%d lines %q", len(v.all(k)), k)
		}
	}
	return v
}

var vectorSeed = func() (b []byte) {
	for i := range 32 {
		b = append(b, byte(i))
	}
	return b
}()

// makeVectors makes all vectors. Run twice by one version of Go it makes the
// same ones.
func makeVectors(t *testing.T) []*vector {
	cryptotest.SetGlobalRandom(t, 1)
	const id = 1
	k := seeded(t, vectorSeed, id)
	config := k.keys[id].config
	claims := [32]byte(bytes.Repeat([]byte{0x22}, 32))
	newX := func() *Exchange {
		x, err := newExchange(config, claims)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	var out []*vector
	request := func(name, comment, expect, reason string, sealed []byte) *vector {
		v := &vector{name: "request-" + name + ".txt"}
		v.add("kind", "request")
		v.add("comment", comment)
		v.add("expect", expect)
		if reason != "" {
			v.add("reason", reason)
		}
		v.addHex("seed", vectorSeed)
		v.add("id", strconv.Itoa(id))
		v.addHex("config", config)
		v.addHex("sealed", sealed)
		out = append(out, v)
		return v
	}
	// good adds what the request holds, as the second implementation reads it.
	good := func(v *vector, method, path string, fields []string, holder []byte, content string) *vector {
		r, frames, err := refOpenRequest(vectorSeed, v.bytes(t, "sealed"))
		if err != nil {
			t.Fatal(err)
		}
		v.add("method", method)
		v.add("path", path)
		for _, f := range fields {
			v.add("field", f)
		}
		v.addHex("claims", claims[:])
		v.addHex("holder", holder)
		for _, which := range []string{"request", "response"} {
			salt, err := r.Export("cocoon/salt/"+which+"/v1", 32)
			if err != nil {
				t.Fatal(err)
			}
			v.addHex(which+"-salt", salt)
		}
		v.addHex("content", []byte(content))
		for _, f := range frames {
			v.addHex("frame", f)
		}
		return v
	}
	seal := func(x *Exchange, method, path string, body io.Reader, header http.Header) []byte {
		req, err := http.NewRequest(method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		r, err := x.Request(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	refSeal := func(frames ...[]byte) []byte {
		_, b, err := refSealRequest(config, frames...)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	edit := func(b []byte, at int, c byte) []byte { b = bytes.Clone(b); b[at] ^= c; return b }

	const question = `{"model":"tinylm","messages":[{"role":"user","content":"Hi"}]}`
	x := newX()
	example := seal(x, "POST", "/v1/chat/completions", strings.NewReader(question), http.Header{"Content-Type": {"application/json"}})
	good(request("example", "the example of docs/spec/sealed.md", "ok", "", example), "POST", "/v1/chat/completions", []string{"content-type: application/json"}, x.Holder(), question)
	y := newX()
	streamed := seal(y, "POST", "/v1/chat/completions?x=y", io.MultiReader(strings.NewReader(question[:20]), strings.NewReader(question[20:])), http.Header{"Accept": {"text/event-stream"}, "User-Agent": {"does not pass"}})
	good(request("streamed", "content of unknown length, a frame for each piece", "ok", "", streamed), "POST", "/v1/chat/completions?x=y", []string{"accept: text/event-stream"}, y.Holder(), question)
	y = newX()
	good(request("get", "no content", "ok", "", seal(y, "GET", "/v1/models", nil, http.Header{})), "GET", "/v1/models", nil, y.Holder(), "")
	d := strings.Repeat("22", 32)
	head := refHead("POST", "", "/x", FieldClaims, d, FieldHolder, d)
	whole := append(bytes.Clone(head), 0, 0)
	good(request("larger-frame", "a frame larger than it must be, an empty last one, and a field that is dropped", "ok", "",
		refSeal(refFrame(append(refHead("POST", "a.example", "/x", "cookie", "c", FieldClaims, d, FieldHolder, d), 1, 'a', 0, 0), 4096), refFrame(nil, 128))), "POST", "/x", nil, claims[:], "a")

	c := chunks(t, streamed, ohttp.HeaderSize)
	request("key-id", "a key id that the enclave does not have", "unknown-key", "id 3", edit(example, 0, 2))
	request("suite", "KDF HKDF-SHA384", "malformed", "unsupported cipher suite", edit(example, 4, 3))
	request("enc-bit", "one bit of the encapsulated key", "changed", "not authentic", edit(example, 500, 1))
	request("enc-top-bit", "the bit of the X25519 share that X25519 ignores", "changed", "not authentic", edit(example, 1126, 0x80))
	request("tag-bit", "one bit of the last tag", "changed", "not authentic", edit(streamed, len(streamed)-1, 1))
	request("dropped", "the second chunk is missing", "changed", "not authentic", slices.Concat(c[0], c[1], c[3]))
	request("reordered", "first and second chunk in the other order", "changed", "not authentic", slices.Concat(c[0], c[2], c[1], c[3]))
	request("end-invented", "the second chunk called the final one", "changed", "not authentic", slices.Concat(c[0], c[1], []byte{0}, c[2][2:]))
	request("truncated", "the final chunk is missing", "truncated", "before its final chunk", slices.Concat(c[0], c[1], c[2]))
	request("truncated-in-chunk", "cut inside of a chunk", "truncated", "before its final chunk", slices.Concat(c[0], c[1], c[2][:20]))
	request("long-length", "a length in four bytes that two can hold", "malformed", "shortest form", slices.Concat(c[0], []byte{0x80, 0, c[1][0] & 0x3f, c[1][1]}, c[1][2:], c[2], c[3]))
	dirty := refFrame(whole, 0)
	dirty[len(dirty)-1] = 1
	request("padding", "the last byte of padding is 1", "malformed", "padding is not zero", refSeal(dirty))
	request("bucket", "a frame of 300 bytes", "malformed", "300 bytes", refSeal(refFrame(whole, 300)))
	request("over-the-end", "data over the end of the frame", "malformed", "of data in", refSeal(append([]byte{0, 255}, make([]byte, 62)...)))
	request("no-data", "an empty frame that is not the last one", "malformed", "no data", refSeal(refFrame(nil, 0), refFrame(whole, 0)))
	request("no-holder", "no cocoon-holder", "malformed", FieldHolder, refSeal(refFrame(append(refHead("POST", "", "/x", FieldClaims, d), 0, 0), 0)))
	request("two-claims", "two cocoon-claims", "malformed", FieldClaims, refSeal(refFrame(append(refHead("POST", "", "/x", FieldClaims, d, FieldClaims, d, FieldHolder, d), 0, 0), 0)))
	request("trailer", "a trailer", "malformed", "trailer", refSeal(refFrame(slices.Concat(head, []byte{0}, bstr("a"), bstr("b"), []byte{0}), 0)))
	request("header-limit", "a path of 70000 bytes", "too-large", "header is over the limit", refSeal(frames(refHead("POST", "", "/"+strings.Repeat("x", 70_000)))...))

	in := open(t, fresh(k), example)
	secret, err := in.server.Export(refResponseLabel, 32)
	if err != nil {
		t.Fatal(err)
	}
	enc := example[7:1127]
	response := func(name, comment, expect, reason string, sealed []byte) *vector {
		v := &vector{name: "response-" + name + ".txt"}
		v.add("kind", "response")
		v.add("comment", comment)
		v.add("expect", expect)
		if reason != "" {
			v.add("reason", reason)
		}
		v.addHex("enc", enc)
		v.addHex("secret", secret)
		v.addHex("sealed", sealed)
		out = append(out, v)
		return v
	}
	goodR := func(v *vector, status int, fields, trailer []string, content string) {
		fs, err := refOpenResponse(secret, enc, v.bytes(t, "sealed"))
		if err != nil {
			t.Fatal(err)
		}
		v.add("status", strconv.Itoa(status))
		for _, f := range fields {
			v.add("field", f)
		}
		for _, f := range trailer {
			v.add("trailer", f)
		}
		v.addHex("content", []byte(content))
		for _, f := range fs {
			v.addHex("frame", f)
		}
	}
	nonce := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	refSealR := func(b byte, frames ...[]byte) []byte {
		m, err := refSealResponse(secret, enc, nonce(b), frames...)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	answer := answerWith(t, in, "Hello", " there")
	goodR(response("example", "the example of docs/spec/sealed.md", "ok", "", answer), 200, []string{"content-type: text/event-stream"}, []string{"cocoon-receipt: receipt"}, "Hello there")
	var b bytes.Buffer
	if err := open(t, fresh(k), example).NotStarted(&b, nil, "other claims"); err != nil {
		t.Fatal(err)
	}
	goodR(response("not-started", "nothing was run", "ok", "", b.Bytes()), 421, []string{"cocoon-not-started: other claims"}, nil, "")
	rhead := []byte{3, 0x40, 200, 0}
	all := append(bytes.Clone(rhead), 1, 'a', 0, 0)
	goodR(response("fields", "fields that are dropped, in header and trailer; an informational response before", "ok", "",
		refSealR(1, refFrame(slices.Concat([]byte{3, 0x40, 103, 0}, rhead[1:3], bstr("etag"), bstr("x"), bstr("retry-after"), bstr("3"), []byte{0, 1, 'a', 0}, bstr("date"), bstr("x"), []byte{0}), 256), refFrame(nil, 0))), 200, []string{"retry-after: 3"}, nil, "a")
	c = chunks(t, answer, 32)
	response("nonce-bit", "one bit of the response nonce", "false", "", edit(answer, 3, 1))
	response("chunk-bit", "one bit of a chunk", "false", "", edit(answer, len(answer)-20, 1))
	response("duplicated", "the first chunk twice", "false", "", slices.Concat(c[0], c[1], c[1], c[2], c[3]))
	response("end-invented", "the second chunk called the final one", "false", "", slices.Concat(c[0], c[1], []byte{0}, c[2][2:]))
	response("truncated", "the final chunk is missing", "unknown", "", slices.Concat(c[0], c[1], c[2]))
	response("final-cut-short", "the final chunk has a byte less", "unknown", "", answer[:len(answer)-1])
	dirty = refFrame(all, 0)
	dirty[63] = 1
	response("padding", "the last byte of padding is 1", "input", "padding is not zero", refSealR(2, dirty))
	response("no-data", "an empty frame that is not the last one", "input", "no data", refSealR(3, refFrame(nil, 0), refFrame(all, 0)))
	response("status", "status code 99", "input", "status code 99", refSealR(4, refFrame([]byte{3, 0x40, 99, 0, 0, 0}, 0)))
	response("no-end", "the final chunk comes before the end of the content", "input", "unexpected EOF", refSealR(5, refFrame(all[:len(all)-2], 0)))
	return out
}

// frames cuts data into full frames.
func frames(data []byte) (out [][]byte) {
	for len(data) > 0 {
		n := min(MaxData, len(data))
		out, data = append(out, refFrame(data[:n], 0)), data[n:]
	}
	return out
}

func TestVectors(t *testing.T) {
	dir := filepath.Join("testdata", "vectors")
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, v := range makeVectors(t) {
			if err := os.WriteFile(filepath.Join(dir, v.name), v.text(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 30 {
		t.Errorf("%d vectors", len(files))
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(f.Name(), ".txt"), func(t *testing.T) {
			v := readVector(t, f.Name())
			switch v.get("kind") {
			case "request":
				checkRequest(t, v)
			case "response":
				checkResponse(t, v)
			default:
				t.Fatalf("kind %q", v.get("kind"))
			}
		})
	}
}

// fieldLines lists fields as vectors do.
func fieldLines(h http.Header) (out []string) {
	for name, values := range h {
		for _, v := range values {
			out = append(out, strings.ToLower(name)+": "+v)
		}
	}
	slices.Sort(out)
	return out
}

func checkRequest(t *testing.T, v *vector) {
	id, err := strconv.ParseUint(v.get("id"), 10, 8)
	if err != nil {
		t.Fatal(err)
	}
	k := seeded(t, v.bytes(t, "seed"), byte(id))
	if !bytes.Equal(k.keys[id].config, v.bytes(t, "config")) {
		t.Error("the seed has another key configuration")
	}
	sealed := v.bytes(t, "sealed")
	in, err := k.Open(context.Background(), now, bytes.NewReader(sealed))
	var content []byte
	if err == nil {
		content, err = io.ReadAll(in.Request.Body)
	}
	want, known := map[string]error{"ok": nil, "unknown-key": ErrUnknownKey, "malformed": ErrMalformed, "too-large": ErrTooLarge,
		"changed": ohttp.ErrAuthentication, "truncated": ohttp.ErrTruncated}[v.get("expect")]
	if !known {
		t.Fatalf("expectation %q", v.get("expect"))
	}
	if want != nil {
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		contains(t, err, v.get("reason"))
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if in.Request.Method != v.get("method") || in.Request.RequestURI != v.get("path") || !slices.Equal(fieldLines(in.Request.Header), v.all("field")) || !bytes.Equal(content, v.bytes(t, "content")) {
		t.Errorf("%s %s %v %q", in.Request.Method, in.Request.RequestURI, fieldLines(in.Request.Header), content)
	}
	for name, got := range map[string][]byte{"claims": in.ClaimsDigest[:], "holder": in.Holder, "request-salt": in.RequestSalt[:], "response-salt": in.ResponseSalt[:]} {
		if !bytes.Equal(got, v.bytes(t, name)) {
			t.Errorf("%s is %x", name, got)
		}
	}
	_, frames, err := refOpenRequest(v.bytes(t, "seed"), sealed)
	if err != nil {
		t.Fatal(err)
	}
	checkFrames(t, v, frames)
}

func checkFrames(t *testing.T, v *vector, frames [][]byte) {
	t.Helper()
	var got []string
	for _, f := range frames {
		got = append(got, hex.EncodeToString(f))
	}
	if !slices.Equal(got, v.all("frame")) {
		t.Errorf("other frames: %q", got)
	}
}

// checkResponse opens the chunks with the second implementation, because an
// Exchange can't be made of a secret, and gives the frames to an Exchange.
func checkResponse(t *testing.T, v *vector) {
	opened, err := refOpenResponse(v.bytes(t, "secret"), v.bytes(t, "enc"), v.bytes(t, "sealed"))
	expect := v.get("expect")
	switch expect {
	case "false", "unknown":
		if want := map[string]error{"false": errRefChanged, "unknown": errRefTruncated}[expect]; !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		return
	case "ok", "input":
	default:
		t.Fatalf("expectation %q", expect)
	}
	if err != nil {
		t.Fatal(err)
	}
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	req := sealRequest(t, x, nil)
	secret, err := open(t, k, req).server.Export(refResponseLabel, 32)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := refSealResponse(secret, req[7:1127], noise(32), opened...)
	if err != nil {
		t.Fatal(err)
	}
	res, content, err := readAnswer(x, msg)
	if expect == "input" {
		if !isInput(err) {
			t.Errorf("%v, want bad input", err)
		}
		contains(t, err, v.get("reason"))
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if strconv.Itoa(res.StatusCode) != v.get("status") || content != string(v.bytes(t, "content")) ||
		!slices.Equal(fieldLines(res.Header), v.all("field")) || !slices.Equal(fieldLines(res.Trailer), v.all("trailer")) {
		t.Errorf("%d %v %v %q", res.StatusCode, fieldLines(res.Header), fieldLines(res.Trailer), content)
	}
	checkFrames(t, v, opened)
}

// The bytes in the specification are those of the vectors, and it names every
// vector.
func TestSpec(t *testing.T) {
	doc, err := os.ReadFile("../../docs/spec/sealed.md")
	if err != nil {
		t.Fatal(err)
	}
	flat := strings.Join(strings.Fields(string(doc)), "")
	has := func(what, s string) {
		t.Helper()
		if !strings.Contains(flat, s) {
			t.Errorf("docs/spec/sealed.md lacks the %s: %s", what, s)
		}
	}
	sum := func(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
	req, res := readVector(t, "request-example.txt"), readVector(t, "response-example.txt")
	sealed := req.bytes(t, "sealed")
	has("seed", req.get("seed"))
	has("digest of the key configuration", sum(req.bytes(t, "config")))
	has("header", hex.EncodeToString(sealed[:7]))
	has("digest of the encapsulated key", sum(sealed[7:1127]))
	frame, err := hex.DecodeString(req.all("frame")[0])
	if err != nil {
		t.Fatal(err)
	}
	data, err := unpad(frame, true)
	if err != nil {
		t.Fatal(err)
	}
	has("data of the request", hex.EncodeToString(data))
	has("digest of the frame", sum(frame))
	has("start of the chunk", hex.EncodeToString(sealed[1127:1127+33]))
	has("digest of the request", sum(sealed))
	for _, name := range []string{"claims", "holder", "request-salt", "response-salt"} {
		has(name, req.get(name))
	}
	has("secret", res.get("secret"))
	has("answer", res.get("sealed"))
	for _, f := range res.all("frame") {
		has("frame of the answer", strings.TrimRight(f, "0"))
	}
	files, err := os.ReadDir(filepath.Join("testdata", "vectors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		_, name, _ := strings.Cut(strings.TrimSuffix(f.Name(), ".txt"), "-")
		has("name of the vector", "`"+name+"`")
	}
	for _, s := range []string{RequestType, ResponseType, labels.request, labels.response, labels.requestSalt, labels.responseSalt} {
		if !strings.Contains(string(doc), "`"+s+"`") {
			t.Errorf("docs/spec/sealed.md lacks %s", s)
		}
	}
}
