package contracts

import (
	"math/big"
	"testing"

	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// prices are the basechain's, in nano: configuration parameters 18, 21 and 25.
type prices struct {
	Gas         uint64 `json:"gas"`          // a gas unit
	FlatGas     uint64 `json:"flat_gas"`     // gas that costs the same, however little of it is used
	MessageLump uint64 `json:"message"`      // a message
	MessageBit  uint64 `json:"message_bit"`  // a bit of it, its root cell's not counted
	MessageCell uint64 `json:"message_cell"` // a cell of it, its root cell not counted
	StorageBit  uint64 `json:"storage_bit"`  // a bit, 2^16 s long
	StorageCell uint64 `json:"storage_cell"` // a cell, 2^16 s long
	Year        uint64 `json:"year"`         // s
}

// readPrices reads them out of the configuration that worlds run under.
func readPrices(t testing.TB) (p prices) {
	t.Helper()
	d := tvmtest.Config().AsDict(32)
	param := func(n int64) *cell.Slice {
		v, err := d.LoadValueByIntKey(big.NewInt(n))
		if err != nil {
			t.Fatal(err)
		}
		return v.MustLoadRef()
	}
	gas := param(21)
	if tag := gas.MustLoadUInt(8); tag != 0xd1 { // gas_flat_pfx
		t.Fatalf("gas prices begin with %#x", tag)
	}
	p.FlatGas = gas.MustLoadUInt(64)
	gas.MustLoadUInt(64) // its price
	gas.MustLoadUInt(8)  // gas_prices_ext
	p.Gas = gas.MustLoadUInt(64) >> 16
	msg := param(25)
	msg.MustLoadUInt(8) // msg_forward_prices
	p.MessageLump, p.MessageBit, p.MessageCell = msg.MustLoadUInt(64), msg.MustLoadUInt(64)>>16, msg.MustLoadUInt(64)>>16
	storage, err := param(18).ToDict(32)
	if err != nil {
		t.Fatal(err)
	}
	all, err := storage.LoadAll()
	if err != nil || len(all) == 0 {
		t.Fatalf("storage prices: %v", err)
	}
	s := all[len(all)-1].Value
	s.MustLoadUInt(8 + 32) // storage_prices, since
	p.StorageBit, p.StorageCell = s.MustLoadUInt(64), s.MustLoadUInt(64)
	p.Year = 365 * day
	return p
}

// storage is the rent of cells and bits for some time.
func (p prices) storage(cells, bits, seconds uint64) uint64 {
	return (((cells*p.StorageCell + bits*p.StorageBit) * seconds) + 0xffff) >> 16
}

// compute is the price of a transaction's gas.
func (p prices) compute(gas uint64) uint64 {
	if gas == 0 {
		return 0 // no compute phase
	}
	return max(gas, p.FlatGas) * p.Gas
}

// forward is the price of a message on its way.
func (p prices) forward(msg *cell.Cell) uint64 {
	cells, bits := size(msg)
	return p.MessageLump + (cells-1)*p.MessageCell + (bits-uint64(msg.BitsSize()))*p.MessageBit
}

// size counts different cells and their bits.
func size(roots ...*cell.Cell) (cells, bits uint64) {
	seen := map[[32]byte]bool{}
	var walk func(*cell.Cell)
	walk = func(c *cell.Cell) {
		if seen[hash32(c)] {
			return
		}
		seen[hash32(c)] = true
		cells, bits = cells+1, bits+uint64(c.BitsSize())
		for i := range int(c.RefsNum()) {
			walk(c.MustPeekRef(i))
		}
	}
	for _, c := range roots {
		walk(c)
	}
	return cells, bits
}

// costAccount is what an account costs.
type costAccount struct {
	balance     *big.Int
	cells, bits uint64
	lastPaid    uint32
}

func readAccount(t testing.TB, boc []byte) costAccount {
	t.Helper()
	c, err := cell.FromBOC(boc)
	if err != nil {
		t.Fatal(err)
	}
	var shard tlb.ShardAccount
	if err := tlb.Parse(&shard, c); err != nil {
		t.Fatal(err)
	}
	if shard.Account.BitsSize() == 1 { // account_none$0
		return costAccount{balance: new(big.Int)}
	}
	var s tlb.AccountState
	if err := tlb.Parse(&s, shard.Account); err != nil {
		t.Fatal(err)
	}
	used := s.StorageInfo.StorageUsed
	return costAccount{s.Balance.Nano(), used.CellsUsed.Uint64(), used.BitsUsed.Uint64(), s.StorageInfo.LastPaid}
}

// meter takes down what paths through the contracts cost.
type meter struct {
	t         testing.TB
	p         prices
	rows      []pathCost
	landlords map[*tvmtest.World]*tvmtest.Actor
}

// path runs a path of one world: f sends one message, and waits before where the
// path demands it. value is what the contract demands with the message; put is
// what people put into contracts on purpose, or take out of them if negative; it
// is asked for at the end.
func (m *meter) path(w *tvmtest.World, name string, value uint64, put func() int64, f func() []tvmtest.Tx) {
	m.t.Helper()
	m.payRent(w)
	start, fees := len(w.Record()), w.Fees()
	good(m.t, f())
	steps := w.Record()[start:]
	c := pathCost{Name: name, Messages: len(steps), Value: value}
	first, err := cell.FromBOC(steps[0].Message)
	if err != nil {
		m.t.Fatal(err)
	}
	fromOutside := first.MustBeginParse().MustLoadUInt(2) == 0b10 // ext_in_msg_info$10
	before, after := map[attestation.Address]costAccount{}, map[attestation.Address]costAccount{}
	for _, s := range steps {
		a := readAccount(m.t, s.Account)
		if _, ok := before[s.To]; !ok {
			before[s.To] = a
		}
		after[s.To] = readAccount(m.t, s.AccountAfter)
		c.Gas += s.GasUsed
		c.Compute += m.p.compute(uint64(s.GasUsed))
		if a.lastPaid > 0 {
			c.Storage += m.p.storage(a.cells, a.bits, uint64(s.Now-a.lastPaid))
		}
	}
	all := new(big.Int).Sub(w.Fees(), fees).Uint64()
	if !fromOutside { // the party who sends it has no code, so the world takes no fee for that
		all += m.p.forward(first)
	}
	c.Fees, c.Forward = all, all-c.Compute-c.Storage
	c.Kept = int64(c.Storage) - put()
	for a, s := range after {
		c.Kept += new(big.Int).Sub(s.balance, before[a].balance).Int64()
		if a != burnAddress {
			c.StorageYear += int64(m.p.storage(s.cells, s.bits, m.p.Year)) - int64(m.p.storage(before[a].cells, before[a].bits, m.p.Year))
		}
	}
	if fromOutside { // the contract paid
		c.Kept += int64(c.Compute + c.Forward)
	}
	m.check(c, fromOutside, m.p.forward(first))
	m.rows = append(m.rows, c)
}

// amount is what is known before.
func amount[T int | int64](n T) func() int64 { return func() int64 { return int64(n) } }

// check fails the test where a row contradicts itself.
func (m *meter) check(c pathCost, fromOutside bool, first uint64) {
	m.t.Helper()
	if c.Compute+c.Storage+first > c.Fees {
		m.t.Errorf("%s: %d in sum is less than gas %d, storage %d and the first message %d", c.Name, c.Fees, c.Compute, c.Storage, first)
	}
	if fromOutside {
		if c.Kept != 0 || c.Forward != first {
			m.t.Errorf("%s: kept %d, import %d instead of %d", c.Name, c.Kept, c.Forward, first)
		}
		return
	}
	if need := int64(c.Compute+c.Forward-first) + c.Kept; need > int64(c.Value) && c.Value > 0 {
		m.t.Errorf("%s: takes %d of the message and keeps %d of it, and demands %d", c.Name, need, c.Kept, c.Value)
	}
	// Coins that are burned or that come back bear their own way.
	bears := map[string]bool{"settle": true, "report-receipts": true, "report-heads": true, "voucher-settle-returned": true}
	if c.Kept < 0 != bears[c.Name] {
		m.t.Errorf("%s: contracts keep %d", c.Name, c.Kept)
	}
}

// payRent pays the storage of all contracts up to now, so that the next path
// pays for its own time only. A platform then has what its reserve lets it have.
func (m *meter) payRent(w *tvmtest.World) {
	m.t.Helper()
	paid := map[attestation.Address]bool{}
	for _, s := range w.Record() {
		if data := w.Data(s.To); !paid[s.To] && s.To != burnAddress && data != nil {
			paid[s.To] = true
			rent := tvmtest.Message{To: s.To, Value: 10_000_000}
			if _, err := ParsePlatform(data); err == nil { // it would send on what is above its reserve
				rent.Value, rent.Body = ValueRenew, body(&RenewPlatform{})
			}
			if _, err := ParseVerifier(data); err == nil { // its operator would take it; its reserve pays
				rent.Value = 1
			}
			m.landlord(w).Send(rent)
		}
	}
}

// landlord is the party that pays the rent of a world.
func (m *meter) landlord(w *tvmtest.World) *tvmtest.Actor {
	if m.landlords[w] == nil {
		m.landlords[w] = w.Actor("landlord", 1000*tvmtest.Coin)
	}
	return m.landlords[w]
}
