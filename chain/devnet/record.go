package devnet

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/xssnick/tonutils-go/ton"
)

// encodeRecord serialises a masterchain block and its basechain block.
func encodeRecord(b *Block) []byte {
	out := make([]byte, recordHeader, recordHeader+len(b.BoC)+len(b.shard.BoC)+256)
	bytes := func(p []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	bytes(b.BoC)
	bytes(b.shard.BoC)
	out = binary.BigEndian.AppendUint32(out, uint32(len(b.sigs)))
	for _, s := range b.sigs {
		out = append(append(out, s.NodeIDShort...), s.Signature...)
	}
	for _, x := range []*Block{b, b.shard} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(x.txs)))
		for _, t := range x.txs {
			out = binary.BigEndian.AppendUint64(append(out, t.account[:]...), t.lt)
		}
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-recordHeader))
	binary.BigEndian.PutUint32(out[4:], crc32.Checksum(out[recordHeader:], castagnoli))
	return out
}

// record is a decoded record. The blocks are not parsed yet.
type record struct {
	mc, shard       []byte
	sigs            []ton.Signature
	mcTxs, shardTxs []txRef
}

var errRecord = errors.New("damaged record")

func decodeRecord(p []byte) (r record, err error) {
	take := func(n int) []byte {
		if n < 0 || n > len(p) {
			err = errRecord
			return make([]byte, 0)
		}
		x := p[:n]
		p = p[n:]
		return x
	}
	count := func(size int) int {
		x := take(4)
		if err != nil {
			return 0
		}
		n := int64(binary.BigEndian.Uint32(x))
		if n*int64(size) > int64(len(p)) {
			err = errRecord
			return 0
		}
		return int(n)
	}
	r.mc = take(count(1))
	r.shard = take(count(1))
	for range count(96) {
		r.sigs = append(r.sigs, ton.Signature{NodeIDShort: take(32), Signature: take(64)})
	}
	for _, dst := range []*[]txRef{&r.mcTxs, &r.shardTxs} {
		for range count(40) {
			*dst = append(*dst, txRef{[32]byte(take(32)), binary.BigEndian.Uint64(take(8))})
		}
	}
	if err == nil && len(p) > 0 {
		err = errRecord
	}
	return r, err
}

func (r record) block() (*Block, error) {
	mc, err := restored(r.mc)
	if err != nil {
		return nil, err
	}
	if mc.shard, err = restored(r.shard); err != nil {
		return nil, err
	}
	mc.sigs, mc.txs, mc.shard.txs = r.sigs, r.mcTxs, r.shardTxs
	return mc, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
