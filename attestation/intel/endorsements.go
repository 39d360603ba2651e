package intel

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strings"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/internal/memo"
)

// Limits of a set of endorsements.
const (
	MaxDocumentSize = 4 << 20 // bytes of one document
	MaxDocuments    = 4096    // documents of one set
	maxSigners      = 16      // signers of documents in one set
	maxPCKs         = 1024    // PCK certificates and their CAs in one set
)

// Endorsements is a set of documents that Intel signs: certificates,
// revocation lists, TCB infos and QE identities. Adding looks at shape only;
// [Verifier.Verify] picks the documents that it needs and verifies them. A set
// may hold documents for many platforms and of many dates; the newest one that
// is valid at the time of the check is used.
//
// Build a set with the Add methods, then share it: after the last Add it is
// safe for concurrent use. The zero value is an empty set.
type Endorsements struct {
	count   int
	seen    map[[32]byte]bool
	pcks    []*x509.Certificate
	signers []*x509.Certificate
	crls    map[string][]*crl      // by raw issuer
	tcbs    map[tcbKey][]*document // by id, FMSPC and PCEID
	qes     map[string][]*document // by id
}

type tcbKey struct {
	id    string
	fmspc [6]byte
	pceID [2]byte
}

// document is a signed JSON text, parsed; exactly one of tcb and qe is set.
type document struct {
	key       memo.Key // first half: SHA-256 of text and signature
	hash      [32]byte // SHA-256 of the text: what is signed
	signature []byte
	tcb       *tcbInfo
	qe        *qeIdentity
}

func (d *document) window() window {
	if d.tcb != nil {
		return window{d.tcb.issued, d.tcb.nextUpdate, "TCB info", "TCB info"}
	}
	return window{d.qe.issued, d.qe.nextUpdate, "QE identity", "QE identity"}
}

func (d *document) evaluation() int {
	if d.tcb != nil {
		return d.tcb.evaluation
	}
	return d.qe.evaluation
}

// crl is a parsed revocation list.
type crl struct {
	key     memo.Key // first half: SHA-256 of the list
	list    *x509.RevocationList
	revoked map[string]bool // by serial number, big-endian
	valid   window
}

// add counts one more document; it reports whether it is new.
func (e *Endorsements) add(digest [32]byte) (bool, error) {
	if e.seen[digest] {
		return false, nil
	}
	if e.count == MaxDocuments {
		return false, fault.BadInput("endorsements: more than %d documents", MaxDocuments)
	}
	e.count++
	if e.seen == nil {
		e.seen = make(map[[32]byte]bool)
	}
	e.seen[digest] = true
	return true, nil
}

// Len returns the number of documents in the set.
func (e *Endorsements) Len() int {
	if e == nil {
		return 0
	}
	return e.count
}

// IsCertificate reports whether c is one of Intel's for SGX and TDX, by its
// name.
func IsCertificate(c *x509.Certificate) bool { return isName(c.Subject.CommonName) }

// IsRevocationList reports whether l is one of Intel's for SGX and TDX, by the
// name of its issuer.
func IsRevocationList(l *x509.RevocationList) bool { return isName(l.Issuer.CommonName) }

func isName(s string) bool {
	switch s {
	case nameSigner, namePCK, nameRoot, namePlatformCA, nameProcessorCA:
		return true
	}
	return false
}

// AddCertificate adds a certificate that may sign documents or quotes. Those
// with another role are ignored.
func (e *Endorsements) AddCertificate(c *x509.Certificate) error {
	list, limit := &e.pcks, maxPCKs
	switch c.Subject.CommonName {
	case nameSigner:
		list, limit = &e.signers, maxSigners
	case namePCK, nameRoot, namePlatformCA, nameProcessorCA:
		// PCK chains, for quotes that carry none.
	default:
		return nil
	}
	fresh, err := e.add(sha256.Sum256(c.Raw))
	if fresh && len(*list) == limit {
		return fault.BadInput("endorsements: more than %d certificates %q", limit, c.Subject.CommonName)
	}
	if fresh {
		*list = append(*list, c)
	}
	return err
}

// AddCRL adds a revocation list in DER.
func (e *Endorsements) AddCRL(der []byte) error {
	if len(der) > MaxDocumentSize {
		return fault.BadInput("revocation list: %d bytes, the limit is %d", len(der), MaxDocumentSize)
	}
	digest := sha256.Sum256(der)
	if e.seen[digest] {
		return nil
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return fault.BadInput("revocation list: %v", err)
	}
	if list.NextUpdate.IsZero() {
		return fault.BadInput("revocation list of %q: no time of the next update", list.Issuer.CommonName)
	}
	for _, x := range list.Extensions {
		if x.Critical {
			return fault.BadInput("revocation list of %q: unknown critical extension %v", list.Issuer.CommonName, x.Id)
		}
	}
	what := "revocation list of " + list.Issuer.CommonName
	c := &crl{list: list, revoked: make(map[string]bool, len(list.RevokedCertificateEntries)),
		valid: window{list.ThisUpdate, list.NextUpdate, what, what}}
	copy(c.key[:], digest[:])
	for i := range list.RevokedCertificateEntries {
		c.revoked[string(list.RevokedCertificateEntries[i].SerialNumber.Bytes())] = true
	}
	fresh, err := e.add(digest)
	if fresh {
		if e.crls == nil {
			e.crls = make(map[string][]*crl)
		}
		e.crls[string(list.RawIssuer)] = append(e.crls[string(list.RawIssuer)], c)
	}
	return err
}

// AddTCBInfo adds a TCB info: the JSON text that Intel signs, and the
// signature r || s.
func (e *Endorsements) AddTCBInfo(body, signature []byte) error {
	d, fresh, err := e.addDocument(body, signature)
	if err != nil || !fresh {
		return err
	}
	if d.tcb, err = parseTCBInfo(body); err != nil {
		return err
	}
	if e.tcbs == nil {
		e.tcbs = make(map[tcbKey][]*document)
	}
	k := tcbKey{d.tcb.id, d.tcb.fmspc, d.tcb.pceID}
	e.tcbs[k] = append(e.tcbs[k], d)
	return nil
}

// AddQEIdentity adds a QE identity: the JSON text that Intel signs, and the
// signature r || s.
func (e *Endorsements) AddQEIdentity(body, signature []byte) error {
	d, fresh, err := e.addDocument(body, signature)
	if err != nil || !fresh {
		return err
	}
	if d.qe, err = parseQEIdentity(body); err != nil {
		return err
	}
	if e.qes == nil {
		e.qes = make(map[string][]*document)
	}
	e.qes[d.qe.id] = append(e.qes[d.qe.id], d)
	return nil
}

func (e *Endorsements) addDocument(body, signature []byte) (*document, bool, error) {
	if len(body) > MaxDocumentSize {
		return nil, false, fault.BadInput("endorsement: %d bytes, the limit is %d", len(body), MaxDocumentSize)
	}
	if len(signature) != signatureSize {
		return nil, false, fault.BadInput("endorsement: signature of %d bytes, want %d", len(signature), signatureSize)
	}
	d := &document{hash: sha256.Sum256(body), signature: bytes.Clone(signature)}
	digest := sha256.Sum256(append(d.hash[:], signature...))
	copy(d.key[:], digest[:])
	fresh, err := e.add(digest)
	return d, fresh, err
}

// Collateral is the set of documents for one platform in the JSON form of
// dcap-qvl: PEM chains, hexadecimal revocation lists and signatures, and the
// signed JSON texts as strings.
type Collateral struct {
	PCKCRLIssuerChain     string `json:"pck_crl_issuer_chain"`
	RootCACRL             string `json:"root_ca_crl"`
	PCKCRL                string `json:"pck_crl"`
	TCBInfoIssuerChain    string `json:"tcb_info_issuer_chain"`
	TCBInfo               string `json:"tcb_info"`
	TCBInfoSignature      string `json:"tcb_info_signature"`
	QEIdentityIssuerChain string `json:"qe_identity_issuer_chain"`
	QEIdentity            string `json:"qe_identity"`
	QEIdentitySignature   string `json:"qe_identity_signature"`
	PCKCertificateChain   string `json:"pck_certificate_chain,omitempty"`
}

// ParseCollateral reads the JSON form.
func ParseCollateral(data []byte) (*Collateral, error) {
	if len(data) > MaxDocumentSize {
		return nil, fault.BadInput("collateral: %d bytes, the limit is %d", len(data), MaxDocumentSize)
	}
	c := new(Collateral)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fault.BadInput("collateral: %v", err)
	}
	if c.TCBInfo == "" && c.QEIdentity == "" && c.PCKCRL == "" && c.RootCACRL == "" {
		return nil, fault.BadInput("collateral: no document in it")
	}
	return c, nil
}

// AddCollateral adds all documents of c; empty fields are skipped.
func (e *Endorsements) AddCollateral(c *Collateral) error {
	for _, chain := range []string{c.PCKCRLIssuerChain, c.TCBInfoIssuerChain, c.QEIdentityIssuerChain, c.PCKCertificateChain} {
		if err := e.addChain(chain); err != nil {
			return err
		}
	}
	for _, list := range []string{c.RootCACRL, c.PCKCRL} {
		if list == "" {
			continue
		}
		der, err := hex.DecodeString(list)
		if err != nil {
			return fault.BadInput("collateral: revocation list is not hexadecimal")
		}
		if err := e.AddCRL(der); err != nil {
			return err
		}
	}
	for _, d := range []struct {
		body, sig string
		add       func(body, sig []byte) error
	}{{c.TCBInfo, c.TCBInfoSignature, e.AddTCBInfo}, {c.QEIdentity, c.QEIdentitySignature, e.AddQEIdentity}} {
		if d.body == "" {
			continue
		}
		sig, err := hex.DecodeString(d.sig)
		if err != nil {
			return fault.BadInput("collateral: a signature is not hexadecimal")
		}
		if err := d.add([]byte(d.body), sig); err != nil {
			return err
		}
	}
	return nil
}

// addChain adds the certificates of a PEM text. A certificate that is already
// there is not parsed again.
func (e *Endorsements) addChain(chain string) error {
	p := []byte(chain)
	for n := 0; ; n++ {
		b, rest := pem.Decode(p)
		if b == nil {
			return nil
		}
		p = rest
		if n == maxChainCerts {
			return fault.BadInput("certificate chain: more than %d certificates", maxChainCerts)
		}
		if e.seen[sha256.Sum256(b.Bytes)] {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return fault.BadInput("certificate chain: certificate %d: %v", n+1, err)
		}
		if err := e.AddCertificate(c); err != nil {
			return err
		}
	}
}

// AddServiceAnswer adds the body of an answer of Intel's provisioning service:
// {"tcbInfo":{...},"signature":"hex"} or {"enclaveIdentity":{...},"signature":"hex"}.
// It reports whether data has that form.
func (e *Endorsements) AddServiceAnswer(data []byte) (bool, error) {
	var j struct {
		TCBInfo   json.RawMessage `json:"tcbInfo"`
		Identity  json.RawMessage `json:"enclaveIdentity"`
		Signature string          `json:"signature"`
	}
	if err := json.Unmarshal(data, &j); err != nil || (j.TCBInfo == nil) == (j.Identity == nil) {
		return false, nil
	}
	sig, err := hex.DecodeString(strings.TrimSpace(j.Signature))
	if err != nil {
		return true, fault.BadInput("endorsement: the signature is not hexadecimal")
	}
	if j.TCBInfo != nil {
		return true, e.AddTCBInfo(j.TCBInfo, sig)
	}
	return true, e.AddQEIdentity(j.Identity, sig)
}
