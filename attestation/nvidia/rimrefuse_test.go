package nvidia_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// rim signs a document with three active measurements.
func rim(t testing.TB, n *sim.NVIDIA, f sim.NVIDIARIM) []byte {
	t.Helper()
	if f.Golden == nil {
		f.Golden = sim.NVIDIAGolden(1, 2, 23)
	}
	if f.Version == "" {
		f.Version, f.Product = "96.00.5E.00.01", "GH100"
	}
	b, err := n.RIM(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// verifyRIM verifies a document of the common vendor, without revocation.
func verifyRIM(doc []byte) error {
	r, err := nvidia.VerifyRIM(doc, nil, nvidia.Options{SimulatedRoots: vendor().Roots(), WithoutRevocationUnsafe: true}, at)
	if (r == nil) == (err == nil) {
		panic("document and error")
	}
	return err
}

func swap(old, new string) func(string) string {
	return func(s string) string {
		if !strings.Contains(s, old) {
			panic("no " + old)
		}
		return strings.Replace(s, old, new, 1)
	}
}

// between splits s around the text between two marks.
func between(s, from, to string) (before, middle, after string) {
	before, s, ok := strings.Cut(s, from)
	middle, after, ok2 := strings.Cut(s, to)
	if !ok || !ok2 {
		panic("no " + from)
	}
	return before + from, middle, to + after
}

// resign changes what is inside SignedInfo and signs it again.
func resign(t testing.TB, edit func(string) string) func(string) string {
	return func(doc string) string {
		before, info, after := between(doc, "<ds:SignedInfo>", "</ds:SignedInfo>")
		info = edit(info)
		const spaces = ` xmlns="http://standards.iso.org/iso/19770/-2/2015/schema.xsd" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"` +
			` xmlns:ns0="http://standards.iso.org/iso/19770/-2/2015/schema.xsd" xmlns:ns2="http://www.w3.org/2001/04/xmlenc#sha384"`
		sig, err := vendor().SignRIM([]byte("<ds:SignedInfo" + spaces + ">" + info + "</ds:SignedInfo>"))
		if err != nil {
			t.Fatal(err)
		}
		head, _, tail := between(after, "<ds:SignatureValue>", "</ds:SignatureValue>")
		return before + info + head + base64.StdEncoding.EncodeToString(sig) + tail
	}
}

func same(s string) string { return s }

func TestRIMAccepted(t *testing.T) {
	doc := rim(t, vendor(), sim.NVIDIARIM{})
	r, err := nvidia.VerifyRIM(doc, nil, nvidia.Options{SimulatedRoots: vendor().Roots(), WithoutRevocationUnsafe: true}, at)
	if err != nil {
		t.Fatal(err)
	}
	f := r.Facts()
	if f.Version != "96.00.5E.00.01" || f.Edition != "GPU" || f.Product != "GH100" || len(f.TagID) != 96 || !f.Simulated || f.Root != vendor().Roots()[1] ||
		!f.NotBefore.Equal(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) || !f.NotAfter.Equal(time.Date(2045, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("facts %+v", f)
	}
	if err := verifyRIM(rim(t, vendor(), sim.NVIDIARIM{EditSigned: resign(t, same)})); err != nil {
		t.Errorf("signed again: %v", err)
	}
	if _, err := nvidia.VerifyRIM(doc, nil, noOCSP, at); err == nil {
		t.Error("accepted under a root that nobody named")
	} else {
		wantErr(t, err, fault.FamilyFalse, nvidia.StepRoot, "neither")
	}
	_, err = nvidia.VerifyRIM(doc, nil, noOCSP, time.Time{})
	wantErr(t, err, fault.FamilyInput, nvidia.StepValidity, "no time given")
	_, err = nvidia.VerifyRIM(doc, [][]byte{{1}}, noOCSP, at)
	wantErr(t, err, fault.FamilyInput, nvidia.StepRevocation, "response 0")
}

// TestRIMUnsigned lists what may change without breaking the signature: what
// Canonical XML says is the same document, and the white space of the parts of
// the signature that are not signed. None of it changes what is read.
func TestRIMUnsigned(t *testing.T) {
	for _, c := range []struct {
		reason string
		edit   func(string) string
	}{
		{"the declaration is not part of the canonical form", func(s string) string { return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + s }},
		{"white space around the root element", func(s string) string { return "\n" + s + "\n" }},
		{"white space in tags", swap("<ns0:Payload>", "<ns0:Payload \n>")},
		{"order of attributes", swap(`edition="GPU" product="GH100"`, `product="GH100" edition="GPU"`)},
		{"kind of quotes", swap(`edition="GPU"`, `edition='GPU'`)},
		{"empty elements", swap("></ns0:Resource>", "/>")},
		{"character references", swap(`edition="GPU"`, `edition="&#71;PU"`)},
		{"line ends", func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }},
		{"a declaration of a namespace that is in force", swap("<ns0:Payload>", `<ns0:Payload xmlns:ns0="http://standards.iso.org/iso/19770/-2/2015/schema.xsd">`)},
		{"line breaks in base64", func(s string) string {
			before, sig, after := between(s, "<ds:SignatureValue>", "</ds:SignatureValue>")
			return before + "\n" + sig[:40] + "\n" + sig[40:] + " " + after
		}},
		{"white space between parts of the signature", swap("<ds:KeyInfo><ds:X509Data>", "\n<ds:KeyInfo>\n <ds:X509Data>\n")},
	} {
		doc := rim(t, vendor(), sim.NVIDIARIM{EditSigned: c.edit})
		if err := verifyRIM(doc); err != nil {
			t.Errorf("%s: %v", c.reason, err)
		}
		if d, err := nvidia.ParseRIM(doc); err != nil || d.Version != "96.00.5E.00.01" || d.Edition != "GPU" {
			t.Errorf("%s: %+v, %v", c.reason, d, err)
		}
	}
}

// TestRIMSignature refuses signatures that are not over all of the document, by
// known algorithms, and in the known form.
func TestRIMSignature(t *testing.T) {
	const root = `<SoftwareIdentity xmlns="http://standards.iso.org/iso/19770/-2/2015/schema.xsd"`
	cert := func(i int) string { return base64.StdEncoding.EncodeToString(vendor().RIMChain()[i].Raw) }
	one := func(i int) string { return "<ds:X509Certificate>" + cert(i) + "</ds:X509Certificate>" }
	signature := func(s string) string {
		_, sig, _ := between(s, "<ds:Signature ", "</ds:Signature>")
		return "<ds:Signature " + sig + "</ds:Signature>"
	}
	for _, c := range []struct {
		name   string
		edit   func(string) string
		family fault.Family
		part   string
	}{
		{"changed content", swap(`product="GH100"`, `product="GB100"`), fault.FamilyFalse, "its digest differs"},
		{"changed white space", swap("\n    <ns0:Payload>", "\n   <ns0:Payload>"), fault.FamilyFalse, "its digest differs"},
		{"another resource", swap("<ns0:Payload>", "<ns0:Payload><ns0:Resource/>"), fault.FamilyInput, "active is"},
		{"other signature", resign(t, swap("<ds:Transforms>", "<ds:Transforms> ")), 0, ""},
		{"unsigned SignedInfo", swap("<ds:Transforms>", "<ds:Transforms> "), fault.FamilyFalse, "did not sign it"},

		{"inside another document", func(s string) string { return root + ">" + s + "</SoftwareIdentity>" }, fault.FamilyInput, "not a child of the root"},
		{"beside another document", func(s string) string {
			before, rest, _ := strings.Cut(s, signature(s))
			return root + "><ns0:x xmlns:ns0=\"u:1\">" + before + rest + "</ns0:x>" + signature(s) + "</SoftwareIdentity>"
		}, fault.FamilyInput, "it has no Meta"},
		{"two signatures", func(s string) string { return strings.Replace(s, signature(s), signature(s)+signature(s), 1) }, fault.FamilyInput, "2 signatures"},
		{"a signature in the signature", swap("<ds:KeyInfo>", `<ds:KeyInfo><ds:Signature/>`), fault.FamilyInput, "2 signatures"},
		{"no signature", func(s string) string { return strings.Replace(s, signature(s), "", 1) }, fault.FamilyInput, "0 signatures"},
		{"signature of another name", func(s string) string {
			return strings.ReplaceAll(s, "2000/09/xmldsig#\"><ds:SignedInfo>", "2000/09/xmldsig\"><ds:SignedInfo>")
		}, fault.FamilyInput, "0 signatures"},
		{"an object", swap("</ds:KeyInfo>", "</ds:KeyInfo><ds:Object></ds:Object>"), fault.FamilyInput, "Signature does not hold just"},
		{"an attribute", swap("<ds:SignedInfo>", `<ds:SignedInfo Id="x">`), fault.FamilyInput, "SignedInfo has 1 attributes"},
		{"text in the signature", swap("<ds:KeyInfo>", "x<ds:KeyInfo>"), fault.FamilyInput, "does not hold just"},

		{"reference by id", resign(t, swap(`URI=""`, `URI="#x"`)), fault.FamilyInput, `URI is "#x"`},
		{"reference elsewhere", resign(t, swap(`URI=""`, `URI="http://x/"`)), fault.FamilyInput, "URI is"},
		{"no URI", resign(t, swap(` URI=""`, ``)), fault.FamilyInput, "has 0 attributes"},
		{"another attribute", resign(t, swap(`URI=""`, `Type=""`)), fault.FamilyInput, `Type is ""`},
		{"URI of another namespace", resign(t, swap(`URI=""`, `ns2:URI=""`)), fault.FamilyInput, `ns2:URI is ""`},
		{"a long SignedInfo", swap("<ds:SignedInfo>", "<ds:SignedInfo>"+strings.Repeat(">", 1<<20)), fault.FamilyInput, "limit 4194304"},
		{"a long content", swap("<ns0:Payload>", strings.Repeat(">", 1<<20)+"<ns0:Payload>"), fault.FamilyInput, "limit 4194304"},
		{"reference with a type", resign(t, swap(`URI=""`, `Type="x" URI=""`)), fault.FamilyInput, "has 2 attributes"},
		{"two references", resign(t, func(s string) string { i := strings.Index(s, "<ds:Reference"); return s + s[i:] }), fault.FamilyInput, "SignedInfo does not hold just"},
		{"no reference", resign(t, func(s string) string { i := strings.Index(s, "<ds:Reference"); return s[:i] }), fault.FamilyInput, "does not hold all of"},
		{"exclusive form", resign(t, swap("2006/12/xml-c14n11\"></ds:Canonical", "2001/10/xml-exc-c14n#\"></ds:Canonical")), fault.FamilyInput, "Algorithm is"},
		{"form with comments", resign(t, swap("2006/12/xml-c14n11\"></ds:Canonical", "2006/12/xml-c14n11#WithComments\"></ds:Canonical")), fault.FamilyInput, "Algorithm is"},
		{"HMAC", resign(t, swap("xmldsig-more#ecdsa-sha384", "xmldsig-more#hmac-sha384")), fault.FamilyInput, "Algorithm is"},
		{"ECDSA with SHA-1", resign(t, swap("ecdsa-sha384", "ecdsa-sha1")), fault.FamilyInput, "Algorithm is"},
		{"algorithm with content", resign(t, swap("ecdsa-sha384\">", "ecdsa-sha384\"><ds:HMACOutputLength>1</ds:HMACOutputLength>")), fault.FamilyInput, "does not hold just"},
		{"digest algorithm", resign(t, swap("xmldsig-more#sha384", "xmldsig-more#sha224")), fault.FamilyInput, "Algorithm is"},
		{"XPath", resign(t, swap("2006/12/xml-c14n11\"></ds:Transform>", "TR/1999/REC-xpath-19991116\"></ds:Transform>")), fault.FamilyInput, "Algorithm is"},
		{"no enveloped signature", resign(t, swap("2000/09/xmldsig#enveloped-signature", "2006/12/xml-c14n11")), fault.FamilyInput, "Algorithm is"},
		{"one transform", resign(t, func(s string) string {
			i, j := strings.Index(s, "<ds:Transform Algorithm=\"http://www.w3.org/2006"), strings.Index(s, "</ds:Transforms>")
			return s[:i] + s[j:]
		}), fault.FamilyInput, "does not hold all of"},
		{"three transforms", resign(t, swap("</ds:Transforms>", `<ds:Transform Algorithm="x"></ds:Transform></ds:Transforms>`)), fault.FamilyInput, "does not hold just"},
		{"short digest", resign(t, func(s string) string {
			b, _, a := between(s, "<ds:DigestValue>", "</ds:DigestValue>")
			return b + "AAAA" + a
		}), fault.FamilyInput, "digest of 3 bytes"},
		{"digest of zeros", resign(t, func(s string) string {
			b, _, a := between(s, "<ds:DigestValue>", "</ds:DigestValue>")
			return b + strings.Repeat("A", 64) + a
		}), fault.FamilyFalse, "its digest differs"},
		{"digest not in base64", resign(t, func(s string) string {
			b, _, a := between(s, "<ds:DigestValue>", "</ds:DigestValue>")
			return b + "!" + a
		}), fault.FamilyInput, "is not base64"},
		{"digest in an element", resign(t, func(s string) string {
			b, d, a := between(s, "<ds:DigestValue>", "</ds:DigestValue>")
			return b + "<ds:x>" + d + "</ds:x>" + a
		}), fault.FamilyInput, "does not hold base64 alone"},

		{"short signature", func(s string) string {
			b, _, a := between(s, "<ds:SignatureValue>", "</ds:SignatureValue>")
			return b + "AAAA" + a
		}, fault.FamilyInput, "signature of 3 bytes"},
		{"signature not in base64", func(s string) string {
			b, _, a := between(s, "<ds:SignatureValue>", "</ds:SignatureValue>")
			return b + "!" + a
		}, fault.FamilyInput, "SignatureValue is not base64"},
		{"no signature value", func(s string) string {
			b, _, a := between(s, "<ds:SignatureValue>", "</ds:SignatureValue>")
			return b + a
		}, fault.FamilyInput, "does not hold base64 alone"},
		{"signature value with an attribute", swap("<ds:SignatureValue>", `<ds:SignatureValue Id="x">`), fault.FamilyInput, "does not hold base64 alone"},
		{"signature of zeros", func(s string) string {
			b, _, a := between(s, "<ds:SignatureValue>", "</ds:SignatureValue>")
			return b + strings.Repeat("A", 128) + a
		}, fault.FamilyFalse, "did not sign it"},
		{"key instead of certificates", func(s string) string {
			b, _, a := between(s, "<ds:KeyInfo>", "</ds:KeyInfo>")
			return b + "<ds:KeyValue></ds:KeyValue>" + a
		}, fault.FamilyInput, "KeyInfo does not hold just"},
		{"key name", swap("<ds:KeyInfo>", "<ds:KeyInfo><ds:KeyName>x</ds:KeyName>"), fault.FamilyInput, "KeyInfo does not hold just"},
		{"three certificates", swap(one(2), ""), fault.FamilyInput, "does not hold all of"},
		{"five certificates", swap(one(3), one(3)+one(3)), fault.FamilyInput, "does not hold just"},
		{"other order", swap(one(0)+one(1), one(1)+one(0)), fault.FamilyFalse, `"NVIDIA Reference Value L3 GH100 001" is issued by`},
		{"no certificate", swap(cert(0), "AAAA"), fault.FamilyInput, "certificate 0 is malformed"},
		{"long certificate", swap(cert(0), strings.Repeat("A", 12000)), fault.FamilyInput, "certificate 0 of 9000 bytes"},
		{"certificate not in base64", swap(cert(0), "A"), fault.FamilyInput, "is not base64"},

		{"a document type", func(s string) string { return "<!DOCTYPE x>" + s }, fault.FamilyInput, "document types"},
		{"a comment", swap("<ns0:Payload>", "<!-- --><ns0:Payload>"), fault.FamilyInput, "comments"},
		{"an instruction", swap("<ns0:Payload>", "<?x ?><ns0:Payload>"), fault.FamilyInput, "processing instructions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := verifyRIM(rim(t, vendor(), sim.NVIDIARIM{EditSigned: c.edit}))
			if c.family == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantErr(t, err, c.family, nvidia.StepRIM, c.part)
		})
	}
}

// TestRIMContent refuses documents whose content has another form, though they
// are signed.
func TestRIMContent(t *testing.T) {
	const r1 = `active="True" alternatives="1" index="1"`
	const swid = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd"
	h1 := func(s string) string {
		_, h, _ := between(s, `index="1" name="Measurement_1" size="48" type="Measurement" ns2:Hash0="`, `"`)
		return h
	}
	hash := func(f func(string) string) func(string) string {
		return func(s string) string { return strings.Replace(s, h1(s), f(h1(s)), 1) }
	}
	for _, c := range []struct {
		name string
		edit func(string) string
		part string
	}{
		{"root", func(s string) string { return strings.ReplaceAll(s, "SoftwareIdentity", "SoftwareIdentity2") }, ""},
		{"patch", swap(`patch="false"`, `patch="true"`), "it is a patch tag"},
		{"supplemental", swap(`supplemental="false"`, `supplemental="1"`), "it is a supplemental tag"},
		{"corpus", swap(`corpus="false"`, `corpus="true"`), "it is a corpus tag"},
		{"no version", swap("colloquialVersion", "colloquialVersioN"), "it names no version"},
		{"odd version", swap(`colloquialVersion="9`, `colloquialVersion="9 `), "not names"},
		{"long version", swap(`colloquialVersion="9`, `colloquialVersion="`+strings.Repeat("9", 128)), "not names"},
		{"odd product", swap(`product="G`, `product="&#xA;G`), "not names"},
		{"edition", swap(`edition="GPU"`, `edition="NIC"`), `it is for "NIC"`},
		{"no meta", func(s string) string { return strings.ReplaceAll(s, "ns0:Meta", "ns0:Mata") }, "it has no Meta"},
		{"two metas", swap("\n    <ns0:Payload>", "<ns0:Meta></ns0:Meta>\n    <ns0:Payload>"), "more than one Meta"},
		{"no payload", func(s string) string { return strings.ReplaceAll(s, "ns0:Payload", "ns0:Paload") }, "it has no Payload"},
		{"two payloads", swap("\n    <ns0:Payload>", "<ns0:Payload></ns0:Payload>\n    <ns0:Payload>"), "more than one Payload"},
		{"a file", swap("<ns0:Payload>", "<ns0:Payload><ns0:File></ns0:File>"), "holds ns0:File"},
		{"active", swap(r1, `active="true" alternatives="1" index="1"`), `active is "true"`},
		{"inactive in other words", swap(`active="False"`, `active="false"`), `active is "false"`},
		{"twice", swap(r1, `active="True" alternatives="1" index="2"`), "measurement 2 is there twice"},
		{"twice, one inactive", swap(`active="False" alternatives="1" index="0"`, `active="False" alternatives="1" index="1"`), "measurement 1 is there twice"},
		{"size", swap(`index="1" name="Measurement_1" size="48"`, `index="1" name="Measurement_1" size="32"`), "a size other than 48"},
		{"no alternatives", swap(r1, `active="True" alternatives="0" index="1"`), "not 1 to 64"},
		{"too many alternatives", swap(r1, `active="True" alternatives="65" index="1"`), "not 1 to 64"},
		{"alternatives in words", swap(r1, `active="True" alternatives="one" index="1"`), "not 1 to 64"},
		{"missing alternative", swap(r1, `active="True" alternatives="2" index="1"`), "alternative 1 is not"},
		{"unannounced alternative", swap(`active="True" alternatives="2" index="23"`, `active="True" alternatives="1" index="23"`), "more alternatives than announced"},
		{"short hash", hash(func(h string) string { return h[2:] }), "alternative 0 is not"},
		{"half a byte more", hash(func(h string) string { return h + "0" }), "alternative 0 is not"},
		{"odd hash", hash(func(h string) string { return "zz" + h[2:] }), "alternative 0 is not"},
		{"nothing active", func(s string) string { return strings.ReplaceAll(s, `active="True"`, `active="False"`) }, "no active measurement"},
		{"other namespace", func(s string) string {
			return strings.Replace(s, `xmlns:ns0="`+swid, `xmlns:ns0="u:1`, 1)
		}, "it has no Meta"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.part == "" { // the simulator insists on the name
				const doc = `<a xmlns:ds="http://www.w3.org/2000/09/xmldsig#">`
				s := string(rim(t, vendor(), sim.NVIDIARIM{}))
				_, sig, _ := between(s, "<ds:Signature ", "</ds:Signature>")
				_, err := nvidia.ParseRIM([]byte(doc + "<ds:Signature " + sig + "</ds:Signature></a>"))
				wantErr(t, err, fault.FamilyInput, nvidia.StepRIM, "not a SWID SoftwareIdentity")
				return
			}
			wantErr(t, verifyRIM(rim(t, vendor(), sim.NVIDIARIM{Edit: c.edit})), fault.FamilyInput, nvidia.StepRIM, c.part)
		})
	}
	// In capitals it is the same digest.
	if err := verifyRIM(rim(t, vendor(), sim.NVIDIARIM{Edit: hash(strings.ToUpper)})); err != nil {
		t.Error(err)
	}
}

// TestRIMChain refuses signers that may not sign, or are out of force.
func TestRIMChain(t *testing.T) {
	day := 24 * time.Hour
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(role string, e func(*x509.Certificate)) sim.NVIDIAConfig {
		return sim.NVIDIAConfig{Edit: func(r string, c *x509.Certificate) {
			if r == role {
				e(c)
			}
		}}
	}
	expired := func(c *x509.Certificate) { c.NotAfter = at.Add(-day) }
	later := func(c *x509.Certificate) { c.NotBefore = at.Add(day) }
	for _, c := range []struct {
		name   string
		cfg    sim.NVIDIAConfig
		family fault.Family
		step   nvidia.Step
		part   string
	}{
		{"signer expired", edit("rim-signer", expired), fault.FamilyUnknown, nvidia.StepRIM, `RIM document of GPU 96.00.5E.00.01: certificate "NVIDIA Reference Value L4": expired at`},
		{"signer not yet valid", edit("rim-signer", later), fault.FamilyUnknown, nvidia.StepRIM, `"NVIDIA Reference Value L4": valid from`},
		{"L3 expired", edit("rim-l3", expired), fault.FamilyUnknown, nvidia.StepRIM, `"NVIDIA Reference Value L3 GH100 001": expired at`},
		{"L3 not yet valid", edit("rim-l3", later), fault.FamilyUnknown, nvidia.StepRIM, "valid from"},
		{"CA expired", edit("rim-ca", expired), fault.FamilyUnknown, nvidia.StepRIM, `"NVIDIA Reference Value GH100 CA": expired at`},
		{"root expired", edit("rim-root", expired), fault.FamilyUnknown, nvidia.StepRIM, `"NVIDIA CoRIM signing Root CA": expired at`},
		{"root not yet valid", edit("rim-root", later), fault.FamilyUnknown, nvidia.StepRIM, "valid from"},
		{"root of another name", edit("rim-root", func(c *x509.Certificate) { c.Subject.CommonName = "NVIDIA Device Identity CA" }), fault.FamilyFalse, nvidia.StepRoot, "neither"},
		{"L3 is no authority", edit("rim-l3", func(c *x509.Certificate) { c.IsCA = false }), fault.FamilyFalse, nvidia.StepRIM, "is not signed by"},
		{"CA may not sign", edit("rim-ca", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }), fault.FamilyFalse, nvidia.StepRIM, "is not signed by"},
		{"CA with no authorities below", edit("rim-ca", func(c *x509.Certificate) { c.MaxPathLenZero = true }), fault.FamilyFalse, nvidia.StepRIM, "authorities below it"},
		{"signer is an authority", edit("rim-signer", func(c *x509.Certificate) { c.IsCA = true }), fault.FamilyFalse, nvidia.StepRIM, "may not sign documents"},
		{"signer may not sign", edit("rim-signer", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }), fault.FamilyFalse, nvidia.StepRIM, "may not sign documents"},
		{"signer is a responder", edit("rim-signer", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} }), fault.FamilyFalse, nvidia.StepRIM, "may not sign documents"},
		{"signer on P-256", edit("rim-signer", func(c *x509.Certificate) { c.PublicKey = &p256.PublicKey }), fault.FamilyFalse, nvidia.StepRIM, "not on P-384"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newVendor(t, c.cfg)
			o := nvidia.Options{SimulatedRoots: n.Roots(), WithoutRevocationUnsafe: true}
			_, err := nvidia.VerifyRIM(rim(t, n, sim.NVIDIARIM{}), nil, o, at)
			wantErr(t, err, c.family, c.step, c.part)
			// The opt-out is for signers that have expired, and nothing else.
			o.ExpiredRIMSignersUnsafe = true
			if _, err := nvidia.VerifyRIM(rim(t, n, sim.NVIDIARIM{}), nil, o, at); (err == nil) != (c.name == "signer expired") {
				t.Errorf("with expired signers: %v", err)
			}
		})
	}
	// The signature of one vendor's key under the other's certificates.
	n := newVendor(t, sim.NVIDIAConfig{})
	doc, other := string(rim(t, vendor(), sim.NVIDIARIM{})), string(rim(t, n, sim.NVIDIARIM{}))
	before, _, after := between(doc, "<ds:KeyInfo>", "</ds:KeyInfo>")
	_, keys, _ := between(other, "<ds:KeyInfo>", "</ds:KeyInfo>")
	_, err = nvidia.VerifyRIM([]byte(before+keys+after), nil, nvidia.Options{SimulatedRoots: n.Roots(), WithoutRevocationUnsafe: true}, at)
	wantErr(t, err, fault.FamilyFalse, nvidia.StepRIM, "did not sign it")
}

// TestRIMService reads the service's JSON.
func TestRIMService(t *testing.T) {
	doc := base64.StdEncoding.EncodeToString(rim(t, vendor(), sim.NVIDIARIM{}))
	for _, c := range []struct {
		in   map[string]any
		part string
	}{
		{map[string]any{"rim": doc}, ""},
		{map[string]any{"id": "x", "rim": doc, "sha256": "x", "last_updated": "2026-01-01", "rim_format": "TCG", "request_id": "x"}, ""},
		{map[string]any{"id": doc}, "no field rim"},
		{map[string]any{"rim": doc + "!"}, "rim is not base64"},
		{map[string]any{"rim": 1}, "not one JSON object"},
		{map[string]any{"rim": doc, "rim_format": "CORIM"}, `format "CORIM"`},
		{map[string]any{"rim": ""}, "ends too early"},
	} {
		b, err := json.Marshal(c.in)
		if err != nil {
			t.Fatal(err)
		}
		if c.part == "" {
			if err := verifyRIM(b); err != nil {
				t.Error(err)
			}
			continue
		}
		wantErr(t, verifyRIM(b), fault.FamilyInput, nvidia.StepRIM, c.part)
	}
	for _, c := range []struct{ in, part string }{
		{`{"rim":""} x`, "not one JSON object"}, {`{`, "not one JSON object"}, {"{" + strings.Repeat(" ", 6<<20), "bytes of JSON, limit"},
	} {
		wantErr(t, verifyRIM([]byte(c.in)), fault.FamilyInput, nvidia.StepRIM, c.part)
	}
}
