package chain_test

import (
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/xssnick/tonutils-go/tl"
	"github.com/xssnick/tonutils-go/ton"

	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/devnet"
)

// manyCells is a BoC of empty cells, two bytes each.
func manyCells(n int) []byte {
	head := []byte{0xb5, 0xee, 0x9c, 0x72, 3, 4} // 3 bytes for a reference, 4 for a size
	head = append(head, byte(n>>16), byte(n>>8), byte(n), 0, 0, 1, 0, 0, 0)
	head = binary.BigEndian.AppendUint32(head, uint32(2*n))
	head = append(head, 0, 0, 0)
	return append(head, make([]byte, 2*n)...)
}

// TestCellBomb has a server show links, the first of which proves nothing, whose cells
// take fifty times the memory of their bytes.
func TestCellBomb(t *testing.T) {
	l := newLyingChain(t, devnet.Options{})
	boc := manyCells(chain.MaxLink / 4)
	l.Liteservers()[0].Inject(devnet.Fault{Forge: func(_, honest tl.Serializable) tl.Serializable {
		p, ok := honest.(ton.PartialBlockProof)
		if !ok {
			return honest
		}
		f := p.Steps[0].(ton.BlockLinkForward)
		f.DestProof = boc
		p.Steps = nil
		for range 40 {
			to := f.From.Copy()
			to.SeqNo++
			f.To = to
			p.Steps, f.From = append(p.Steps, f), to
		}
		return p
	}})
	cl := dialOnly(t, l, 0)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := cl.Head(testContext(t))
	runtime.ReadMemStats(&after)
	var lying *chain.LyingServerError
	if !errors.As(err, &lying) {
		t.Errorf("head: %v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 300<<20 {
		t.Errorf("an answer of %d MB took %d MB", 40*len(boc)>>20, used>>20)
	}
}
