package attestation_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

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
	w.month()
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

// month gives the claims the key configurations that an enclave claims: one for
// each day of a month, of the size that the key exchange has.
func (w *world) month() {
	w.claims.Body.KeyConfigs = nil
	for i := range 31 {
		from := now.Add(time.Duration(i)*23*time.Hour - time.Hour)
		w.claims.Body.KeyConfigs = append(w.claims.Body.KeyConfigs,
			attestation.KeyConfig{Config: append(make([]byte, 1231), byte(i)), NotBefore: from, NotAfter: from.Add(24 * time.Hour)})
	}
}

// TestKeptKeys: what is kept of the claims chooses the same key at any time as
// all of them would, until the verification ends.
func TestKeptKeys(t *testing.T) {
	w := newWorld(t)
	w.month()
	all := slices.Clone(w.claims.Body.KeyConfigs)
	for _, after := range []time.Duration{0, 21 * time.Hour, 22 * time.Hour, 23*time.Hour - time.Second, 23 * time.Hour, 40 * time.Hour} {
		w.at = now.Add(after)
		v, err := w.verify()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(v.Claims().Body.KeyConfigs); n != 2 {
			t.Errorf("%s: %d key configurations are kept, want 2", after, n)
		}
		if left := v.NotAfter().Sub(w.at); left < 23*time.Hour || left > 46*time.Hour {
			t.Errorf("%s: the verification ends after %s", after, left)
		}
		if _, err := v.KeyConfig(v.NotAfter()); err == nil {
			t.Error("a key at the end")
		}
		for at := w.at; at.Before(v.NotAfter()); at = at.Add(5 * time.Minute) {
			var want []byte // of those valid then, the one that started last
			for _, k := range all {
				if !at.Before(k.NotBefore) && at.Before(k.NotAfter) {
					want = k.Config
				}
			}
			if got, err := v.KeyConfig(at); err != nil || !slices.Equal(got, want) {
				t.Fatalf("verified at %v, at %v: another key, %v", w.at, at, err)
			}
		}
	}
}

// TestSize: what Size says is what the heap says, for an honest node and for one
// that claims as much as it may.
func TestSize(t *testing.T) {
	for name, models := range map[string]int{"honest": 1, "large": attestation.MaxModels} {
		w := newWorld(t)
		w.month()
		for i := len(w.claims.Body.Models); i < models; i++ {
			w.claims.Body.Models = append(w.claims.Body.Models, attestation.Model{Name: fmt.Sprintf("c%0255d", i), Digest: [32]byte{byte(i)}})
		}
		v := w.verifier()
		const nodes = 50
		before := heap()
		kept := verifyNodes(t, w, v, nodes)
		got := int(heap()-before) / nodes
		if size := kept[0].Size(); got > size*5/4 || got < size/4 {
			t.Errorf("%s: Size says %d bytes, the heap %d", name, size, got)
		}
		runtime.KeepAlive(kept)
	}
}
