package system

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/internal/bhttp/varint"
	"github.com/cocoon-go/cocoon/internal/sealed"
)

// nonceSize is what a sealed answer starts with (RFC 9458 section 4.4, with
// AES-256-GCM).
const nonceSize = 32

// edited returns a gateway that gives the client what edit makes of the
// enclave's whole answer. edit writes it itself, to be able to break off.
func edited(l *relay, edit func(w http.ResponseWriter, answer []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, contentType, body := l.forward(r)
		w.Header().Set("Content-Type", contentType)
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		edit(w, body)
	}
}

// chunks returns where the chunks of a sealed answer start, and its end.
func chunks(t testing.TB, answer []byte) []int {
	at := nonceSize
	var out []int
	for {
		out = append(out, at)
		v, n, err := varint.Parse(answer[at:])
		if err != nil || n == 0 {
			t.Errorf("the sealed answer does not parse at %d: %v", at, err)
			return nil
		}
		if v == 0 { // the final chunk goes to the end
			return append(out, len(answer))
		}
		at += n + int(v)
	}
}

// A relay that ends the answer early: at every kind of place, by breaking the
// connection and by a clean end.
func TestTruncatedAnswer(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	places := map[string]func(answer []byte) int{
		"before the first byte":         func([]byte) int { return 0 },
		"in the nonce":                  func([]byte) int { return nonceSize / 2 },
		"after the nonce":               func([]byte) int { return nonceSize },
		"between two chunks":            func(a []byte) int { return chunks(t, a)[2] },
		"in a chunk":                    func(a []byte) int { return chunks(t, a)[2] + 30 },
		"before the last chunk":         func(a []byte) int { c := chunks(t, a); return c[len(c)-2] },
		"after the mark of the last":    func(a []byte) int { c := chunks(t, a); return c[len(c)-2] + 1 },
		"one byte before the end of it": func(a []byte) int { return len(a) - 1 },
	}
	for name, place := range places {
		for _, clean := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, clean %v", name, clean), func(t *testing.T) {
				l := r.newRelay(t)
				l.gateway = edited(l, func(w http.ResponseWriter, a []byte) {
					n := place(a)
					if !clean {
						w.Header().Set("Content-Length", fmt.Sprint(len(a)))
					}
					w.Write(a[:n])
					if !clean {
						http.NewResponseController(w).Flush()
						panic(http.ErrAbortHandler)
					}
				})
				before := r.size(t)
				u := r.newUser(t, l)
				secret := newSecret()
				got, err := u.ask(t, secret, true)
				wantError(t, err, unknown, secret)
				if got.resp != nil && client.ReceiptOf(got.resp) != nil || len(u.receipts()) != 0 {
					t.Error("a receipt was given for an answer that was cut off")
				}
				l.heardNothingOf(t, secret)
				// the request ran: its receipt is in the log, whoever got it
				if n := r.size(t); n != before+1 {
					t.Errorf("the log went from %d to %d leaves, want one more", before, n)
				}
				if n := l.posts.Load(); n != 1 {
					t.Errorf("the request was sent %d times; it may have run, so once", n)
				}
			})
		}
	}
}

// A relay that changes one bit of the answer.
func TestChangedAnswer(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	places := map[string]func(answer []byte) int{
		"nonce":                func([]byte) int { return 5 },
		"first chunk":          func(a []byte) int { return chunks(t, a)[0] + 10 },
		"tag of a chunk":       func(a []byte) int { return chunks(t, a)[2] - 1 },
		"a chunk in the midst": func(a []byte) int { return chunks(t, a)[2] + 20 },
		"last chunk":           func(a []byte) int { c := chunks(t, a); return c[len(c)-2] + 7 },
		"last byte":            func(a []byte) int { return len(a) - 1 },
	}
	for name, place := range places {
		t.Run(name, func(t *testing.T) {
			l := r.newRelay(t)
			l.gateway = edited(l, func(w http.ResponseWriter, a []byte) {
				a[place(a)] ^= 0x10
				w.Write(a)
			})
			u := r.newUser(t, l)
			secret := newSecret()
			before := r.size(t)
			_, err := u.ask(t, secret, true)
			wantError(t, err, isFalse, secret, "changed on the way")
			if len(u.receipts()) != 0 || r.size(t) != before+1 || l.posts.Load() != 1 {
				t.Errorf("%d receipts kept, log from %d to %d, %d requests", len(u.receipts()), before, r.size(t), l.posts.Load())
			}
			l.heardNothingOf(t, secret)
		})
	}
	// Any other bit: which error it is depends on the bit, that there is one
	// does not. Bits of lengths may look like an early end.
	t.Run("any", func(t *testing.T) {
		const places = 24
		l := r.newRelay(t)
		var i, at int // of the request that runs
		l.gateway = edited(l, func(w http.ResponseWriter, a []byte) {
			at = (i*len(a) + len(a)/2) / places
			a[at] ^= 1 << (i % 8)
			w.Write(a)
		})
		u := r.newUser(t, l)
		for i = range places {
			_, err := u.ask(t, newSecret(), true)
			if code := attestation.ExitCode(err); code != int(isFalse) && code != int(unknown) || len(u.receipts()) != 0 {
				t.Errorf("byte %d: exit code %d, %v; %d receipts", at, code, err, len(u.receipts()))
			}
		}
	})
	for name, edit := range map[string]func(a []byte) []byte{
		"a byte added":     func(a []byte) []byte { return append(a, 0) },
		"a chunk twice":    func(a []byte) []byte { c := chunks(t, a); return bytes.Join([][]byte{a[:c[1]], a[c[0]:]}, nil) },
		"a chunk left out": func(a []byte) []byte { c := chunks(t, a); return bytes.Join([][]byte{a[:c[1]], a[c[2]:]}, nil) },
		"two chunks swapped": func(a []byte) []byte {
			c := chunks(t, a)
			return bytes.Join([][]byte{a[:c[0]], a[c[1]:c[2]], a[c[0]:c[1]], a[c[2]:]}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := r.newRelay(t)
			l.gateway = edited(l, func(w http.ResponseWriter, a []byte) { w.Write(edit(a)) })
			u := r.newUser(t, l)
			_, err := u.ask(t, newSecret(), true)
			if code := attestation.ExitCode(err); code != int(isFalse) && code != int(unknown) || len(u.receipts()) != 0 {
				t.Errorf("exit code %d, %v; %d receipts", code, err, len(u.receipts()))
			}
		})
	}
}

// What was read before the fault is a true beginning of the answer, and the
// end of it never looks like an end.
func TestBytesBeforeTheFault(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	secret := newSecret()
	whole, err := r.newUser(t, r.newRelay(t)).ask(t, secret, false)
	if err != nil {
		t.Fatal(err)
	}
	content := field(t, whole.body, "choices.0.message.content")
	l := r.newRelay(t)
	l.gateway = edited(l, func(w http.ResponseWriter, a []byte) {
		c := chunks(t, a)
		a[c[1]+10] ^= 1
		w.Write(a)
	})
	part, err := r.newUser(t, l).ask(t, secret, true)
	wantError(t, err, isFalse, secret)
	got := streamed(t, part.body)
	if got == "" || len(got) >= len(content) || content[:len(got)] != got {
		t.Errorf("read %q before the fault, of %q", got, content)
	}
}

// A relay that answers with what it recorded, and one that runs a request twice.
func TestReplay(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	l := r.newRelay(t)
	var mu sync.Mutex
	var first, request []byte
	l.gateway = func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		in, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		if first == nil {
			request = in
			_, _, first = l.send(req.Header.Get("Content-Type"), in)
		}
		w.Header().Set("Content-Type", sealed.ResponseType)
		w.Write(first)
	}
	u := r.newUser(t, l)
	secret := newSecret()
	u.mustAsk(t, secret)
	// the same question: only the keys differ
	_, err := u.ask(t, secret, false)
	wantError(t, err, isFalse, secret, "changed on the way")
	if len(u.receipts()) != 1 {
		t.Errorf("%d receipts were kept, want that of the first answer", len(u.receipts()))
	}
	before := r.size(t)
	status, _, body := l.send(sealed.RequestType, request)
	if status != http.StatusConflict || len(body) != 0 {
		t.Errorf("a request that was sent before: status %d, %d bytes", status, len(body))
	}
	if n := r.size(t); n != before {
		t.Errorf("a request that was sent before made the log go from %d to %d leaves", before, n)
	}
	// nobody's key was used up by it
	r.newUser(t, r.newRelay(t)).mustAsk(t, newSecret())
}

// The bundle is right, and behind the gateway is a server with other keys: it
// gets bytes that it can't open, and its answer is worth nothing.
func TestServerWithOtherKeys(t *testing.T) {
	t.Parallel()
	r, other := shared.bootFresh(t), shared.bootFresh(t)
	l := r.newRelay(t)
	var status int
	l.gateway = func(w http.ResponseWriter, req *http.Request) {
		in, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		resp, err := http.Post(other.url+"/.well-known/ohttp-gateway", req.Header.Get("Content-Type"), bytes.NewReader(in))
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		status = resp.StatusCode
		w.WriteHeader(resp.StatusCode)
	}
	u := r.newUser(t, l)
	secret := newSecret()
	_, err := u.ask(t, secret, false)
	wantError(t, err, unknown, secret, "nothing sealed", "whether the request ran is not known")
	l.heardNothingOf(t, secret)
	if status != http.StatusBadRequest || l.posts.Load() != 1 {
		t.Errorf("the other server answered %d, %d requests", status, l.posts.Load())
	}
	for _, s := range []*runtime{r, other} {
		if n := s.size(t); n != 0 {
			t.Errorf("a log has %d leaves for a request that nobody could open", n)
		}
	}
}

// A relay that makes the answer up, in the clear.
func TestMadeUpAnswer(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	for name, answer := range map[string]http.HandlerFunc{
		"plain JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"choices":[{"message":{"content":"yes"}}]}`)
		},
		"plain JSON that says it is sealed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", sealed.ResponseType)
			io.WriteString(w, `{"choices":[{"message":{"content":"yes, that is the right thing to do"}}]}`)
		},
		"not started, unsigned": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cocoon-Not-Started", "busy")
			w.WriteHeader(http.StatusMisdirectedRequest)
		},
		"a redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", r.url)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := r.newRelay(t, func(l *relay) { l.gateway = answer })
			u := r.newUser(t, l)
			secret := newSecret()
			a, err := u.ask(t, secret, false)
			if code := attestation.ExitCode(err); code != int(isFalse) && code != int(unknown) {
				t.Errorf("exit code %d: %v", code, err)
			}
			if len(a.body) != 0 || len(u.receipts()) != 0 || l.posts.Load() != 1 {
				t.Errorf("%d bytes of answer, %d receipts, %d requests", len(a.body), len(u.receipts()), l.posts.Load())
			}
			l.heardNothingOf(t, secret)
		})
	}
	if n := r.size(t); n != 0 {
		t.Errorf("the log has %d leaves", n)
	}
}

// A request that reached a node may have run there: no other node gets it, unless
// the enclave itself says that it did not start.
func TestNoSecondTry(t *testing.T) {
	t.Parallel()
	good, bad := shared.bootFresh(t), shared.bootFresh(t)
	for says, gateway := range map[string]http.HandlerFunc{
		"the relay answers 503": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"sending to the relay": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(says, func(t *testing.T) {
			lg, lb := good.newRelay(t), bad.newRelay(t, func(l *relay) { l.gateway = gateway })
			u := good.newUser(t, lg, func(c *client.Config) {
				c.Nodes = append(c.Nodes, bad.node)
				c.Endpoints[bad.node] = lb.url
			})
			for range 40 { // the order of nodes is random
				before := lg.posts.Load()
				secret := newSecret()
				_, err := u.ask(t, secret, false)
				if err == nil && lb.posts.Load() == 0 {
					continue
				}
				wantError(t, err, unknown, secret, says)
				if lb.posts.Load() != 1 || lg.posts.Load() != before {
					t.Errorf("the request went %d times to the one and %d times to the other", lb.posts.Load(), lg.posts.Load()-before)
				}
				return
			}
			t.Error("the bad node was never asked")
		})
	}
}

// A relay that sends clients elsewhere is not followed, for files and requests.
func TestRedirect(t *testing.T) {
	t.Parallel()
	r := shared.bootFresh(t)
	elsewhere := r.newRelay(t)
	away := func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, elsewhere.url+req.URL.Path, http.StatusTemporaryRedirect)
	}
	for name, change := range map[string]func(*relay){
		"the bundle":  func(l *relay) { l.public = map[string]http.HandlerFunc{"/.well-known/cocoon/bundle": away} },
		"the request": func(l *relay) { l.gateway = away },
	} {
		t.Run(name, func(t *testing.T) {
			secret := newSecret()
			_, err := r.newUser(t, r.newRelay(t, change)).ask(t, secret, false)
			wantError(t, err, unknown, secret)
			if n := len(elsewhere.heard.bytes()); n != 0 {
				t.Errorf("the other server received %d bytes", n)
			}
		})
	}
}

// laterChain is a chain whose head is ahead of this machine's clock.
type laterChain struct {
	registry.Reader
	ahead *atomic.Int64
}

func (c laterChain) Head(ctx context.Context) (chain.Block, error) {
	b, err := c.Reader.Head(ctx)
	b.Time = b.Time.Add(time.Duration(c.ahead.Load()))
	return b, err
}

// An enclave that does not know the present state of the chain, or whose receipts
// are not anchored in time, starts nothing.
func TestEnclaveStops(t *testing.T) {
	t.Parallel()
	var ahead, chainAhead atomic.Int64
	r := shared.bootFresh(t, func(o *enclave.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		o.Chain = laterChain{shared.reader, &chainAhead}
	})
	u := r.newUser(t, r.newRelay(t))
	refuses := func(reason string) {
		t.Helper()
		before := r.size(t)
		secret := newSecret()
		_, err := u.ask(t, secret, false)
		wantError(t, err, unknown, secret, "the enclave did not start: "+reason)
		if n := r.size(t); n != before {
			t.Errorf("the log went from %d to %d leaves", before, n)
		}
	}
	ahead.Store(int64(5 * time.Minute)) // its newest head is as old as that
	refuses("chain unreachable")
	ahead.Store(0)
	u.mustAsk(t, newSecret())
	r.anchor(t)

	u.mustAsk(t, newSecret())
	chainAhead.Store(int64(11 * time.Minute)) // the chain goes on, without an anchor
	ahead.Store(int64(11 * time.Minute))
	r.awaitHead(t, r.status(t).Head+1)
	refuses("anchor overdue")
	chainAhead.Store(0)
	ahead.Store(0)
	r.anchor(t)
	r.awaitAnchored(t, 2)
	if f := u.mustAsk(t, newSecret()); f.Receipt.Head.Index != 2 {
		t.Errorf("receipt %d", f.Receipt.Head.Index)
	}
}

// The server of another epoch answers: the enclave was started again after the
// client had verified it.
func TestAnotherEpoch(t *testing.T) {
	t.Parallel()
	node, dir := shared.takeNode(t), t.TempDir()
	first := shared.boot(t, node, dir)
	l := first.newRelay(t)
	u := first.newUser(t, l)
	u.mustAsk(t, newSecret())
	oldBundle := first.bundle(t)
	first.end()

	second := shared.boot(t, node, dir)
	l.target.Store(&second.url)
	secret := newSecret()
	_, err := u.ask(t, secret, false)
	wantError(t, err, unknown, secret, "nothing sealed")
	if n := second.size(t); n != 1 {
		t.Errorf("the log has %d leaves, want that of the first epoch", n)
	}
	// the client looks again by itself, and nothing is lost
	f := u.mustAsk(t, secret)
	if f.Receipt.Head.Epoch != 2 || f.Receipt.Head.Index != 1 {
		t.Errorf("receipt of epoch %d with index %d", f.Receipt.Head.Epoch, f.Receipt.Head.Index)
	}
	l.heardNothingOf(t, secret)

	// a relay that still shows the bundle of the first epoch
	stale := second.newRelay(t, func(l *relay) { l.bundle = func([]byte) []byte { return oldBundle } })
	_, err = second.newUser(t, stale).ask(t, secret, false)
	wantError(t, err, chainSay, secret, "epoch") // over another block, or of another epoch
	stale.heardNoRequest(t, secret)
}

// An enclave whose node was registered by another boot ends by itself.
func TestTakenOver(t *testing.T) {
	t.Parallel()
	node := shared.takeNode(t)
	first := shared.boot(t, node, t.TempDir())
	second := shared.boot(t, node, t.TempDir())
	err := first.ended(t)
	wantError(t, err, chainSay, "", "epoch 1 is over: epoch 2 is registered")
	l := second.newRelay(t)
	if f := second.newUser(t, l).mustAsk(t, newSecret()); f.Receipt.Head.Epoch != 2 {
		t.Errorf("receipt of epoch %d", f.Receipt.Head.Epoch)
	}
}
