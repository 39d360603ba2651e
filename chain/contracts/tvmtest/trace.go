package tvmtest

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"

	"github.com/xssnick/tonutils-go/tvm/cell"
)

// TracesEnv names a folder. Where it is set, every world writes what it executed
// into a file of its own there when its test ends, and the configuration it ran
// under. "go run ./tools/contracts check" replays these files in the official
// emulator (tools/contracts/js/replay.js reads them).
const TracesEnv = "COCOON_TRACES"

// traceHead is the first line of a trace, a JSON object as all lines are.
type traceHead struct {
	Test string `json:"test"`
}

// traceStep is one transaction. Accounts start empty; the state before is the
// one that the step of the same account before left.
type traceStep struct {
	Now         uint32       `json:"now"`
	LT          uint64       `json:"lt"`
	Blocks      []traceBlock `json:"blocks,omitempty"` // where they changed
	Account     string       `json:"account"`          // workchain:hash
	Message     []byte       `json:"message"`          // BoC
	Accepted    bool         `json:"accepted"`
	Gas         int64        `json:"gas"`
	Exit        int32        `json:"exit"`
	Transaction string       `json:"transaction,omitempty"` // hash: covers gas, fees, state, actions and messages
	State       string       `json:"state,omitempty"`       // hash of the shard account after
}

type traceBlock struct {
	Seqno uint32 `json:"seqno"`
	Root  string `json:"root"`
}

// traceWhereAsked arranges for the trace to be written.
func (w *World) traceWhereAsked() {
	dir := os.Getenv(TracesEnv)
	if dir == "" {
		return
	}
	w.T.Cleanup(func() {
		if err := w.writeTrace(dir); err != nil {
			w.T.Errorf("%s: %v", TracesEnv, err)
		}
	})
}

func (w *World) writeTrace(dir string) error {
	if err := writeConfig(filepath.Join(dir, "config.boc")); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "world-*.jsonl")
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriter(f)
	enc := json.NewEncoder(out)
	if err := enc.Encode(traceHead{w.T.Name()}); err != nil {
		return err
	}
	var last []Block
	for _, s := range w.record {
		if err := enc.Encode(s.trace(last)); err != nil {
			return err
		}
		last = s.Blocks
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}

func (s *Step) trace(last []Block) traceStep {
	t := traceStep{Now: s.Now, LT: s.LT, Account: s.To.String(), Message: s.Message, Accepted: s.Accepted, Gas: s.GasUsed, Exit: s.ExitCode}
	if !equalBlocks(last, s.Blocks) {
		for _, b := range s.Blocks {
			t.Blocks = append(t.Blocks, traceBlock{b.Seqno, hexOf(b.Root[:])})
		}
	}
	if s.Accepted {
		t.Transaction = hexOf(s.Transaction[:])
		t.State = hexOf(must(cell.FromBOC(s.AccountAfter)).Hash())
	}
	return t
}

func equalBlocks(a, b []Block) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }

// writeConfig writes the configuration with the worlds' chain id in parameter
// 19, where the emulator looks for it.
func writeConfig(path string) error {
	d := Config().AsDict(32)
	id := cell.BeginCell().MustStoreInt(GlobalID, 32).EndCell()
	if err := d.SetIntKey(big.NewInt(19), cell.BeginCell().MustStoreRef(id).EndCell()); err != nil {
		return err
	}
	return os.WriteFile(path, d.AsCell().ToBOC(), 0o644)
}
