package sealed

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cocoon-go/cocoon/internal/bhttp"
	"github.com/cocoon-go/cocoon/internal/ohttp"
)

// roundTrip sends content and echoes it, checking all that both ends agree on.
func roundTrip(t *testing.T, k *Keyring, x *Exchange, content []byte) {
	t.Helper()
	in := open(t, k, sealRequest(t, x, content))
	if r := in.Request; r.Method != "POST" || r.URL.String() != "/v1/chat/completions?a=b" || r.Host != "" || r.ContentLength != -1 {
		t.Errorf("request: %s %s, host %q, length %d", r.Method, r.URL, r.Host, r.ContentLength)
	}
	if got := fmt.Sprint(in.Request.Header); got != "map[Content-Type:[application/json]]" {
		t.Errorf("request fields: %s", got)
	}
	got, err := io.ReadAll(in.Request.Body)
	if err != nil || !bytes.Equal(got, content) {
		t.Fatalf("request of %d bytes became %d: %v", len(content), len(got), err)
	}
	if in.ClaimsDigest != x.ClaimsDigest() || !in.Holder.Equal(x.Holder()) {
		t.Error("claims digest or holder differ")
	}
	if in.RequestSalt != x.RequestSalt() || in.ResponseSalt != x.ResponseSalt() || in.RequestSalt == in.ResponseSalt || in.RequestSalt == ([32]byte{}) {
		t.Error("salts differ, or are one")
	}
	res, text, err := readAnswer(x, answerWith(t, in, string(content)))
	if err != nil || text != string(content) {
		t.Fatalf("answer of %d bytes became %d: %v", len(content), len(text), err)
	}
	if res.StatusCode != 200 || fmt.Sprint(res.Header) != "map[Content-Type:[text/event-stream]]" || fmt.Sprint(res.Trailer) != "map[Cocoon-Receipt:[receipt]]" {
		t.Errorf("answer: %d %v %v", res.StatusCode, res.Header, res.Trailer)
	}
}

func TestRoundTrip(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	v := verified(t, k)
	for _, n := range []int{0, 1, 55, 200, MaxData - 1, MaxData, MaxFrame, MaxFrame + 1, 3 * MaxFrame, 1 << 20} {
		x, err := NewExchange(v, now)
		if err != nil {
			t.Fatal(err)
		}
		if x.ClaimsDigest() != v.Digest() {
			t.Error("claims digest is not that of the verified claims")
		}
		roundTrip(t, k, x, noise(n))
	}
}

func TestHolder(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x, y := exchange(t, k), exchange(t, k)
	seed := x.HolderSeed()
	if !ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey).Equal(x.Holder()) {
		t.Error("the seed is not that of the holder")
	}
	if x.Holder().Equal(y.Holder()) || x.RequestSalt() == y.RequestSalt() || x.ResponseSalt() == y.ResponseSalt() {
		t.Error("two exchanges share a key or a salt")
	}
}

// An exchange needs a verification that is good at the time.
func TestNewExchangeTime(t *testing.T) {
	v := verified(t, newKeyring(t, KeyringConfig{}))
	for _, at := range []time.Time{now.Add(-time.Second), now.Add(25 * time.Hour)} {
		if x, err := NewExchange(v, at); x != nil || !isUnknown(err) {
			t.Errorf("at %v: %v", at, err)
		}
	}
	if x, err := newExchange([]byte("no key"), [32]byte{}); x != nil || !isInput(err) {
		t.Errorf("bad key configuration: %v", err)
	}
}

// The next exchange shares nothing with the one before, and takes the configuration
// and the claims that it is asked for.
func TestNext(t *testing.T) {
	k := newKeyring(t, KeyringConfig{Lifetime: 40 * time.Hour, Start: now})
	v := verified(t, k)
	x, err := NewExchange(v, now)
	if err != nil {
		t.Fatal(err)
	}
	y, err := x.Next(v, now)
	if err != nil {
		t.Fatal(err)
	}
	if y.config != x.config {
		t.Error("the configuration was read again")
	}
	if x.Holder().Equal(y.Holder()) || x.RequestSalt() == y.RequestSalt() || x.ResponseSalt() == y.ResponseSalt() {
		t.Error("it shares a key or a salt")
	}
	roundTrip(t, k, x, []byte("a"))
	roundTrip(t, k, y, []byte("b"))
	if z, err := x.Next(v, now.Add(23*time.Hour)); err != nil || z.config.ID() != 1 {
		t.Errorf("it does not follow the claims to the next key: %v", err)
	}
	if z, err := x.Next(v, now.Add(48*time.Hour)); z != nil || !isUnknown(err) {
		t.Errorf("after the last key: %v", err)
	}
	other := newKeyring(t, KeyringConfig{})
	w := verified(t, other)
	z, err := x.Next(w, now)
	if err != nil || z.ClaimsDigest() != w.Digest() {
		t.Fatalf("other claims: %v", err)
	}
	roundTrip(t, other, z, []byte("c"))
}

// An exchange seals one request and opens one answer: its nonces can't repeat.
func TestOnce(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	in := open(t, k, sealRequest(t, x, nil))
	req, _ := http.NewRequest(http.MethodGet, "/", nil)
	if _, err := x.Request(req); err == nil {
		t.Error("sealed a second request")
	}
	msg := answerWith(t, in, "a")
	if _, _, err := readAnswer(x, msg); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readAnswer(x, msg); err == nil {
		t.Error("opened a second answer")
	}
	if _, err := in.Reply(io.Discard, nil); err == nil {
		t.Error("answered a second time")
	}
	if err := in.NotStarted(io.Discard, nil, "after the answer"); err == nil {
		t.Error("said not started after an answer")
	}
}

// Both directions stream: a piece is there before the next one is written.
func TestIncremental(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	bodyR, bodyW := io.Pipe() // what the client's program writes
	req, err := http.NewRequest(http.MethodPost, "/echo", bodyR)
	if err != nil {
		t.Fatal(err)
	}
	sealedReq, err := x.Request(req)
	if err != nil {
		t.Fatal(err)
	}
	upR, upW := io.Pipe()
	downR, downW := io.Pipe()
	go func() {
		_, err := io.Copy(upW, sealedReq)
		upW.CloseWithError(err)
	}()
	done := make(chan error, 1)
	go func() { done <- echo(k, upR, downW) }()

	if _, err := bodyW.Write([]byte("piece 0")); err != nil { // the head leaves with the first piece
		t.Fatal(err)
	}
	res, err := x.Response(downR)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for i := range 5 {
		n, err := res.Body.Read(buf)
		if want := fmt.Sprintf("piece %d", i); err != nil || string(buf[:n]) != want {
			t.Fatalf("got %q, %v, want %q", buf[:n], err, want)
		}
		if i == 4 {
			bodyW.Close()
		} else if _, err := fmt.Fprintf(bodyW, "piece %d", i+1); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := res.Body.Read(buf); n != 0 || err != io.EOF {
		t.Fatalf("end: %d, %v", n, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// echo answers with what it reads, piece by piece.
func echo(k *Keyring, r io.Reader, w *io.PipeWriter) error {
	in, err := k.Open(context.Background(), now, r)
	if err != nil {
		return err
	}
	reply, err := in.Reply(w, nil)
	if err != nil {
		return err
	}
	defer w.Close()
	defer reply.Abort()
	if err := reply.WriteHeader(200, nil); err != nil {
		return err
	}
	if err := reply.Flush(); err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{reply}, struct{ io.Reader }{in.Request.Body}, make([]byte, 100)); err != nil {
		return err
	}
	return reply.Close(nil)
}

// The body comes in any pieces.
func TestOneByteReads(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	in, err := k.Open(context.Background(), now, iotest.OneByteReader(bytes.NewReader(sealRequest(t, x, []byte("hello")))))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(in.Request.Body); err != nil || string(b) != "hello" {
		t.Fatalf("%q, %v", b, err)
	}
	res, err := x.Response(iotest.DataErrReader(iotest.OneByteReader(bytes.NewReader(answerWith(t, in, "wor", "ld")))))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "world" {
		t.Fatalf("%q, %v", b, err)
	}
}

// All that shows on the way is sizes of buckets.
func TestSizes(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	seen := map[int]bool{}
	check := func(what string, n int, msg []byte, prefix int) {
		for i, c := range chunks(t, msg, prefix)[1:] {
			size := 1 << (c[0] >> 6)
			frame := len(c) - size - 16
			if frame < 64 || frame > 16384 || bits.OnesCount(uint(frame)) != 1 {
				t.Errorf("%s of %d bytes: frame %d has %d bytes", what, n, i, frame)
			}
			seen[frame] = true
		}
	}
	sizes := map[string]int{} // of whole messages
	for n := 0; n < 40_000; n += 1 + n/7 {
		x := exchange(t, k)
		msg := sealRequest(t, x, noise(n))
		check("request", n, msg, ohttp.HeaderSize)
		ans := answerWith(t, open(t, k, msg), string(noise(n)))
		check("answer", n, ans, 32)
		sizes[fmt.Sprint(len(msg), len(ans))]++
	}
	for f := 128; f <= 16384; f *= 2 {
		if !seen[f] {
			t.Errorf("no frame of %d bytes: the test sees too little", f)
		}
	}
	if len(sizes) > 30 {
		t.Errorf("%d different pairs of sizes", len(sizes))
	}
	for n, want := range map[int]int{0: 64, 1: 64, 62: 64, 63: 128, 126: 128, 127: 256, 8190: 8192, 8191: 16384, MaxData: 16384} {
		if got := bucket(n); got != want {
			t.Errorf("bucket(%d) = %d, want %d", n, got, want)
		}
	}
}

// Whatever is left in a buffer must not leave as padding.
func TestPadIsZero(t *testing.T) {
	b := bytes.Repeat([]byte{0xaa}, MaxFrame)
	f := pad(b[:lengthSize+3])
	if want := append([]byte{0, 3, 0xaa, 0xaa, 0xaa}, make([]byte, 59)...); !bytes.Equal(f, want) {
		t.Errorf("frame %x", f)
	}
}

func TestEveryFlipOfTheAnswer(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	in := open(t, k, sealRequest(t, x, nil))
	writes := []string{"first", "second", "third"}
	msg := answerWith(t, in, writes...)
	if _, text, err := readAnswer(again(x), msg); err != nil || text != "firstsecondthird" {
		t.Fatalf("%q, %v", text, err)
	}
	cut := chunks(t, msg, 32)
	if len(cut) != 5 {
		t.Fatalf("%d chunks", len(cut))
	}
	at := len(cut[0])
	flip := func(i int, bit byte, want string) {
		b := bytes.Clone(msg)
		b[i] ^= bit
		_, text, err := readAnswer(again(x), b)
		// A changed length can run over the end of the message.
		if !isFalse(err) && !(isUnknown(err) && errors.Is(err, io.ErrUnexpectedEOF)) {
			t.Errorf("byte %d: %v", i, err)
		}
		if text != want {
			t.Errorf("byte %d: %q was handed out, want %q", i, text, want)
		}
	}
	for i := range at {
		flip(i, 1, "")
	}
	for n, c := range cut[1:] {
		for i := range c {
			flip(at+i, 1<<(i%8), strings.Join(writes[:n], ""))
		}
		at += len(c)
	}
}

func TestEveryFlipOfTheRequest(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	r, w := io.Pipe()
	go func() { // of unknown length: a frame for each write
		w.Write([]byte("first"))
		w.Write([]byte("second"))
		w.Close()
	}()
	req, _ := http.NewRequest(http.MethodPost, "/", r)
	sealed, err := x.Request(req)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := io.ReadAll(sealed)
	if err != nil {
		t.Fatal(err)
	}
	cut := chunks(t, msg, ohttp.HeaderSize)
	if len(cut) != 4 {
		t.Fatalf("%d chunks", len(cut))
	}
	read := func(b []byte) (string, error) {
		in, err := fresh(k).Open(context.Background(), now, bytes.NewReader(b))
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(in.Request.Body)
		return string(text), err
	}
	if text, err := read(msg); err != nil || text != "firstsecond" {
		t.Fatalf("%q, %v", text, err)
	}
	flip := func(i int, bit byte, want string) {
		b := bytes.Clone(msg)
		b[i] ^= bit
		text, err := read(b)
		if err == nil || text != want {
			t.Errorf("byte %d: %q was handed out, want %q, error %v", i, text, want, err)
		}
		if s := Status(err); s != http.StatusBadRequest {
			t.Errorf("byte %d: status %d", i, s)
		}
	}
	for i := range ohttp.HeaderSize {
		flip(i, 1<<(i%8), "")
	}
	for bit := range 8 { // the bit of X25519 that its arithmetic ignores is here
		flip(ohttp.HeaderSize-1, 1<<bit, "")
	}
	at := ohttp.HeaderSize
	for n, c := range cut[1:] {
		for i := range c {
			flip(at+i, 1<<(i%8), strings.Join([]string{"first", "second"}[:n], ""))
		}
		at += len(c)
	}
}

// Cut anywhere, also between chunks: could not find out, and never io.EOF.
func TestEveryTruncation(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	req := sealRequest(t, x, []byte("question"))
	in := open(t, k, req)
	msg := answerWith(t, in, "first", "second")
	for n := range msg {
		_, text, err := readAnswer(again(x), msg[:n])
		if !isUnknown(err) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("%d bytes: %q, %v", n, text, err)
		}
		if !strings.HasPrefix("firstsecond", text) {
			t.Errorf("%d bytes: handed out %q", n, text)
		}
	}
	for n := 0; n < len(req); n += 1 + n/1100 {
		in, err := fresh(k).Open(context.Background(), now, bytes.NewReader(req[:n]))
		if err == nil {
			_, err = io.ReadAll(in.Request.Body)
		}
		if err == nil || err == io.EOF {
			t.Errorf("request of %d bytes: %v", n, err)
		}
	}
}

// A failure of the connection keeps its cause.
func TestReadError(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	msg := answerWith(t, open(t, k, sealRequest(t, x, nil)), "first", "second")
	cause := errors.New("connection lost")
	for n := range msg {
		res, err := again(x).Response(io.MultiReader(bytes.NewReader(msg[:n]), iotest.ErrReader(cause)))
		if err == nil {
			_, err = io.ReadAll(res.Body)
		}
		if !isUnknown(err) || !errors.Is(err, cause) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func TestChunksMoved(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x, y := exchange(t, k), exchange(t, k)
	msg := answerWith(t, open(t, k, sealRequest(t, x, nil)), "first", "second", "third")
	other := answerWith(t, open(t, k, sealRequest(t, y, nil)), "first", "second", "third")
	c, o := chunks(t, msg, 32), chunks(t, other, 32)
	nonFinal := append([]byte{0}, c[2][2:]...) // a chunk in the middle, called final
	for name, v := range map[string]struct {
		parts [][]byte
		text  string
	}{
		"dropped":           {[][]byte{c[0], c[1], c[3], c[4]}, "first"},
		"duplicated":        {[][]byte{c[0], c[1], c[1], c[2], c[3], c[4]}, "first"},
		"reordered":         {[][]byte{c[0], c[2], c[1], c[3], c[4]}, ""},
		"end moved":         {[][]byte{c[0], c[1], c[4]}, "first"},
		"end invented":      {[][]byte{c[0], c[1], nonFinal}, "first"},
		"of another answer": {[][]byte{c[0], c[1], o[2], c[3], c[4]}, "first"},
		"another nonce":     {[][]byte{o[0], c[1], c[2], c[3], c[4]}, ""},
		"another answer":    {o, ""},
	} {
		_, text, err := readAnswer(again(x), bytes.Join(v.parts, nil))
		if !isFalse(err) || text != v.text {
			t.Errorf("%s: %q, %v, want %q and a false answer", name, text, err, v.text)
		}
	}
	// Of a final chunk of another size only this is known: it is not whole.
	if _, text, err := readAnswer(again(x), append(bytes.Clone(msg), c[4]...)); !isUnknown(err) || text != "firstsecondthird" {
		t.Errorf("more after it: %q, %v", text, err)
	}
}

// What an authentic but wrong peer sends is bad input, not a change on the way.
func TestBadAnswers(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	req := sealRequest(t, x, nil)
	in := open(t, k, req)
	secret, err := in.server.Export(refResponseLabel, 32)
	if err != nil {
		t.Fatal(err)
	}
	enc := req[7:1127]
	head := []byte{3, 0x40, 200, 0}
	good := refFrame(append(head, 0, 0), 0)
	dirty := bytes.Clone(good)
	dirty[63] = 1
	over := bytes.Clone(good)
	over[1] = 63
	for name, c := range map[string]struct {
		frames [][]byte
		reason string // "" means good
	}{
		"good":                 {[][]byte{good}, ""},
		"larger than needed":   {[][]byte{refFrame(append(head, 0, 0), 16384)}, ""},
		"empty last frame":     {[][]byte{good, refFrame(nil, 0)}, ""},
		"empty frame":          {[][]byte{refFrame(nil, 0), good}, "no data"},
		"no bucket":            {[][]byte{refFrame(append(head, 0, 0), 65)}, "65 bytes"},
		"below a bucket":       {[][]byte{refFrame(append(head, 0, 0), 32)}, "32 bytes"},
		"dirty padding":        {[][]byte{dirty}, "padding is not zero"},
		"data over the end":    {[][]byte{over}, "63 bytes of data in 64"},
		"nothing":              {[][]byte{refFrame(nil, 0)}, "invalid binary HTTP"},
		"ends in the head":     {[][]byte{refFrame(head[:2], 0)}, "invalid binary HTTP"},
		"status":               {[][]byte{refFrame([]byte{3, 99, 0, 0, 0}, 0)}, "invalid binary HTTP"},
		"a request":            {[][]byte{refFrame([]byte{2}, 0)}, "framing indicator"},
		"ends in the content":  {[][]byte{refFrame(append(head, 5, 'a'), 0)}, "invalid binary HTTP"},
		"bytes after the end":  {[][]byte{refFrame(append(head, 0, 0, 7), 0)}, "padding is not zero"},
		"connection field":     {[][]byte{refFrame(bytes.Join([][]byte{head[:3], bstr("upgrade"), bstr("x"), {0, 0, 0}}, nil), 0)}, "belongs to a connection"},
		"wrong content-length": {[][]byte{refFrame(bytes.Join([][]byte{head[:3], bstr("content-length"), bstr("2"), {0, 1, 'a', 0, 0}}, nil), 0)}, "content-length is 2"},
	} {
		msg, err := refSealResponse(secret, enc, noise(32), c.frames...)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = readAnswer(again(x), msg)
		switch {
		case c.reason == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.reason != "" && !isInput(err):
			t.Errorf("%s: %v, want bad input", name, err)
		case c.reason != "":
			contains(t, err, c.reason)
		}
	}
}

// A header without end is cut off.
func TestAnswerHeaderBounded(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	req := sealRequest(t, x, nil)
	secret, err := open(t, k, req).server.Export(refResponseLabel, 32)
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	for len(data) < MaxHeader {
		data = append(append(data, bstr("content-type")...), bstr(strings.Repeat("a", 4000))...)
	}
	data = append(append([]byte{3, 0x40, 200}, data...), 0, 0, 0)
	var frames [][]byte
	for len(data) > 0 {
		n := min(MaxData, len(data))
		frames, data = append(frames, refFrame(data[:n], 0)), data[n:]
	}
	msg, err := refSealResponse(secret, req[7:1127], noise(32), frames...)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = readAnswer(x, msg)
	if !isInput(err) || !errors.Is(err, bhttp.ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// Ours and the second implementation read each other.
func TestReference(t *testing.T) {
	seed := noise(32)
	k := seeded(t, seed, 5)
	x := exchange(t, k)
	msg := sealRequest(t, x, noise(20_000))
	r, frames, err := refOpenRequest(seed, msg)
	if err != nil {
		t.Fatal(err)
	}
	data, err := refData(frames)
	if err != nil {
		t.Fatal(err)
	}
	req, err := bhttp.ReadRequest(bytes.NewReader(data), bhttp.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(req.Body); err != nil || !bytes.Equal(b, noise(20_000)) {
		t.Errorf("content: %v", err)
	}
	salt, err := r.Export("cocoon/salt/request/v1", 32)
	if s := x.RequestSalt(); err != nil || !bytes.Equal(salt, s[:]) {
		t.Error("request salt differs")
	}
	salt, err = r.Export("cocoon/salt/response/v1", 32)
	if s := x.ResponseSalt(); err != nil || !bytes.Equal(salt, s[:]) {
		t.Error("response salt differs")
	}
	secret, err := r.Export(refResponseLabel, 32)
	if err != nil {
		t.Fatal(err)
	}
	ans := answerWith(t, open(t, k, msg), "first", "second")
	if frames, err = refOpenResponse(secret, msg[7:1127], ans); err != nil || len(frames) != 3 {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	again, err := refSealResponse(secret, msg[7:1127], ans[:32], frames...)
	if err != nil || !bytes.Equal(again, ans) {
		t.Errorf("sealed again it differs: %v", err)
	}
	if _, text, err := readAnswer(x, again); err != nil || text != "firstsecond" {
		t.Errorf("%q, %v", text, err)
	}
}

// seeded returns a keyring with the one key of a seed.
func seeded(t testing.TB, seed []byte, id byte) *Keyring {
	t.Helper()
	key, err := ohttp.NewPrivateKey(id, seed)
	if err != nil {
		t.Fatal(err)
	}
	k := &Keyring{window: DefaultWindow, maxRequest: DefaultMaxRequest}
	for range int(id) {
		k.keys = append(k.keys, &timedKey{from: now, to: now})
	}
	t0 := &timedKey{config: key.Config().Bytes(), from: now, to: now.Add(KeyLife), key: key, seen: map[[16]byte]struct{}{}}
	k.keys = append(k.keys, t0)
	k.keys[0] = &timedKey{config: t0.config, from: now, to: now} // for exchange
	if id == 0 {
		k.keys[0] = t0
	}
	return k
}

// A body far over the limit is refused early and costs no memory.
func TestTooLarge(t *testing.T) {
	k := newKeyring(t, KeyringConfig{})
	x := exchange(t, k)
	const size = 100 << 20
	req, _ := http.NewRequest(http.MethodPost, "/", io.LimitReader(zeros{}, size))
	sealed, err := x.Request(req)
	if err != nil {
		t.Fatal(err)
	}
	counted := &counter{r: sealed}
	in, err := k.Open(context.Background(), now, counted)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := io.Copy(io.Discard, in.Request.Body)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTooLarge) || Status(err) != http.StatusRequestEntityTooLarge {
		t.Errorf("%v, status %d", err, Status(err))
	}
	if n > DefaultMaxRequest || n < DefaultMaxRequest-MaxFrame || counted.n > DefaultMaxRequest+DefaultMaxRequest/50 {
		t.Errorf("%d bytes of content, %d bytes sealed were read", n, counted.n)
	}
	// Everything allocated, freed or not: crypto/hpke makes each chunk anew,
	// on both sides.
	if m := after.TotalAlloc - before.TotalAlloc; m > 5*DefaultMaxRequest {
		t.Errorf("%d MiB were allocated", m>>20)
	}
	runtime.GC() // what is held is what nobody can collect
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(in)
	if m := int64(after.HeapInuse) - int64(before.HeapInuse); m > 8<<20 {
		t.Errorf("%d MiB are held", m>>20)
	}
	// Up to the limit it passes.
	k.maxRequest = 3
	for content, ok := range map[string]bool{"abc": true, "abcd": false} {
		in := open(t, k, sealRequest(t, exchange(t, k), []byte(content)))
		if _, err := io.ReadAll(in.Request.Body); (err == nil) != ok {
			t.Errorf("%q with a limit of 3: %v", content, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
