package sealed

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/internal/ohttp"
)

func openErr(k *Keyring, at time.Time, msg []byte) error {
	in, err := k.Open(context.Background(), at, bytes.NewReader(msg))
	if err == nil {
		_, err = io.ReadAll(in.Request.Body)
	}
	return err
}

func TestReplay(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	msg := sealRequest(t, x, []byte("once"))
	if err := openErr(k, now, msg); err != nil {
		t.Fatal(err)
	}
	err := openErr(k, now, msg)
	if !errors.Is(err, ErrReplay) || Status(err) != http.StatusConflict {
		t.Errorf("%v, status %d", err, Status(err))
	}
	// What was cut off is seen too, so that it can't be run later after all.
	y := exchange(t, k)
	msg = sealRequest(t, y, noise(3*MaxFrame))
	if err := openErr(k, now, msg[:len(msg)-1000]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	if err := openErr(k, now, msg); !errors.Is(err, ErrReplay) {
		t.Errorf("the rest of a request was accepted: %v", err)
	}
	// What nobody sealed to the key takes no place.
	junk := bytes.Clone(sealRequest(t, exchange(t, k), nil))
	junk[ohttp.HeaderSize+10] ^= 1
	before := len(k.keys[0].seen)
	if err := openErr(k, now, junk); !errors.Is(err, ohttp.ErrAuthentication) || len(k.keys[0].seen) != before {
		t.Errorf("%v, %d seen, want %d", err, len(k.keys[0].seen), before)
	}
}

func TestWrongKey(t *testing.T) {
	k, other := newKeyring(t, KeyringConfig{}), newKeyring(t, KeyringConfig{})
	msg := sealRequest(t, exchange(t, other), nil)
	if err := openErr(k, now, msg); !errors.Is(err, ohttp.ErrAuthentication) || Status(err) != http.StatusBadRequest {
		t.Errorf("sealed to another enclave: %v", err)
	}
	msg[0] = 7
	if err := openErr(k, now, msg); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("key id that is not there: %v", err)
	}
	msg[6] = 1
	if err := openErr(k, now, msg); !errors.Is(err, ErrMalformed) || !errors.Is(err, ohttp.ErrUnsupported) {
		t.Errorf("another cipher suite: %v", err)
	}
	// Plain chunked Oblivious HTTP to the same key is another protocol.
	c, err := ohttp.ParseKeyConfig(k.keys[0].config)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := ohttp.NewClient(c, ohttp.Chunked)
	if err != nil {
		t.Fatal(err)
	}
	s, err := plain.Request()
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Append(nil, refFrame([]byte{2}, 0), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := openErr(k, now, b); !errors.Is(err, ohttp.ErrAuthentication) {
		t.Errorf("plain chunked Oblivious HTTP: %v", err)
	}
}

// An answer is for one request: another exchange with the same enclave can't
// read it.
func TestAnswerOfAnotherRequest(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x, y := exchange(t, k), exchange(t, k)
	a := answerWith(t, open(t, k, sealRequest(t, x, []byte("same"))), "for x")
	open(t, k, sealRequest(t, y, []byte("same")))
	if _, text, err := readAnswer(y, a); !isFalse(err) || text != "" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestRotation(t *testing.T) {
	k := newKeyring(t, KeyringConfig{Lifetime: 40 * time.Hour, Start: now.Add(300 * time.Millisecond)})
	configs := k.Configs()
	if len(configs) != 2 {
		t.Fatalf("%d configurations", len(configs))
	}
	for i, want := range []time.Duration{0, 23 * time.Hour} {
		if c := configs[i]; !c.NotBefore.Equal(now.Add(want)) || !c.NotAfter.Equal(now.Add(want+24*time.Hour)) || c.Config[0] != byte(i) {
			t.Errorf("configuration %d with id %d: %v to %v", i, c.Config[0], c.NotBefore, c.NotAfter)
		}
	}
	configs[0].Config[5]++ // a copy
	if bytes.Equal(configs[0].Config, k.keys[0].config) {
		t.Error("the keyring's own bytes were handed out")
	}
	v := verified(t, k)
	sealAt := func(at time.Duration) []byte {
		t.Helper()
		x, err := NewExchange(v, now.Add(at))
		if err != nil {
			t.Fatal(err)
		}
		return sealRequest(t, x, nil)
	}
	hour := func(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }
	for _, c := range []struct {
		sealed, opened time.Duration
		id             byte
		ok             bool
	}{
		{0, 0, 0, true},
		{hour(22.99), hour(22.99), 0, true},
		{hour(22.99), hour(23.99), 0, true}, // prepared before, sent in the overlap
		{hour(23), hour(23), 1, true},
		{hour(23), hour(23) - keyEarly, 1, true}, // the client's clock is ahead
		{hour(23), hour(23) - keyEarly - 1, 1, false},
		{hour(0), -keyEarly - 1, 0, false},
		{hour(40), hour(40), 1, true},
		{hour(22.5), hour(24), 0, false},
		{hour(40), hour(47), 1, false},
		{hour(0), hour(0), 0, false}, // a key that was dropped does not come back with the clock
	} {
		msg := sealAt(c.sealed)
		if msg[0] != c.id {
			t.Errorf("sealed at %v: key %d, want %d", c.sealed, msg[0], c.id)
		}
		err := openErr(k, now.Add(c.opened), msg)
		if c.ok && err != nil || !c.ok && !errors.Is(err, ErrUnknownKey) {
			t.Errorf("sealed at %v, opened at %v: %v", c.sealed, c.opened, err)
		}
	}
	for i, s := range k.keys {
		if s.key != nil || s.seen != nil {
			t.Errorf("key %d is still there", i)
		}
	}
	// A request that waits while its key ends.
	k = newKeyring(t, KeyringConfig{})
	slot, _, err := k.find(0, now)
	if err != nil {
		t.Fatal(err)
	}
	k.Expire(now.Add(KeyLife))
	if err := k.remember(slot, []byte("enc")); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("%v", err)
	}
}

func TestExpire(t *testing.T) {
	k := newKeyring(t, KeyringConfig{Lifetime: 40 * time.Hour})
	for _, c := range []struct{ at, next time.Duration }{{0, 24 * time.Hour}, {24*time.Hour - 1, 24 * time.Hour}, {24 * time.Hour, 47 * time.Hour}} {
		if got := k.Expire(now.Add(c.at)); !got.Equal(now.Add(c.next)) {
			t.Errorf("at %v: next %v, want %v", c.at, got.Sub(now), c.next)
		}
	}
	if k.keys[0].key != nil || k.keys[1].key == nil {
		t.Error("the first key, and only it, must be gone")
	}
	if got := k.Expire(now.Add(47 * time.Hour)); !got.IsZero() || !k.Exhausted(now.Add(47*time.Hour)) {
		t.Errorf("next %v after the last", got)
	}
}

func TestCurrent(t *testing.T) {
	k := newKeyring(t, KeyringConfig{Lifetime: 40 * time.Hour})
	for at, want := range map[time.Duration][]byte{-1: nil, 0: {0}, 23*time.Hour - 1: {0}, 23 * time.Hour: {0, 1}, 24 * time.Hour: {1}, 47 * time.Hour: nil} {
		b := k.Current(now.Add(at))
		var got []byte
		if len(b) > 0 {
			l, err := ohttp.ParseKeyConfigs(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range l {
				got = append(got, c.ID())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("at %v: %v, want %v", at, got, want)
		}
	}
}

func TestNewKeyring(t *testing.T) {
	for name, c := range map[string]KeyringConfig{
		"no start":        {Lifetime: time.Hour},
		"no lifetime":     {Start: now},
		"negative window": {Start: now, Lifetime: time.Hour, Window: -1},
		"negative limit":  {Start: now, Lifetime: time.Hour, MaxRequest: -1},
		"too long":        {Start: now, Lifetime: (MaxKeys*23 + 2) * time.Hour},
	} {
		if k, err := NewKeyring(c); k != nil || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if testing.Short() {
		return
	}
	if k := newKeyring(t, KeyringConfig{Lifetime: (MaxKeys*23 + 1) * time.Hour}); len(k.keys) != MaxKeys {
		t.Errorf("%d keys", len(k.keys))
	}
}

func TestWindowFull(t *testing.T) {
	k := newKeyring(t, KeyringConfig{Window: 2, Lifetime: 40 * time.Hour})
	first := sealRequest(t, exchange(t, k), nil)
	for _, msg := range [][]byte{first, sealRequest(t, exchange(t, k), nil)} {
		if err := openErr(k, now, msg); err != nil {
			t.Fatal(err)
		}
	}
	if k.Exhausted(now) {
		t.Error("exhausted before a request was refused")
	}
	x := exchange(t, k)
	msg := sealRequest(t, x, []byte("one too many"))
	for range 2 { // and again: what is not remembered must be refused each time
		err := openErr(k, now, msg)
		var refused *NotStartedError
		if !errors.As(err, &refused) || refused.Reason == "" {
			t.Fatalf("%v", err)
		}
		var b bytes.Buffer
		if err := refused.Reply(&b, nil); err != nil {
			t.Fatal(err)
		}
		res, _, err := readAnswer(again(x), b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if reason, ok := NotStarted(res); !ok || reason != refused.Reason {
			t.Errorf("reason %q, %v", reason, ok)
		}
	}
	if !k.Exhausted(now) || k.Exhausted(now.Add(-time.Second)) {
		t.Error("exhausted must be true, and only in the time of the key")
	}
	if err := openErr(k, now, first); !errors.Is(err, ErrReplay) {
		t.Errorf("replay with a full window: %v", err)
	}
	if k.Exhausted(now.Add(23 * time.Hour)) {
		t.Error("the next key is exhausted too")
	}
}

func TestNotStarted(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	in := open(t, k, sealRequest(t, x, nil))
	var b bytes.Buffer
	flushed := 0
	if err := in.NotStarted(&b, func() error { flushed++; return nil }, "other claims"); err != nil {
		t.Fatal(err)
	}
	res, text, err := readAnswer(x, b.Bytes())
	if err != nil || text != "" || flushed != 0 {
		t.Fatalf("%q, %v, %d flushes", text, err, flushed)
	}
	if reason, ok := NotStarted(res); !ok || reason != "other claims" {
		t.Errorf("%q, %v", reason, ok)
	}
	for _, r := range []*http.Response{
		{StatusCode: 421, Header: http.Header{}},
		{StatusCode: 200, Header: http.Header{"Cocoon-Not-Started": {"x"}}},
		{StatusCode: 421, Trailer: http.Header{"Cocoon-Not-Started": {"x"}}},
	} {
		if _, ok := NotStarted(r); ok {
			t.Errorf("%+v counts as not started", r)
		}
	}
	// What an engine says can't look like it.
	x = exchange(t, k)
	b.Reset()
	w, err := open(t, k, sealRequest(t, x, nil)).Reply(&b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteHeader(421, http.Header{"Cocoon-Not-Started": {"forged"}, "cocoon-not-started": {"forged"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(nil); err != nil {
		t.Fatal(err)
	}
	if res, _, err = readAnswer(x, b.Bytes()); err != nil || len(res.Header) != 0 {
		t.Errorf("%v, %v", res, err)
	}
}

// Nothing that tells clients apart, and no credential, reaches the enclave; and
// only what is on the list comes back.
func TestFields(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	req, _ := http.NewRequest(http.MethodPost, "https://user:secret@host.example/v1/x?q=1", strings.NewReader("{}"))
	for _, name := range []string{"Authorization", "Cookie", "User-Agent", "X-Request-Id", "X-Stainless-Os", "Accept-Language", "Accept-Encoding",
		"Openai-Organization", "Host", "Content-Length", "Traceparent", "Origin", "Referer", "Forwarded", "X-Forwarded-For", "Date"} {
		req.Header.Set(name, "x")
	}
	req.Header.Set("Cocoon-Claims", "forged")
	req.Header["cocoon-holder"] = []string{"forged"}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Cocoon-Voucher", "v")
	sealed, err := x.Request(req)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := io.ReadAll(sealed)
	if err != nil {
		t.Fatal(err)
	}
	in := open(t, k, msg)
	if got, want := fmt.Sprint(in.Request.Header), "map[Accept:[text/event-stream] Cocoon-Voucher:[v] Content-Type:[application/json]]"; got != want {
		t.Errorf("fields %s, want %s", got, want)
	}
	if in.Request.Host != "" || in.Request.URL.String() != "/v1/x?q=1" {
		t.Errorf("host %q, URL %s", in.Request.Host, in.Request.URL)
	}
	var b bytes.Buffer
	w, err := in.Reply(&b, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{"Server": {"x"}, "Date": {"x"}, "Set-Cookie": {"x"}, "X-Request-Id": {"x"}, "Content-Length": {"99"}, "Connection": {"close"},
		"Content-Type": {"text/plain"}, "Retry-After": {"3"}, "Cocoon-X": {"y"}}
	if err := w.WriteHeader(429, h); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(http.Header{"Cocoon-Receipt": {"r"}, "Server-Timing": {"x"}}); err != nil {
		t.Fatal(err)
	}
	res, _, err := readAnswer(x, b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(res.Header, res.Trailer), "map[Cocoon-X:[y] Content-Type:[text/plain] Retry-After:[3]] map[Cocoon-Receipt:[r]]"; got != want {
		t.Errorf("fields %s, want %s", got, want)
	}
}

// A peer that does not filter is filtered: by the enclave and by the client.
func TestFieldsOfTheOther(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	data := slices.Concat(refHead("POST", "host.example", "/x", "cookie", "x", FieldClaims, strings.Repeat("0a", 32), FieldHolder, strings.Repeat("0b", 32), "accept", "a"), []byte{0, 0})
	_, msg, err := refSealRequest(k.keys[0].config, refFrame(data, 0))
	if err != nil {
		t.Fatal(err)
	}
	in := open(t, k, msg)
	if got := fmt.Sprint(in.Request.Header); got != "map[Accept:[a]]" || in.Request.Host != "" {
		t.Errorf("%s, host %q", got, in.Request.Host)
	}
	if in.ClaimsDigest != [32]byte(bytes.Repeat([]byte{10}, 32)) || !bytes.Equal(in.Holder, bytes.Repeat([]byte{11}, 32)) {
		t.Errorf("claims %x, holder %x", in.ClaimsDigest, in.Holder)
	}
	x := exchange(t, k)
	req := sealRequest(t, x, nil)
	secret, err := open(t, k, req).server.Export(refResponseLabel, 32)
	if err != nil {
		t.Fatal(err)
	}
	ans := slices.Concat([]byte{3, 0x40, 200}, bstr("set-cookie"), bstr("x"), bstr("cocoon-a"), bstr("b"), []byte{0, 0}, bstr("etag"), bstr("x"), bstr(FieldReceipt), bstr("r"), []byte{0})
	msg, err = refSealResponse(secret, req[7:1127], noise(32), refFrame(ans, 0))
	if err != nil {
		t.Fatal(err)
	}
	res, _, err := readAnswer(x, msg)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(res.Header, res.Trailer); got != "map[Cocoon-A:[b]] map[Cocoon-Receipt:[r]]" {
		t.Errorf("%s", got)
	}
}

// refHead is the head of a request of indeterminate length.
func refHead(method, authority, path string, fields ...string) []byte {
	b := slices.Concat([]byte{2}, bstr(method), bstr("https"), bstr(authority), bstr(path))
	for _, s := range fields {
		b = append(b, bstr(s)...)
	}
	return append(b, 0)
}

// What an authentic but wrong client sends.
func TestBadRequests(t *testing.T) {
	k := newKeyring(t, KeyringConfig{MaxRequest: 10})
	d := strings.Repeat("0a", 32)
	head := refHead("POST", "", "/x", FieldClaims, d, FieldHolder, d)
	end := []byte{0, 0}
	frame := func(parts ...[]byte) [][]byte { return [][]byte{refFrame(slices.Concat(parts...), 0)} }
	big := refHead("POST", "", "/"+strings.Repeat("x", 66_000))
	var bigFrames [][]byte
	for len(big) > 0 {
		n := min(MaxData, len(big))
		bigFrames, big = append(bigFrames, refFrame(big[:n], 0)), big[n:]
	}
	dirty := frame(head, end)
	dirty[0][255] = 1
	for name, c := range map[string]struct {
		frames [][]byte
		want   error // nil means good
		reason string
	}{
		"good":                {frame(head, end), nil, ""},
		"with content":        {frame(head, []byte{1, 'a'}, end), nil, ""},
		"three frames":        {append(frame(head), append(frame([]byte{1, 'a'}), frame(end)...)...), nil, ""},
		"empty":               {[][]byte{refFrame(nil, 0)}, ErrMalformed, "no request in it"},
		"empty frame":         {[][]byte{refFrame(nil, 0), refFrame(head, 0)}, ErrMalformed, "no data"},
		"no bucket":           {[][]byte{refFrame(slices.Concat(head, end), 300)}, ErrMalformed, "300 bytes"},
		"dirty padding":       {dirty, ErrMalformed, "padding is not zero"},
		"no claims":           {frame(refHead("POST", "", "/x", FieldHolder, d), end), ErrMalformed, FieldClaims},
		"no holder":           {frame(refHead("POST", "", "/x", FieldClaims, d), end), ErrMalformed, FieldHolder},
		"two claims":          {frame(refHead("POST", "", "/x", FieldClaims, d, FieldClaims, d, FieldHolder, d), end), ErrMalformed, FieldClaims},
		"two holders":         {frame(refHead("POST", "", "/x", FieldClaims, d, FieldHolder, d, FieldHolder, d), end), ErrMalformed, FieldHolder},
		"claims in capitals":  {frame(refHead("POST", "", "/x", FieldClaims, strings.ToUpper(d), FieldHolder, d), end), ErrMalformed, FieldClaims},
		"claims not hex":      {frame(refHead("POST", "", "/x", FieldClaims, strings.Repeat("zz", 32), FieldHolder, d), end), ErrMalformed, FieldClaims},
		"short holder":        {frame(refHead("POST", "", "/x", FieldClaims, d, FieldHolder, d[2:]), end), ErrMalformed, FieldHolder},
		"path does not parse": {frame(refHead("POST", "", "/%zz", FieldClaims, d, FieldHolder, d), end), ErrMalformed, "path does not parse"},
		"an answer":           {frame([]byte{3}), ErrMalformed, "framing indicator"},
		"trailer":             {frame(head, []byte{0}, bstr("a"), bstr("b"), []byte{0}), ErrMalformed, "trailer"},
		"bytes after the end": {frame(head, end, []byte{1}), ErrMalformed, "padding is not zero"},
		"ends in the head":    {frame(head[:20]), ErrMalformed, "unexpected EOF"},
		"content too large":   {frame(head, []byte{11}, make([]byte, 11), end), ErrTooLarge, "over 10 bytes"},
		"header too large":    {bigFrames, ErrTooLarge, "header is over the limit"},
	} {
		_, msg, err := refSealRequest(k.keys[0].config, c.frames...)
		if err != nil {
			t.Fatal(err)
		}
		err = openErr(k, now, msg)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want != nil {
			contains(t, err, c.reason)
		}
	}
}

// Errors carry nothing of the request that is anybody's secret.
func TestErrorsTellNothing(t *testing.T) {
	k := newKeyring(t, KeyringConfig{MaxRequest: 10})
	d := hex.EncodeToString(noise(32))
	const secret = "my-secret"
	for name, data := range map[string][]byte{
		"path":    refHead("POST", "", "/"+secret+"#", FieldClaims, d, FieldHolder, d),
		"query":   append(refHead("POST", "", "/?"+secret+"=%zz;%", FieldClaims, d), 0, 0),
		"value":   append(refHead("POST", "", "/", FieldClaims, d, FieldHolder, d, "accept", secret+"\x00"), 0, 0),
		"claims":  append(refHead("POST", "", "/", FieldClaims, secret, FieldHolder, d), 0, 0),
		"content": slices.Concat(refHead("POST", "", "/", FieldClaims, d, FieldHolder, d), bstr(secret), []byte{0}, bstr("a"), bstr(secret), []byte{0}),
	} {
		_, msg, err := refSealRequest(k.keys[0].config, refFrame(data, 0))
		if err != nil {
			t.Fatal(err)
		}
		if err := openErr(k, now, msg); err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), d) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRequestRefused(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	body := func() io.Reader { return strings.NewReader("hello") }
	for name, edit := range map[string]func(*http.Request){
		"trailer":         func(r *http.Request) { r.Trailer = http.Header{"A": nil} },
		"encoded":         func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
		"method":          func(r *http.Request) { r.Method = "PO ST" },
		"connect":         func(r *http.Request) { r.Method = http.MethodConnect },
		"field value":     func(r *http.Request) { r.Header.Set("Accept", "a\nb") },
		"header too big":  func(r *http.Request) { r.Header.Set("Accept", strings.Repeat("a", MaxHeader)) },
		"longer content":  func(r *http.Request) { r.ContentLength = 4 },
		"shorter content": func(r *http.Request) { r.ContentLength = 6 },
	} {
		req, _ := http.NewRequest(http.MethodPost, "/", body())
		edit(req)
		r, err := exchange(t, k).Request(req)
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !isInput(err) {
			t.Errorf("%s: %v, want bad input", name, err)
		}
	}
	// A body that fails is not an end.
	cause := errors.New("disk on fire")
	req, _ := http.NewRequest(http.MethodPost, "/", io.MultiReader(body(), readerFunc(func([]byte) (int, error) { return 0, cause })))
	r, err := exchange(t, k).Request(req)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := io.ReadAll(r)
	if !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if err := openErr(k, now, msg); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a request with half a body: %v", err)
	}
	if _, err := r.Read(make([]byte, 10)); !errors.Is(err, cause) {
		t.Errorf("the error is not sticky: %v", err)
	}
	req, _ = http.NewRequest(http.MethodPost, "/", readerFunc(func([]byte) (int, error) { return 0, nil }))
	if r, err = exchange(t, k).Request(req); err == nil {
		_, err = io.ReadAll(r)
	}
	if !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a body that gives nothing: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// closed notes that it was closed.
type closed struct {
	io.Reader
	n *int
}

func (c closed) Close() error { *c.n++; return nil }

func TestClose(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	n := 0
	req, _ := http.NewRequest(http.MethodPost, "/", closed{strings.NewReader("a"), &n})
	r, err := x.Request(req)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if r.Close(); n != 1 {
		t.Error("the inner body was not closed")
	}
	res, err := x.Response(closed{bytes.NewReader(answerWith(t, open(t, k, msg), "a")), &n})
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); n != 2 {
		t.Error("the outer body was not closed")
	}
	if res, err = again(exchange(t, k)).Response(bytes.NewReader(nil)); err == nil {
		t.Errorf("%v", res)
	}
}

// When the context is over, reading is, and the error says so.
func TestContext(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	msg := sealRequest(t, exchange(t, k), noise(5*MaxFrame))
	ctx, cancel := context.WithCancel(context.Background())
	in, err := k.Open(ctx, now, bytes.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	if in.Request.Context() != ctx {
		t.Error("the request has another context")
	}
	cancel()
	if _, err := io.ReadAll(in.Request.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := k.Open(ctx, now, bytes.NewReader(msg)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestStatus(t *testing.T) {
	for err, want := range map[error]int{
		ErrUnknownKey: 400, ErrMalformed: 400, ohttp.ErrAuthentication: 400, ohttp.ErrTruncated: 400, ErrReplay: 409, ErrTooLarge: 413,
		&http.MaxBytesError{Limit: 1}: 413, os.ErrDeadlineExceeded: 408, context.DeadlineExceeded: 408,
	} {
		if got := Status(fmt.Errorf("wrapped: %w", err)); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}
