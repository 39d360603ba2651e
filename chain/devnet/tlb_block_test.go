package devnet

import (
	"crypto/ed25519"
	"math/big"
	"testing"
	"time"

	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
)

// The types of block.tlb that the chain writes.

var (
	addressExt = prefixed(map[string]tlbType{"00": all(), "01": func(s *cell.Slice) { skip(uint(number(s, 9)))(s) }})
	addressInt = prefixed(map[string]tlbType{"10": all(exactly(0, 1), skip(8+256))}) // no anycast
	sumOfCoins = augmentation{func(s *cell.Slice) []*big.Int { return []*big.Int{currencies(s)} }, sum}

	simpleLib = all(skip(1), anyRef)
	stateInit = all(maybe(skip(5)), maybe(skip(2)), maybe(anyRef), maybe(anyRef), hashmapE(256, simpleLib))
	msgInfo   = prefixed(map[string]tlbType{
		"0":  all(skip(3), addressInt, addressInt, currencyCollection, coins, coins, skip(64+32)),
		"10": all(addressExt, addressInt, coins),
		"11": all(addressInt, addressExt, skip(64+32)),
	})
	message = named("message", all(msgInfo, maybe(either(stateInit, reference(stateInit))), either(rest, reference(rest))))

	hashUpdate   = all(exactly(0x72, 8), skip(512))
	statusChange = prefixed(map[string]tlbType{"0": all(), "10": all(), "11": all()})
	storagePhase = all(coins, maybe(coins), statusChange)
	creditPhase  = all(maybe(coins), currencyCollection)
	computePhase = prefixed(map[string]tlbType{
		"000": all(), "001": all(), "010": all(), // skipped: no state, bad state, no gas
		"1": all(skip(3), coins, reference(all(
			varNumber(7), varNumber(7), maybe(varNumber(3)), skip(8), skip(32), maybe(skip(32)), skip(32), skip(512)))),
	})
	sizeShort   = all(varNumber(7), varNumber(7))
	actionPhase = all(skip(3), statusChange, maybe(coins), maybe(coins), skip(32), maybe(skip(32)), skip(4*16), skip(256), sizeShort)
	bouncePhase = prefixed(map[string]tlbType{"00": all(), "01": all(sizeShort, coins), "1": all(sizeShort, coins, coins)})
	ordinary    = all(exactly(0, 4), skip(1), maybe(storagePhase), maybe(creditPhase), computePhase, maybe(reference(actionPhase)),
		skip(1), maybe(bouncePhase), skip(1))
	transaction = named("transaction", all(exactly(7, 4), skip(256+64+256+64+32+15+2+2),
		reference(all(maybe(reference(message)), hashmapE(15, reference(message)))), currencyCollection, reference(hashUpdate), reference(ordinary)))
	accountBlock = all(exactly(5, 4), skip(256), func(s *cell.Slice) { hashmapAug(s, 64, reference(transaction), sumOfCoins) }, reference(hashUpdate))

	intermediate = prefixed(map[string]tlbType{"0": atMost(96)})
	msgEnvelope  = named("envelope", all(exactly(4, 4), intermediate, intermediate, coins, reference(message)))
	inMsg        = named("in_msg", prefixed(map[string]tlbType{
		"000": all(reference(message), reference(transaction)),
		"011": all(reference(msgEnvelope), reference(transaction), coins),
		"100": all(reference(msgEnvelope), reference(transaction), coins),
	}))
	importFees = augmentation{func(s *cell.Slice) []*big.Int { return []*big.Int{varUInt(s, 16), currencies(s)} }, sum}
	inDescr    = hashmapAugE(256, inMsg, importFees)
	outMsg     = named("out_msg", prefixed(map[string]tlbType{
		"000":  all(reference(message), reference(transaction)),
		"010":  all(reference(msgEnvelope), reference(transaction), reference(inMsg)),
		"001":  all(reference(msgEnvelope), reference(transaction)),
		"100":  all(reference(msgEnvelope), reference(inMsg)),
		"1101": skip(256 + 32 + 64 + 64),
	}))
	outDescr = hashmapAugE(256, outMsg, sumOfCoins)

	shardIdent    = all(exactly(0, 2), atMost(60), skip(32+64))
	extBlkRef     = skip(64 + 32 + 256 + 256)
	globalVersion = all(exactly(0xc4, 8), skip(32+64))
	valueFlow     = all(exactly(0xb8e48dfb, 32), reference(all(currencyCollection, currencyCollection, currencyCollection, currencyCollection)),
		currencyCollection, reference(all(currencyCollection, currencyCollection, currencyCollection, currencyCollection)))
	blockInfo = func(s *cell.Slice) {
		all(exactly(0x9bc7a987, 32), skip(32))(s)
		notMaster := number(s, 1) == 1
		exactly(0, 3)(s) // after_merge, before_split, after_split
		skip(3)(s)       // want_split, want_merge, key_block
		exactly(0, 1)(s) // vert_seqno_incr
		flags := number(s, 8)
		if flags > 1 {
			tlbFail("flags %d", flags)
		}
		if number(s, 32) == 0 { // seq_no; a block has one before it
			tlbFail("block 0")
		}
		all(skip(32), shardIdent, skip(32+64+64+32+32+32+32))(s)
		if flags&1 == 1 {
			globalVersion(s)
		}
		if notMaster {
			reference(extBlkRef)(s)
		}
		reference(extBlkRef)(s)
	}
	split     = prefixed(map[string]tlbType{"0": all(), "10": skip(64), "11": skip(64)})
	shardInfo = named("shard", all(exactly(0xa, 4), skip(32+32+64+64+256+256+5), exactly(0, 3), skip(32+64+32+32), split,
		reference(all(currencyCollection, currencyCollection))))
	shardTree    = hashmapE(32, reference(prefixed(map[string]tlbType{"0": shardInfo})))
	feeCreated   = all(currencyCollection, currencyCollection)
	shardFees    = hashmapAugE(96, feeCreated, augmentation{func(s *cell.Slice) []*big.Int { return []*big.Int{currencies(s), currencies(s)} }, sum})
	configParams = all(skip(256), reference(hashmap(32, anyRef)))
	mcBlock      = named("masterchain extra", func(s *cell.Slice) {
		exactly(0xcca5, 16)(s)
		key := number(s, 1) == 1
		all(shardTree, shardFees, reference(exactly(0, 3)))(s)
		if key {
			configParams(s)
		}
	})
	blockExtra = all(exactly(0x4a33f6fd, 32), reference(named("in_msg_descr", inDescr)), reference(named("out_msg_descr", outDescr)),
		reference(named("account_blocks", hashmapAugE(256, accountBlock, sumOfCoins))), skip(512), maybe(reference(mcBlock)))
	stateHashes = func(s *cell.Slice) {
		if t := tlbGet(s.LoadRefCell()).GetType(); t != cell.MerkleUpdateCellType {
			tlbFail("state update of cell type %d", t)
		}
	}
	blockType = all(exactly(0x11ef55aa, 32), skip(32), reference(named("info", blockInfo)), reference(named("value flow", valueFlow)),
		stateHashes, reference(named("extra", blockExtra)))

	enqueued  = all(skip(64), reference(msgEnvelope))
	queueInfo = all(hashmapAugE(352, enqueued, augmentation{func(s *cell.Slice) []*big.Int {
		return []*big.Int{new(big.Int).SetUint64(number(s, 64))}
	}, smaller}), hashmapE(96, skip(64+256)), exactly(0, 1))
	storageInfo = all(varNumber(7), varNumber(7), prefixed(map[string]tlbType{"000": all(), "001": skip(256)}), skip(32), maybe(coins))
	accountType = named("account", all(exactly(1, 1), addressInt, storageInfo, skip(64), currencyCollection,
		prefixed(map[string]tlbType{"1": stateInit, "00": all(), "01": skip(256)})))
	depthBalance = augmentation{func(s *cell.Slice) []*big.Int {
		atMost(30)(s)
		return []*big.Int{currencies(s)}
	}, sum}
	accounts = hashmapAugE(256, all(reference(accountType), skip(256+64)), depthBalance)
	keyMaxLT = augmentation{func(s *cell.Slice) []*big.Int {
		return []*big.Int{new(big.Int).SetUint64(number(s, 1)), new(big.Int).SetUint64(number(s, 64))}
	}, larger}
	oldBlocks = hashmapAugE(32, all(skip(1), extBlkRef), keyMaxLT)
	mcState   = named("masterchain extra", all(exactly(0xcc26, 16), shardTree, configParams,
		reference(all(exactly(0, 16), skip(32+32+1), oldBlocks, skip(1), maybe(extBlkRef))), currencyCollection))
	stateType = all(exactly(0x9023afe2, 32), skip(32), shardIdent, skip(32), skip(32+32+64+32), reference(named("queue", queueInfo)), exactly(0, 1),
		reference(named("accounts", accounts)), reference(all(skip(128), currencyCollection, currencyCollection, exactly(0, 1), maybe(extBlkRef))),
		maybe(reference(mcState)))

	publicKey  = all(exactly(0x8e81278a, 32), skip(256))
	validator  = all(exactly(0x73, 8), publicKey, skip(64+256))
	validatorP = func(s *cell.Slice) {
		all(exactly(0x12, 8), skip(64))(s)
		total, main := number(s, 16), number(s, 16)
		if main > total || main < 1 {
			tlbFail("%d of %d validators", main, total)
		}
		all(skip(64), hashmapE(16, validator))(s)
	}
	sessions = all(exactly(0xc2, 8), exactly(0, 7), skip(1+4*32))
)

// TestBlockTLB reads whole blocks and states of a chain that is used, in both
// ways of delivering messages, against block.tlb.
func TestBlockTLB(t *testing.T) {
	for name, o := range map[string]Options{
		"same block": {Validators: 3},
		"deferred":   {DeferInternal: true},
		"crowded":    {MaxTransactions: 1},
	} {
		t.Run(name, func(t *testing.T) {
			o.BlockInterval = -1
			c, err := Start(o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for i := range byte(4) {
				to := attestation.Address{Workchain: -int32(i % 2), Hash: [32]byte{i, 1}}
				if err := c.Faucet(t.Context(), to, 1e9); err != nil {
					t.Fatal(err)
				}
			}
			useWallet(t, c)
			if err := c.SetParam(-100, cell.BeginCell().EndCell()); err != nil {
				t.Fatal(err)
			}
			if err := c.Mine(3); err != nil {
				t.Fatal(err)
			}
			txs := 0
			for n := uint32(1); n <= c.Head().ID.SeqNo; n++ {
				for _, workchain := range []int32{masterchain, basechain} {
					b, err := c.blockAt(workchain, n)
					if err != nil {
						t.Fatal(err)
					}
					txs += len(b.txs)
					if err := readTLB(b.Root, blockType); err != nil {
						t.Fatalf("block %d of workchain %d: %v", n, workchain, err)
					}
					if err := readTLB(b.State, stateType); err != nil {
						t.Fatalf("state after block %d of workchain %d: %v", n, workchain, err)
					}
				}
			}
			if txs < 15 {
				t.Errorf("%d transactions: nothing much was read", txs)
			}
			for id, typ := range map[int64]tlbType{19: skip(32), 28: sessions, 34: validatorP} {
				v, err := c.Config().Root().AsDict(32).LoadValueByIntKey(big.NewInt(id))
				if err != nil {
					t.Fatal(err)
				}
				if err := readTLB(v.MustLoadRef().MustToCell(), typ); err != nil {
					t.Errorf("parameter %d: %v", id, err)
				}
			}
		})
	}
}

// useWallet makes transactions of many shapes: a wallet deploys itself and a
// contract, pays a receiver without code so that the payment bounces, sends into
// the masterchain, and orders more than it has.
func useWallet(t *testing.T, c *Chain) {
	t.Helper()
	w, err := chain.NewWallet(ed25519.NewKeyFromSeed(make([]byte, 32)), c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	other, err := chain.NewWallet(ed25519.NewKeyFromSeed(append(make([]byte, 31), 1)), c.GlobalID())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Faucet(t.Context(), w.Address(), 10e9); err != nil {
		t.Fatal(err)
	}
	ext, err := w.Transfer(0, c.Now().Add(time.Minute), true,
		chain.Message{To: other.Address(), Amount: big.NewInt(1e9), StateInit: other.StateInit(), Body: cell.BeginCell().MustStoreUInt(7, 32).EndCell()},
		chain.Message{To: attestation.Address{Hash: [32]byte{9}}, Amount: big.NewInt(1e9)},
		chain.Message{To: attestation.Address{Workchain: -1, Hash: [32]byte{9}}, Amount: big.NewInt(1e9), NoBounce: true},
		chain.Message{To: attestation.Address{Hash: [32]byte{9}}, Amount: big.NewInt(100e9)},
	)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(ext); err != nil {
		t.Fatal(err)
	}
	if err := c.Mine(6); err != nil {
		t.Fatal(err)
	}
}

// TestTLBReader demands that the reader of these tests refuses what is wrong.
func TestTLBReader(t *testing.T) {
	c, err := Start(Options{BlockInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Faucet(t.Context(), attestation.Address{Hash: [32]byte{1}}, 1); err != nil {
		t.Fatal(err)
	}
	b := c.Head().shard
	for len(b.txs) == 0 {
		if b, err = c.blockAt(basechain, b.ID.SeqNo-1); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	// every cell of the block with one bit more, and with its first bit flipped
	var refused, taken int
	var walk func(c *cell.Cell, rebuild func(*cell.Cell) *cell.Cell)
	walk = func(c *cell.Cell, rebuild func(*cell.Cell) *cell.Cell) {
		if c.GetType() != cell.OrdinaryCellType {
			return
		}
		if c.BitsSize() < 1023 {
			longer := cell.BeginCell().MustStoreBuilder(c.ToBuilder()).MustStoreBoolBit(true).EndCell()
			if readTLB(rebuild(longer), blockType) == nil {
				taken++
			} else {
				refused++
			}
		}
		for i := range int(c.RefsNum()) {
			walk(c.MustPeekRef(i), func(n *cell.Cell) *cell.Cell { return rebuild(withRef(c, i, n)) })
		}
	}
	walk(b.Root, func(c *cell.Cell) *cell.Cell { return c })
	if refused < 50 || taken > refused/2 {
		t.Errorf("a bit too many: %d refused, %d taken, in %v", refused, taken, time.Since(began))
	}
}

// withRef returns c with another reference i.
func withRef(c *cell.Cell, i int, r *cell.Cell) *cell.Cell {
	s := c.MustBeginParse()
	n := s.BitsLeft()
	b := cell.BeginCell().MustStoreSlice(s.MustLoadSlice(n), n)
	for j := range int(c.RefsNum()) {
		if j == i {
			b.MustStoreRef(r)
		} else {
			b.MustStoreRef(c.MustPeekRef(j))
		}
	}
	return b.EndCell()
}
