package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// orders is a chain that makes blocks when it is told to.
type orders struct {
	*control
	t   *testing.T
	url string
}

func newOrders(t *testing.T) *orders {
	t.Helper()
	clk := &clock{}
	c, err := devnet.Start(devnet.Options{BlockInterval: -1, Liteservers: 2, Now: clk.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	o := &orders{control: &control{chain: c, clock: clk}, t: t}
	s := httptest.NewServer(o.handler())
	t.Cleanup(s.Close)
	o.url = s.URL
	return o
}

type status struct {
	Block       uint32    `json:"block"`
	BlockTime   time.Time `json:"block_time"`
	Liteservers []string  `json:"liteservers"`
}

// send sends an order and wants a status code.
func (o *orders) send(method, path string, code int, header ...string) (s status, text string) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, o.url+path, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != code {
		o.t.Fatalf("%s %s: %d, want %d: %s %v", method, path, resp.StatusCode, code, b, err)
	}
	_ = json.Unmarshal(b, &s)
	return s, string(b)
}

func TestOrders(t *testing.T) {
	o := newOrders(t)
	before, _ := o.send("GET", "/status", 200)
	if len(before.Liteservers) != 2 || before.Block != o.chain.Head().ID.SeqNo {
		t.Errorf("status %+v", before)
	}
	if s, _ := o.send("POST", "/mine?blocks=3", 200); s.Block != before.Block+3 {
		t.Errorf("block %d after 3 more than %d", s.Block, before.Block)
	}
	to := attestation.Address{Hash: [32]byte{5}}
	o.send("POST", "/grant?coins=2.5&to="+to.String(), 200)
	c := o.dial()
	if a, err := c.Account(t.Context(), to); err != nil || a.Balance.Int64() != 25e8 {
		t.Errorf("account %+v, %v", a, err)
	}
	if s, _ := o.send("POST", "/clock?advance=72h", 200); s.BlockTime.Sub(before.BlockTime) < 72*time.Hour {
		t.Errorf("time %v after three days from %v", s.BlockTime, before.BlockTime)
	}
	for _, bad := range []string{
		"/mine", "/mine?blocks=0", "/mine?blocks=10001", "/mine?blocks=1&more=1", "/clock?advance=-1s", "/clock?advance=999999h", "/clock?advance=x",
		"/grant?to=x&coins=1", "/grant?coins=0&to=" + to.String(), "/fault?server=3&drop", "/fault?server=0", "/fault?server=1&forge", "/fault?server=1&drop=0", "/fault?server=1&refuse=false", "/fault?server=1&delay=1h",
		"/fault?server=1&head=99999999", "/disconnect",
	} {
		if _, text := o.send("POST", bad, 400); strings.TrimSpace(text) == "" {
			t.Errorf("%s: no word why", bad)
		}
	}
	o.send("GET", "/mine?blocks=1", 405)
	o.send("POST", "/mine?blocks=1", 403, "Origin", "https://example.org")
}

func (o *orders) dial() *chain.Client {
	o.t.Helper()
	cfg, err := chain.ParseGlobalConfig(o.chain.GlobalConfig())
	if err != nil {
		o.t.Fatal(err)
	}
	c, err := chain.Dial(o.t.Context(), cfg)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestOrderedFaults: a liteserver misbehaves as ordered, until it is told to stop.
func TestOrderedFaults(t *testing.T) {
	o := newOrders(t)
	c := o.dial()
	for n := 1; n <= 2; n++ {
		o.send("POST", "/fault?error=no&server="+string(rune('0'+n)), 200)
	}
	if _, err := c.Account(t.Context(), attestation.Address{Hash: [32]byte{1}}); err == nil {
		t.Error("every server answers with an error, and the client believes something")
	}
	for n := 1; n <= 2; n++ {
		o.send("POST", "/fault?server="+string(rune('0'+n)), 200)
		o.send("POST", "/disconnect?server="+string(rune('0'+n)), 200)
	}
	if _, err := c.Account(t.Context(), attestation.Address{Hash: [32]byte{1}}); err != nil {
		t.Errorf("honest again: %v", err)
	}
	o.send("POST", "/fault?server=1&head=5&delay=1ms&duplicate=2", 200)
	resp, err := o.chain.Answer(t.Context(), ton.GetMasterchainInf{})
	if err != nil || resp.(ton.MasterchainInfo).Last.SeqNo == 5 {
		t.Errorf("the chain itself lies: %v, %v", resp, err)
	}
}

// TestControlAddress: orders are taken from this machine alone.
func TestControlAddress(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "example.org:80", "127.0.0.1", ":0", ""} {
		if ln, err := listen(addr); err == nil {
			ln.Close()
			t.Errorf("%q is listened on", addr)
		}
	}
}

// TestClockGoesOn: a stored chain that was advanced does not stand still after a
// restart.
func TestClockGoesOn(t *testing.T) {
	var c clock
	before := c.now()
	c.catchUp(uint32(before.Add(-time.Hour).Unix()))
	if c.ahead.Load() != 0 {
		t.Error("a chain of the past moves the clock")
	}
	c.catchUp(uint32(before.Add(72 * time.Hour).Unix()))
	if d := c.now().Sub(before); d < 72*time.Hour-2*time.Second || d > 73*time.Hour {
		t.Errorf("the clock is %v ahead", d)
	}
}

// TestClockEnds: the clock stays where block times can follow, however many orders
// move it.
func TestClockEnds(t *testing.T) {
	var c clock
	for range 40 {
		if err := c.advance(maxAdvance); err != nil {
			break
		}
	}
	if err := c.advance(maxAdvance); err == nil || c.now().After(latest) || c.now().Before(latest.Add(-maxAdvance)) {
		t.Errorf("the clock is at %v: %v", c.now(), err)
	}
}
