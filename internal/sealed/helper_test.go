package sealed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/internal/bhttp/varint"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// platform is the simulated machine of all tests.
var platform = sync.OnceValues(func() (*sim.Intel, error) {
	return sim.NewIntel(rand.NewChaCha8(sha256.Sum256([]byte("sealed"))), sim.IntelOptions{Now: now})
})

// verified proves, through the real verifier, that an enclave with the keys of
// a keyring is genuine.
func verified(t testing.TB, k *Keyring) *attestation.Verified {
	t.Helper()
	p, err := platform()
	if err != nil {
		t.Fatal(err)
	}
	digest := func(s string) [32]byte { return sha256.Sum256([]byte(s)) }
	claims := &attestation.Claims{
		Heads: attestation.Heads{ChainID: -3, Node: attestation.Address{Hash: digest("node")}, Epoch: 1,
			BlockSeqno: 41_000_100, BlockRoot: digest("block"), ReceiptKey: digest("receipt"), LogKey: digest("log"), IdentityKey: digest("identity")},
		Body: attestation.Body{
			KeyConfigs:    k.Configs(),
			Configuration: digest("configuration"),
			Models:        []attestation.Model{{Name: "m", Digest: digest("model")}},
			SelfTest:      attestation.SelfTest{Passed: true, Answers: digest("answers")},
			Software:      "test", Created: now, Engine: "tinylm/1",
		},
	}
	if _, _, err := claims.Encode(); err != nil {
		t.Fatal(err)
	}
	td := sim.TD{MRTD: [48]byte{1}, RTMR: [4][48]byte{{2}, {3}, {4}, attestation.ConfigurationRTMR3(claims.Body.Configuration)},
		ReportData: attestation.ReportData(claims.Digest(), nil)}
	quote, err := p.Quote(td)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := attestation.NewBundle(claims, attestation.Item{Kind: attestation.KindTDX, Data: quote})
	if err != nil {
		t.Fatal(err)
	}
	collateral, err := p.Endorsements(sim.Collateral{At: now})
	if err != nil {
		t.Fatal(err)
	}
	endorsements := attestation.NewEndorsements()
	if err := endorsements.AddFile("collateral.json", collateral); err != nil {
		t.Fatal(err)
	}
	policy, err := attestation.ParsePolicy([]byte(attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{p.RootFingerprint()}})))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := attestation.NewVerifier(policy)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verifier.Verify(attestation.Input{Bundle: bundle, Endorsements: endorsements, At: now,
		Registered: &attestation.Registered{ChainID: -3, Node: claims.Node, Epoch: 1, ClaimsDigest: claims.Digest(),
			BlockTime: now.Add(-time.Minute), RegisteredAt: now,
			Measurements: [][32]byte{attestation.MeasurementTDX(td.MRTD, td.RTMR[0], td.RTMR[1], td.RTMR[2])},
			Models:       [][32]byte{claims.Body.Models[0].Digest}}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newKeyring(t testing.TB, c KeyringConfig) *Keyring {
	t.Helper()
	if c.Start.IsZero() {
		c.Start = now
	}
	if c.Lifetime == 0 {
		c.Lifetime = time.Hour
	}
	k, err := NewKeyring(c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// exchange prepares an exchange with the first key of k, without a verifier.
func exchange(t testing.TB, k *Keyring) *Exchange {
	t.Helper()
	x, err := newExchange(k.keys[0].config, sha256.Sum256([]byte("claims")))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// sealRequest seals a POST with that content; a nil header means JSON.
func sealRequest(t testing.TB, x *Exchange, content []byte) []byte {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "https://any/v1/chat/completions?a=b", bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	r, err := x.Request(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, k *Keyring, msg []byte) *Inbound {
	t.Helper()
	in, err := k.Open(context.Background(), now, bytes.NewReader(msg))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// answerWith seals an answer: a write for each of writes, and a receipt.
func answerWith(t testing.TB, in *Inbound, writes ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	r, err := in.Reply(&b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WriteHeader(200, http.Header{"Content-Type": {"text/event-stream"}}); err != nil {
		t.Fatal(err)
	}
	for _, w := range writes {
		if _, err := io.WriteString(r, w); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(http.Header{"Cocoon-Receipt": {"receipt"}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// readAnswer opens an answer and returns all that was handed out, even with an
// error.
func readAnswer(x *Exchange, msg []byte) (*http.Response, string, error) {
	res, err := x.Response(bytes.NewReader(msg))
	if err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(res.Body)
	return res, string(b), err
}

// again returns an exchange with the secrets of x, which must not have read its
// answer, to read one.
func again(x *Exchange) *Exchange {
	y, c := *x, *x.client
	y.client = &c
	return &y
}

// fresh returns k before it has seen a request.
func fresh(k *Keyring) *Keyring {
	n := &Keyring{window: k.window, maxRequest: k.maxRequest}
	for _, t := range k.keys {
		c := *t
		c.seen = map[[16]byte]struct{}{}
		n.keys = append(n.keys, &c)
	}
	return n
}

// chunks cuts a message into what lies before its chunks and the chunks with
// their lengths.
func chunks(t testing.TB, msg []byte, prefix int) (out [][]byte) {
	t.Helper()
	out = append(out, msg[:prefix])
	msg = msg[prefix:]
	for len(msg) > 0 {
		n, size, err := varint.Parse(msg)
		if err != nil || size == 0 {
			t.Fatalf("length %x: %v", msg[:1], err)
		}
		end := size + int(n)
		if n == 0 {
			end = len(msg)
		}
		out = append(out, msg[:end])
		msg = msg[end:]
	}
	return out
}

func isFalse(err error) bool   { return errorAs[*attestation.FalseError](err) }
func isUnknown(err error) bool { return errorAs[*attestation.UnknownError](err) }
func isInput(err error) bool   { return errorAs[*attestation.InputError](err) }

func errorAs[T error](err error) bool {
	var e T
	return errors.As(err, &e)
}

// noise is content that does not repeat.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

func contains(t testing.TB, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one with %q", err, part)
	}
}
