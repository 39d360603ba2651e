package intel

import (
	"encoding/binary"
	"slices"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// rate fills the ratings, as Intel's library does (EvaluateTcb.cpp,
// TcbLevelCheck.cpp, TDRelaunchCheck.cpp).
func (f *Facts) rate(q *Quote, p *platform, c *collateral) error {
	qe, err := c.qe.match(q.qeReport)
	if err != nil {
		return err
	}
	if qe == nil {
		qe = &rating{status: NotSupported}
	}
	f.QEStatus = qe.status
	launch, err := evaluate(f.svn1(), q, p, c, qe)
	if err != nil {
		return err
	}
	f.Status, f.PlatformStatus, f.ModuleStatus = launch.status, launch.platform, launch.module
	f.TCBDate, f.Advisories = launch.date, launch.advisories
	if q.BodyType == BodyTD15 || q.BodyType == BodyTD15Ex {
		current, err := evaluate(f.TD.TEETCBSVN2[:], q, p, c, qe)
		if err != nil {
			return err
		}
		f.CurrentStatus = current.status
		f.Status = relaunch(launch.status, current.status)
	}
	return nil
}

func (f *Facts) svn1() []byte {
	if f.TD == nil {
		return nil
	}
	return f.TD.TEETCBSVN[:]
}

// evaluation is the outcome for one vector of security versions.
type evaluation struct {
	rating
	platform, module Status
}

// evaluate rates platform, TDX module and quoting enclave together. svn is the
// TEE_TCB_SVN of a TD, nil for SGX.
func evaluate(svn []byte, q *Quote, p *platform, c *collateral, qe *rating) (*evaluation, error) {
	out := new(evaluation)
	from := 0 // first TDX component that the platform level rates
	var module *rating
	if svn != nil {
		m := c.tcb.module
		if svn[1] > 0 {
			// The module's own versions (bytes 0 and 1) are rated by its identity.
			from = 2
			m = c.tcb.findModule(svn[1])
			if m != nil {
				module = findSVN(m.levels, uint16(svn[0]))
			}
			if module == nil {
				module = &rating{status: NotSupported}
			}
			out.module = module.status
		}
		if m == nil && svn[1] == 0 {
			return nil, fault.Unknown("TCB info: no identity of the TDX module in it")
		}
		if m != nil {
			if err := m.check(q.Body); err != nil {
				return nil, err
			}
		}
	}
	level := c.tcb.find(p, svn, from)
	if level == nil {
		level = &rating{status: NotSupported}
	}
	out.platform = level.status
	out.status = converge(level.status, module, qe)
	for _, r := range []*rating{level, module, qe} {
		if r == nil || r.status == NotSupported {
			continue
		}
		if out.date.IsZero() || r.date.Before(out.date) {
			out.date = r.date
		}
		out.advisories = append(out.advisories, r.advisories...)
	}
	return out, nil
}

// converge joins the ratings of the parts into one.
func converge(platform Status, module, qe *rating) Status {
	parts := [2]Status{UpToDate, qe.status}
	if module != nil {
		parts[0] = module.status
	}
	has := func(s Status) bool { return platform == s || parts[0] == s || parts[1] == s }
	switch {
	case has(Revoked):
		return Revoked
	case has(NotSupported):
		return NotSupported
	case parts[0] == OutOfDate || parts[1] == OutOfDate:
		switch platform {
		case UpToDate, SWHardeningNeeded:
			return OutOfDate
		case ConfigurationNeeded, ConfigurationAndSWHardeningNeeded:
			return OutOfDateConfigurationNeeded
		}
	}
	return platform
}

// relaunch joins the ratings at launch and now: a TD that was launched below a
// level that the platform has reached since should be launched again.
func relaunch(launch, current Status) Status {
	if current == Revoked || current == NotSupported {
		return current
	}
	if launch != OutOfDate && launch != OutOfDateConfigurationNeeded {
		return launch
	}
	switch current {
	case UpToDate, SWHardeningNeeded:
		if launch == OutOfDate {
			return TDRelaunchAdvised
		}
		return TDRelaunchAdvisedConfigurationNeeded
	case ConfigurationNeeded, ConfigurationAndSWHardeningNeeded:
		return TDRelaunchAdvisedConfigurationNeeded
	}
	return launch
}

// find returns the rating of the first level that the platform reaches.
func (t *tcbInfo) find(p *platform, svn []byte, from int) *rating {
	for i := range t.levels {
		l := &t.levels[i]
		if reaches(p.CPUSVN[:], l.sgx[:]) && p.PCESVN >= l.pcesvn && (svn == nil || reaches(svn[from:], l.tdx[from:])) {
			return &l.rating
		}
	}
	return nil
}

// reaches reports whether every component of have is at least that of want.
func reaches(have, want []byte) bool {
	for i := range want {
		if have[i] < want[i] {
			return false
		}
	}
	return true
}

const hexDigits = "0123456789ABCDEF"

func (t *tcbInfo) findModule(version byte) *tdxModule {
	id := [6]byte{'T', 'D', 'X', '_', hexDigits[version>>4], hexDigits[version&15]}
	i := slices.IndexFunc(t.modules, func(m tdxModule) bool { return m.id == string(id[:]) })
	if i < 0 {
		return nil
	}
	return &t.modules[i]
}

// check compares the module that runs with the one that Intel names.
func (m *tdxModule) check(body []byte) error {
	if string(m.mrsigner[:]) != string(body[64:112]) {
		return fault.False("quote: MRSIGNERSEAM is not that of Intel's TDX module")
	}
	for i, a := range body[112:120] {
		if a&m.mask[i] != m.attributes[i] || a&^m.mask[i] != 0 {
			return fault.False("quote: SEAMATTRIBUTES %x are not those of Intel's TDX module", body[112:120])
		}
	}
	return nil
}

func findSVN(levels []svnLevel, svn uint16) *rating {
	for i := range levels {
		if svn >= levels[i].svn {
			return &levels[i].rating
		}
	}
	return nil
}

// match checks that the report is one of Intel's quoting enclave, and returns
// the rating of its version, nil when it is below every level.
func (id *qeIdentity) match(report []byte) (*rating, error) {
	if binary.LittleEndian.Uint32(report[16:])&id.miscMask != id.misc {
		return nil, fault.False("quote: MISCSELECT of the quoting enclave is not Intel's")
	}
	for i, a := range report[48:64] {
		if a&id.attrMask[i] != id.attributes[i] {
			return nil, fault.False("quote: ATTRIBUTES %x of the quoting enclave are not Intel's", report[48:64])
		}
	}
	if string(id.mrsigner[:]) != string(report[128:160]) {
		return nil, fault.False("quote: the quoting enclave is not signed by Intel (MRSIGNER %x)", report[128:160])
	}
	if p := binary.LittleEndian.Uint16(report[256:]); p != id.prodID {
		return nil, fault.False("quote: product %d of the quoting enclave, Intel's is %d", p, id.prodID)
	}
	return findSVN(id.levels, binary.LittleEndian.Uint16(report[258:])), nil
}
