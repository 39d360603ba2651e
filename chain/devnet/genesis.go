package devnet

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"slices"

	"github.com/xssnick/tonutils-go/address"
	"github.com/xssnick/tonutils-go/adnl/keys"
	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/tlb"
	"github.com/xssnick/tonutils-go/ton"
	"github.com/xssnick/tonutils-go/tvm"
	"github.com/xssnick/tonutils-go/tvm/cell"

	"github.com/cocoon-go/cocoon/attestation"
)

// configBoC is the blockchain configuration that every new chain starts from:
// mainnet's gas, forwarding and storage prices and limits, global version 12.
// The parameters 19 (chain id), 28 (validator sessions) and 34 (validators) are
// written over it.
//
//go:embed config.boc
var configBoC []byte

// config is a blockchain configuration, ready for execution.
type config struct {
	root     *cell.Cell
	address  []byte // of the configuration contract, parameter 0
	prepared *tvm.PreparedBlockchainConfig
}

func newConfig(root *cell.Cell) (*config, error) {
	p, err := tvm.PrepareBlockchainConfig(root)
	if err != nil {
		return nil, fmt.Errorf("blockchain configuration: %w", err)
	}
	c := &config{root: root, address: make([]byte, 32), prepared: p}
	if a, err := (tlb.BlockchainConfig{Root: root}).GetConfigAddress(); err == nil {
		c.address = a
	}
	return c, nil
}

// setParams returns the configuration dictionary root with params set; a nil
// value deletes.
func setParams(root *cell.Cell, params map[int32]*cell.Cell) (*cell.Cell, error) {
	d := root.AsDict(32)
	for id, v := range params {
		if v != nil {
			v = cell.BeginCell().MustStoreRef(v).EndCell()
		}
		if err := d.SetIntKey(big.NewInt(int64(id)), v); err != nil {
			return nil, fmt.Errorf("configuration parameter %d: %w", id, err)
		}
	}
	return d.AsCell(), nil
}

// derive makes the secret for a purpose from the chain's seed.
func derive(seed []byte, purpose string) ed25519.PrivateKey {
	h := sha256.Sum256(append([]byte("cocoon/devnet/"+purpose+"\n"), seed...))
	return ed25519.NewKeyFromSeed(h[:])
}

// validators is the set that signs every masterchain block.
type validators struct {
	keys []ed25519.PrivateKey
	hash uint32   // validator_list_hash_short
	ids  [][]byte // short node ids
}

func newValidators(seed []byte, n int) (*validators, error) {
	v := &validators{}
	set := ton.ValidatorSetHashable{CCSeqno: catchainSeqno}
	for i := range n {
		key := derive(seed, fmt.Sprintf("validator/%d", i))
		pub := key.Public().(ed25519.PublicKey)
		id, err := tl.Hash(keys.PublicKeyED25519{Key: pub})
		if err != nil {
			return nil, err
		}
		v.keys, v.ids = append(v.keys, key), append(v.ids, id)
		set.Validators = append(set.Validators, ton.ValidatorItemHashable{Key: pub, Weight: 1, Addr: make([]byte, 32)})
	}
	b, err := tl.Serialize(set, true)
	if err != nil {
		return nil, err
	}
	v.hash = crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	return v, nil
}

// params are the configuration parameters that name the validators.
func (v *validators) params() (map[int32]*cell.Cell, error) {
	list := cell.NewDict(16)
	for i, k := range v.keys {
		// validator_addr#73 public_key weight adnl_addr
		val := cell.BeginCell().MustStoreUInt(0x73, 8).MustStoreUInt(0x8e81278a, 32).MustStoreSlice(k.Public().(ed25519.PublicKey), 256).
			MustStoreUInt(1, 64).MustStoreSlice(make([]byte, 32), 256).EndCell()
		if err := list.SetIntKey(big.NewInt(int64(i)), val); err != nil {
			return nil, err
		}
	}
	n := uint64(len(v.keys))
	// validators_ext#12 utime_since utime_until total main total_weight list
	set := cell.BeginCell().MustStoreUInt(0x12, 8).MustStoreUInt(0, 32).MustStoreUInt(0xffffffff, 32).
		MustStoreUInt(n, 16).MustStoreUInt(n, 16).MustStoreUInt(n, 64).MustStoreDict(list).EndCell()
	// catchain_config_new#c2: masterchain validators are not shuffled
	session := cell.BeginCell().MustStoreUInt(0xc2, 8).MustStoreUInt(0, 7).MustStoreBoolBit(false).MustStoreUInt(250, 32).
		MustStoreUInt(250, 32).MustStoreUInt(1000, 32).MustStoreUInt(n, 32).EndCell()
	return map[int32]*cell.Cell{28: session, 34: set}, nil
}

func (v *validators) sign(id *ton.BlockIDExt) ([]ton.Signature, error) {
	msg, err := tl.Serialize(ton.BlockID{RootHash: id.RootHash, FileHash: id.FileHash}, true)
	if err != nil {
		return nil, err
	}
	out := make([]ton.Signature, len(v.keys))
	for i, k := range v.keys {
		out[i] = ton.Signature{NodeIDShort: v.ids[i], Signature: ed25519.Sign(k, msg)}
	}
	return out, nil
}

// genesisAccount is an account of the zerostate.
type genesisAccount struct {
	address attestation.Address
	nano    uint64
	init    *tlb.StateInit // nil: not deployed
}

func tonAddress(a attestation.Address) *address.Address {
	return address.NewAddress(0, byte(a.Workchain), a.Hash[:])
}

// cell builds the account#_ of a zerostate.
func (g genesisAccount) cell(utime uint32) (*cell.Cell, error) {
	s := tlb.AccountStorage{Status: tlb.AccountStatusUninit, Balance: tlb.FromNanoTONU(g.nano)}
	if g.init != nil {
		s.Status, s.StateInit = tlb.AccountStatusActive, g.init
	}
	storage, err := s.ToCell()
	if err != nil {
		return nil, err
	}
	cells, bits, err := usage(storage, map[cell.Hash]bool{})
	if err != nil {
		return nil, err
	}
	return tlb.AccountState{
		IsValid: true, Address: tonAddress(g.address), AccountStorage: s,
		StorageInfo: tlb.StorageInfo{
			StorageUsed:  tlb.StorageUsed{CellsUsed: big.NewInt(cells), BitsUsed: big.NewInt(bits)},
			StorageExtra: tlb.StorageExtraNone{}, LastPaid: utime,
		},
	}.ToCell()
}

// usage counts the distinct cells and bits under c.
func usage(c *cell.Cell, seen map[cell.Hash]bool) (cells, bits int64, err error) {
	if h := c.HashKey(); seen[h] {
		return 0, 0, nil
	} else {
		seen[h] = true
	}
	rs, err := refs(c)
	if err != nil {
		return 0, 0, err
	}
	cells, bits = 1, int64(c.BitsSize())
	for _, r := range rs {
		n, b, err := usage(r, seen)
		if err != nil {
			return 0, 0, err
		}
		cells, bits = cells+n, bits+b
	}
	return cells, bits, nil
}

// genesis builds the two zerostates.
func (c *Chain) genesis(accounts []genesisAccount, utime uint32) (mc *Block, err error) {
	slices.SortFunc(accounts, func(a, b genesisAccount) int { return cmp.Compare(a.address.String(), b.address.String()) })
	dicts := map[int32]*tlb.ShardAccountsAugDict{
		masterchain: must(tlb.NewShardAccountsAugDict()), basechain: must(tlb.NewShardAccountsAugDict()),
	}
	sums := map[int32]*big.Int{masterchain: new(big.Int), basechain: new(big.Int)}
	for _, g := range accounts {
		d := dicts[g.address.Workchain]
		if d == nil {
			return nil, fmt.Errorf("account %s: workchain is neither 0 nor -1", g.address)
		}
		acc, err := g.cell(utime)
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", g.address, err)
		}
		key := bits256(g.address.Hash[:])
		if _, err := d.LoadValue(key); err == nil {
			return nil, fmt.Errorf("account %s: listed twice", g.address)
		} else if !errors.Is(err, cell.ErrNoSuchKeyInDict) {
			return nil, err
		}
		v := cell.BeginCell().MustStoreRef(acc).MustStoreSlice(make([]byte, 32), 256).MustStoreUInt(0, 64).EndCell()
		if err := d.Set(key, v); err != nil {
			return nil, err
		}
		sum := sums[g.address.Workchain]
		sum.Add(sum, new(big.Int).SetUint64(g.nano))
	}
	c.supply = new(big.Int).Add(sums[masterchain], sums[basechain])

	blocks, err := cell.NewAugDict(32, oldMcBlocks{})
	if err != nil {
		return nil, err
	}
	zero := func(workchain int32, custom *cell.Cell) *Block {
		state := buildState(stateParams{
			globalID: c.opts.GlobalID, workchain: workchain, utime: utime, minRefMC: noMasterchainRef,
			queue: (&outQueue{dict: must(tlb.NewOutMsgQueueAugDict())}).cell(), accounts: dicts[workchain],
			balance: sums[workchain], validatorFees: new(big.Int), custom: custom,
		})
		boc := state.ToBOC()
		fileHash := sha256.Sum256(boc)
		return &Block{
			ID:  &ton.BlockIDExt{Workchain: workchain, Shard: fullShard, RootHash: state.Hash(), FileHash: fileHash[:]},
			BoC: boc, State: state, UTime: utime, fees: new(big.Int), accounts: dicts[workchain],
		}
	}
	shard := zero(basechain, nil)
	mc = zero(masterchain, buildMcStateExtra(mcExtraParams{
		shards: shardHashes(shard, 0), config: c.cfg, validatorHash: c.vals.hash, blocks: blocks, afterKey: true, supply: c.supply,
	}))
	mc.shard, mc.blocks = shard, blocks
	return mc, nil
}

// blockSeed is the public random seed of a block: a fixed function of its
// number, so that a chain can be replayed.
func blockSeed(workchain int32, seqno uint32) []byte {
	b := []byte("cocoon/devnet/random\n")
	b = binary.BigEndian.AppendUint32(b, uint32(workchain))
	h := sha256.Sum256(binary.BigEndian.AppendUint32(b, seqno))
	return h[:]
}
