package network

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain/contracts"
)

// AMDDir is the directory of the simulated AMD machine, for `cocoon-node up
// --simulated`. It is there only when the registry lists verifiers.
const AMDDir = "sim-amd"

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
	for _, f := range docs {
		if err := n.write(filepath.Join(EndorsementsDir, f.Name), f.Data, 0o644); err != nil {
			return err
		}
	}
	return err
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
