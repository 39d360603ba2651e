package tinylm

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidwall/gjson"

	"github.com/cocoon-go/cocoon/enclave/engine"
)

// endless asks for as many tokens as there can be.
const endless = `{` + story + `,"temperature":2,"max_tokens":512,"n":4,"stream":true,"seed":1}`

func TestCloseCancels(t *testing.T) {
	e := newEngine(t, Options{Running: 1})
	resp, r, err := send(t, ctx, e, chat, endless)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil { // does not wait for the rest of 2048 tokens
		t.Fatal(err)
	}
	if r.Finish != engine.FinishCancelled || r.CompletionTokens == 0 || r.CompletionTokens >= 1000 || r.TokenIDs == nil || r.PromptTokens == 0 {
		t.Errorf("report %+v", r)
	}
	if n, err := resp.Body.Read(make([]byte, 10)); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read after close: %d, %v", n, err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if e.inside.Load() != 0 || !e.slots.TryAcquire(1) {
		t.Error("the cancelled answer holds its place")
	}
}

func TestContextCancels(t *testing.T) {
	e := newEngine(t, Options{})
	c, cancel := context.WithCancel(ctx)
	resp, r, err := send(t, c, e, chat, endless)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("the answer ends with %v", err)
	}
	resp.Body.Close()
	if r.Finish != engine.FinishCancelled || r.CompletionTokens == 0 || r.CompletionTokens >= 1000 {
		t.Errorf("report %+v", r)
	}
	// Without a stream there is no answer to give.
	c, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	resp, r, err = send(t, c, e, chat, strings.Replace(endless, `"stream":true`, `"stream":false`, 1))
	if !errors.Is(err, context.DeadlineExceeded) || resp != nil || r.Finish != engine.FinishCancelled {
		t.Errorf("%v, %v, report %+v", resp, err, r)
	}
}

// An answer that was made but not taken is cancelled, and one that was read to
// the last byte is not.
func TestUnread(t *testing.T) {
	e := newEngine(t, Options{})
	for _, stream := range []string{"true", "false"} {
		resp, r, err := send(t, ctx, e, chat, `{`+fact+`,"temperature":0,"stream":`+stream+`}`)
		if err != nil {
			t.Fatal(err)
		}
		a := resp.Body.(*answer)
		<-a.ended
		n := a.buf.Len()
		if _, err := io.ReadFull(resp.Body, make([]byte, n-1)); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if r.Finish != engine.FinishCancelled {
			t.Errorf("stream %s: finish %s after all bytes but one", stream, r.Finish)
		}
		resp, r, err = send(t, ctx, e, chat, `{`+fact+`,"temperature":0,"stream":`+stream+`}`)
		if err != nil {
			t.Fatal(err)
		}
		<-resp.Body.(*answer).ended
		if _, err := io.ReadFull(resp.Body, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if r.Finish != engine.FinishComplete {
			t.Errorf("stream %s: finish %s after all bytes", stream, r.Finish)
		}
	}
}

// A reader who does not read holds no place.
func TestSlowReader(t *testing.T) {
	e := newEngine(t, Options{Running: 1})
	resp, _, err := send(t, ctx, e, chat, `{`+story+`,"max_tokens":64,"stream":true}`)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, body, r := ask(t, e, chat, `{`+fact+`,"temperature":0}`); r.Finish != engine.FinishComplete {
		t.Errorf("%s", body)
	}
}

func TestQueue(t *testing.T) { synctest.Test(t, testQueue) }

func testQueue(t *testing.T) {
	e := newEngine(t, Options{Running: 2, Waiting: 3})
	if err := e.slots.Acquire(ctx, 2); err != nil { // two that run for ever
		t.Fatal(err)
	}
	e.inside.Add(2)
	var served atomic.Int64
	order := make(chan int64, 3)
	for i := range int64(3) {
		go func() {
			leave, err := e.enter(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			served.Add(1)
			order <- i
			leave()
		}()
		synctest.Wait() // until it waits
	}
	resp, body, r := ask(t, e, chat, `{`+fact+`}`)
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || gjson.Get(body, "error.type").Str != "rate_limit_error" || r.Finish != engine.FinishFailed {
		t.Errorf("full queue: %d %s", resp.StatusCode, body)
	}
	if served.Load() != 0 {
		t.Error("a request ran beyond the limit")
	}
	e.slots.Release(1) // one place: now they go one by one
	for want := range int64(3) {
		if got := <-order; got != want {
			t.Errorf("request %d was served when it was the turn of %d", got, want)
		}
	}
	e.slots.Release(1)
	e.inside.Add(-2)
	if e.inside.Load() != 0 {
		t.Errorf("%d requests are still counted", e.inside.Load())
	}
}

func TestWaitingIsCancelled(t *testing.T) {
	e := newEngine(t, Options{Running: 1})
	_ = e.slots.Acquire(ctx, 1)
	c, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	resp, r, err := send(t, c, e, chat, endless)
	if !errors.Is(err, context.DeadlineExceeded) || resp != nil || r.Finish != engine.FinishCancelled || r.CompletionTokens != 0 {
		t.Errorf("%v, %v, report %+v", resp, err, r)
	}
	e.slots.Release(1)
	if e.inside.Load() != 0 {
		t.Error("a cancelled request is still counted")
	}
}

func TestEngineClose(t *testing.T) {
	e := newEngine(t, Options{Running: 1})
	resp, r, err := send(t, ctx, e, chat, endless)
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan string, 1)
	go func() {
		_, body, _ := ask(t, e, chat, endless)
		waiting <- gjson.Get(body, "error.code").Str
	}()
	for e.inside.Load() < 2 {
		runtime.Gosched()
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, errClosed) {
		t.Errorf("the running answer ends with %v", err)
	}
	resp.Body.Close()
	if r.Finish != engine.FinishFailed {
		t.Errorf("report %+v", r)
	}
	if code := <-waiting; code != "engine_closed" {
		t.Errorf("the waiting request gets %q", code)
	}
	if resp, body, _ := ask(t, e, chat, endless); resp.StatusCode != 503 || gjson.Get(body, "error.code").Str != "engine_closed" {
		t.Errorf("after Close: %s", body)
	}
	if _, err := e.SelfTest(ctx); err == nil {
		t.Error("a closed engine passes its self-test")
	}
}
