package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation/sim"
)

// TestJudgeMirror compares what Go foresees of Root's decisions with the contract.
func TestJudgeMirror(t *testing.T) {
	info, err := ReadQuote(mint(t, platform(t, "machine", sim.IntelOptions{}), testTD()))
	if err != nil {
		t.Fatal(err)
	}
	tdx := func(c *Check) {
		c.Kind, c.Measurement, c.Authority = KindTDX, info.Measurement, info.CA.Digest()
		c.TDX = &CheckTDX{FMSPC: info.FMSPC, TCB: info.TCB}
	}
	for name, c := range map[string]struct {
		root     func(*RootState)
		check    func(*Check)
		stake    uint64
		old, now int // codes for the current registration, and for a new one
	}{
		"SNP":                   {},
		"by another set":        {check: func(c *Check) { c.Authority[0] ^= 1 }, now: CodeVerifierSet},
		"no set":                {root: func(s *RootState) { s.Listed, s.Verifiers = nil, nil }, old: CodeVerifierSet, now: CodeVerifierSet},
		"another kind":          {check: func(c *Check) { c.Kind = 4 }, old: CodeKind, now: CodeKind},
		"unlisted":              {check: func(c *Check) { c.Measurement[0] ^= 1 }, old: CodeMeasurement, now: CodeMeasurement},
		"not accepted":          {root: func(s *RootState) { s.Measurements[snpMeasurement] = Measurement{Flags: 2} }, old: CodeMeasurement, now: CodeMeasurement},
		"paused":                {root: func(s *RootState) { s.Paused = true }, now: CodePaused},
		"revoked":               {root: func(s *RootState) { s.Revoked[puppetPlatform] = true }, old: CodeRevoked, now: CodeRevoked},
		"too little":            {root: needs(5), stake: 4, old: CodeStake, now: CodeStake},
		"just enough":           {root: needs(5), stake: 5},
		"too little before all": {root: needs(5), check: func(c *Check) { c.Measurement[0] ^= 1 }, old: CodeStake, now: CodeStake},
		"TDX":                   {check: tdx},
		"TDX without a quote":   {check: func(c *Check) { tdx(c); c.TDX = nil }, old: CodeKind, now: CodeKind},
		"TDX of another CA":     {check: func(c *Check) { tdx(c); c.Authority[0] ^= 1 }, old: CodeCAKey, now: CodeCAKey},
		"TDX of another family": {check: func(c *Check) { tdx(c); c.TDX.FMSPC[0] ^= 1 }, old: CodeFloor, now: CodeFloor},
		"TDX below the floor":   {check: func(c *Check) { tdx(c); c.TDX.TCB.PCESVN-- }, old: CodeQuotePCESVN, now: CodeQuotePCESVN},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppets(t, func(s *RootState) {
				if c.root != nil {
					c.root(s)
				}
			})
			current, registration := p.current(PurposeRecheck), p.check()
			if c.check != nil {
				c.check(&current.Check)
				c.check(&registration.Check)
			}
			current.Stake, registration.Stake = c.stake, c.stake
			s := p.rootState()
			if got := s.JudgeNew(&registration.Check, c.stake); got != c.now {
				t.Errorf("Go says %s to a registration, want %s", ErrorName(got), ErrorName(c.now))
			}
			p.answered(t, registration, c.now)
			if got := s.Judge(&current.Check, c.stake); got != c.old {
				t.Errorf("Go says %s to the current registration, want %s", ErrorName(got), ErrorName(c.old))
			}
			p.judged(t, current, c.old)
		})
	}
}

func needs(stake uint64) func(*RootState) {
	return func(s *RootState) { s.Params.MinStake = stake; s.Params.ReceiptLoss, s.Params.ForkLoss = 0, 0 }
}
