package client

import (
	"math"
	"testing"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/registry"
)

// TestPriceCeiling: the policy's ceiling is for 1000 tokens, a node's prices are for a
// million. A node that asks for more, of either kind of token, is refused.
func TestPriceCeiling(t *testing.T) {
	policy, err := attestation.ParsePolicy([]byte(attestation.PolicyTOML(attestation.PolicyOptions{})))
	if err != nil {
		t.Fatal(err)
	}
	c, most := &Client{cfg: Config{Policy: policy}}, 1000*policy.PriceCeiling()
	for _, tc := range []struct {
		prompt, completion uint64
		good               bool
	}{
		{0, 0, true}, {most, most, true}, {most + 1, 0, false}, {0, most + 1, false}, {most + 1000, 0, false}, {0, math.MaxUint64, false},
	} {
		err := c.affordable(&registry.Node{PromptPrice: tc.prompt, CompletionPrice: tc.completion})
		if (err == nil) != tc.good || !tc.good && attestation.ExitCode(err) != 4 {
			t.Errorf("%d / %d: %v", tc.prompt, tc.completion, err)
		}
	}
}
