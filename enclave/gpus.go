package enclave

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/enclave/device"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// gpuSet is the GPUs and switches of this machine. Boot and Run touch it only.
type gpuSet struct {
	cfg       GPUConfig
	driver    device.GPUs
	documents *nvidia.Endorsements
	verifier  *nvidia.Verifier
	now       func() time.Time

	keys      [][32]byte // attestation keys of the devices that were set ready
	simulated bool       // one of them
	ready     bool       // set by us
}

// GPUEndorsements picks from files what the enclave needs to judge its GPUs: RIM
// documents and OCSP responses. They are signed by NVIDIA: whose files they are
// does not matter.
func GPUEndorsements(files []endorse.File) (*nvidia.Endorsements, error) {
	e := &nvidia.Endorsements{}
	for _, f := range files {
		if !nvidia.IsRIM(f.Data) && !nvidia.IsOCSP(f.Data) {
			continue
		}
		if err := e.Add(f.Data); err != nil {
			return nil, fmt.Errorf("endorsement %s: %w", f.Name, err)
		}
	}
	return e, nil
}

// newGPUSet returns nil when the configuration has no GPUs.
func newGPUSet(o *Options) (*gpuSet, error) {
	cfg := o.Config.GPU
	switch {
	case cfg.Count == 0 && o.GPUs != nil:
		return nil, attestation.BadInput("enclave: GPUs are given, and the configuration has none")
	case cfg.Count == 0:
		return nil, nil
	case o.GPUs == nil || o.GPUEndorsements == nil:
		return nil, attestation.BadInput("enclave: the configuration has GPUs, and they or their endorsements are not given")
	}
	return &gpuSet{
		cfg: cfg, driver: o.GPUs, documents: o.GPUEndorsements, now: o.Now,
		verifier: nvidia.NewVerifier(nvidia.Options{SimulatedRoots: cfg.SimulatedRoots}, 2*attestation.MaxGPUs),
	}, nil
}

// prepare verifies the GPUs over a nonce of its own, and only then lets them
// accept work.
func (g *gpuSet) prepare(ctx context.Context) error {
	if err := g.checkMode(ctx); err != nil { // outside of it, "ready" means nothing
		return err
	}
	if ready, err := g.driver.Ready(ctx); err != nil {
		return err
	} else if ready {
		return attestation.Refused("the GPUs accept work before they were verified: whoever set them ready may have used them; start the machine again")
	}
	var nonce [32]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return err
	}
	found, err := g.ask(ctx, nonce)
	if err != nil {
		return err
	}
	for _, f := range found {
		g.keys = append(g.keys, f.facts.LeafDigest)
		g.simulated = g.simulated || f.facts.Simulated
	}
	g.ready = true // also when it fails half-way
	if err := g.driver.SetReady(ctx, true); err != nil {
		return err
	}
	if ready, err := g.driver.Ready(ctx); err != nil {
		return err
	} else if !ready {
		return attestation.Unknown("the GPUs were set ready and do not accept work")
	}
	return nil
}

func (g *gpuSet) checkMode(ctx context.Context) error {
	mode, err := g.driver.Mode(ctx)
	if err != nil {
		return err
	}
	return mode.Check()
}

// evidence returns the evidence over a nonce of the very devices that were set
// ready, verified again.
func (g *gpuSet) evidence(ctx context.Context, nonce [32]byte) ([]attestation.Item, error) {
	found, err := g.ask(ctx, nonce)
	if err != nil {
		return nil, err
	}
	var items []attestation.Item
	for _, f := range found { // as many as then, and none twice: judge says so
		if !slices.Contains(g.keys, f.facts.LeafDigest) {
			return nil, attestation.False("GPU %v is not one of those that were verified before they were set ready", f.info)
		}
		items = append(items, f.item)
	}
	return items, nil
}

// gpuFound is a device with its verified evidence.
type gpuFound struct {
	info  device.GPUInfo
	facts *nvidia.Facts
	item  attestation.Item
}

// ask has every device sign the nonce, and verifies and judges all of them.
func (g *gpuSet) ask(ctx context.Context, nonce [32]byte) ([]gpuFound, error) {
	if err := g.checkMode(ctx); err != nil {
		return nil, err
	}
	list, err := g.driver.List(ctx)
	if err != nil {
		return nil, err
	}
	if len(list) > attestation.MaxGPUs {
		return nil, attestation.Refused("%d GPUs and switches, at most %d can be claimed", len(list), attestation.MaxGPUs)
	}
	var found []gpuFound
	for _, d := range list {
		f, err := g.askOne(ctx, d, nonce)
		if err != nil {
			return nil, err
		}
		found = append(found, f)
	}
	if err := g.judge(found); err != nil {
		return nil, err
	}
	return found, nil
}

func (g *gpuSet) askOne(ctx context.Context, d device.GPU, nonce [32]byte) (f gpuFound, err error) {
	ev, err := d.Evidence(ctx, nonce)
	if err != nil {
		return f, err
	}
	f.info = d.Info()
	if f.facts, err = g.verifier.Verify(ev, nvidia.WantNonce(nonce), g.documents, g.now()); err != nil {
		return f, fmt.Errorf("GPU %v: %w", f.info, err)
	}
	f.item.Kind = attestation.KindNVIDIA
	f.item.Data, err = ev.Encode()
	return f, err
}

// judge compares verified devices with the configuration, and with each other.
func (g *gpuSet) judge(found []gpuFound) error {
	var all []*nvidia.Facts
	count := 0
	for _, x := range found {
		f := x.facts
		all = append(all, f)
		if !f.Golden.Match() {
			return attestation.Refused("GPU %v: %d of its measurements are not those that NVIDIA published", x.info, mismatches(f))
		}
		if f.Kind.Switch() {
			continue
		}
		count++
		if f.Kind != g.cfg.Kind || f.Report.Opaque.Feature != g.cfg.Feature {
			return attestation.Refused("GPU %v is of kind %q in mode %q, the configuration wants %q in mode %q", x.info,
				f.Kind, f.Report.Opaque.Feature, g.cfg.Kind, g.cfg.Feature)
		}
	}
	if count != g.cfg.Count {
		return attestation.Refused("this machine has %d GPUs, the configuration wants %d", count, g.cfg.Count)
	}
	_, err := nvidia.CheckTopology(all)
	return err
}

func mismatches(f *nvidia.Facts) int {
	if f.Golden == nil {
		return 0
	}
	return len(f.Golden.Mismatches)
}

// release stops the work of GPUs that were set ready.
func (g *gpuSet) release(ctx context.Context) error {
	if g == nil || !g.ready {
		return nil
	}
	g.ready = false
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := g.driver.SetReady(ctx, false); err != nil {
		return errors.Join(errors.New("the GPUs still accept work"), err)
	}
	return nil
}

// digests returns what claims say of evidence.
func digests(items []attestation.Item) (out [][32]byte) {
	for _, i := range items {
		out = append(out, sha256.Sum256(i.Data))
	}
	return out
}

// prepareGPUs comes before the engine, which uses the GPUs.
func (e *Enclave) prepareGPUs(ctx context.Context) error {
	if e.gpus == nil {
		return nil
	}
	if err := e.gpus.prepare(ctx); err != nil {
		return err
	}
	if e.gpus.simulated {
		e.log.Warn("SIMULATED: these GPUs protect nothing")
	}
	e.log.Info("the GPUs are verified and accept work", "gpus", e.cfg.GPU.Count, "kind", e.cfg.GPU.Kind, "feature", e.cfg.GPU.Feature)
	return nil
}
