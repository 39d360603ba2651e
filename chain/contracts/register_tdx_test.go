package contracts

import (
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts/tvmtest"
)

func noStake(s *RootState) { s.Params.MinStake, s.Params.ReceiptLoss, s.Params.ForkLoss = 0, 0, 0 }

func TestRegisterTDX(t *testing.T) {
	f := newFixture(t, noStake)
	h := f.heads()
	f.register()
	s := f.nodeState()
	if s.Status != StatusActive || s.Epoch != 1 || s.Pending != nil || s.Current == nil {
		t.Fatalf("after the registration: %+v", s)
	}
	info, _ := ReadQuote(mint(t, f.intel, testTD()))
	c := s.Current
	if c.ClaimsDigest != h.Digest() || c.Check.Kind != KindTDX || c.BlockSeqno != h.BlockSeqno || c.ReceiptKey != h.ReceiptKey ||
		c.LogKey != h.LogKey || c.IdentityKey != h.IdentityKey || c.RegisteredAt != f.Now ||
		c.Check.Measurement != info.Measurement || c.Check.PlatformID != attestation.PlatformID("tdx", ppid(f)) {
		t.Errorf("record is %+v", c)
	}
	if c.Check.TDX == nil || c.Check.TDX.TCB != info.TCB || c.Check.TDX.FMSPC != info.FMSPC || c.Check.Authority != info.CA.Digest() {
		t.Errorf("check is %+v, the quote says %+v", c.Check.TDX, info)
	}
	if want := f.Now + f.start.Params.RegistrationValidity; s.Expires != want {
		t.Errorf("expires at %d, want %d", s.Expires, want)
	}
	if got := f.rootState().Nodes; len(got) != 1 || got[f.node].Expires != f.Now+2*f.start.Params.RegistrationValidity {
		t.Errorf("registry lists %v", got)
	}
	good(t, f.SendExternal(f.node, f.anchor(5).Body()))

	// The next boot: the old epoch is kept with its final head.
	f.Now += 3600
	f.register()
	s = f.nodeState()
	if s.Epoch != 2 || s.Past[1].FinalSize != 5 || s.Past[1].FinalRoot != [32]byte{5, 1} || s.Past[1].ClosedAt != f.Now || s.Past[1].Record.ClaimsDigest != h.Digest() {
		t.Errorf("after the second registration: %+v", s)
	}
	if s.Anchor.Size != 5 || s.Anchor.Root != [32]byte{5, 1} {
		t.Errorf("the log does not go on: %+v", s.Anchor)
	}
	if n := len(f.rootState().Nodes); n != 1 {
		t.Errorf("registry lists %d nodes", n)
	}
	// The old heads can't come back.
	refused(t, f.send(f.operator, ValueRegister, f.registration(h)), CodeEpoch)
}

func ppid(f *fixture) []byte { p := f.intel.PPID(); return p[:] }

// claimsChecks change one field of good claims heads. The quote is made for the
// heads as they are, so it stays good.
var claimsChecks = []struct {
	name string
	code int
	edit func(*attestation.Heads)
}{
	{"another chain", CodeWrongChain, func(h *attestation.Heads) { h.ChainID++ }},
	{"another workchain", CodeWrongNode, func(h *attestation.Heads) { h.Node.Workchain = -1 }},
	{"another node", CodeWrongNode, func(h *attestation.Heads) { h.Node.Hash[31] ^= 1 }},
	{"this epoch again", CodeEpoch, func(h *attestation.Heads) { h.Epoch-- }},
	{"the epoch after", CodeEpoch, func(h *attestation.Heads) { h.Epoch++ }},
	{"a block too old", CodeStaleBlock, func(h *attestation.Heads) { b := tvmtest.TestBlock(0); h.BlockSeqno, h.BlockRoot = b.Seqno, b.Root }},
	{"a block to come", CodeStaleBlock, func(h *attestation.Heads) { b := tvmtest.TestBlock(1700); h.BlockSeqno, h.BlockRoot = b.Seqno, b.Root }},
	{"a block with another root", CodeStaleBlock, func(h *attestation.Heads) { h.BlockRoot[0] ^= 1 }},
	{"no receipt key", CodeBadKeys, func(h *attestation.Heads) { h.ReceiptKey = [32]byte{} }},
	{"no log key", CodeBadKeys, func(h *attestation.Heads) { h.LogKey = [32]byte{} }},
	{"no identity key", CodeBadKeys, func(h *attestation.Heads) { h.IdentityKey = [32]byte{} }},
	{"one key for receipts and log", CodeBadKeys, func(h *attestation.Heads) { h.LogKey = h.ReceiptKey }},
	{"one key for log and identity", CodeBadKeys, func(h *attestation.Heads) { h.IdentityKey = h.LogKey }},
	{"one key for receipts and identity", CodeBadKeys, func(h *attestation.Heads) { h.IdentityKey = h.ReceiptKey }},
}

func TestRegisterClaims(t *testing.T) {
	f := newFixture(t, noStake)
	f.setProfile()
	for _, c := range claimsChecks {
		t.Run(c.name, func(t *testing.T) {
			h := f.heads()
			c.edit(h)
			f.refuses(c.code, f.operator, ValueRegister, f.registration(h))
		})
	}
	// The root of a block makes no other number one that the chain knows.
	for _, off := range []int32{-1, 1, -99, 99, -100, 100} {
		h := f.heads()
		h.BlockSeqno, h.BlockRoot = f.Blocks[7].Seqno+uint32(off), f.Blocks[7].Root
		f.refuses(CodeStaleBlock, f.operator, ValueRegister, f.registration(h))
	}
	// The oldest block that the chain still knows is good.
	h := f.heads()
	h.BlockSeqno, h.BlockRoot = f.Blocks[15].Seqno, f.Blocks[15].Root
	good(t, f.send(f.operator, ValueRegister, f.registration(h)))
	done(t, f.operator, 0)
}

func TestRegisterTDXRefused(t *testing.T) {
	f := newFixture(t, noStake)
	f.setProfile()
	m := f.registration(f.heads())
	f.refuses(CodeNotOperator, f.anybody, ValueRegister, m)
	f.refuses(CodeValueTooLow, f.operator, ValueRegister-1, m)

	// Cells with another tag, or with more or less in them.
	body, _ := m.Body()
	for name, c := range map[string]struct {
		ref  int
		edit func(*tree)
		code int
	}{
		"claims head of another kind": {0, func(t *tree) { t.bits[31] ^= 1 }, CodeBadFormat},
		"claims keys of another kind": {1, func(t *tree) { t.bits[31] ^= 1 }, CodeBadFormat},
		"claims head too long":        {0, func(t *tree) { t.bits = append(t.bits, 0) }, exitUnderflow},
		"claims head too short":       {0, func(t *tree) { t.bits = t.bits[:len(t.bits)-1] }, exitUnderflow},
		"claims keys too long":        {1, func(t *tree) { t.bits = append(t.bits, 0) }, exitUnderflow},
		"quote with bits":             {2, func(t *tree) { t.bits = append(t.bits, 0) }, exitUnderflow},
	} {
		b := treeOf(body)
		c.edit(b.refs[c.ref])
		t.Run(name, func(t *testing.T) { f.refusesBody(f.node, c.code, f.operator, ValueRegister, b.cell()) })
	}
	// A cell that stands for another could stop to do so, and nobody could prove
	// a fault by the keys in it.
	keys := treeOf(body).refs[1].cell()
	special := libraryOf(t, keys)
	s := body.MustBeginParse()
	head := s.MustLoadRef().MustToCell()
	s.MustLoadRef()
	quote := s.MustLoadRef().MustToCell()
	bits := s.BitsLeft()
	swapped := build().MustStoreSlice(s.MustLoadSlice(bits), bits).MustStoreRef(head).MustStoreRef(special).MustStoreRef(quote).EndCell()
	f.refusesBody(f.node, CodeBadFormat, f.operator, ValueRegister, swapped)

	// What the quote says must fit what the node is told.
	for name, c := range map[string]struct {
		edit func(*sim.TD)
		code int
	}{
		"other report data":  {func(td *sim.TD) { td.ReportData[0] ^= 1 }, CodeReportData},
		"MRCONFIGID":         {func(td *sim.TD) { td.MRConfigID[0] = 1 }, CodeConfiguration},
		"MROWNER":            {func(td *sim.TD) { td.MROwner[0] = 1 }, CodeConfiguration},
		"MROWNERCONFIG":      {func(td *sim.TD) { td.MROwnerConfig[0] = 1 }, CodeConfiguration},
		"MRSERVICETD":        {func(td *sim.TD) { td.Version, td.MRServiceTD[0] = 5, 1 }, CodeConfiguration},
		"debug":              {func(td *sim.TD) { td.Attributes, td.Plain = sim.TDDebug, true }, CodeQuoteDebug},
		"another TDX module": {func(td *sim.TD) { td.MRSIGNERSEAM[0] = 1 }, CodeQuoteSEAM},
	} {
		t.Run(name, func(t *testing.T) { f.refuses(c.code, f.operator, ValueRegister, f.registration(f.heads(), c.edit)) })
	}
	m = f.registration(f.heads())
	m.CA.X[0] ^= 1
	f.refuses(CodeQuotePCKSignature, f.operator, ValueRegister, m)

	// A caller's live nonce in the other half changes nothing.
	good(t, f.send(f.operator, ValueRegister, f.registration(f.heads(), func(td *sim.TD) { td.ReportData[63] = 7 })))
	done(t, f.operator, 0)
}

// libraryOf returns the library cell that stands for c.
func libraryOf(t testing.TB, c *cellT) *cellT {
	t.Helper()
	special, err := build().MustStoreUInt(2, 8).MustStoreSlice(c.Hash(), 256).EndCellSpecial(true)
	if err != nil {
		t.Fatal(err)
	}
	return special
}

// TestRegisterTDXPolicy changes one thing in the registry's lists, or in what
// they judge. Node believes the quote, Root refuses it.
func TestRegisterTDXPolicy(t *testing.T) {
	info, err := ReadQuote(mint(t, platform(t, "machine", sim.IntelOptions{}), testTD()))
	if err != nil {
		t.Fatal(err)
	}
	floor := func(edit func(*TDXFloor)) func(*RootState) {
		return func(s *RootState) {
			fl := s.Floors[info.FMSPC]
			edit(&fl)
			s.Floors[info.FMSPC] = fl
		}
	}
	for name, c := range map[string]struct {
		code int
		edit func(*RootState)
	}{
		"paused":                  {CodePaused, func(s *RootState) { s.Paused = true }},
		"stake":                   {CodeStake, func(s *RootState) { s.Params.MinStake = 1 }},
		"no such measurement":     {CodeMeasurement, func(s *RootState) { delete(s.Measurements, info.Measurement) }},
		"measurement not for use": {CodeMeasurement, func(s *RootState) { s.Measurements[info.Measurement] = Measurement{Flags: 0xfe} }},
		"CA key":                  {CodeCAKey, func(s *RootState) { clear(s.CAKeys) }},
		"no floor":                {CodeFloor, func(s *RootState) { clear(s.Floors) }},
		"CPUSVN":                  {CodeQuoteCPUSVN, floor(func(f *TDXFloor) { f.CPUSVN[15]++ })},
		"PCESVN":                  {CodeQuotePCESVN, floor(func(f *TDXFloor) { f.PCESVN++ })},
		"QE SVN":                  {CodeQuoteQESVN, floor(func(f *TDXFloor) { f.QESVN++ })},
		"QE signer":               {CodeQuoteQESigner, floor(func(f *TDXFloor) { f.QESigner[31]++ })},
		"TD attributes missing":   {CodeQuoteTDAttributes, floor(func(f *TDXFloor) { f.TDRequired[7], f.TDAllowed[7] = 1, 1 })},
		"TD attributes":           {CodeQuoteTDAttributes, floor(func(f *TDXFloor) { f.TDRequired, f.TDAllowed = [8]byte{}, [8]byte{} })},
		"XFAM missing":            {CodeQuoteXFAM, floor(func(f *TDXFloor) { f.XFAMRequired[7], f.XFAMAllowed[7] = 1, 1 })},
		"XFAM":                    {CodeQuoteXFAM, floor(func(f *TDXFloor) { f.XFAMRequired, f.XFAMAllowed = [8]byte{}, [8]byte{} })},
		"TEE SVN":                 {CodeQuoteTEESVN, floor(func(f *TDXFloor) { f.TEESVN[2]++ })},
		"module too old":          {CodeQuoteModule, floor(func(f *TDXFloor) { f.Modules[1]++ })},
		"module unknown":          {CodeQuoteModule, floor(func(f *TDXFloor) { f.Modules[1] = NoModule })},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, noStake, c.edit)
			f.setProfile()
			good(t, f.send(f.operator, ValueRegister, f.registration(f.heads())))
			done(t, f.operator, c.code)
			if s := f.nodeState(); s.Status != StatusNone || s.Pending != nil || s.Epoch != 0 {
				t.Errorf("after a refusal: %+v", s)
			}
			if n := len(f.rootState().Nodes); n != 0 {
				t.Errorf("registry lists %d nodes", n)
			}
			if got, want := f.operator.Last().Value, ValueRegister/3; got < want {
				t.Errorf("only %d of %d came back", got, ValueRegister)
			}
		})
	}
}
