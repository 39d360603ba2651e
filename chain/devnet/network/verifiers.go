package network

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// AMDDir is the directory of the simulated AMD machine, for `cocoon-node up
// --simulated`. It is there only when the registry lists verifiers.
const AMDDir = "sim-amd"

// VerifierPolicyFile is the policy by which the verifiers judge: it names what the
// registry lists, since what they judge is not registered yet.
const VerifierPolicyFile = "verifier.toml"

// VerifierFile returns the name of the file with the key of a verifier, counted
// from 1.
func VerifierFile(n int) string { return fmt.Sprintf("verifier-%d.key", n) }

// crlFor is for how long the revocation list of the simulated AMD is good; nobody
// renews it.
const crlFor = 30 * 24 * time.Hour

// makeVerifiers makes the keys of verifiers, and the machine that needs them:
// contracts can't verify AMD's evidence.
func (n *Network) makeVerifiers(count int) (err error) {
	if count == 0 {
		return nil
	}
	for i := range count {
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			return err
		}
		n.Verifiers = append(n.Verifiers, key)
		if err := n.write(VerifierFile(i+1), []byte(hex.EncodeToString(key.Seed())+"\n"), 0o600); err != nil {
			return err
		}
	}
	if n.AMD, err = sim.NewAMDMachine(); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(n.dir, AMDDir), 0o755); err != nil {
		return err
	}
	f, err := n.AMD.File()
	if err != nil {
		return err
	}
	if err := n.write(filepath.Join(AMDDir, f.Name), f.Data, 0o600); err != nil {
		return err
	}
	docs, err := n.AMD.Endorsements(time.Now().Add(-time.Hour), time.Now().Add(crlFor))
	if err != nil {
		return err
	}
	for _, f := range docs {
		if err := n.write(filepath.Join(EndorsementsDir, f.Name), f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// listVerifiers has a new registry list the verifiers. All of them must sign.
func (n *Network) listVerifiers(s *contracts.RootState) error {
	if len(n.Verifiers) == 0 {
		return nil
	}
	var keys []ed25519.PublicKey
	for _, k := range n.Verifiers {
		keys = append(keys, k.Public().(ed25519.PublicKey))
	}
	q, err := contracts.NewQuorum(len(keys), keys...)
	if err != nil {
		return err
	}
	s.List(contracts.VerifierSet{Number: 1, Quorum: q})
	return nil
}

// writeVerifierPolicy writes the verifiers' policy for a registry that lists
// measurements and models.
func (n *Network) writeVerifierPolicy(o *Options) error {
	if len(n.Verifiers) == 0 {
		return nil
	}
	text := attestation.PolicyTOML(attestation.PolicyOptions{SimulatedRoots: n.SimulatedRoots(), Registry: n.Registry})
	from := " = \"from registry " + n.Registry.String() + "\"\n"
	for old, now := range map[string]string{
		"\nmeasurements" + from: "\nmeasurements = " + digests(o.Measurements) + "\n",
		"\nmodels" + from:       "\nmodels = " + digests(slices.Collect(maps.Keys(o.Models))) + "\n",
		"\n[evidence]\n":        "\n[evidence]\nunsafe_unregistered = true\n",
	} {
		if strings.Count(text, old) != 1 {
			return fmt.Errorf("the default policy has not one %q", old)
		}
		text = strings.Replace(text, old, now, 1)
	}
	return n.write(VerifierPolicyFile, []byte(text), 0o644)
}

// digests writes a list as a policy has it.
func digests(list [][32]byte) string {
	var out []string
	for _, d := range list {
		out = append(out, fmt.Sprintf("\"%x\"", d))
	}
	return "[" + strings.Join(out, ", ") + "]"
}
