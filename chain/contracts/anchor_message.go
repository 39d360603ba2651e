package contracts

import "github.com/xssnick/tonutils-go/tvm/cell"

// AnchorExternalBits is the size of the body of an anchor from outside; one from
// inside is larger.
const AnchorExternalBits = 512 + 32 + 64 + 256

// ParseAnchorMessage reads the body of a message to a Node as an anchor, from
// outside ([AnchorExternal]) or from inside ([AnchorInternal]). It checks shape
// only; that the node took it, its state and transaction show.
func ParseAnchorMessage(body *cell.Cell) (a Anchor, sig [64]byte, ok bool) {
	if body == nil {
		return a, sig, false
	}
	switch body.BitsSize() {
	case AnchorExternalBits:
		r := read(body, "anchor")
		r.bytes(sig[:])
		a = Anchor{r.u32(), r.u64(), r.b32()}
		r.end()
		return a, sig, r.err == nil
	case 32 + 64 + AnchorExternalBits:
		r := read(body, "anchor")
		r.tag(32, opAnchorInternal)
		r.u64()
		a = Anchor{r.u32(), r.u64(), r.b32()}
		r.bytes(sig[:])
		r.end()
		return a, sig, r.err == nil
	}
	return a, sig, false
}
