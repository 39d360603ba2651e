package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

var errCrash = errors.New("crash")

// crash ends a process at one of the steps that it makes durable: before the step
// or after it.
type crash struct {
	at    int // number of the step, from 1
	after bool
	steps int
}

func (c *crash) step(f func() error) error {
	c.steps++
	if c.steps != c.at {
		if c.at > 0 && c.steps > c.at {
			return errCrash // it is dead
		}
		return f()
	}
	if c.after {
		if err := f(); err != nil {
			return err
		}
	}
	return errCrash
}

type crashJournal struct {
	chain.Journal
	*crash
}

func (j crashJournal) Save(in *chain.Intent) error {
	return j.step(func() error { return j.Journal.Save(in) })
}

type crashErrands struct {
	errands
	*crash
}

func (e crashErrands) save(x *errand) error { return e.step(func() error { return e.errands.save(x) }) }
func (e crashErrands) remove() error        { return e.step(e.errands.remove) }

// life opens the operator of a directory as a new process does, to end at a step.
func life(t *testing.T, like *Operator, key []byte, dir string, c *crash) *Operator {
	t.Helper()
	o, err := OpenOperator(t.Context(), like.Client, key, like.Registry, like.index, dir)
	if err != nil {
		t.Fatal(err)
	}
	o.errands = crashErrands{o.errands, c}
	o.journal = crashJournal{o.journal, c}
	if err := o.open(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// TestStakeCrash ends `stake` at each durable step, and does it again as its user
// would, until it succeeds. It is paid once.
func TestStakeCrash(t *testing.T) {
	first, n := testOperator(t)
	if err := first.Deploy(t.Context(), contracts.Profile{Endpoint: "https://a.example"}); err != nil {
		t.Fatal(err)
	}
	key, want := n.Operator, uint64(0)
	// A good run has 5 steps: begun, signed, landed, done, told.
	for at := 1; at <= 6; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("step %d %v", at, after), func(t *testing.T) {
				dir, amount := t.TempDir(), uint64(1e9+at*2)
				run := func(c *crash) (*Operator, error) {
					o := life(t, first, key, dir, c)
					defer o.Close()
					if err := o.Stake(t.Context(), amount); err != nil {
						return o, err
					}
					return o, o.Told()
				}
				c := &crash{at: at, after: after}
				if _, err := run(c); errors.Is(err, errCrash) != (at <= 5) {
					t.Fatalf("step %d of %d: %v", at, c.steps, err)
				}
				if at <= 5 && (at < 5 || !after) { // else the user knows: the same is another
					if _, err := run(&crash{}); err != nil {
						t.Fatal(err)
					}
				}
				want += amount
				r, err := first.Record(t.Context())
				if err != nil || r.Stake != want {
					t.Errorf("stake %d, want %d, %v", r.Stake, want, err)
				}
			})
		}
	}
}

// TestRegisterCrash ends a registration at each durable step, as TestStakeCrash
// does.
func TestRegisterCrash(t *testing.T) {
	p := newOnePlatform(t)
	first, sent := p.operator(0), 1
	p.register(first)
	for at := 1; at <= 5; at++ { // begun, signed, paid, done, told
		for _, after := range []bool{false, true} {
			dir, b := t.TempDir(), always(p.bundle(first))
			o := life(t, first, p.net.Operator, dir, &crash{at: at, after: after})
			if err := errors.Join(o.Register(t.Context(), b), o.Told()); !errors.Is(err, errCrash) {
				t.Fatalf("step %d: %v", at, err)
			}
			o.Close()
			o = life(t, first, p.net.Operator, dir, &crash{})
			if err := errors.Join(o.Register(t.Context(), b), o.Told()); err != nil {
				t.Fatalf("step %d %v: %v", at, after, err)
			}
			o.Close()
			sent++
			if r, err := first.Record(t.Context()); err != nil || r.Current != uint32(sent) || r.Status != "active" {
				t.Errorf("step %d: epoch %d, %s, %v", at, r.Current, r.Status, err)
			}
			if n := p.renewals(1); n != 1 {
				t.Errorf("step %d: the registry was asked %d times", at, n)
			}
		}
	}
}

// TestPlatformCrash ends the host between the payment of the platform's contract
// and the registry's welcome.
func TestPlatformCrash(t *testing.T) {
	for at := 1; at <= 2; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("step %d %v", at, after), func(t *testing.T) {
				t.Parallel()
				p := newOnePlatform(t)
				first, dir := p.operator(0), t.TempDir()
				b := always(p.bundle(first))
				o := life(t, first, p.net.Operator, dir, &crash{at: at, after: after})
				if err := o.Register(t.Context(), b); !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				o.Close()
				o = life(t, first, p.net.Operator, dir, &crash{})
				if err := o.Register(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				if n := p.renewals(1); n != 1 {
					t.Errorf("the registry was asked %d times", n)
				}
			})
		}
	}
}

func isSend(q tl.Serializable) bool { _, ok := q.(ton.SendMessage); return ok }

// TestStakeTimeout: the network fails while `stake` runs; the same command again
// pays once, another one first finds out about it.
func TestStakeTimeout(t *testing.T) {
	first, n := testOperator(t)
	if err := first.Deploy(t.Context(), contracts.Profile{Endpoint: "https://a.example"}); err != nil {
		t.Fatal(err)
	}
	ls, want := n.Chain.Liteservers()[0], uint64(0)
	for name, fault := range map[string]devnet.Fault{
		"taken, and no answer": {Drop: true}, "taken twice": {Duplicate: 2}, "lost": {Refuse: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			short, cancel := context.WithCancel(t.Context())
			defer cancel()
			fault.Match = func(q tl.Serializable) bool {
				if isSend(q) {
					cancel()
				}
				return isSend(q)
			}
			ls.Inject(fault)
			o := life(t, first, n.Operator, dir, &crash{})
			err := o.Stake(short, 1e9)
			o.Close()
			var unknown *attestation.UnknownError
			if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "pays nothing twice") {
				t.Fatalf("interrupted: %v", err)
			}
			ls.Inject(devnet.Fault{})
			o = life(t, first, n.Operator, dir, &crash{})
			if err := o.Stake(t.Context(), 1e9); err != nil {
				t.Fatal(err)
			}
			want += 1e9
			if r, err := o.Record(t.Context()); err != nil || r.Stake != want {
				t.Errorf("stake %d, want %d, %v", r.Stake, want, err)
			}
			// Told or not: another amount is another command.
			if err := o.Stake(t.Context(), 2e9); err != nil || !o.Repeated().IsZero() {
				t.Fatal(err, o.Repeated())
			}
			want += 2e9
			if r, err := o.Record(t.Context()); err != nil || r.Stake != want {
				t.Errorf("stake %d, want %d, %v", r.Stake, want, err)
			}
		})
	}
}

// TestAnotherCommand: what was begun before another command is settled, and its
// user told.
func TestAnotherCommand(t *testing.T) {
	first, n := testOperator(t)
	if err := first.Deploy(t.Context(), contracts.Profile{Endpoint: "https://a.example"}); err != nil {
		t.Fatal(err)
	}
	for at, says := range map[int]string{1: "never paid", 3: "is done"} {
		dir := t.TempDir()
		o := life(t, first, n.Operator, dir, &crash{at: at, after: true})
		if err := o.Stake(t.Context(), 1e9); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		o.Close()
		o = life(t, first, n.Operator, dir, &crash{})
		var notes []string
		o.Note = func(s string) { notes = append(notes, s) }
		if err := o.Withdraw(t.Context(), 1e6); err != nil {
			t.Fatal(err)
		}
		if len(notes) != 1 || !strings.Contains(notes[0], "stake 1 coins") || !strings.Contains(notes[0], says) {
			t.Errorf("step %d: notes %q", at, notes)
		}
		if !o.Repeated().IsZero() {
			t.Error("a new command is a repeated one")
		}
		o.Close()
	}
	if r, err := first.Record(t.Context()); err != nil || r.Stake != 1e9 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestNoMoney: a wallet without money is found before anything is begun.
func TestNoMoney(t *testing.T) {
	first, n := testOperator(t)
	if err := first.Deploy(t.Context(), contracts.Profile{Endpoint: "https://a.example"}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := life(t, first, n.Operator, dir, &crash{})
	var bad *attestation.InputError
	if err := o.Stake(t.Context(), 1e15); !errors.As(err, &bad) || !strings.Contains(err.Error(), "the payment needs") || strings.Contains(err.Error(), "again") {
		t.Errorf("more than the wallet has: %v", err)
	}
	if e, err := o.errands.load(); e != nil || err != nil {
		t.Errorf("begun: %+v, %v", e, err)
	}
	if err := o.Stake(t.Context(), 1e9); err != nil || !o.Repeated().IsZero() {
		t.Errorf("less: %v", err)
	}
}

// TestDamagedErrand: nothing is paid while it is not known what was begun.
func TestDamagedErrand(t *testing.T) {
	first, n := testOperator(t)
	dir := t.TempDir()
	o := life(t, first, n.Operator, dir, &crash{})
	good := errand{What: "stake", Wallet: o.Wallet().String(), Query: 1, To: []string{o.Node.String()}, Begun: time.Now()}
	if err := o.errands.save(&good); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "errand.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var bad *attestation.InputError
	for name, content := range map[string]string{
		"torn": string(data[:len(data)/2]), "empty": "", "without a contract": strings.Replace(string(data), o.Node.String(), "0:1", 1),
		"of another wallet": strings.Replace(string(data), o.Wallet().String(), o.Registry.String(), 1), "not named": strings.Replace(string(data), `"stake"`, `""`, 1),
		"without a query": strings.Replace(string(data), `"query": 1`, `"query": 0`, 1), "huge": string(data) + strings.Repeat(" ", maxErrand),
	} {
		if content == string(data) {
			t.Fatalf("%s: nothing changed", name)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := o.Stake(t.Context(), 1e9); !errors.As(err, &bad) || !strings.Contains(err.Error(), dir) && name != "of another wallet" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A payment's own file, torn: an intent that nobody can read may have been sent.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := o.journal.Save(&chain.Intent{ID: "x", Wallet: o.Wallet().String()}); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	if err := os.Truncate(files[0], 10); err != nil {
		t.Fatal(err)
	}
	if err := o.Stake(t.Context(), 1e9); err == nil || !strings.Contains(err.Error(), filepath.Base(files[0])) {
		t.Errorf("torn payment: %v", err)
	}
	// The name of the unfinished payment, torn: it may have been sent.
	if err := o.journal.Save(&chain.Intent{ID: good.payment(), Wallet: o.Wallet().String()}); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "pending"), 3); err != nil {
		t.Fatal(err)
	}
	if err := o.errands.save(&good); err != nil {
		t.Fatal(err)
	}
	if err := o.Stake(t.Context(), 1e9); !errors.As(err, &bad) || !strings.Contains(err.Error(), "journal is damaged") {
		t.Errorf("torn name: %v", err)
	}
}

// TestOneProcess: two commands do not pay from one directory at a time.
func TestOneProcess(t *testing.T) {
	first, n := testOperator(t)
	dir := t.TempDir()
	o := life(t, first, n.Operator, dir, &crash{})
	var bad *attestation.InputError
	if _, err := OpenOperator(t.Context(), first.Client, n.Operator, n.Registry, 0, dir); !errors.As(err, &bad) {
		t.Errorf("second: %v", err)
	}
	o.Close()
	life(t, first, n.Operator, dir, &crash{}).Close()
}

func FuzzErrand(f *testing.F) {
	f.Add([]byte(`{"what":"stake","wallet":"w","query":1,"to":["0:` + strings.Repeat("11", 32) + `"],"begun":"2026-11-26T00:00:00Z","done":true}`))
	f.Add([]byte(`{"what":"stake","What":"unstake"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseErrand(data)
		if err != nil {
			return
		}
		dir := errandIn(t.TempDir())
		if err := dir.save(e); err != nil {
			t.Fatal(err)
		}
		again, err := dir.load()
		if err != nil || again.What != e.What || again.Query != e.Query || len(again.To) != len(e.To) {
			t.Errorf("%+v, %v", again, err)
		}
	})
}

// unreadable is a chain of which no account can be read.
type unreadable struct{ chain.Reader }

func (unreadable) Account(context.Context, attestation.Address) (*chain.Account, error) {
	return nil, attestation.Unknown("nobody answers")
}

// TestDeployUnread: a contract that can't be read is not taken for one that is not there,
// and paid for again.
func TestDeployUnread(t *testing.T) {
	o, _ := testOperator(t)
	balance := func() string {
		a, err := o.Client.Account(t.Context(), o.Wallet())
		if err != nil {
			t.Fatal(err)
		}
		return a.Balance.String()
	}
	if err := o.Deploy(t.Context(), contracts.Profile{Endpoint: "https://a.example"}); err != nil {
		t.Fatal(err)
	}
	before := balance()
	o.reader.Reader = unreadable{o.reader.Reader}
	if err := o.Deploy(t.Context(), contracts.Profile{Endpoint: "https://b.example"}); attestation.ExitCode(err) != 3 {
		t.Errorf("%v", err)
	}
	if after := balance(); after != before {
		t.Errorf("the wallet held %s, and holds %s", before, after)
	}
}

// TestEndpointAfterBoot: where a contract is there, clients are sent to a host once its
// enclave has booted, and not before.
func TestEndpointAfterBoot(t *testing.T) {
	o, _ := testOperator(t)
	endpoint := func(want string) {
		t.Helper()
		if r, err := o.Record(t.Context()); err != nil || r.Endpoint != want {
			t.Errorf("endpoint %q, want %q, %v", r.Endpoint, want, err)
		}
	}
	const a, b = "https://a.example", "https://b.example"
	first := &node{Options: Options{Public: a, Log: slog.New(slog.DiscardHandler)}, op: o}
	if err := first.prepare(t.Context(), false); err != nil || !first.prepared {
		t.Errorf("not deployed: %v", err)
	}
	endpoint(a)
	second := &node{Options: Options{Public: b, Log: slog.New(slog.DiscardHandler)}, op: o}
	if err := second.prepare(t.Context(), false); err != nil || second.prepared {
		t.Errorf("prepared %v, %v", second.prepared, err)
	}
	endpoint(a)
	if err := second.prepare(t.Context(), true); err != nil || !second.prepared {
		t.Errorf("prepared %v, %v", second.prepared, err)
	}
	endpoint(b)
}
