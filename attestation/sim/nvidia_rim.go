package sim

import (
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// newRIMChain makes the root of RIM documents and the authorities down to the
// signer.
func (n *NVIDIA) newRIMChain() error {
	var err error
	if n.rim[3], err = n.authority("rim-root", "NVIDIA CoRIM signing Root CA", nil); err != nil {
		return err
	}
	if n.rim[2], err = n.authority("rim-ca", "NVIDIA Reference Value GH100 CA", &n.rim[3]); err != nil {
		return err
	}
	if n.rim[1], err = n.authority("rim-l3", "NVIDIA Reference Value L3 GH100 001", &n.rim[2]); err != nil {
		return err
	}
	t := n.template("NVIDIA Reference Value L4")
	t.KeyUsage = x509.KeyUsageDigitalSignature
	n.rim[0], err = n.issue("rim-signer", t, &n.rim[1])
	return err
}

// RIMChain returns the certificates that RIM documents carry, signer first, root
// last.
func (n *NVIDIA) RIMChain() []*x509.Certificate {
	var out []*x509.Certificate
	for _, c := range n.rim {
		out = append(out, c.cert)
	}
	return out
}

// NVIDIARIM describes a RIM document.
type NVIDIARIM struct {
	Version string // of the driver or VBIOS
	Product string // "GH100"
	Switch  bool   // edition SWITCH rather than GPU

	// Golden lists the accepted values of each active index of 0 to 63.
	Golden map[int][][]byte

	// Edit changes the document before it is signed. It must stay in canonical
	// form.
	Edit func(string) string
	// EditSigned changes it afterwards.
	EditSigned func(string) string
}

const (
	nsSWID   = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
	nsSHA384 = "http://www.w3.org/2001/04/xmlenc#sha384"
	nsRIM    = "https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/"
	nsDSig   = "http://www.w3.org/2000/09/xmldsig#"
	c14n11   = "http://www.w3.org/2006/12/xml-c14n11"
)

// RIM signs a document. It is written in the canonical form of Canonical XML
// 1.1, so that nothing has to be canonicalised before it is signed.
func (n *NVIDIA) RIM(r NVIDIARIM) ([]byte, error) {
	doc := r.document()
	if r.Edit != nil {
		doc = r.Edit(doc)
	}
	const end = "</SoftwareIdentity>"
	body, ok := strings.CutSuffix(doc, end)
	if !ok {
		return nil, fmt.Errorf("simulated RIM does not end with %s", end)
	}
	sig, err := n.signRIM(doc)
	if err != nil {
		return nil, err
	}
	doc = body + sig + end
	if r.EditSigned != nil {
		doc = r.EditSigned(doc)
	}
	return []byte(doc), nil
}

func (r *NVIDIARIM) document() string {
	edition, tag := "GPU", sha512.Sum384([]byte(r.Product+r.Version))
	if r.Switch {
		edition = "SWITCH"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<SoftwareIdentity xmlns="%s" xmlns:ns0="%s" xmlns:ns2="%s" corpus="false" name="%s" patch="false" supplemental="false" tagId="%x" tagVersion="0" version="1.0">`,
		nsSWID, nsSWID, nsSHA384, r.Product, tag)
	fmt.Fprintf(&b, "\n    <ns0:Entity name=\"%s\" role=\"softwareCreator tagCreator\"></ns0:Entity>", NVIDIAOrganization)
	fmt.Fprintf(&b, "\n    <ns0:Meta xmlns:ns1=\"%s\" PayloadType=\"direct\" colloquialVersion=\"%s\" edition=\"%s\" product=\"%s\" revision=\"r1\""+
		" ns1:BindingSpec=\"RIMIM\" ns1:BindingSpecVersion=\"1.01\" ns1:FirmwareManufacturer=\"NVIDIA Corporation\" ns1:FirmwareManufacturerId=\"5703\""+
		" ns1:PlatformManufacturerId=\"5703\" ns1:PlatformManufacturerStr=\"NVIDIA Corporation\" ns1:PlatformModel=\"%s\"></ns0:Meta>",
		nsRIM, r.Version, edition, r.Product, r.Product)
	b.WriteString("\n    <ns0:Payload>")
	for i := range 64 {
		values, active := r.Golden[i], "True"
		if len(values) == 0 {
			values, active = [][]byte{make([]byte, 48)}, "False"
		}
		fmt.Fprintf(&b, "\n        <ns0:Resource active=\"%s\" alternatives=\"%d\" index=\"%d\" name=\"Measurement_%d\" size=\"48\" type=\"Measurement\"", active, len(values), i, i)
		for j, v := range values {
			fmt.Fprintf(&b, ` ns2:Hash%d="%s"`, j, hex.EncodeToString(v))
		}
		b.WriteString("></ns0:Resource>")
	}
	b.WriteString("\n    </ns0:Payload>\n</SoftwareIdentity>")
	return b.String()
}

// signRIM returns an enveloped signature over a canonical document (W3C XML
// Signature 1.1). SignedInfo is signed with all namespaces that are in scope.
func (n *NVIDIA) signRIM(doc string) (string, error) {
	digest := sha512.Sum384([]byte(doc))
	info := fmt.Sprintf(`<ds:CanonicalizationMethod Algorithm="%s"></ds:CanonicalizationMethod>`+
		`<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"></ds:SignatureMethod>`+
		`<ds:Reference URI=""><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>`+
		`<ds:Transform Algorithm="%s"></ds:Transform></ds:Transforms>`+
		`<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#sha384"></ds:DigestMethod><ds:DigestValue>%s</ds:DigestValue></ds:Reference></ds:SignedInfo>`,
		c14n11, c14n11, base64.StdEncoding.EncodeToString(digest[:]))
	signed := sha512.Sum384(fmt.Appendf(nil, `<ds:SignedInfo xmlns="%s" xmlns:ds="%s" xmlns:ns0="%s" xmlns:ns2="%s">%s`, nsSWID, nsDSig, nsSWID, nsSHA384, info))
	sig, err := signP384(n.rim[0].key, signed[:])
	if err != nil {
		return "", err
	}
	var certs strings.Builder
	for _, c := range n.rim {
		fmt.Fprintf(&certs, "<ds:X509Certificate>%s</ds:X509Certificate>", base64.StdEncoding.EncodeToString(c.cert.Raw))
	}
	return fmt.Sprintf(`<ds:Signature xmlns:ds="%s"><ds:SignedInfo>%s<ds:SignatureValue>%s</ds:SignatureValue><ds:KeyInfo><ds:X509Data>%s</ds:X509Data></ds:KeyInfo></ds:Signature>`,
		nsDSig, info, base64.StdEncoding.EncodeToString(sig), certs.String()), nil
}

// Golden values of the documents that [NVIDIADevice.RIMs] signs: the indexes
// that NVIDIA's documents for Hopper and LS10 activate.
var (
	nvidiaDriverIndexes = []int{7, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40}
	nvidiaVBIOSIndexes  = []int{0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12}
)

// NVIDIAGolden returns golden values that good devices have, for
// [NVIDIARIM.Golden]. Index 23 accepts a second value.
func NVIDIAGolden(indexes ...int) map[int][][]byte {
	m := map[int][][]byte{}
	for _, i := range indexes {
		m[i] = [][]byte{NVIDIAMeasurement(i)}
	}
	if v := m[23]; v != nil {
		m[23] = append([][]byte{NVIDIAMeasurement(1000)}, v...)
	}
	return m
}

// RIMs signs the documents for a good device with the default versions: of
// driver and VBIOS for a GPU, of the firmware for a switch.
func (d *NVIDIADevice) RIMs(n *NVIDIA) ([][]byte, error) {
	list := []NVIDIARIM{
		{Version: nvidiaDriver, Product: d.Chip, Golden: NVIDIAGolden(nvidiaDriverIndexes...)},
		{Version: nvidiaVBIOS, Product: d.Chip, Golden: NVIDIAGolden(nvidiaVBIOSIndexes...)},
	}
	if d.Switch() {
		var all []int
		for i := range 31 {
			all = append(all, i)
		}
		list = []NVIDIARIM{{Version: nvidiaSwitchVBIOS, Product: "LS10", Switch: true, Golden: NVIDIAGolden(all...)}}
	}
	var out [][]byte
	for _, r := range list {
		b, err := n.RIM(r)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// Endorsements signs everything that a good device needs: RIM documents, and
// OCSP responses from one time to another for the certificates of the device and
// of the documents.
func (d *NVIDIADevice) Endorsements(n *NVIDIA, from, to time.Time) ([][]byte, error) {
	docs, err := d.RIMs(n)
	if err != nil {
		return nil, err
	}
	for _, chain := range [][]*x509.Certificate{d.Chain[1:], n.RIMChain()} {
		for i, c := range chain[:len(chain)-1] {
			b, err := n.OCSP(c, chain[i+1], NVIDIAOCSP{ThisUpdate: from, NextUpdate: to})
			if err != nil {
				return nil, err
			}
			docs = append(docs, b)
		}
	}
	return slices.Clip(docs), nil
}

// SignRIM signs bytes with the key that signs RIM documents, and returns r || s.
// It is for documents whose SignedInfo is not the usual one.
func (n *NVIDIA) SignRIM(signedInfo []byte) ([]byte, error) {
	h := sha512.Sum384(signedInfo)
	return signP384(n.rim[0].key, h[:])
}
