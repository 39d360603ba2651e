package attestation

import (
	"slices"
	"time"

	"github.com/cocoon-go/cocoon/attestation/amd"
	"github.com/cocoon-go/cocoon/attestation/fault"
	"github.com/cocoon-go/cocoon/attestation/intel"
	"github.com/cocoon-go/cocoon/attestation/nvidia"
)

// Input is everything that one verification looks at.
type Input struct {
	Bundle       *Bundle       // required
	Endorsements *Endorsements // nil means those attached to the bundle
	Registered   *Registered   // what the caller proved on the chain
	Nonce        *[32]byte     // the caller's live nonce, if it asked for one
	At           time.Time     // the time to verify at; required
}

// Verifier verifies bundles under one policy. It is safe for concurrent use,
// and remembers verified endorsements and platforms in bounded memory: use one
// for many verifications.
type Verifier struct {
	policy *Policy
	intel  *intel.Verifier
	amd    *amd.Verifier
	nvidia *nvidia.Verifier
	lists  lists
}

// NewVerifier returns a verifier for a policy. A nil policy is an [*InputError]:
// there is no default that accepts something.
func NewVerifier(p *Policy) (*Verifier, error) {
	if p == nil || p.text == "" {
		return nil, BadInput("no policy: a verifier accepts nothing without one")
	}
	return &Verifier{
		policy: p, intel: intel.NewVerifier(p.roots...),
		amd:    amd.NewVerifier(amd.Options{SimulatedRoots: p.roots}, 0),
		nvidia: nvidia.NewVerifier(p.gpu.options(p.roots), 0),
	}, nil
}

// Policy returns the verifier's policy.
func (v *Verifier) Policy() *Policy { return v.policy }

// Verify proves that the bundle's claims come from genuine hardware, are the
// ones that the chain has registered, and pass the policy. It is pure: it reads
// no clock, network or disk.
//
// On success the result is complete and the error nil. Otherwise the result is
// nil, and the error joins every reason, each in its family; [VerdictOf] finds
// the verdict in it.
func (v *Verifier) Verify(in Input) (*Verified, error) {
	if in.Bundle == nil {
		return nil, BadInput("no bundle to verify")
	}
	if in.At.IsZero() {
		return nil, BadInput("no time to verify at")
	}
	claims, err := in.Bundle.Claims()
	if err != nil {
		return nil, err
	}
	item, err := in.Bundle.cpu(in.Nonce)
	if err != nil {
		return nil, err
	}
	e := in.Endorsements
	if e == nil {
		e = NewEndorsements()
		if err := e.AddBundle(in.Bundle); err != nil {
			return nil, err
		}
	}
	s := Subject{At: in.At, Claims: claims}
	facts, err := v.verifyAll(item, in, &s, e)
	if err != nil {
		return nil, &VerdictError{FailedVerdict(item.Kind, in.At, err), err}
	}
	s.log = judgeLog(facts, facts.module(&s), in.Bundle.EventLog)
	if in.Nonce != nil {
		nonce := *in.Nonce
		s.Nonce = &nonce
	}
	if in.Registered != nil {
		reg := *in.Registered
		reg.Measurements, reg.Models = v.lists.share(reg.Measurements), v.lists.share(reg.Models)
		s.Registered = &reg
	}
	if err := v.policy.Appraise(facts, s).Err(); err != nil {
		return nil, err
	}
	end := v.policy.notAfter(facts, s)
	evidenceEnd := end
	kept, until := keepKeys(claims, in.At)
	if until.Before(end) {
		end = until
	}
	s.Claims = kept
	return &Verified{
		policy: v.policy, facts: facts, subject: s, claims: kept, digest: claims.Digest(),
		notAfter: end, evidenceEnd: evidenceEnd, models: v.policy.acceptedModels(kept, s.Registered),
	}, nil
}

// verifyAll verifies every piece of evidence of a bundle. What is not verified is
// never skipped. What could not be found out about CPU, devices and TPM is named
// together.
func (v *Verifier) verifyAll(cpu *Item, in Input, s *Subject, e *Endorsements) (*Facts, error) {
	for _, i := range in.Bundle.Evidence {
		switch i.Kind {
		case KindTDX, KindSNP, KindNVIDIA, KindTPM:
		default:
			return nil, Unknown("evidence of kind %q in the bundle can't be verified by this version", i.Kind)
		}
	}
	facts, err := v.VerifyEvidence(cpu.Kind, cpu.Data, e, in.At)
	if err != nil && fault.FamilyOf(err) != fault.FamilyUnknown {
		return nil, err
	}
	errs := []error{err, nil, nil}
	if s.devices, errs[1] = v.verifyGPUs(in.Bundle, s.Claims, e, in.At); facts != nil {
		s.tpm, errs[2] = v.verifyModule(in.Bundle, s.Claims, in.Nonce, facts, e, in.At) // it may rest on the hardware
	}
	if err := fault.JoinUnknown(errs...); err != nil {
		return nil, err
	}
	return facts, nil
}

// notAfter returns when a verification of these facts stops being good.
func (p *Policy) notAfter(f *Facts, s Subject) time.Time {
	c, r := s.Claims, s.Registered
	since := c.Body.Created
	if r != nil {
		since = r.BlockTime
	}
	_, end := f.window(&s)
	limits := []time.Time{since.Add(p.maxAge)}
	if !f.Issued.IsZero() {
		limits = append(limits, f.Issued.Add(p.endorseAge))
	}
	for _, t := range limits {
		if t.Before(end) {
			end = t
		}
	}
	return end
}

func (p *Policy) acceptedModels(c *Claims, r *Registered) []Model {
	var out []Model
	for _, m := range c.Body.Models {
		list := p.models.Digests
		if p.models.Registry && r != nil {
			list = r.Models
		}
		if p.models.Any || slices.Contains(list, m.Digest) {
			out = append(out, m)
		}
	}
	return out
}

// Verified is proof that a bundle passed [Verifier.Verify]. Its methods return
// copies. The zero value proves nothing, and every method of it panics.
//
// One takes some 6 KiB, see [Verified.Size]: the verdict is made when somebody
// asks for it, and of the key configurations in the claims only those of now are
// kept, the current one and the next.
type Verified struct {
	policy   *Policy
	facts    *Facts
	subject  Subject
	claims   *Claims
	digest   [32]byte
	notAfter time.Time
	// evidenceEnd is notAfter without regard to key configurations.
	evidenceEnd time.Time
	models      []Model
}

// Claims returns the verified claims. Of their key configurations only those are
// there that may be used until NotAfter, so the body is not the one that the
// heads name by its digest.
func (v *Verified) Claims() *Claims { return v.claims.clone() }

// Digest returns the claims digest, the id of the bundle.
func (v *Verified) Digest() [32]byte { v.must(); return v.digest }

// Verdict returns the verdict with every check.
func (v *Verified) Verdict() *Verdict { v.must(); return v.policy.Appraise(v.facts, v.subject) }

// Simulated reports whether the evidence comes from a simulated platform, which
// protects nothing. Every output must then say SIMULATED.
func (v *Verified) Simulated() bool {
	v.must()
	return len(simulatedRoots(v.facts, &v.subject)) > 0
}

// NotAfter returns the time from which the bundle must be verified again: where
// the age that the policy allows ends, what the vendor has signed, or the key
// configurations that were kept.
func (v *Verified) NotAfter() time.Time { v.must(); return v.notAfter }

// EvidenceNotAfter returns the time at which evidence, endorsements and what the
// policy says of their age end. It is not before [Verified.NotAfter], which also
// ends with the keys that were kept to seal to: whoever vouches for the evidence,
// and seals nothing, goes by this one.
func (v *Verified) EvidenceNotAfter() time.Time { v.must(); return v.evidenceEnd }

// Kind returns the kind of the CPU's evidence: [KindTDX] or [KindSNP].
func (v *Verified) Kind() string { v.must(); return v.facts.Kind }

// Measurement returns the measurement digest that registries list.
func (v *Verified) Measurement() [32]byte {
	v.must()
	m, _ := v.facts.Measurement() // evidence for claims has one
	return m
}

// PlatformID returns the id of the machine.
func (v *Verified) PlatformID() [32]byte { v.must(); return v.facts.PlatformID() }

// Models returns the models that the node serves and the policy accepts, by
// name.
func (v *Verified) Models() []Model { v.must(); return slices.Clone(v.models) }

// Registered returns what the chain said, nil when the policy did without.
func (v *Verified) Registered() *Registered {
	v.must()
	if v.subject.Registered == nil {
		return nil
	}
	return v.subject.Registered.clone()
}

// KeyConfig returns the OHTTP key configuration to seal to at a time: of those
// valid then, the one that started last. It is an [*UnknownError] when the
// verification is too old at that time or no configuration is valid.
func (v *Verified) KeyConfig(at time.Time) ([]byte, error) {
	v.must()
	if !at.Before(v.notAfter) {
		return nil, fault.Unknown("the verification of this node ended at %s; verify it again", stamp(v.notAfter))
	}
	var best *KeyConfig
	for i := range v.claims.Body.KeyConfigs {
		k := &v.claims.Body.KeyConfigs[i]
		if at.Before(k.NotBefore) || !at.Before(k.NotAfter) {
			continue
		}
		if best == nil || k.NotBefore.After(best.NotBefore) {
			best = k
		}
	}
	if best == nil {
		return nil, fault.Unknown("the node has no key configuration that is valid at %s", stamp(at))
	}
	return slices.Clone(best.Config), nil
}

// must panics on a Verified that no verifier made.
func (v *Verified) must() {
	if v.claims == nil {
		panic("attestation: a Verified that Verify did not make")
	}
}
