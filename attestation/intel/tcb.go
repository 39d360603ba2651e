package intel

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
)

// Status is Intel's rating of a platform or of one of its parts.
type Status string

// The ratings. NotSupported is Intel's "no level matches": the platform is
// below everything that Intel rates. Policy never accepts it, nor Revoked.
const (
	UpToDate                             Status = "UpToDate"
	SWHardeningNeeded                    Status = "SWHardeningNeeded"
	ConfigurationNeeded                  Status = "ConfigurationNeeded"
	ConfigurationAndSWHardeningNeeded    Status = "ConfigurationAndSWHardeningNeeded"
	OutOfDate                            Status = "OutOfDate"
	OutOfDateConfigurationNeeded         Status = "OutOfDateConfigurationNeeded"
	TDRelaunchAdvised                    Status = "TDRelaunchAdvised"
	TDRelaunchAdvisedConfigurationNeeded Status = "TDRelaunchAdvisedConfigurationNeeded"
	Revoked                              Status = "Revoked"
	NotSupported                         Status = "NotSupported"
)

// platformStatuses are the ratings that a TCB info may give to a level,
// partStatuses those of the levels of the TDX module and the quoting enclave.
var (
	platformStatuses = []Status{UpToDate, SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded,
		OutOfDate, OutOfDateConfigurationNeeded, Revoked}
	partStatuses = []Status{UpToDate, OutOfDate, Revoked}
)

// maxLevels bounds the levels of one document; Intel's have under 40.
const maxLevels = 512

type rating struct {
	status     Status
	date       time.Time
	advisories []string
}

type tcbLevel struct {
	rating
	sgx, tdx [16]byte
	pcesvn   uint16
}

type svnLevel struct {
	rating
	svn uint16
}

// tcbInfo is a parsed TCB info of version 3.
type tcbInfo struct {
	id         string // "SGX" or "TDX"
	fmspc      [6]byte
	pceID      [2]byte
	issued     time.Time
	nextUpdate time.Time
	evaluation int
	levels     []tcbLevel // descending
	module     *tdxModule // for quotes whose module version is 0
	modules    []tdxModule
}

type tdxModule struct {
	id         string // "TDX_01"
	mrsigner   [48]byte
	attributes [8]byte
	mask       [8]byte
	levels     []svnLevel // descending
}

// qeIdentity is a parsed QE identity of version 2.
type qeIdentity struct {
	id         string // "QE" or "TD_QE"
	issued     time.Time
	nextUpdate time.Time
	evaluation int
	misc       uint32
	miscMask   uint32
	attributes [16]byte
	attrMask   [16]byte
	mrsigner   [32]byte
	prodID     uint16
	levels     []svnLevel // descending
}

type jsonSVN struct {
	SVN uint16 `json:"svn"`
}

// byte returns the version, which is one byte. Intel's own tools have written
// bytes above 127 as 16-bit numbers with the sign extended; those are read too.
func (j jsonSVN) byte() (byte, bool) {
	return byte(j.SVN), j.SVN <= 0xff || j.SVN >= 0xff80
}

type jsonRating struct {
	Date       time.Time `json:"tcbDate"`
	Status     Status    `json:"tcbStatus"`
	Advisories []string  `json:"advisoryIDs"`
}

type jsonTCBLevel struct {
	jsonRating
	TCB struct {
		SGX    []jsonSVN `json:"sgxtcbcomponents"`
		TDX    []jsonSVN `json:"tdxtcbcomponents"`
		PCESVN uint16    `json:"pcesvn"`
	} `json:"tcb"`
}

type jsonSVNLevel struct {
	jsonRating
	TCB struct {
		SVN uint16 `json:"isvsvn"`
	} `json:"tcb"`
}

type jsonModule struct {
	ID             string         `json:"id"`
	MRSigner       string         `json:"mrsigner"`
	Attributes     string         `json:"attributes"`
	AttributesMask string         `json:"attributesMask"`
	Levels         []jsonSVNLevel `json:"tcbLevels"`
}

type jsonTCBInfo struct {
	ID         string         `json:"id"`
	Version    int            `json:"version"`
	Issued     time.Time      `json:"issueDate"`
	NextUpdate time.Time      `json:"nextUpdate"`
	FMSPC      string         `json:"fmspc"`
	PCEID      string         `json:"pceId"`
	TCBType    int            `json:"tcbType"`
	Evaluation int            `json:"tcbEvaluationDataNumber"`
	Module     *jsonModule    `json:"tdxModule"`
	Modules    []jsonModule   `json:"tdxModuleIdentities"`
	Levels     []jsonTCBLevel `json:"tcbLevels"`
}

type jsonQEIdentity struct {
	ID             string         `json:"id"`
	Version        int            `json:"version"`
	Issued         time.Time      `json:"issueDate"`
	NextUpdate     time.Time      `json:"nextUpdate"`
	Evaluation     int            `json:"tcbEvaluationDataNumber"`
	MiscSelect     string         `json:"miscselect"`
	MiscSelectMask string         `json:"miscselectMask"`
	Attributes     string         `json:"attributes"`
	AttributesMask string         `json:"attributesMask"`
	MRSigner       string         `json:"mrsigner"`
	ISVProdID      uint16         `json:"isvprodid"`
	Levels         []jsonSVNLevel `json:"tcbLevels"`
}

// parseTCBInfo reads the JSON text that Intel signs. Unknown fields are
// allowed: Intel adds some, and its signature covers the text.
func parseTCBInfo(body []byte) (*tcbInfo, error) {
	var j jsonTCBInfo
	if err := json.Unmarshal(body, &j); err != nil {
		return nil, fault.BadInput("TCB info: %v", err)
	}
	if j.ID != "SGX" && j.ID != "TDX" {
		return nil, fault.BadInput("TCB info: unknown id %q", j.ID)
	}
	if j.Version != 3 || j.TCBType != 0 {
		return nil, fault.BadInput("TCB info: version %d of type %d, want version 3 of type 0", j.Version, j.TCBType)
	}
	t := &tcbInfo{id: j.ID, issued: j.Issued, nextUpdate: j.NextUpdate, evaluation: j.Evaluation}
	if !unhex(t.fmspc[:], j.FMSPC) || !unhex(t.pceID[:], j.PCEID) { // in any case of letters
		return nil, fault.BadInput("TCB info: FMSPC %q or PCEID %q is not hexadecimal of the right length", j.FMSPC, j.PCEID)
	}
	if j.Issued.IsZero() || !j.NextUpdate.After(j.Issued) {
		return nil, fault.BadInput("TCB info: its validity window is empty")
	}
	if len(j.Levels) == 0 || len(j.Levels) > maxLevels || len(j.Modules) > maxLevels {
		return nil, fault.BadInput("TCB info: %d levels and %d modules, want 1 to %d", len(j.Levels), len(j.Modules), maxLevels)
	}
	t.levels = make([]tcbLevel, len(j.Levels))
	for i := range j.Levels {
		if err := t.levels[i].from(&j.Levels[i], j.ID == "TDX"); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(t.levels, compareLevels)
	if j.Module != nil {
		t.module = new(tdxModule)
		if err := t.module.from(j.Module, false); err != nil {
			return nil, err
		}
	}
	t.modules = make([]tdxModule, len(j.Modules))
	for i := range j.Modules {
		if err := t.modules[i].from(&j.Modules[i], true); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// compareLevels orders levels from the highest down, as Intel's library keeps
// them; the order in the document is not trusted to be right.
func compareLevels(a, b tcbLevel) int {
	return cmp.Or(
		slices.Compare(b.sgx[:], a.sgx[:]),
		slices.Compare(b.tdx[:], a.tdx[:]),
		cmp.Compare(b.pcesvn, a.pcesvn))
}

func (l *tcbLevel) from(j *jsonTCBLevel, tdx bool) error {
	if err := l.rating.from(&j.jsonRating, platformStatuses); err != nil {
		return fault.BadInput("TCB info: %w", err)
	}
	if len(j.TCB.SGX) != 16 || (tdx && len(j.TCB.TDX) != 16) {
		return fault.BadInput("TCB info: a level has %d SGX and %d TDX components, want 16", len(j.TCB.SGX), len(j.TCB.TDX))
	}
	for i := range 16 {
		ok, ok2 := false, true
		l.sgx[i], ok = j.TCB.SGX[i].byte()
		if tdx {
			l.tdx[i], ok2 = j.TCB.TDX[i].byte()
		}
		if !ok || !ok2 {
			return fault.BadInput("TCB info: a component version of a level is above 255")
		}
	}
	l.pcesvn = j.TCB.PCESVN
	return nil
}

func (r *rating) from(j *jsonRating, allowed []Status) error {
	if !slices.Contains(allowed, j.Status) {
		return fault.BadInput("a level has the unknown status %q", j.Status)
	}
	if j.Date.IsZero() {
		return fault.BadInput("a level has no date")
	}
	*r = rating{status: j.Status, date: j.Date, advisories: j.Advisories}
	return nil
}

func (m *tdxModule) from(j *jsonModule, levels bool) (err error) {
	m.id = strings.ToUpper(j.ID)
	if !unhex(m.mrsigner[:], j.MRSigner) || !unhex(m.attributes[:], j.Attributes) || !unhex(m.mask[:], j.AttributesMask) {
		return fault.BadInput("TCB info: the identity of TDX module %q is malformed", j.ID)
	}
	if levels {
		m.levels, err = svnLevels("TDX module", j.Levels)
	}
	return err
}

func svnLevels(what string, js []jsonSVNLevel) ([]svnLevel, error) {
	if len(js) == 0 || len(js) > maxLevels {
		return nil, fault.BadInput("%s: %d levels, want 1 to %d", what, len(js), maxLevels)
	}
	out := make([]svnLevel, len(js))
	for i := range js {
		if err := out[i].rating.from(&js[i].jsonRating, partStatuses); err != nil {
			return nil, fault.BadInput("%s: %w", what, err)
		}
		out[i].svn = js[i].TCB.SVN
	}
	slices.SortStableFunc(out, func(a, b svnLevel) int { return cmp.Compare(b.svn, a.svn) })
	return out, nil
}

func parseQEIdentity(body []byte) (*qeIdentity, error) {
	var j jsonQEIdentity
	if err := json.Unmarshal(body, &j); err != nil {
		return nil, fault.BadInput("QE identity: %v", err)
	}
	if j.ID != "QE" && j.ID != "TD_QE" {
		return nil, fault.BadInput("QE identity: unknown id %q", j.ID)
	}
	if j.Version != 2 {
		return nil, fault.BadInput("QE identity: version %d, want 2", j.Version)
	}
	if j.Issued.IsZero() || !j.NextUpdate.After(j.Issued) {
		return nil, fault.BadInput("QE identity: its validity window is empty")
	}
	q := &qeIdentity{id: j.ID, issued: j.Issued, nextUpdate: j.NextUpdate, evaluation: j.Evaluation, prodID: j.ISVProdID}
	var misc, mask [4]byte
	if !unhex(misc[:], j.MiscSelect) || !unhex(mask[:], j.MiscSelectMask) || !unhex(q.attributes[:], j.Attributes) ||
		!unhex(q.attrMask[:], j.AttributesMask) || !unhex(q.mrsigner[:], j.MRSigner) {
		return nil, fault.BadInput("QE identity: a field is not hexadecimal of the right length")
	}
	// In the byte order of the report, as Intel's sample shows.
	q.misc, q.miscMask = binary.LittleEndian.Uint32(misc[:]), binary.LittleEndian.Uint32(mask[:])
	var err error
	q.levels, err = svnLevels("QE identity", j.Levels)
	return q, err
}

// unhex decodes s into all of dst.
func unhex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	_, err := hex.Decode(dst, []byte(s))
	return err == nil
}
