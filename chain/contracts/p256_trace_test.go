package contracts

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

// p256Trace records questions to p256Verify and the Go emulator's answers, where
// tvmtest.TracesEnv asks for it, for the official emulator to repeat.
type p256Trace struct {
	t   testing.TB
	out *bytes.Buffer // nil: nobody asks
}

type p256Step struct {
	Code     []byte `json:"code,omitempty"` // BoC of the harness, in the first line alone
	Z        string `json:"z"`
	QX       string `json:"qx"`
	QY       string `json:"qy"`
	Sig      []byte `json:"signature"` // BoC
	Accepted bool   `json:"accepted"`
	Gas      int64  `json:"gas"`
}

func newP256Trace(t testing.TB, name string) *p256Trace {
	p := &p256Trace{t: t}
	dir := os.Getenv(tvmtest.TracesEnv)
	if dir == "" {
		return p
	}
	p.out = new(bytes.Buffer)
	t.Cleanup(func() {
		if err := os.WriteFile(filepath.Join(dir, "p256-"+name+".jsonl"), p.out.Bytes(), 0o644); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *p256Trace) add(a p256Args, accepted bool, gas int64) {
	if p.out == nil {
		return
	}
	s := p256Step{Z: a.Z.String(), QX: a.QX.String(), QY: a.QY.String(), Sig: p256Cells(a).ToBOC(), Accepted: accepted, Gas: gas}
	if p.out.Len() == 0 {
		s.Code = harness().ToBOC()
	}
	if err := json.NewEncoder(p.out).Encode(s); err != nil {
		p.t.Error(err)
	}
}
