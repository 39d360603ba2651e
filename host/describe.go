package host

import (
	"bytes"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/chain/contracts"
)

// Registry is what a registry says, in the order and the words in which people
// and programs read it.
type Registry struct {
	Paused       bool                  `json:"paused"`
	Threshold    uint8                 `json:"threshold"` // of governance
	Keys         map[uint8]string      `json:"keys"`      // of governance, by number, as approvals name them
	Measurements []ListedMeasurement   `json:"measurements"`
	Models       []ListedModel         `json:"models"`
	CAKeys       []ListedCA            `json:"ca_keys"`
	Floors       map[string][]NameText `json:"floors"`            // by FMSPC
	Revoked      []string              `json:"revoked_platforms"` // platform ids
	Params       map[string]any        `json:"params"`            // as "set-params" takes them
	NextProposal uint32                `json:"next_proposal"`
	NodeCode     string                `json:"node_code"`     // hash
	PlatformCode string                `json:"platform_code"` // hash; empty: no slots
	VerifierCode string                `json:"verifier_code"` // hash; empty: nobody certifies
}

// ListedMeasurement is a measurement of the list.
type ListedMeasurement struct {
	Digest string `json:"digest"`
	Status string `json:"status"` // "accepted", or what else its flags say
	Since  string `json:"since"`  // RFC 3339; empty: from the beginning
}

// ListedModel is a model of the list.
type ListedModel struct {
	Digest  string `json:"digest"`
	Licence string `json:"licence"`
	URL     string `json:"url"`
}

// ListedCA is a CA key by which a contract accepts PCK certificates for Intel's. That
// it is one of Intel's, the list can't say.
type ListedCA struct {
	Digest string `json:"digest"` // SHA-256 of x || y: how "remove-ca" names it
	Kind   string `json:"kind"`   // "platform" or "processor"
	X      string `json:"x"`
	Y      string `json:"y"`
}

// NameText is a part of a floor.
type NameText struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Describe returns all of a registry's state but its nodes, verifiers and open
// proposals.
func Describe(s *contracts.RootState) *Registry {
	r := &Registry{
		Paused: s.Paused, Threshold: s.Governance.Threshold, NextProposal: s.NextProposal, Params: paramsValue(s.Params),
		Keys: map[uint8]string{}, Measurements: []ListedMeasurement{}, Models: []ListedModel{}, CAKeys: []ListedCA{}, Revoked: []string{},
		Floors: map[string][]NameText{}, NodeCode: codeText(s.Node), PlatformCode: codeText(s.Platform), VerifierCode: codeText(s.Verifier),
	}
	for i, k := range s.Governance.Keys {
		r.Keys[i] = hex.EncodeToString(k[:])
	}
	for _, d := range digests(s.Measurements) {
		m := s.Measurements[d]
		since := ""
		if m.Since != 0 {
			since = time.Unix(int64(m.Since), 0).UTC().Format(time.RFC3339)
		}
		r.Measurements = append(r.Measurements, ListedMeasurement{hex.EncodeToString(d[:]), measurementText(m, true), since})
	}
	for _, d := range digests(s.Models) {
		r.Models = append(r.Models, ListedModel{hex.EncodeToString(d[:]), s.Models[d].Licence, s.Models[d].URL})
	}
	for _, d := range digests(s.CAKeys) {
		k := s.CAKeys[d]
		kind := caKinds[k.Kind]
		r.CAKeys = append(r.CAKeys, ListedCA{hex.EncodeToString(d[:]), kind, hex.EncodeToString(k.Key.X[:]), hex.EncodeToString(k.Key.Y[:])})
	}
	for _, d := range digests(s.Revoked) {
		r.Revoked = append(r.Revoked, hex.EncodeToString(d[:]))
	}
	for fmspc, f := range s.Floors {
		var parts []NameText
		for _, x := range floorFields {
			parts = append(parts, NameText{x.name, x.text(f)})
		}
		r.Floors[hex.EncodeToString(fmspc[:])] = parts
	}
	return r
}

// Lines returns the parameters in words.
func Lines(p contracts.Params) []NameText {
	var out []NameText
	for _, f := range params {
		out = append(out, NameText{strings.ReplaceAll(f.key, "_", " "), f.text(f.get(&p))})
	}
	return out
}

func digests[V any](m map[[32]byte]V) [][32]byte {
	return slices.SortedFunc(maps.Keys(m), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
}

func codeText(c contracts.CodeID) string {
	if c == (contracts.CodeID{}) {
		return ""
	}
	return hex.EncodeToString(c.Hash[:])
}
