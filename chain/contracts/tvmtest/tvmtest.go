// Package tvmtest executes the project's contracts in the pure-Go TVM, several
// at a time, with a message queue and a virtual clock. It is for tests: no
// network, no blocks, no proofs (package chain/devnet has those).
//
// A [World] is deterministic: equal calls give equal transactions, bit for bit.
// Plain parties are [Actor]s: balances without code, so that fees in a test are
// those of the contracts alone. Coins are conserved: every transaction is
// checked, and [World.CheckConservation] checks the whole.
//
// Worlds record every transaction; the contract check replays the record in
// the official emulator.
package tvmtest

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
	"math/big"
	"testing"

	"github.com/xssnick/tonutils-go/address"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"
	"github.com/xssnick/tonutils-go/tvm/tuple"
	"github.com/xssnick/tonutils-go/tvm/vm"

	"github.com/cocoon-go/cocoon/attestation"
)

//go:embed config.boc
var configBoC []byte

// GlobalID is the chain id of every world.
const GlobalID = -777

// Hook, when set, sees every instruction: for profiles of gas.
var Hook vm.TraceHook

// Ended, when set, sees every world when its test ends; from several goroutines.
// Set it before worlds are made (TestMain).
var Ended func(*World)

// Start is the clock of a fresh world, unix seconds.
const Start = 1_800_000_000

// Coin is one coin in nano.
const Coin = 1_000_000_000

// maxSteps bounds one delivery chain: a loop of messages is a failed test.
const maxSteps = 1000

var prepared = tvm.MustPrepareBlockchainConfig(must(cell.FromBOC(configBoC)))

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Config returns the blockchain configuration that worlds run under.
func Config() *cell.Cell { return must(cell.FromBOC(configBoC)) }

// Block is a masterchain block that contracts can name (PREVMCBLOCKS_100).
type Block struct {
	Seqno uint32
	Root  [32]byte
}

// World is a set of contracts and actors. It is for one goroutine.
type World struct {
	T      testing.TB
	Now    uint32  // unix seconds; tests move it forward
	Blocks []Block // PREVMCBLOCKS_100, newest first

	lt       uint64
	vm       *tvm.TVM
	accounts map[attestation.Address]*tvm.PreparedAccount
	stats    map[attestation.Address]*cell.Cell
	actors   map[attestation.Address]*Actor
	queue    []Flight
	hold     bool
	minted   *big.Int
	fees     *big.Int
	record   []Step
}

// Step is one recorded transaction, enough to replay it elsewhere.
type Step struct {
	To           attestation.Address
	Now          uint32
	LT           uint64
	Blocks       []Block
	Account      []byte // BoC of the shard account before
	Message      []byte // BoC
	Accepted     bool
	AccountAfter []byte // BoC of the shard account after
	Transaction  [32]byte
	GasUsed      int64
	ExitCode     int32
}

// New returns a world with 16 known blocks, the newest with seqno 1600.
func New(t testing.TB) *World {
	w := &World{
		T: t, Now: Start, lt: 1_000_000,
		vm:       tvm.NewTVM(),
		accounts: map[attestation.Address]*tvm.PreparedAccount{},
		stats:    map[attestation.Address]*cell.Cell{},
		actors:   map[attestation.Address]*Actor{},
		minted:   new(big.Int), fees: new(big.Int),
	}
	for i := range 16 {
		w.Blocks = append(w.Blocks, TestBlock(uint32(1600-100*i)))
	}
	w.traceWhereAsked()
	if Ended != nil {
		t.Cleanup(func() { Ended(w) })
	}
	return w
}

// TestBlock returns a block with a root hash made from its seqno.
func TestBlock(seqno uint32) Block {
	b := Block{Seqno: seqno}
	copy(b.Root[:], "test block root")
	binary.BigEndian.PutUint32(b.Root[28:], seqno)
	return b
}

// Actor is a party without code. It sends what it likes and takes what comes.
type Actor struct {
	Address attestation.Address
	Balance *big.Int
	Refuse  bool     // bounce what is bounceable
	Inbox   []Letter // everything received, oldest first
	w       *World
}

// Letter is a message that an actor received.
type Letter struct {
	From    attestation.Address
	Value   uint64
	Bounced bool
	Body    *cell.Cell
}

// Actor makes an actor with an address derived from its name and coins from nowhere.
func (w *World) Actor(name string, nano uint64) *Actor {
	w.T.Helper()
	var at attestation.Address
	copy(at.Hash[:], "actor "+name)
	at.Hash[31] = byte(len(name))
	return w.ActorAt(at, nano)
}

// ActorAt makes an actor in the place of a contract.
func (w *World) ActorAt(at attestation.Address, nano uint64) *Actor {
	w.T.Helper()
	a := &Actor{w: w, Address: at, Balance: new(big.Int).SetUint64(nano)}
	if w.actors[at] != nil || w.accounts[at] != nil {
		w.T.Fatalf("actor or contract %s exists", at)
	}
	w.actors[at] = a
	w.minted.Add(w.minted, a.Balance)
	return a
}

// Addr converts to the address type of tonutils-go.
func Addr(a attestation.Address) *address.Address {
	return address.NewAddress(0, byte(int8(a.Workchain)), a.Hash[:])
}

func fromAddr(a *address.Address) attestation.Address {
	r := attestation.Address{Workchain: a.Workchain()}
	copy(r.Hash[:], a.Data())
	return r
}

// Message is what an actor sends.
type Message struct {
	To        attestation.Address
	Value     uint64 // nano
	Bounce    bool
	StateInit *cell.Cell // deploys
	Body      *cell.Cell // nil: empty
}

// Send delivers m and everything that follows from it; where messages are held
// (see [World.Hold]) it delivers nothing and returns nothing.
func (a *Actor) Send(m Message) []Tx {
	w := a.w
	w.T.Helper()
	v := new(big.Int).SetUint64(m.Value)
	if a.Balance.Cmp(v) < 0 {
		w.T.Fatalf("actor has %s, wants to send %s", a.Balance, v)
	}
	a.Balance.Sub(a.Balance, v)
	w.lt += 10
	im := &tlb.InternalMessage{
		IHRDisabled: true, Bounce: m.Bounce,
		SrcAddr: Addr(a.Address), DstAddr: Addr(m.To),
		Amount: tlb.FromNanoTON(v), CreatedLT: w.lt, CreatedAt: w.Now,
		Body: orEmpty(m.Body),
	}
	if m.StateInit != nil {
		im.StateInit = new(tlb.StateInit)
		if err := tlb.Parse(im.StateInit, m.StateInit); err != nil {
			w.T.Fatal(err)
		}
	}
	w.enqueue(must(tlb.ToCell(im)))
	return w.run()
}

// SendExternal delivers an external message. An account that does not accept
// it gives one Tx with Accepted false and the exit code, and no change.
func (w *World) SendExternal(to attestation.Address, body *cell.Cell) []Tx {
	w.T.Helper()
	return w.SendExternalInit(to, nil, body)
}

// SendExternalInit delivers an external message with a StateInit, nil for none.
func (w *World) SendExternalInit(to attestation.Address, stateInit, body *cell.Cell) []Tx {
	w.T.Helper()
	m := &tlb.ExternalMessage{DstAddr: Addr(to), Body: orEmpty(body)}
	if stateInit != nil {
		m.StateInit = new(tlb.StateInit)
		if err := tlb.Parse(m.StateInit, stateInit); err != nil {
			w.T.Fatal(err)
		}
	}
	w.enqueue(must(tlb.ToCell(m)))
	return w.run()
}

func orEmpty(c *cell.Cell) *cell.Cell {
	if c == nil {
		return cell.BeginCell().EndCell()
	}
	return c
}

// Tx is one executed transaction.
type Tx struct {
	To       attestation.Address
	From     attestation.Address // zero: external
	Op       uint32              // first 32 bits of the body, or 0
	Bounced  bool                // the incoming message was a bounce
	Accepted bool
	Aborted  bool
	Skipped  bool  // no compute phase
	ExitCode int32 // of the compute phase
	Action   int32 // result code of the action phase
	Gas      int64
	Value    uint64   // that came in
	Fees     *big.Int // all that this transaction and its forwarding cost
	Import   uint64   // of Fees: forwarding of the incoming message, paid by the sender
}

func (t Tx) String() string {
	return fmt.Sprintf("{to %s op %#x bounced %v accepted %v aborted %v exit %d action %d gas %d fees %s}",
		t.To, t.Op, t.Bounced, t.Accepted, t.Aborted, t.ExitCode, t.Action, t.Gas, t.Fees)
}

func (w *World) run() []Tx {
	w.T.Helper()
	var out []Tx
	for len(w.queue) > 0 && !w.hold {
		if len(out) > maxSteps {
			w.T.Fatal("messages go in circles")
		}
		f := w.queue[0]
		w.queue = w.queue[1:]
		if a := w.actors[f.To]; a != nil {
			w.deliver(a, f)
			continue
		}
		out = append(out, w.execute(f))
	}
	w.CheckConservation()
	return out
}

func (w *World) deliver(a *Actor, f Flight) {
	var m tlb.Message
	if err := tlb.Parse(&m, f.msg); err != nil {
		w.T.Fatal(err)
	}
	im := m.AsInternal()
	value := im.Amount.Nano()
	w.fees.Add(w.fees, im.FwdFee.Nano())
	if a.Refuse && im.Bounce {
		w.lt += 10
		back := &tlb.InternalMessage{IHRDisabled: true, Bounced: true, SrcAddr: im.DstAddr, DstAddr: im.SrcAddr,
			Amount: im.Amount, CreatedLT: w.lt, CreatedAt: w.Now, Body: bounced(im)}
		w.enqueue(must(tlb.ToCell(back)))
		return
	}
	a.Balance.Add(a.Balance, value)
	a.Inbox = append(a.Inbox, Letter{From: fromAddr(im.SrcAddr), Value: value.Uint64(), Bounced: im.Bounced, Body: im.Body})
}

// bounced is the body of a message that comes back: rich, with the root cell of
// what was sent, where the extra flags ask for it; else its first 256 bits.
func bounced(im *tlb.InternalMessage) *cell.Cell {
	s := im.Body.MustBeginParse()
	if im.IHRFee.Nano().Bit(0) == 0 {
		n := min(s.BitsLeft(), 256)
		return cell.BeginCell().MustStoreUInt(0xffffffff, 32).MustStoreSlice(s.MustLoadSlice(n), n).EndCell()
	}
	n := s.BitsLeft()
	root := cell.BeginCell().MustStoreSlice(s.MustLoadSlice(n), n).EndCell()
	info := cell.BeginCell().MustStoreBigCoins(im.Amount.Nano()).MustStoreUInt(im.CreatedLT, 64).MustStoreUInt(uint64(im.CreatedAt), 32).EndCell()
	return cell.BeginCell().MustStoreUInt(0xfffffffe, 32).MustStoreRef(root).MustStoreRef(info).
		MustStoreUInt(0, 8).MustStoreUInt(1, 32).MustStoreBoolBit(false).EndCell()
}

func (w *World) account(addr attestation.Address) *tvm.PreparedAccount {
	if acc := w.accounts[addr]; acc != nil {
		return acc
	}
	return must(tvm.PrepareAccount(&tlb.ShardAccount{
		Account:       cell.BeginCell().MustStoreUInt(0, 1).EndCell(),
		LastTransHash: make([]byte, 32),
	}, Addr(addr)))
}

// prevBlocks is c7's previous-blocks tuple: last blocks, last key block, last
// blocks with seqno divisible by 100.
func (w *World) prevBlocks() tuple.Tuple {
	block := func(b Block) any {
		return tuple.NewTupleValue(big.NewInt(-1), new(big.Int).Lsh(big.NewInt(1), 63), big.NewInt(int64(b.Seqno)),
			new(big.Int).SetBytes(b.Root[:]), new(big.Int).SetBytes(b.Root[:]))
	}
	var hundreds []any
	for _, b := range w.Blocks {
		hundreds = append(hundreds, block(b))
	}
	last := TestBlock(1)
	if len(w.Blocks) > 0 {
		last = w.Blocks[0]
	}
	return tuple.NewTupleValue(tuple.NewTupleValue(block(last)), block(last), tuple.NewTupleValue(hundreds...))
}

func (w *World) execute(q Flight) Tx {
	w.T.Helper()
	w.lt += 10
	block := must(prepared.NewBlockContext(tvm.BlockOptions{
		Now: w.Now, BlockLT: int64(w.lt), RandSeed: make([]byte, 32), PrevBlocks: w.prevBlocks(), GlobalID: GlobalID,
	}))
	msg, err := tvm.PrepareMessage(q.msg)
	if err != nil {
		w.T.Fatalf("message to %s: %v", q.To, err)
	}
	acc := w.account(q.To)
	before := w.Balance(q.To)
	res, err := w.vm.EmulateTransaction(block, acc, msg, tvm.TransactionOptions{
		LogicalTime: int64(w.lt), RandSeed: make([]byte, 32), AccountStorageStat: w.stats[q.To], TraceHook: Hook,
	})
	if err != nil {
		w.T.Fatalf("message to %s: %v", q.To, err)
	}
	// An internal message to an account without code is taken too: its coins stay.
	accepted := res.Accepted || res.TransactionCell != nil
	tx := Tx{To: q.To, Accepted: accepted, ExitCode: int32(res.ExitCode), Gas: res.GasUsed, Fees: new(big.Int)}
	step := Step{To: q.To, Now: w.Now, LT: w.lt, Blocks: append([]Block(nil), w.Blocks...), Account: acc.ShardAccountCell().ToBOC(),
		Message: q.msg.ToBOC(), Accepted: accepted, GasUsed: res.GasUsed, ExitCode: int32(res.ExitCode)}
	if !accepted {
		w.record = append(w.record, step)
		return tx
	}
	in := new(big.Int)
	if m := msg.Message(); m.MsgType == tlb.MsgTypeInternal {
		im := m.AsInternal()
		in.Set(im.Amount.Nano())
		tx.From, tx.Bounced, tx.Value = fromAddr(im.SrcAddr), im.Bounced, in.Uint64()
		tx.Import = im.FwdFee.Nano().Uint64()
		w.fees.Add(w.fees, im.FwdFee.Nano())
		tx.Fees.Add(tx.Fees, im.FwdFee.Nano())
		if s := im.Body.MustBeginParse(); s.BitsLeft() >= 32 {
			tx.Op = uint32(s.MustLoadUInt(32))
		}
	}
	w.accounts[q.To] = res.NextAccount
	w.stats[q.To] = res.AccountStorageStat
	if res.EndLT > w.lt {
		w.lt = res.EndLT
	}
	parsed, err := res.ParseTransaction()
	if err != nil {
		w.T.Fatal(err)
	}
	d, ok := parsed.Description.(tlb.TransactionDescriptionOrdinary)
	if !ok {
		w.T.Fatalf("unexpected transaction %T", parsed.Description)
	}
	tx.Aborted = d.Aborted
	switch p := d.ComputePhase.Phase.(type) {
	case tlb.ComputePhaseVM:
		tx.ExitCode = p.Details.ExitCode
	case tlb.ComputePhaseSkipped:
		tx.Skipped = true
	}
	if d.ActionPhase != nil {
		tx.Action = d.ActionPhase.ResultCode
	}
	step.AccountAfter = res.NextAccount.ShardAccountCell().ToBOC()
	copy(step.Transaction[:], res.TransactionCell.Hash())
	w.record = append(w.record, step)

	// before + in = after + out + forwarding of out + fees
	total := parsed.TotalFees.Coins.Nano()
	w.fees.Add(w.fees, total)
	tx.Fees.Add(tx.Fees, total)
	sum := new(big.Int).Set(w.Balance(q.To))
	sum.Add(sum, total)
	for _, o := range res.OutMessages {
		om := o.Msg.AsInternal()
		sum.Add(sum, om.Amount.Nano()).Add(sum, om.FwdFee.Nano())
		w.enqueue(o.Cell)
	}
	if want := new(big.Int).Add(before, in); sum.Cmp(want) != 0 {
		w.T.Errorf("transaction of %s: %s came in or was there, %s left or stayed", q.To, want, sum)
	}
	return tx
}

// Balance returns the balance of a contract in nano; zero if there is none.
func (w *World) Balance(a attestation.Address) *big.Int {
	acc := w.accounts[a]
	if acc == nil || acc.State() == nil || !acc.State().IsValid {
		return new(big.Int)
	}
	return acc.State().Balance.Nano()
}

// Data returns the state of a contract; nil if it is not active.
func (w *World) Data(a attestation.Address) *cell.Cell {
	acc := w.accounts[a]
	if acc == nil || acc.State() == nil || !acc.State().IsValid || acc.State().StateInit == nil {
		return nil
	}
	return acc.State().StateInit.Data
}

// Code returns the code of a contract; nil if it is not active.
func (w *World) Code(a attestation.Address) *cell.Cell {
	acc := w.accounts[a]
	if acc == nil || acc.State() == nil || !acc.State().IsValid || acc.State().StateInit == nil {
		return nil
	}
	return acc.State().StateInit.Code
}

// Record returns all transactions since the world began.
func (w *World) Record() []Step { return w.record }

// Letters returns all that actors received since the world began, in no order.
func (w *World) Letters() (out []Letter) {
	for _, a := range w.actors {
		out = append(out, a.Inbox...)
	}
	return out
}

// Fees returns all fees paid since the world began, in nano.
func (w *World) Fees() *big.Int { return new(big.Int).Set(w.fees) }

// CheckConservation fails the test unless coins minted = balances + coins on the
// way + fees. Every delivery checks it.
func (w *World) CheckConservation() {
	w.T.Helper()
	sum := new(big.Int).Add(w.fees, w.inFlight())
	for _, a := range w.actors {
		sum.Add(sum, a.Balance)
	}
	for addr := range w.accounts {
		sum.Add(sum, w.Balance(addr))
	}
	if sum.Cmp(w.minted) != 0 {
		w.T.Errorf("coins are not conserved: %s minted, %s found", w.minted, sum)
	}
}

// StateBytes returns how large a contract is: cells and bits of code and data,
// each different cell once, as storage is charged.
func (w *World) StateBytes(a attestation.Address) (cells, bits int) {
	seen := map[string]bool{}
	var walk func(c *cell.Cell)
	walk = func(c *cell.Cell) {
		if c == nil || seen[string(c.Hash())] {
			return
		}
		seen[string(c.Hash())] = true
		cells++
		bits += int(c.BitsSize())
		for i := range int(c.RefsNum()) {
			walk(c.MustPeekRef(i))
		}
	}
	walk(w.Code(a))
	walk(w.Data(a))
	return cells, bits
}

// Last returns the last letter of the actor; it fails the test if there is none.
func (a *Actor) Last() Letter {
	a.w.T.Helper()
	if len(a.Inbox) == 0 {
		a.w.T.Fatal("the actor has no letter")
	}
	return a.Inbox[len(a.Inbox)-1]
}

// Equal reports whether two cells have the same hash.
func Equal(a, b *cell.Cell) bool { return bytes.Equal(a.Hash(), b.Hash()) }
