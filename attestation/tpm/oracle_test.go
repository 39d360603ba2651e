package tpm_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"fmt"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
	"github.com/cocoon-go/cocoon/attestation/vectortest"
)

// The oracle is go-tpm v0.9.8, by Google: whatever our parsers accept, it must
// read to the same values.

func oracleAttest(b []byte, a *tpm.Attest) error {
	got, err := tpm2.Unmarshal[tpm2.TPMSAttest](b)
	if err != nil {
		return err
	}
	q, err := got.Attested.Quote()
	if err != nil {
		return err
	}
	want := tpm.Attest{
		QualifiedSigner: got.QualifiedSigner.Buffer, ExtraData: got.ExtraData.Buffer, Clock: got.ClockInfo.Clock,
		ResetCount: got.ClockInfo.ResetCount, RestartCount: got.ClockInfo.RestartCount, Safe: bool(got.ClockInfo.Safe),
		Firmware: got.FirmwareVersion, PCRDigest: q.PCRDigest.Buffer,
	}
	for _, s := range q.PCRSelect.PCRSelections {
		sel := tpm.Selection{Bank: eventlog.Alg(s.Hash)}
		for i := range 8 * len(s.PCRSelect) {
			if s.PCRSelect[i/8]>>(i%8)&1 == 1 {
				sel.PCRs = append(sel.PCRs, i)
			}
		}
		want.Selection = append(want.Selection, sel)
	}
	if fmt.Sprint(*a) != fmt.Sprint(want) { // nil and empty are alike
		return fmt.Errorf("go-tpm reads %v, we %v", want, *a)
	}
	return nil
}

func oraclePublic(b []byte, p *tpm.Public) error {
	got, err := tpm2.Unmarshal[tpm2.TPMTPublic](b)
	if err != nil {
		return err
	}
	name, err := tpm2.ObjectName(got)
	if err != nil {
		return err
	}
	if !bytes.Equal(name.Buffer, p.Name()) || eventlog.Alg(got.NameAlg) != p.NameAlg || !bytes.Equal(got.AuthPolicy.Buffer, p.AuthPolicy) {
		return fmt.Errorf("go-tpm: name %x, policy %x", name.Buffer, got.AuthPolicy.Buffer)
	}
	attr := got.ObjectAttributes
	for bit, set := range map[tpm.Attributes]bool{
		tpm.FixedTPM: attr.FixedTPM, tpm.FixedParent: attr.FixedParent, tpm.SensitiveDataOrigin: attr.SensitiveDataOrigin,
		tpm.Restricted: attr.Restricted, tpm.Decrypt: attr.Decrypt, tpm.Sign: attr.SignEncrypt, tpm.X509Sign: attr.X509Sign,
	} {
		if (p.Attributes&bit != 0) != set {
			return fmt.Errorf("go-tpm: attribute %#x is %v", uint32(bit), set)
		}
	}
	key, err := tpm2.Pub(*got)
	if err != nil {
		return err
	}
	if !p.Key.(interface{ Equal(crypto.PublicKey) bool }).Equal(key) {
		return fmt.Errorf("go-tpm reads another key")
	}
	return nil
}

func oracleSignature(b []byte, s *tpm.Signature) error {
	got, err := tpm2.Unmarshal[tpm2.TPMTSignature](b)
	if err != nil {
		return err
	}
	if uint16(got.SigAlg) != uint16(s.Scheme) {
		return fmt.Errorf("go-tpm: scheme %v", got.SigAlg)
	}
	return nil
}

func TestOracle(t *testing.T) {
	check := func(name string, e *tpm.Evidence) {
		t.Helper()
		for _, q := range e.Quotes {
			a, err := tpm.ParseAttest(q.Attest)
			if err == nil {
				err = oracleAttest(q.Attest, a)
			}
			if err != nil {
				t.Errorf("%s: quote: %v", name, err)
			}
			s, err := tpm.ParseSignature(q.Signature)
			if err == nil {
				err = oracleSignature(q.Signature, s)
			}
			if err != nil {
				t.Errorf("%s: signature: %v", name, err)
			}
		}
		if len(e.Public) == 0 {
			return
		}
		p, err := tpm.ParsePublic(e.Public)
		if err == nil {
			err = oraclePublic(e.Public, p)
		}
		if err != nil {
			t.Errorf("%s: public area: %v", name, err)
		}
	}
	for _, cfg := range []sim.TPMConfig{
		{}, {Curve: elliptic.P384(), Hash: eventlog.SHA384}, {Curve: elliptic.P521(), Hash: eventlog.SHA512, Banks: []eventlog.Alg{eventlog.SHA1, eventlog.SHA512}},
		{Scheme: tpm.RSAPSS},
	} {
		_, e, err := setup{cfg: cfg}.run(t)
		if err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("%+v", cfg), e)
	}
	t.Run("real", func(t *testing.T) {
		for _, name := range bootNames {
			_, e := loadBoot(t, name)
			check(name, e)
		}
		for name := range azureVectors {
			f, err := tpm.ParseAzureFile(vectortest.Read(t, name))
			if err != nil {
				t.Fatal(err)
			}
			check(name, f.Evidence)
		}
	})
}
