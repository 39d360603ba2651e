package host

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// TestListening: the host relays to this machine, whatever an enclave says.
func TestListening(t *testing.T) {
	for line, ok := range map[string]bool{
		"listening on 127.0.0.1:80": true, "listening on [::1]:80": true,
		"listening on 10.0.0.1:80": false, "listening on 169.254.169.254:80": false, "listening on 0.0.0.0:80": false, "listening on localhost:80": false,
		"listening on 127.0.0.1:80@10.0.0.1:80": false, "listening on 127.0.0.1:80/x?": false, "listening on 127.0.0.1": false, "": false, "127.0.0.1:80": false,
	} {
		u, err := listening(line)
		if (err == nil) != ok || ok && u.Host != strings.TrimPrefix(line, "listening on ") {
			t.Errorf("%q: %v, %v", line, u, err)
		}
	}
}

// TestStay: an enclave does not send the host elsewhere, and does not fill it up.
func TestStay(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	e := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/endless":
			for big := make([]byte, 1<<16); ; {
				if _, err := w.Write(big); err != nil {
					return
				}
			}
		}
	}))
	defer e.Close()
	u, err := url.Parse(e.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{url: u, http: &http.Client{CheckRedirect: stay}}
	var unknown *attestation.UnknownError
	for _, path := range []string{"/away", "/endless"} {
		if _, err := p.get(t.Context(), path, 1000); !errors.As(err, &unknown) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if asked {
		t.Error("the host was sent elsewhere")
	}
}

// TestRoom: the place of the log is tried, and left as it was.
func TestRoom(t *testing.T) {
	dir := t.TempDir()
	if err := room(dir, 1000); err != nil {
		t.Error(err)
	}
	if e, err := os.ReadDir(dir); err != nil || len(e) > 0 {
		t.Errorf("left: %v, %v", e, err)
	}
	var unknown *attestation.UnknownError
	if err := room(filepath.Join(dir, "none"), 1); !errors.As(err, &unknown) {
		t.Errorf("no directory: %v", err)
	}
}

func TestCheckAnchor(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	rec := &registry.Node{
		Address: attestation.Address{Hash: [32]byte{1}}, Current: 2, Anchor: registry.Anchor{Size: 5},
		Epochs: map[uint32]registry.Epoch{1: {LogKey: [32]byte(pub)}, 2: {LogKey: [32]byte(pub)}},
	}
	head := func(epoch uint32, size uint64, chainID int32) *contracts.SignedHead {
		h := &contracts.SignedHead{Anchor: contracts.Anchor{Epoch: epoch, Size: size}}
		d := h.Digest(chainID, rec.Address)
		h.Signature = [64]byte(ed25519.Sign(key, d[:]))
		return h
	}
	var disagrees *attestation.ChainError
	var false_ *attestation.FalseError
	var refused *attestation.RefusedError
	for name, tt := range map[string]struct {
		h      *contracts.SignedHead
		family any
	}{
		"good": {head(2, 6, -3), nil}, "past epoch": {head(1, 6, -3), &disagrees}, "unknown epoch": {head(9, 6, -3), &disagrees},
		"another chain": {head(2, 6, -239), &false_}, "not larger": {head(2, 5, -3), &refused},
	} {
		if err := checkAnchor(rec, -3, tt.h); (err == nil) != (tt.family == nil) || err != nil && !errors.As(err, tt.family) {
			t.Errorf("%s: %v", name, err)
		}
	}
	forged := head(2, 6, -3)
	forged.Root[0]++
	if err := checkAnchor(rec, -3, forged); !errors.As(err, &false_) {
		t.Errorf("another root: %v", err)
	}
}

// TestLyingRelay: what a relay invents is not paid for.
func TestLyingRelay(t *testing.T) {
	p := newOnePlatform(t)
	o := p.operator(0)
	p.register(o)
	before := p.balance(o)
	rec, err := o.Record(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var false_ *attestation.FalseError
	if err := o.Anchor(t.Context(), &contracts.SignedHead{Anchor: contracts.Anchor{Epoch: rec.Current, Size: 1 << 40}}); !errors.As(err, &false_) {
		t.Errorf("an invented head: %v", err)
	}
	var disagrees *attestation.ChainError
	for name, change := range map[string]func(*attestation.Claims){
		"another chain": func(c *attestation.Claims) { c.ChainID++ }, "a past epoch": func(c *attestation.Claims) { c.Epoch-- }, "a later epoch": func(c *attestation.Claims) { c.Epoch++ },
	} {
		if err := o.Register(t.Context(), always(p.bundleWith(o, change))); !errors.As(err, &disagrees) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var bad *attestation.InputError
	if err := o.Register(t.Context(), always(p.bundleWith(o, func(c *attestation.Claims) { c.Node.Hash[0]++ }))); !errors.As(err, &bad) {
		t.Errorf("another node: %v", err)
	}
	if after := p.balance(o); after != before {
		t.Errorf("lies cost %d", before-after)
	}
}

// TestLyingLiteserver: whatever a liteserver invents about the wallet while a
// stake is paid, it is paid once, and at most an error comes of it.
func TestLyingLiteserver(t *testing.T) {
	first, n := testOperator(t)
	if err := first.Deploy(t.Context(), contracts.Profile{Endpoint: "https://a.example"}); err != nil {
		t.Fatal(err)
	}
	ls, want := n.Chain.Liteservers()[0], uint64(0)
	old := n.Chain.Head().ID.SeqNo
	flip := func(b []byte) []byte {
		out := append([]byte(nil), b...)
		if len(out) > 0 {
			out[len(out)/2] ^= 1
		}
		return out
	}
	for name, fault := range map[string]devnet.Fault{
		"an old head": {Head: old},
		"no such account": {Forge: func(q, honest tl.Serializable) tl.Serializable {
			if s, ok := honest.(ton.AccountState); ok {
				s.State = nil
				return s
			}
			return honest
		}},
		"other transactions": {Forge: func(q, honest tl.Serializable) tl.Serializable {
			if l, ok := honest.(ton.TransactionList); ok {
				l.Transactions = flip(l.Transactions)
				return l
			}
			return honest
		}},
		"an error to every message": {Match: isSend, Error: &ton.LSError{Code: -400, Text: "no"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ls.Inject(fault)
			o := life(t, first, n.Operator, dir, &crash{})
			short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			err := o.Stake(short, 1e9)
			cancel()
			o.Close()
			ls.Inject(devnet.Fault{})
			if err != nil {
				t.Logf("while it lies: %v", err)
				o = life(t, first, n.Operator, dir, &crash{})
				if err := o.Stake(t.Context(), 1e9); err != nil {
					t.Fatal(err)
				}
			}
			want += 1e9
			if r, err := o.Record(t.Context()); err != nil || r.Stake != want {
				t.Errorf("stake %d, want %d, %v", r.Stake, want, err)
			}
		})
	}
}

func FuzzParseAnchor(f *testing.F) {
	good, err := json.Marshal(map[string]any{"epoch": 1, "size": 2, "root": make([]byte, 32), "signature": make([]byte, 64)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"epoch":1,"size":18446744073709551616}`))
	f.Add([]byte(`{"root":"AA=="}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ParseAnchor(data)
		var bad *attestation.InputError
		if (h == nil) != (err != nil) || err != nil && !errors.As(err, &bad) {
			t.Errorf("%v, %v", h, err)
		}
	})
}
