package host

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Change is one thing that an action changes, in words: what it was, and what it
// becomes.
type Change struct {
	What string `json:"what"` // entry of the registry, such as "measurement b613…"
	Old  string `json:"old"`  // in words
	New  string `json:"new"`  // in words
}

// Effect is what an action would do to a registry as it is, for people.
type Effect struct {
	Means   string   `json:"means"`   // what follows from it
	Changes []Change `json:"changes"` // empty: it changes nothing
	// Refused is the code with which the contract would refuse to carry it out as
	// things stand; 0 when it would not.
	Refused int `json:"refused,omitempty"`
}

// change adds a change, unless there is none.
func (e *Effect) change(what, old, now string) *Effect {
	if old != now {
		e.Changes = append(e.Changes, Change{what, old, now})
	}
	return e
}

// unless makes an effect one that the contract refuses.
func (e *Effect) unless(ok bool, code int) *Effect {
	if !ok {
		e.Refused = code
	}
	return e
}

const notListed = "not listed"

// untilRechecked ends what an action means that tightens: contracts of nodes don't
// hear of it by themselves.
const untilRechecked = "; nodes that are registered stay so, each with its slot, until somebody has them rechecked (`cocoon-node recheck --all`, anybody may)"

// Explain says what an action would do to a registry in a state.
func Explain(a contracts.Action, s *contracts.RootState) *Effect {
	switch a := a.(type) {
	case contracts.RemoveMeasurement:
		old, ok := s.Measurements[a.Digest]
		return (&Effect{Means: "no enclave with this measurement registers any more, and clients that take measurements from the registry refuse those that run" + untilRechecked}).
			change("measurement "+hex.EncodeToString(a.Digest[:]), measurementText(old, ok), notListed).unless(ok, contracts.CodeNotFound)
	case contracts.AddMeasurement:
		old, ok := s.Measurements[a.Digest]
		return (&Effect{Means: "whoever runs an enclave with this measurement can register it, and clients that take measurements from the registry send it their prompts"}).
			change("measurement "+hex.EncodeToString(a.Digest[:]), measurementText(old, ok), measurementText(contracts.Measurement{Flags: a.Flags}, true))
	case contracts.RemoveModel:
		old, ok := s.Models[a.Digest]
		return (&Effect{Means: "the registry recommends the model no more"}).
			change("model "+hex.EncodeToString(a.Digest[:]), modelText(old, ok), notListed).unless(ok, contracts.CodeNotFound)
	case contracts.AddModel:
		old, ok := s.Models[a.Digest]
		return (&Effect{Means: "the registry recommends the model"}).
			change("model "+hex.EncodeToString(a.Digest[:]), modelText(old, ok), modelText(a.Model, true))
	case contracts.RemoveFloor, contracts.RaiseFloor, contracts.SetFloor:
		return explainFloor(a, s)
	case contracts.RemoveCAKey, contracts.AddCAKey:
		return explainCA(a, s)
	case contracts.RemoveVerifiers, contracts.SetVerifiers, contracts.SetGovernance:
		return explainQuorum(a, s)
	case contracts.Pause:
		return (&Effect{Means: "no node can register a new epoch; those that run go on"}).change("registration", pausedText(s.Paused), pausedText(true))
	case contracts.Resume:
		return (&Effect{Means: "nodes can register"}).change("registration", pausedText(s.Paused), pausedText(false))
	case contracts.RevokePlatform:
		return (&Effect{Means: "no node registers on this machine any more, and clients send it nothing" + untilRechecked}).
			change(fmt.Sprintf("machine %x", a.PlatformID), revokedText(s.Revoked[a.PlatformID]), revokedText(true))
	case contracts.RestorePlatform:
		return (&Effect{Means: "nodes on this machine can register again"}).
			change(fmt.Sprintf("machine %x", a.PlatformID), revokedText(s.Revoked[a.PlatformID]), revokedText(false)).unless(s.Revoked[a.PlatformID], contracts.CodeNotFound)
	case contracts.CancelProposal:
		p, ok := s.Proposals[a.Number]
		return (&Effect{Means: "what waits under this number never happens, unless it is proposed again"}).
			change(fmt.Sprintf("proposal %d", a.Number), waitingText(p, ok, s), "withdrawn").unless(ok, contracts.CodeNotFound)
	case contracts.SetParams:
		return explainParams(a.Params, s.Params)
	case contracts.Sweep:
		return &Effect{Means: fmt.Sprintf("all coins of the registry above %s go to %v; they are fees of checks and gifts, and no node's", coinsText(a.Keep), a.To)}
	}
	return &Effect{Means: fmt.Sprintf("this program has no words for %T: don't sign it", a)}
}

func measurementText(m contracts.Measurement, ok bool) string {
	switch {
	case !ok:
		return notListed
	case m.Flags != contracts.MeasurementAccepted:
		return fmt.Sprintf("listed with flags %#x", m.Flags)
	}
	return "accepted"
}

func modelText(m contracts.Model, ok bool) string {
	if !ok {
		return notListed
	}
	return fmt.Sprintf("listed, licence %s, from %s", strconv.QuoteToASCII(m.Licence), strconv.QuoteToASCII(m.URL))
}

func pausedText(paused bool) string {
	if paused {
		return "paused"
	}
	return "open"
}

func revokedText(revoked bool) string {
	if revoked {
		return "revoked"
	}
	return "not revoked"
}

// waitingText says what a proposal that waits would do.
func waitingText(p contracts.Proposal, ok bool, s *contracts.RootState) string {
	if !ok {
		return "does not wait"
	}
	a, err := contracts.ParseAction(p.Action)
	if err != nil {
		return fmt.Sprintf("waits with an action that can't be read (%v)", err)
	}
	if _, again := a.(contracts.CancelProposal); again {
		return "waits to withdraw another"
	}
	text := "waits:"
	for _, c := range Explain(a, s).Changes {
		text += fmt.Sprintf(" %s from %s to %s;", c.What, c.Old, c.New)
	}
	return text
}

func explainCA(a contracts.Action, s *contracts.RootState) *Effect {
	switch a := a.(type) {
	case contracts.RemoveCAKey:
		old, ok := s.CAKeys[a.Digest]
		return (&Effect{Means: "no quote whose certificate this key signed registers any more" + untilRechecked}).
			change(fmt.Sprintf("CA key %x", a.Digest), caText(old, ok), notListed).unless(ok, contracts.CodeNotFound)
	case contracts.AddCAKey:
		d := a.Key.Key.Digest()
		old, ok := s.CAKeys[d]
		return (&Effect{Means: "the contract takes certificates that this key signed for Intel's: whoever holds the key can mint quotes that register"}).
			change(fmt.Sprintf("CA key %x", d), caText(old, ok), caText(a.Key, true))
	}
	return nil
}

func caText(k contracts.CAKey, ok bool) string {
	switch {
	case !ok:
		return notListed
	case k.Kind == contracts.CAPlatform:
		return fmt.Sprintf("PCK Platform CA, x %x, y %x", k.Key.X, k.Key.Y)
	case k.Kind == contracts.CAProcessor:
		return fmt.Sprintf("PCK Processor CA, x %x, y %x", k.Key.X, k.Key.Y)
	}
	return fmt.Sprintf("kind %d, x %x, y %x", k.Kind, k.Key.X, k.Key.Y)
}

func explainQuorum(a contracts.Action, s *contracts.RootState) *Effect {
	var old contracts.Quorum
	if s.Listed != nil {
		old = s.Listed.Quorum
	}
	switch a := a.(type) {
	case contracts.RemoveVerifiers:
		e := &Effect{Means: "nodes that no contract can verify (SNP) do not register any more" + untilRechecked}
		return e.quorum("verifiers", old, contracts.Quorum{}).unless(s.Listed != nil, contracts.CodeNotFound)
	case contracts.SetVerifiers:
		e := &Effect{Means: "these keys say on chain that hardware which no contract can verify is good; each counts once its contract has told the registry of its stake, which anybody can have it do"}
		e.change("verifier set", strconv.FormatUint(uint64(s.LastSet), 10), strconv.FormatUint(uint64(a.Verifiers.Number), 10))
		return e.quorum("verifiers", old, a.Verifiers.Quorum).unless(a.Verifiers.Number > s.LastSet, contracts.CodeBadAction)
	case contracts.SetGovernance:
		e := &Effect{Means: "these keys decide over the registry from then on, and nobody else: if they are wrong, nobody can undo it"}
		return e.quorum("governors", s.Governance, a.Governance)
	}
	return nil
}

// quorum adds what changes between two quorums, key by key.
func (e *Effect) quorum(what string, old, now contracts.Quorum) *Effect {
	e.change(what, quorumText(old), quorumText(now))
	ids := slices.Sorted(maps.Keys(old.Keys))
	for i := range now.Keys {
		if _, ok := old.Keys[i]; !ok {
			ids = append(ids, i)
		}
	}
	slices.Sort(ids)
	for _, i := range ids {
		e.change(fmt.Sprintf("%s, key %d", what, i), keyText(old, i), keyText(now, i))
	}
	return e
}

func quorumText(q contracts.Quorum) string {
	if len(q.Keys) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d of %d keys", q.Threshold, len(q.Keys))
}

func keyText(q contracts.Quorum, i uint8) string {
	k, ok := q.Keys[i]
	if !ok {
		return "none"
	}
	return hex.EncodeToString(k[:])
}
