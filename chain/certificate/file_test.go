package certificate

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

func testKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(k ed25519.PrivateKey) [32]byte { return [32]byte(k.Public().(ed25519.PublicKey)) }

func of32(b byte) (v [32]byte) {
	for i := range v {
		v[i] = b
	}
	return v
}

// some is a certificate that these verifiers signed.
func some(signers ...string) *File {
	f := &File{
		Certificate: contracts.Certificate{
			ChainID: -239, Node: attestation.Address{Hash: of32(0x77)}, Epoch: 5, Kind: contracts.KindSNP, PlatformID: of32(1), Measurement: of32(2),
			ClaimsDigest: of32(3), BlockSeqno: 48_000_000, Expiry: 1_800_000_000, Set: 1,
		},
		Signatures: map[[32]byte][64]byte{},
	}
	d := f.Certificate.Digest()
	for _, s := range signers {
		f.Signatures[public(testKey(s))] = [64]byte(ed25519.Sign(testKey(s), d[:]))
	}
	return f
}

func encoded(t testing.TB, f *File) []byte {
	t.Helper()
	data, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestFile(t *testing.T) {
	for _, signers := range [][]string{{"a"}, {"a", "b", "c"}} {
		f := some(signers...)
		data := encoded(t, f)
		g, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if g.Certificate != f.Certificate || len(g.Signatures) != len(signers) || g.Verify() != nil {
			t.Errorf("read back %+v", g)
		}
		if !bytes.Equal(encoded(t, g), data) {
			t.Error("a file changes when it is read and written")
		}
	}
	many := some()
	for i := range contracts.MaxQuorum {
		many.Signatures[of32(byte(i+1))] = [64]byte{}
	}
	if data := encoded(t, many); len(data) > MaxFileSize {
		t.Errorf("the largest file has %d bytes", len(data))
	}
}

// TestFileRefused changes one thing of a good file.
func TestFileRefused(t *testing.T) {
	w := func(edit func(*wireFile)) []byte {
		var w wireFile
		if err := decode("", encoded(t, some("a", "b")), &w); err != nil {
			t.Fatal(err)
		}
		edit(&w)
		data, err := encoder.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	good := encoded(t, some("a", "b"))
	for want, data := range map[string][]byte{
		"identifier":         w(func(w *wireFile) { w.ID = "cocoon/certificate/v2" }),
		"address of 35":      w(func(w *wireFile) { w.Node = w.Node[1:] }),
		"address of 37":      w(func(w *wireFile) { w.Node = append(w.Node, 0) }),
		"digests of 31":      w(func(w *wireFile) { w.Platform = w.Platform[1:] }),
		"32, 33 and 32":      w(func(w *wireFile) { w.Measurement = append(w.Measurement, 0) }),
		"32, 32 and 0":       w(func(w *wireFile) { w.Claims = nil }),
		"kind 1":             w(func(w *wireFile) { w.Kind = contracts.KindTDX }),
		"0 signatures":       w(func(w *wireFile) { w.Signatures = nil }),
		"has 95 bytes":       w(func(w *wireFile) { w.Signatures[1] = w.Signatures[1][1:] }),
		"ascending":          w(func(w *wireFile) { slices.Reverse(w.Signatures) }),
		"in ascending order": w(func(w *wireFile) { w.Signatures[1] = w.Signatures[0] }),
		"exceeded max":       w(func(w *wireFile) { w.Signatures = slices.Repeat(w.Signatures, 17) }),
		"the limit is":       bytes.Repeat([]byte{0}, MaxFileSize+1),
		"extraneous":         append(slices.Clone(good), 0),
		"EOF":                good[:len(good)-1],
		"certificate: ":      nil,
		// 5 as one byte more than it needs
		"deterministic": bytes.Replace(good, []byte{3, 5, 4, 2}, []byte{3, 0x18, 5, 4, 2}, 1),
		"unknown field": append([]byte{good[0] + 1}, append(slices.Clone(good[1:]), 0x18, 30, 0)...),
	} {
		f, err := Parse(data)
		var bad *attestation.InputError
		if f != nil && err == nil || !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	f := some("a", "b")
	for k, s := range f.Signatures {
		s[7] ^= 1
		f.Signatures[k] = s
		break
	}
	var wrong *attestation.FalseError
	if err := f.Verify(); !errors.As(err, &wrong) {
		t.Errorf("a changed signature: %v", err)
	}
	if _, err := (&File{Certificate: f.Certificate}).Encode(); err == nil {
		t.Error("a file without signatures was written")
	}
}

func TestMerge(t *testing.T) {
	f, err := Merge(some("a"), some("b", "c"), some("a"))
	if err != nil || len(f.Signatures) != 3 || f.Verify() != nil {
		t.Errorf("merged: %+v, %v", f, err)
	}
	for want, edit := range map[string]func(*contracts.Certificate){
		"chain": func(c *contracts.Certificate) { c.ChainID++ }, "node": func(c *contracts.Certificate) { c.Node.Hash[0]++ },
		"epoch": func(c *contracts.Certificate) { c.Epoch++ }, "kind of": func(c *contracts.Certificate) { c.Kind++ },
		"platform": func(c *contracts.Certificate) { c.PlatformID[0]++ }, "measurement": func(c *contracts.Certificate) { c.Measurement[0]++ },
		"claims": func(c *contracts.Certificate) { c.ClaimsDigest[0]++ }, "block": func(c *contracts.Certificate) { c.BlockSeqno++ },
		"expiry": func(c *contracts.Certificate) { c.Expiry++ }, "set": func(c *contracts.Certificate) { c.Set++ },
	} {
		g := some("b")
		edit(&g.Certificate)
		if _, err := Merge(some("a"), g); err == nil || !strings.Contains(err.Error(), "differ in") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := Merge(); err == nil {
		t.Error("nothing was merged")
	}
	var files []*File
	for i := range contracts.MaxQuorum + 1 {
		files = append(files, some(string(rune('A'+i))))
	}
	if _, err := Merge(files...); err == nil {
		t.Error("more signatures than a set can have were merged")
	}
}

func TestApprovals(t *testing.T) {
	var keys []ed25519.PublicKey
	for _, n := range []string{"a", "b", "c"} {
		keys = append(keys, testKey(n).Public().(ed25519.PublicKey))
	}
	q, err := contracts.NewQuorum(2, keys...)
	if err != nil {
		t.Fatal(err)
	}
	set := contracts.VerifierSet{Number: 1, Quorum: q}
	a, err := some("c", "x", "a").Approvals(set)
	if err != nil || len(a) != 2 || a[0] == ([64]byte{}) || a[2] == ([64]byte{}) {
		t.Errorf("approvals %v, %v", a, err)
	}
	f := some("a", "b")
	if err := a.Check(q, f.Certificate.Digest()); err != nil {
		t.Error(err)
	}
	refused := func(want string, f *File, set contracts.VerifierSet) {
		t.Helper()
		var r *attestation.RefusedError
		if _, err := f.Approvals(set); !errors.As(err, &r) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	refused("signed by 1 verifiers that the registry counts, 2 are needed; 2 other", some("a", "x", "y"), set)
	other := set
	other.Number = 2
	refused("of verifier set 1, the registry has set 2", f, other)
	other = set
	other.Quorum.Threshold = 0
	refused("0 are needed", f, other)
	f.Signatures[public(testKey("x"))] = [64]byte{1} // whoever it is of, it must hold
	var wrong *attestation.FalseError
	if _, err := f.Approvals(set); !errors.As(err, &wrong) {
		t.Errorf("a bad signature: %v", err)
	}
}

func TestRequestRefused(t *testing.T) {
	good := wireRequest{requestID, []byte("bundle"), 5, make([]byte, 32), make([]byte, 64)}
	for want, edit := range map[string]func(*wireRequest){
		"identifier":                    func(w *wireRequest) { w.ID = "cocoon/certificate-request/v2" },
		"key of 31 and signature of 64": func(w *wireRequest) { w.Wallet = w.Wallet[1:] },
		"key of 32 and signature of 65": func(w *wireRequest) { w.Signature = append(w.Signature, 0) },
		"the limit is":                  func(w *wireRequest) { w.Bundle = make([]byte, MaxRequestSize) },
	} {
		w := good
		edit(&w)
		data, err := encoder.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		var bad *attestation.InputError
		if r, err := ParseRequest(data); r != nil || !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", want, r, err)
		}
	}
	largest, err := (&Request{Bundle: make([]byte, attestation.MaxBundleSize)}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseRequest(largest); err != nil {
		t.Errorf("a request with the largest bundle: %v", err)
	}
	if _, err := NewRequest(&attestation.Bundle{}, 5, nil); err == nil {
		t.Error("a request was made without a wallet")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encoded(f, some("a")))
	f.Add(encoded(f, some("a", "b", "c")))
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data)
		if err != nil {
			return
		}
		_ = c.Verify()
		if again, err := c.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("a file changes when it is read and written: %v", err)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	r := &Request{Bundle: []byte("bundle"), Expiry: 5, Wallet: of32(4)}
	data, err := r.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:20])
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRequest(data)
		if err != nil {
			return
		}
		if again, err := r.Encode(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("a request changes when it is read and written: %v", err)
		}
	})
}
