package attestation_test

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
)

// heap returns the bytes in use after collection.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// verifyNodes verifies n nodes of one registry, on machines of their own, and
// returns the proofs.
func verifyNodes(tb testing.TB, w *world, v *attestation.Verifier, n int) []*attestation.Verified {
	tb.Helper()
	first, e := w.platform, w.endorsements()
	w.registered.Measurements = append(make([][32]byte, 1000), w.registered.Measurements...)
	out := make([]*attestation.Verified, n)
	for i := range out {
		m, err := first.NewMachine(seeded(string(binary.BigEndian.AppendUint32(nil, uint32(i)))))
		if err != nil {
			tb.Fatal(err)
		}
		w.platform = m
		binary.BigEndian.PutUint32(w.claims.Node.Hash[:], uint32(i))
		w.registered.Node = w.claims.Node
		w.registered.Measurements = slices.Clone(w.registered.Measurements)
		w.td.ReportData, w.registered.ClaimsDigest = [64]byte{}, [32]byte{}
		out[i], err = v.Verify(attestation.Input{Bundle: w.bundle(), Endorsements: e, Registered: w.registered, At: now})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// TestMemoryOfNodes: a client that keeps 10,000 verified nodes, each on a
// machine of its own, needs at most 100 MB for the verifier and what it
// returned.
func TestMemoryOfNodes(t *testing.T) {
	const nodes, limit = 300, 100_000_000 / 10000
	w := newWorld(t)
	for i := range w.claims.Body.KeyConfigs {
		w.claims.Body.KeyConfigs[i].Config = make([]byte, 1220+i) // of real size
	}
	v := w.verifier()
	before := heap()
	kept := verifyNodes(t, w, v, nodes)
	per := int(heap()-before) / nodes
	t.Logf("%d bytes a node", per)
	if per > limit {
		t.Errorf("%d bytes a node, at most %d", per, limit)
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(v)
}

// BenchmarkMemory10000Nodes reports the heap of 10,000 verified nodes with two
// key configurations each, in mebibytes.
func BenchmarkMemory10000Nodes(b *testing.B) {
	for b.Loop() {
		w := newWorld(b)
		for i := range w.claims.Body.KeyConfigs {
			w.claims.Body.KeyConfigs[i].Config = make([]byte, 1220+i)
		}
		v := w.verifier()
		before := heap()
		kept := verifyNodes(b, w, v, 10000)
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
		runtime.KeepAlive(kept)
		runtime.KeepAlive(v)
	}
}
