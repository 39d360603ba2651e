package device

import (
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/eventlog"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// startSWTPM runs a TPM in software, which is somebody else's, and skips where
// there is none.
func startSWTPM(t *testing.T) transport.TPM {
	t.Helper()
	program, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("swtpm is not installed: only the simulated TPM is asked")
	}
	dir, err := os.MkdirTemp("", "swtpm") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.CommandContext(t.Context(), program, "socket", "--tpm2", "--tpmstate", "dir="+dir,
		"--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		os.RemoveAll(dir)
	})
	for until := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
	dev, err := linuxudstpm.Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

// must executes a command of the set-up.
func must[R any](t *testing.T) func(*R, error) *R {
	return func(r *R, err error) *R {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// A TPM that is not ours answers what the device asks, and its evidence is what
// the verifier takes.
func TestSWTPM(t *testing.T) {
	dev := startSWTPM(t)
	sign := tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA256})}
	key := must[tpm2.CreatePrimaryResponse](t)(tpm2.CreatePrimary{
		PrimaryHandle: tpm2.TPMRHEndorsement,
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, Restricted: true, SignEncrypt: true},
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
				CurveID: tpm2.TPMECCNistP256,
				Scheme:  tpm2.TPMTECCScheme{Scheme: sign.Scheme, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256})},
			}),
		}),
	}.Execute(dev))
	c := goodTPM
	must[tpm2.EvictControlResponse](t)(tpm2.EvictControl{
		Auth: tpm2.TPMRHOwner, ObjectHandle: &tpm2.NamedHandle{Handle: key.ObjectHandle, Name: key.Name}, PersistentHandle: tpm2.TPMHandle(c.Key),
	}.Execute(dev))
	must[tpm2.PCRExtendResponse](t)(tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: 14, Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}},
	}.Execute(dev))

	v, cert := certify(t, key.OutPublic.Bytes())
	for _, ownerOnly := range []bool{false, true} {
		storeNV(t, dev, c.Certificate, append(cert.Raw[:len(cert.Raw):len(cert.Raw)], make([]byte, 600)...), ownerOnly)
		ev, err := newTPM(dev, c, func() error { return nil }).Evidence(t.Context(), [32]byte{3})
		if err != nil {
			t.Fatal(err)
		}
		s := &tpm.Endorsements{}
		for _, d := range [][]byte{v.CA.Raw, v.Root.Raw} {
			if err := s.Add(d); err != nil {
				t.Fatal(err)
			}
		}
		f, err := tpm.Verify(ev, nil, s, tpm.Options{Roots: [][32]byte{v.RootFingerprint()}}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := f.CheckExtraData(append([]byte{3}, make([]byte, 31)...)); err != nil {
			t.Error(err)
		}
		if f.Hierarchy != tpm.HierarchyEndorsement || len(f.PCRs[eventlog.SHA256]) != len(c.PCRs) || f.Certificate == nil {
			t.Errorf("%+v", f)
		}
		must[tpm2.NVUndefineSpaceResponse](t)(tpm2.NVUndefineSpace{AuthHandle: tpm2.TPMRHOwner, NVIndex: nvHandle(t, dev, c.Certificate)}.Execute(dev))
	}
	var unknown *attestation.UnknownError
	for _, bad := range []TPMConfig{{Key: c.Key + 1, PCRs: []int{0}}, {Key: c.Key, PCRs: []int{0}, Certificate: c.Certificate}} {
		if ev, err := newTPM(dev, bad, func() error { return nil }).Evidence(t.Context(), [32]byte{3}); ev != nil || !errors.As(err, &unknown) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// publicKey is a key whose private part is elsewhere.
type publicKey struct{ crypto.PublicKey }

func (k publicKey) Public() crypto.PublicKey { return k.PublicKey }

func (publicKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("the private key is in the TPM")
}

// certify has a simulated authority certify a key.
func certify(t *testing.T, area []byte) (*sim.TPMVendor, *x509.Certificate) {
	t.Helper()
	p, err := tpm.ParsePublic(area)
	if err != nil {
		t.Fatal(err)
	}
	v, err := sim.NewTPMVendor(sim.TPMVendorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := v.NewTPM(sim.TPMConfig{Key: publicKey{p.Key}})
	if err != nil {
		t.Fatal(err)
	}
	return v, m.Certificate
}

func nvHandle(t *testing.T, dev transport.TPM, index uint32) tpm2.NamedHandle {
	t.Helper()
	r := must[tpm2.NVReadPublicResponse](t)(tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index)}.Execute(dev))
	return tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: r.NVName}
}

// storeNV defines an index and writes it.
func storeNV(t *testing.T, dev transport.TPM, index uint32, data []byte, ownerOnly bool) {
	t.Helper()
	must[tpm2.NVDefineSpaceResponse](t)(tpm2.NVDefineSpace{
		AuthHandle: tpm2.TPMRHOwner,
		PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
			NVIndex: tpm2.TPMHandle(index), NameAlg: tpm2.TPMAlgSHA256, DataSize: uint16(len(data)),
			Attributes: tpm2.TPMANV{OwnerWrite: true, OwnerRead: true, AuthRead: !ownerOnly, NoDA: true, NT: tpm2.TPMNTOrdinary},
		}),
	}.Execute(dev))
	for off := 0; off < len(data); off += nvChunk {
		must[tpm2.NVWriteResponse](t)(tpm2.NVWrite{
			AuthHandle: tpm2.TPMRHOwner, NVIndex: nvHandle(t, dev, index), // its name changes with the first write
			Data: tpm2.TPM2BMaxNVBuffer{Buffer: data[off:min(off+nvChunk, len(data))]}, Offset: uint16(off),
		}.Execute(dev))
	}
}
