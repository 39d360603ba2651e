package chain

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cocoon-go/cocoon/chain/devnet"
)

// TestOutside runs the scenario in another process, which knows of a network no
// more than the two files.
func TestOutside(t *testing.T) {
	if os.Getenv("COCOON_TON_CONFIG") != "" {
		t.Skip("a network is named: TestScenario uses it")
	}
	t.Parallel()
	config, seed := devChain(t, devnet.Options{BlockInterval: 150 * time.Millisecond, Liteservers: 3})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := func(env ...string) (string, error) {
		cmd := exec.CommandContext(ctx, self, "-test.run", "^TestScenario$", "-test.v")
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run("COCOON_TON_CONFIG="+config, "COCOON_TON_SEED="+seed)
	if err != nil || !strings.Contains(out, "--- PASS: TestScenario") || !strings.Contains(out, "in all") {
		t.Errorf("err %v, output:\n%s", err, out)
	}
	// the wallet holds too little for a second run
	out, err = run("COCOON_TON_CONFIG="+config, "COCOON_TON_SEED="+seed)
	if err == nil || !strings.Contains(out, "the scenario needs 1") {
		t.Errorf("with too little money: err %v, output:\n%s", err, out)
	}
	// one of the two names alone is a mistake, and no dev chain
	out, err = run("COCOON_TON_CONFIG=" + config)
	if err == nil || !strings.Contains(out, "want both") {
		t.Errorf("without a wallet: err %v, output:\n%s", err, out)
	}
}
