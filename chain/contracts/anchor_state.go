package contracts

import "github.com/xssnick/tonutils-go/tvm/cell"

// AnchoredSize reads how many leaves a Node's state has anchored from the first
// cell of its data alone: what that cell refers to need not be there.
func AnchoredSize(data *cell.Cell) (uint64, error) {
	if data != nil && data.RefsNum() == 0 {
		return 0, nil // before the first message
	}
	r := read(data, "node state")
	r.u32() // epoch
	r.b32() // log key
	r.u32() // anchor interval
	r.u64() // stake
	r.u64() // unbonding
	r.u64() // owed
	r.u8()  // status
	r.u32() // expires
	r.u32() // anchor time
	size := r.u64()
	if r.err != nil {
		return 0, r.err
	}
	return size, nil
}
