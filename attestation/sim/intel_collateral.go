package sim

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"time"

	"github.com/cocoon-go/cocoon/attestation/intel"
)

// Collateral says what the endorsements of a simulated platform contain. The
// zero value but for At is a platform that is up to date, with documents issued
// an hour before At that end 30 days after it.
type Collateral struct {
	At         time.Time     // required
	Issued     time.Duration // age of all documents at At; default 1 h
	Valid      time.Duration // time from At to the next update; default 30 days
	Evaluation int           // TCB evaluation data number; default 18

	PlatformStatus, ModuleStatus, QEStatus intel.Status // default UpToDate
	Advisories                             []string     // of the platform level
	TCBDate                                time.Time    // of every level; default 2025-05-14

	RevokePCK, RevokeCA, RevokeSigner bool
	FMSPC                             string // of the TCB info; default that of the platform

	// Edit, when set, changes the documents before they are signed: "tcb_info"
	// and "qe_identity" as decoded JSON, "root_ca_crl" and "pck_crl" as
	// *x509.RevocationList.
	Edit func(name string, doc any)
}

// Endorsements mints the documents for the platform at a time, as collateral
// JSON that [attestation.Endorsements.AddFile] reads: TDX and SGX are told
// apart by sgx.
func (p *Intel) Endorsements(c Collateral) ([]byte, error) {
	return p.collateral(c, "TDX", "TD_QE", tdQE)
}

// EnclaveEndorsements is [Intel.Endorsements] for SGX quotes.
func (p *Intel) EnclaveEndorsements(c Collateral) ([]byte, error) {
	return p.collateral(c, "SGX", "QE", sgxQE)
}

func (c *Collateral) defaults() {
	if c.Issued == 0 {
		c.Issued = time.Hour
	}
	if c.Valid == 0 {
		c.Valid = 30 * 24 * time.Hour
	}
	if c.Evaluation == 0 {
		c.Evaluation = 18
	}
	for _, s := range []*intel.Status{&c.PlatformStatus, &c.ModuleStatus, &c.QEStatus} {
		if *s == "" {
			*s = intel.UpToDate
		}
	}
	if c.TCBDate.IsZero() {
		c.TCBDate = time.Date(2025, 5, 14, 0, 0, 0, 0, time.UTC)
	}
}

func (p *Intel) collateral(c Collateral, tcbID, qeID string, product int) ([]byte, error) {
	c.defaults()
	var out intel.Collateral
	var revokedByRoot []*x509.Certificate
	if c.RevokeCA {
		revokedByRoot = append(revokedByRoot, p.ca)
	}
	if c.RevokeSigner {
		revokedByRoot = append(revokedByRoot, p.signer)
	}
	var revokedByCA []*x509.Certificate
	if c.RevokePCK {
		revokedByCA = append(revokedByCA, p.pck)
	}
	var err error
	if out.RootCACRL, err = c.crl("root_ca_crl", p.root, p.rootKey, revokedByRoot); err != nil {
		return nil, err
	}
	if out.PCKCRL, err = c.crl("pck_crl", p.ca, p.caKey, revokedByCA); err != nil {
		return nil, err
	}
	out.PCKCRLIssuerChain = string(pemCerts(p.ca, p.root))
	out.TCBInfoIssuerChain = string(pemCerts(p.signer, p.root))
	out.QEIdentityIssuerChain = out.TCBInfoIssuerChain
	if out.TCBInfo, out.TCBInfoSignature, err = c.document("tcb_info", p.tcbInfo(&c, tcbID), p.signerKey); err != nil {
		return nil, err
	}
	if out.QEIdentity, out.QEIdentitySignature, err = c.document("qe_identity", p.qeIdentity(&c, qeID, product), p.signerKey); err != nil {
		return nil, err
	}
	return json.MarshalIndent(&out, "", " ")
}

func (c *Collateral) crl(name string, issuer *x509.Certificate, key *ecdsa.PrivateKey, revoked []*x509.Certificate) (string, error) {
	t := &x509.RevocationList{Number: big.NewInt(c.At.Unix()), ThisUpdate: c.At.Add(-c.Issued), NextUpdate: c.At.Add(c.Valid)}
	for _, r := range revoked {
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: r.SerialNumber, RevocationTime: t.ThisUpdate})
	}
	if c.Edit != nil {
		c.Edit(name, t)
	}
	der, err := x509.CreateRevocationList(nil, t, issuer, deterministic{key})
	return hex.EncodeToString(der), err
}

func (c *Collateral) document(name string, doc map[string]any, key *ecdsa.PrivateKey) (body, sig string, err error) {
	if c.Edit != nil {
		c.Edit(name, doc)
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return "", "", err
	}
	s, err := signRaw(key, b)
	return string(b), hex.EncodeToString(s), err
}

type object = map[string]any

func jsonTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func components(svn [16]byte) []any {
	var out []any
	for _, v := range svn {
		out = append(out, object{"svn": int(v)})
	}
	return out
}

func (c *Collateral) level(svn int, s intel.Status) object {
	return object{"tcb": object{"isvsvn": svn}, "tcbDate": jsonTime(c.TCBDate), "tcbStatus": string(s)}
}

const (
	zero8  = "0000000000000000"
	zero48 = zero8 + zero8 + zero8 + zero8 + zero8 + zero8
)

// tcbInfo has one level that the platform reaches, one above it (which it
// misses) and one below it.
func (p *Intel) tcbInfo(c *Collateral, id string) object {
	level := func(svn [16]byte, tdx [16]byte, s intel.Status, advisories []string) object {
		tcb := object{"sgxtcbcomponents": components(svn), "pcesvn": p.pcesvn}
		if id == "TDX" {
			tcb["tdxtcbcomponents"] = components(tdx)
		}
		l := object{"tcb": tcb, "tcbDate": jsonTime(c.TCBDate), "tcbStatus": string(s)}
		if len(advisories) > 0 {
			l["advisoryIDs"] = advisories
		}
		return l
	}
	low := p.cpusvn
	for i := range low {
		low[i] /= 2
	}
	fmspc := c.FMSPC
	if fmspc == "" {
		fmspc = hex.EncodeToString(p.fmspc[:])
	}
	t := object{
		"id": id, "version": 3, "issueDate": jsonTime(c.At.Add(-c.Issued)), "nextUpdate": jsonTime(c.At.Add(c.Valid)),
		"fmspc": fmspc, "pceId": "0000", "tcbType": 0, "tcbEvaluationDataNumber": c.Evaluation,
		"tcbLevels": []any{
			level(p.cpusvn, [16]byte{5, 0, 3}, c.PlatformStatus, c.Advisories),
			level(low, [16]byte{2, 0, 2}, intel.OutOfDate, []string{"SIM-SA-00001"}),
		},
	}
	if id == "TDX" {
		module := object{"mrsigner": zero48, "attributes": zero8, "attributesMask": "FFFFFFFFFFFFFFFF"}
		t["tdxModule"] = module
		t["tdxModuleIdentities"] = []any{object{
			"id": "TDX_01", "mrsigner": zero48, "attributes": zero8, "attributesMask": "FFFFFFFFFFFFFFFF",
			"tcbLevels": []any{c.level(5, c.ModuleStatus), c.level(2, intel.OutOfDate)},
		}}
	}
	return t
}

func (p *Intel) qeIdentity(c *Collateral, id string, product int) object {
	return object{
		"id": id, "version": 2, "issueDate": jsonTime(c.At.Add(-c.Issued)), "nextUpdate": jsonTime(c.At.Add(c.Valid)),
		"tcbEvaluationDataNumber": c.Evaluation, "miscselect": "00000000", "miscselectMask": "FFFFFFFF",
		"attributes": "11000000000000000000000000000000", "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
		"mrsigner": hex.EncodeToString(p.qeSigner[:]), "isvprodid": product,
		"tcbLevels": []any{c.level(4, c.QEStatus), c.level(2, intel.OutOfDate)},
	}
}
