package attestation

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed default.toml
var defaultPolicy string

// DefaultPolicyTOML returns the text of a strict policy with a comment for
// every line. [ParsePolicy] reads it.
func DefaultPolicyTOML() string { return defaultPolicy }

// PolicyOptions fills in a default policy.
type PolicyOptions struct {
	SimulatedRoots [][32]byte // fingerprints of simulated roots to accept
	Registry       Address    // where measurements and models come from; zero leaves it to the caller
}

// PolicyTOML returns the default policy with options filled in.
func PolicyTOML(o PolicyOptions) string {
	s := defaultPolicy
	var roots []string
	for _, r := range o.SimulatedRoots {
		roots = append(roots, fmt.Sprintf(`"sha256:%x"`, r))
	}
	s = strings.Replace(s, "simulated_roots = []", "simulated_roots = ["+strings.Join(roots, ", ")+"]", 1)
	if !o.Registry.IsZero() {
		s = strings.ReplaceAll(s, `= "from registry"`, fmt.Sprintf(`= "from registry %s"`, o.Registry))
	}
	return s
}
