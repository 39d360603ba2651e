package programs

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
)

// liarIndex is its number among the operator's nodes.
const liarIndex = 7

// lie is the script command of a [Liar]:
//
//	liar start COINS            registers it with a stake, and sets $LIAR
//	liar receipt INDEX N FILE   signs a receipt of now that differs from others by N
//	liar head SIZE BRANCH FILE  signs the head of a log; logs of two branches differ
//	liar anchor SIZE BRANCH     puts it on the chain
//	liar serve SIZE BRANCH      has the relay serve that log
func lie(ts *testscript.TestScript, neg bool, args []string) {
	p := placeOf(ts)
	if neg || len(args) == 0 || (p.liar == nil) != (args[0] == "start") {
		ts.Fatalf("usage: liar STEP ARG..., start first")
	}
	number := func(i int) int {
		if i >= len(args) {
			ts.Fatalf("liar %s: an argument is missing", args[0])
		}
		n, err := strconv.Atoi(args[i])
		ts.Check(err)
		return n
	}
	write := func(v interface{ Encode() ([]byte, error) }) {
		if len(args) != 4 {
			ts.Fatalf("liar %s: want a file", args[0])
		}
		data, err := v.Encode()
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[3]), data, 0o600))
	}
	ctx, cancel := context.WithTimeout(context.Background(), networkWait)
	defer cancel()
	switch args[0] {
	case "start":
		var err error
		p.liar, err = NewLiar(ctx, p.net, liarIndex, filepath.Join(p.bin, "cocoon-enclave"), filepath.Join(p.work, "liar"), uint64(number(1))*1e9, p.now)
		ts.Check(err)
		ts.Setenv("LIAR", p.liar.Node.String())
	case "receipt":
		r, err := p.liar.Receipt(uint64(number(1)), p.now(), uint64(number(2)))
		ts.Check(err)
		write(r)
	case "head":
		h, err := p.liar.Sign(Leaves(number(1), byte(number(2))))
		ts.Check(err)
		write(h)
	case "anchor":
		ts.Check(p.liar.AnchorLog(ctx, Leaves(number(1), byte(number(2)))))
	case "serve":
		p.liar.Serve(Leaves(number(1), byte(number(2))))
	default:
		ts.Fatalf("liar: unknown step %s", args[0])
	}
}
