//go:build unix

package attestation_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/sim"
)

// cpuTime returns the CPU time that the process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// gpuNode is a node with one CPU and eight GPUs, as bytes that a client gets.
type gpuNode struct {
	policy, bundle []byte
	documents      [][]byte // of the CPU's vendor and of the GPUs'
	responses      [][]byte // about revocation of the GPUs' certificates
	registered     *attestation.Registered
}

func newGPUNode(b *testing.B) *gpuNode {
	b.Helper()
	w := newWorld(b)
	nonce, err := w.claims.GPUNonce()
	if err != nil {
		b.Fatal(err)
	}
	n := new(gpuNode)
	var items []attestation.Item
	for i := range byte(8) {
		d, err := gpuVendor().NewDevice(sim.NVIDIADeviceConfig{ID: [8]byte{9, i}})
		if err != nil {
			b.Fatal(err)
		}
		r, err := d.Report(gpuVendor(), sim.NVIDIAReport{Nonce: nonce})
		if err != nil {
			b.Fatal(err)
		}
		e, err := d.Evidence(r)
		if err != nil {
			b.Fatal(err)
		}
		items = append(items, attestation.Item{Kind: attestation.KindNVIDIA, Data: e})
		w.claims.Body.GPUEvidence = append(w.claims.Body.GPUEvidence, sha256.Sum256(e))
		n.endorse(b, d, i == 0)
	}
	w.edit = func(b *attestation.Bundle) { b.Evidence = append(b.Evidence, items...) }
	if n.bundle, err = w.bundle().Encode(); err != nil {
		b.Fatal(err)
	}
	collateral, err := w.platform.Endorsements(w.collateral)
	if err != nil {
		b.Fatal(err)
	}
	n.documents, n.registered = append(n.documents, collateral), w.registered
	n.policy = []byte(attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: append(gpuVendor().Roots(), w.platform.RootFingerprint())}))
	return n
}

// endorse adds the documents about a device. All have the same firmware.
func (n *gpuNode) endorse(b *testing.B, d *sim.NVIDIADevice, first bool) {
	b.Helper()
	docs, err := d.Endorsements(gpuVendor(), now.Add(-time.Hour), now.Add(24*time.Hour))
	if err != nil {
		b.Fatal(err)
	}
	for _, doc := range docs {
		switch rim := nvidia.IsRIM(doc); {
		case rim && first:
			n.documents = append(n.documents, doc)
		case !rim:
			n.responses = append(n.responses, doc)
		}
	}
}

// withoutRevocation does without the responses.
func (n *gpuNode) withoutRevocation(b *testing.B) *gpuNode {
	b.Helper()
	out := *n
	policy := strings.Replace(string(n.policy), "min_count = 0", "min_count = 8\nunsafe_without_revocation = true", 1)
	if policy == string(n.policy) {
		b.Fatal("the policy says nothing about GPUs")
	}
	out.policy, out.responses = []byte(policy), nil
	return &out
}

// verifier reads the policy.
func (n *gpuNode) verifier(b *testing.B) *attestation.Verifier {
	b.Helper()
	p, err := attestation.ParsePolicy(n.policy)
	if err != nil {
		b.Fatal(err)
	}
	v, err := attestation.NewVerifier(p)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// endorsements reads all documents.
func (n *gpuNode) endorsements(b *testing.B) *attestation.Endorsements {
	b.Helper()
	e := attestation.NewEndorsements()
	for i, d := range append(n.documents[:len(n.documents):len(n.documents)], n.responses...) {
		if err := e.AddFile(fmt.Sprint(i), d); err != nil {
			b.Fatal(err)
		}
	}
	return e
}

// verify reads the bundle and verifies it.
func (n *gpuNode) verify(b *testing.B, v *attestation.Verifier, e *attestation.Endorsements) {
	b.Helper()
	bundle, err := attestation.ParseBundle(n.bundle)
	if err != nil {
		b.Fatal(err)
	}
	ok, err := v.Verify(attestation.Input{Bundle: bundle, Endorsements: e, Registered: n.registered, At: now})
	if err != nil {
		b.Fatal(err)
	}
	if gpus := len(ok.Verdict().Facts.GPUs); gpus != 8 {
		b.Fatalf("%d GPUs are verified", gpus)
	}
}

// BenchmarkEightGPUNode verifies a node with one CPU and eight GPUs, with all
// rules of the default policy, from bytes: the policy and the documents too
// where it is cold, the bundle only where the verifier knows them. Strict is
// with OCSP responses for every certificate of every GPU. The time is that of
// the clock; cpu-ns is that of all cores.
func BenchmarkEightGPUNode(b *testing.B) {
	strict := newGPUNode(b)
	for _, c := range []struct {
		name string
		n    *gpuNode
	}{{"", strict.withoutRevocation(b)}, {"Strict", strict}} {
		b.Run(c.name+"Cold", func(b *testing.B) {
			timed(b, func() { c.n.verify(b, c.n.verifier(b), c.n.endorsements(b)) })
		})
		b.Run(c.name+"Hot", func(b *testing.B) {
			v, e := c.n.verifier(b), c.n.endorsements(b)
			c.n.verify(b, v, e)
			timed(b, func() { c.n.verify(b, v, e) })
		})
	}
}

// timed adds the CPU time of a run to what a benchmark reports.
func timed(b *testing.B, f func()) {
	b.ReportAllocs()
	start := cpuTime(b)
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
}
