package vendors

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// gpu is a GPU with the services of its vendor: RIM documents by id, and a
// responder.
type gpu struct {
	vendor   *sim.NVIDIA
	device   *sim.NVIDIADevice
	evidence []byte
	rims     map[string][]byte
	links    [][2]*x509.Certificate // certificate and issuer
	posts    int
	revoked  bool
}

func newGPU(t *testing.T) (*gpu, *Client, *attestation.Verifier) {
	t.Helper()
	g := &gpu{rims: map[string][]byte{}}
	g.vendor = must[*sim.NVIDIA](t)(sim.NewNVIDIA(rand.NewChaCha8(sha256.Sum256([]byte("gpu"))), sim.NVIDIAConfig{}))
	g.device = must[*sim.NVIDIADevice](t)(g.vendor.NewDevice(sim.NVIDIADeviceConfig{ID: [8]byte{1}}))
	raw := must[[]byte](t)(g.device.Report(g.vendor, sim.NVIDIAReport{}))
	g.evidence = must[[]byte](t)(g.device.Evidence(raw))
	r := must[*nvidia.Report](t)(nvidia.ParseReport(raw))
	docs := must[[][]byte](t)(g.device.RIMs(g.vendor))
	for _, id := range []string{nvidia.DriverRIMID(nvidia.Hopper, &r.Opaque), nvidia.VBIOSRIMID(nvidia.Hopper, &r.Opaque)} {
		for _, d := range docs {
			p := must[*nvidia.RIMDocument](t)(nvidia.ParseRIM(d))
			if strings.EqualFold(p.Version, r.Opaque.Driver) == strings.Contains(id, "DRIVER") {
				g.rims["/v1/rim/"+id] = must[[]byte](t)(json.Marshal(map[string]string{"id": id, "rim": base64.StdEncoding.EncodeToString(d), "rim_format": "TCG"}))
			}
		}
	}
	for _, chain := range [][]*x509.Certificate{g.device.Chain, g.vendor.RIMChain()} {
		for i := range len(chain) - 1 {
			g.links = append(g.links, [2]*x509.Certificate{chain[i], chain[i+1]})
		}
	}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	policy := must[*attestation.Policy](t)(attestation.ParsePolicy([]byte(attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: g.vendor.Roots()}))))
	v := must[*attestation.Verifier](t)(attestation.NewVerifier(policy))
	return g, &Client{Mirror: must[*url.URL](t)(url.Parse(s.URL)), Wait: time.Millisecond}, v
}

func (g *gpu) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d, ok := g.rims[r.URL.Path]; ok && r.Method == http.MethodGet {
		_, _ = w.Write(d)
		return
	}
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	req, err := ocsp.ParseRequest(body)
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/ocsp-request" || err != nil {
		http.NotFound(w, r)
		return
	}
	g.posts++
	for _, l := range g.links {
		if l[0].SerialNumber.Cmp(req.SerialNumber) == 0 {
			o := sim.NVIDIAOCSP{ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour), Hash: req.HashAlgorithm}
			if g.revoked {
				o.Status = ocsp.Revoked
			}
			b, err := g.vendor.OCSP(l[0], l[1], o)
			if err != nil {
				panic(err)
			}
			_, _ = w.Write(b)
			return
		}
	}
	http.NotFound(w, r)
}

// TestFetchGPU gets RIM documents and OCSP responses, each once.
func TestFetchGPU(t *testing.T) {
	g, c, v := newGPU(t)
	got, err := c.Fetch(t.Context(), v, "", g.evidence, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if g.posts == 0 || len(got.Files) != g.posts+2 || got.Requests != len(got.Files) {
		t.Errorf("%d files, %d requests, %d to the responder", len(got.Files), got.Requests, g.posts)
	}
	set, err := endorse.Set(got.Files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.VerifyEvidence("", g.evidence, set, now); err != nil {
		t.Error(err)
	}
	if _, err := endorse.Encode(got.Files); err != nil { // no two have one name
		t.Error(err)
	}
	kinds := map[string]int{}
	for _, d := range set.Documents() {
		kinds[d.Vendor+" "+d.Kind]++
		if !d.InForce(now) {
			t.Errorf("%s %s is not in force", d.Kind, d.Subject)
		}
	}
	if kinds["nvidia RIM document"] != 2 || kinds["nvidia OCSP response"] != g.posts {
		t.Errorf("documents %v", kinds)
	}
	again, err := c.Fetch(t.Context(), v, "", g.evidence, got.Files, now)
	if err != nil || again.Requests != 0 {
		t.Errorf("at hand: %v, %+v", err, again)
	}
}

// TestFetchGPURefused: a revoked device is false, a garbled document is refused.
func TestFetchGPURefused(t *testing.T) {
	g, c, v := newGPU(t)
	g.revoked = true
	if _, err := c.Fetch(t.Context(), v, "", g.evidence, nil, now); fault.FamilyOf(err) != fault.FamilyFalse || !strings.Contains(err.Error(), "revoked") {
		t.Errorf("revoked: %v", err)
	}
	g.revoked = false
	for path, d := range g.rims {
		g.rims[path] = bytes.Replace(d, []byte(`"rim":"`), []byte(`"rim":"!`), 1)
	}
	if _, err := c.Fetch(t.Context(), v, "", g.evidence, nil, now); fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "of no use") {
		t.Errorf("garbled: %v", err)
	}
	clear(g.rims)
	if _, err := c.Fetch(t.Context(), v, "", g.evidence, nil, now); fault.FamilyOf(err) != fault.FamilyUnknown || !strings.Contains(err.Error(), "404") {
		t.Errorf("missing: %v", err)
	}
}

// TestFetchKeys gets the keys that tokens of the remote attestation service were
// signed with; those of another service are of no use.
func TestFetchKeys(t *testing.T) {
	g, _, _ := newGPU(t)
	s := must[*sim.NRAS](t)(g.vendor.NewNRAS())
	other := must[*sim.NRAS](t)(g.vendor.NewNRAS())
	tokens := must[[]byte](t)(s.Tokens(sim.NRASTokens{IssuedAt: now.Add(-time.Minute), Nonce: [32]byte{1}}))
	keys := must[[]byte](t)(s.KeySet(nil))
	answer := keys
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/jwks.json" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(answer)
	}))
	t.Cleanup(server.Close)
	c := &Client{Mirror: must[*url.URL](t)(url.Parse(server.URL)), Wait: time.Millisecond}
	policy := must[*attestation.Policy](t)(attestation.ParsePolicy([]byte(attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: [][32]byte{s.Root()}}))))
	v := must[*attestation.Verifier](t)(attestation.NewVerifier(policy))
	got, err := c.Fetch(t.Context(), v, "", tokens, nil, now)
	if err != nil || got.Requests != 1 || len(got.Files) != 1 || !bytes.Equal(got.Files[0].Data, keys) {
		t.Fatalf("%v, %+v", err, got)
	}
	answer = must[[]byte](t)(other.KeySet(nil))
	if got, err := c.Fetch(t.Context(), v, "", tokens, nil, now); err == nil || got != nil {
		t.Errorf("keys of another service: %+v", got)
	}
	answer = []byte("{}")
	if _, err := c.Fetch(t.Context(), v, "", tokens, nil, now); fault.FamilyOf(err) != fault.FamilyUnknown {
		t.Errorf("no keys: %v", err)
	}
}

// TestFetchManyGPUs: what all devices of a board lack is asked for together, so
// their number does not matter.
func TestFetchManyGPUs(t *testing.T) {
	g, c, v := newGPU(t)
	var items []map[string]string
	for i := range 16 {
		d := must[*sim.NVIDIADevice](t)(g.vendor.NewDevice(sim.NVIDIADeviceConfig{ID: [8]byte{2, byte(i)}}))
		var chain []byte
		for j, x := range d.Chain {
			chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.Raw})...)
			if j+1 < len(d.Chain) {
				g.links = append(g.links, [2]*x509.Certificate{x, d.Chain[j+1]})
			}
		}
		raw := must[[]byte](t)(d.Report(g.vendor, sim.NVIDIAReport{}))
		items = append(items, map[string]string{"evidence": base64.StdEncoding.EncodeToString(raw), "certificate": base64.StdEncoding.EncodeToString(chain)})
	}
	evidence := must[[]byte](t)(json.Marshal(items))
	_, err := v.VerifyEvidence("", evidence, nil, now)
	if n := len(attestation.MissingDocuments(err)); n < 16+2 {
		t.Errorf("%d documents are missing at first: %v", n, err)
	}
	if _, err := c.Fetch(t.Context(), v, "", evidence, nil, now); err != nil {
		t.Error(err)
	}
}
