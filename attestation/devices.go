package attestation

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
	"github.com/cocoon-go/cocoon/attestation/tpm"
)

// verifyDevices verifies files with reports of GPUs and switches. Without the
// claims they were made for, their nonces are not known: that is for
// [Policy.Appraise] to say.
func (v *Verifier) verifyDevices(data []byte, e *Endorsements, at time.Time) (*Facts, error) {
	items, err := nvidia.ParseFile(data)
	if err != nil {
		return nil, err
	}
	devices, err := together(len(items), func(i int) (*nvidia.Facts, error) {
		if len(items[i].Chain) == 0 {
			if err := e.nvidia.Complete(items[i]); err != nil {
				return nil, err
			}
		}
		return v.nvidia.Verify(items[i], nvidia.AnyNonceUnsafe(), &e.nvidia, at)
	})
	if err != nil {
		return nil, err
	}
	out := &Facts{Kind: KindNVIDIA, Devices: devices}
	for i, d := range devices {
		if i == 0 {
			out.Root, out.NotBefore, out.NotAfter = d.Root, d.NotBefore, d.NotAfter
		}
		out.Simulated = out.Simulated || d.Simulated
		out.NotBefore, out.NotAfter = later(out.NotBefore, d.NotBefore), earlier(out.NotAfter, d.NotAfter)
	}
	return out, nil
}

// verifyTokens verifies tokens of NVIDIA's remote attestation service, whatever
// nonce they answer: that is for [Policy.Appraise] to compare.
func (v *Verifier) verifyTokens(data []byte, e *Endorsements, at time.Time) (*Facts, error) {
	t, err := v.nvidia.VerifyTokens(data, nvidia.AnyNonceUnsafe(), &e.nvidia, at)
	if err != nil {
		return nil, err
	}
	return &Facts{Kind: KindNRAS, Tokens: t, Simulated: t.Simulated, Root: t.Authority, NotBefore: t.NotBefore, NotAfter: t.NotAfter}, nil
}

func deviceError(i, of int, err error) error {
	if of == 1 {
		return err
	}
	return fmt.Errorf("device %d of %d: %w", i+1, of, err)
}

// verifyGPUs verifies the GPUs of a bundle: those that the claims name, in their
// order, each over the nonce that follows from the claims, and no others.
func (v *Verifier) verifyGPUs(b *Bundle, c *Claims, e *Endorsements, at time.Time) ([]*nvidia.Facts, error) {
	var items [][]byte
	for _, i := range b.Evidence {
		if i.Kind == KindNVIDIA {
			items = append(items, i.Data)
		}
	}
	if len(items) != len(c.Body.GPUEvidence) {
		return nil, False("the claims name evidence of %d GPUs and switches, the bundle has %d", len(c.Body.GPUEvidence), len(items))
	}
	if len(items) == 0 {
		return nil, nil
	}
	nonce, err := c.GPUNonce()
	if err != nil {
		return nil, err
	}
	for i, data := range items {
		if sha256.Sum256(data) != c.Body.GPUEvidence[i] {
			return nil, False("evidence %d of %d of GPUs and switches is not what the claims name", i+1, len(items))
		}
	}
	verify := v.nvidia.Verify
	if v.policy.gpu.NRAS {
		verify = v.nvidia.VerifyVouched
	}
	return together(len(items), func(i int) (*nvidia.Facts, error) {
		ev, err := nvidia.ParseEvidence(items[i])
		if err != nil {
			return nil, err
		}
		return verify(ev, nvidia.WantNonce(nonce), &e.nvidia, at)
	})
}

// together verifies n devices on as many cores as there are, and returns the facts
// in order. What could not be found out about them is named for all devices at
// once. Any other error is that of the first device that has one, as if they were
// verified one after the other; those after it are left out where they have not
// begun.
func together(n int, verify func(i int) (*nvidia.Facts, error)) ([]*nvidia.Facts, error) {
	facts, errs := make([]*nvidia.Facts, n), make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	work := func() {
		for !failed.Load() {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			f, err := verify(i)
			if err == nil {
				facts[i] = f
				continue
			}
			errs[i] = deviceError(i, n, err)
			if fault.FamilyOf(err) != fault.FamilyUnknown {
				failed.Store(true)
			}
		}
	}
	var others sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	if err := fault.JoinUnknown(errs...); err != nil {
		return nil, err
	}
	return facts, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// allDevices returns the GPUs and switches of evidence that stands alone, or of
// the bundle.
func (f *Facts) allDevices(s *Subject) []*nvidia.Facts {
	if f.Kind == KindNVIDIA {
		return f.Devices
	}
	return s.devices
}

// window returns the validity of all documents together.
func (f *Facts) window(s *Subject) (from, to time.Time) {
	from, to = f.NotBefore, f.NotAfter
	for _, d := range f.allDevices(s) {
		from, to = later(from, d.NotBefore), earlier(to, d.NotAfter)
	}
	if t := f.module(s); t != nil && !t.NotAfter.IsZero() {
		from, to = later(from, t.NotBefore), earlier(to, t.NotAfter)
	}
	return from, to
}

// module returns the facts of the TPM, nil when there is none.
func (f *Facts) module(s *Subject) *tpm.Facts {
	if f.Kind == KindTPM {
		return f.TPM
	}
	return s.tpm
}

// simulatedRoots lists the roots that are no vendor's.
func simulatedRoots(f *Facts, s *Subject) (roots [][32]byte) {
	add := func(on bool, root [32]byte) {
		if on && !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	if f.Kind != KindNVIDIA {
		add(f.Simulated, f.Root)
	}
	for _, d := range f.allDevices(s) {
		add(d.Root != nvidia.DeviceRoot(), d.Root)
		if d.NRAS != nil {
			add(d.NRAS.Simulated, d.NRAS.Authority)
		}
		if d.Golden == nil {
			continue
		}
		for _, r := range []*nvidia.RIMFacts{d.Golden.Driver, d.Golden.VBIOS} {
			if r != nil {
				add(r.Simulated, r.Root)
			}
		}
	}
	if t := f.module(s); t != nil && t.Certificate != nil {
		add(t.Certificate.Simulated, t.Certificate.Root)
	}
	return roots
}
