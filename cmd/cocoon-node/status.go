package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var statusCommand = &command.Command{
	Name: "status", Short: "say how the node of a directory is doing",
	Long: "Asks the enclave on its loopback port and, with --ton-config, reads the node's record from the\n" +
		"chain: registration, anchors, stake, balance, challenges, slot. Exit code 0: clients can use the\n" +
		"node; 3: the enclave or the chain does not answer; 4: the enclave takes no requests, or the node\n" +
		"is not registered; 5: the chain has another epoch than the enclave. Lines that begin with\n" +
		"\"attention\" are for the operator to act on.",
	Example: "cocoon-node status --dir /var/lib/cocoon --ton-config global.json",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		dir := fs.String("dir", "", "the node's `directory`")
		var ton tonfile.Flags
		ton.Register(fs, "TON global config `file`, to compare with the chain")
		return func(ctx context.Context, env *command.Env) error {
			if err := env.Need("--dir", *dir); err != nil {
				return err
			}
			return status(ctx, env, *dir, ton)
		}
	},
}

// statusReport is what status prints as JSON.
type statusReport struct {
	host.Running
	Enclave   *host.EnclaveState `json:"enclave_state,omitempty"`
	Chain     *host.ChainStatus  `json:"chain,omitempty"`
	Attention []string           `json:"attention"`
	test      bool               // the chain is not mainnet
	Error     *command.Failure   `json:"error,omitempty"` // why clients can't use the node, or something of it is missing
}

func status(ctx context.Context, env *command.Env, dir string, ton tonfile.Flags) error {
	r, err := readRun(dir)
	if err != nil {
		return err
	}
	problem := enclaveState(ctx, r)
	if ton.Given() {
		problem = errors.Join(problem, readChain(ctx, env, r, ton))
	}
	if problem != nil {
		f := command.FailureOf(problem)
		r.Error = &f
	}
	if env.JSON {
		err = env.PrintJSON(r)
	} else {
		printStatus(env.Stdout, r)
	}
	if err != nil || problem == nil {
		return err
	}
	env.Logf("%v", problem)
	return &command.ReportedError{Err: problem}
}

// readRun reads what the node says about itself when it serves.
func readRun(dir string) (*statusReport, error) {
	data, err := command.ReadFile(filepath.Join(dir, host.RunFile), 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(dir); err != nil {
			return nil, attestation.BadInput("--dir: %w", err)
		}
		return nil, attestation.Unknown("no node has served from %s yet", dir)
	} else if err != nil {
		return nil, err
	}
	r := &statusReport{Attention: []string{}}
	if err := json.Unmarshal(data, &r.Running); err != nil {
		return nil, attestation.BadInput("%s: %w", filepath.Join(dir, host.RunFile), err)
	}
	return r, nil
}

func enclaveState(ctx context.Context, r *statusReport) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Running.Enclave+"/.well-known/cocoon/state", nil)
	if err != nil {
		return attestation.BadInput("%s: %w", host.RunFile, err)
	}
	resp, err := relays.Do(req)
	if err != nil {
		return attestation.Unknown("the enclave does not answer: %w", err)
	}
	defer resp.Body.Close()
	var s host.EnclaveState
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&s); err != nil {
		return attestation.Unknown("the enclave's state can't be read: %w", err)
	}
	r.Enclave = &s
	switch {
	case s.Refusing != "":
		return attestation.Refused("the enclave takes no requests: %.200q", s.Refusing)
	case s.State != "serve":
		return attestation.Refused("the enclave does not serve yet, it is at %.40q", s.State)
	}
	return nil
}

func readChain(ctx context.Context, env *command.Env, r *statusReport, ton tonfile.Flags) error {
	client, err := dial(ctx, env, ton)
	if err != nil {
		return err
	}
	defer client.Close()
	id, err := client.ChainID(ctx)
	if err != nil {
		return err
	}
	r.test = chain.NetworkOf(id) != chain.Mainnet
	if r.Chain, err = host.ReadStatus(ctx, client, r.Node, r.Enclave); err != nil {
		return err
	}
	r.Attention = append(r.Attention, r.Chain.Attention()...)
	return r.Chain.Err(r.Enclave)
}

func printStatus(w io.Writer, r *statusReport) {
	if r.Simulated {
		fmt.Fprintln(w, simulatedNotice)
	}
	fmt.Fprintf(w, "node      %v\nrelay     %s\nepoch     %d\n", r.Node, r.Relay, r.Epoch)
	if s := r.Enclave; s != nil {
		fmt.Fprintf(w, "enclave   %s, %d receipts in the log, %d anchored\n", plain(s.State), s.Size, s.Anchored)
		if s.Refusing != "" {
			fmt.Fprintf(w, "refusing  %s\n", plain(s.Refusing))
		}
	} else {
		fmt.Fprintf(w, "enclave   does not answer\n")
	}
	if r.Chain != nil {
		printChain(w, r.Chain)
		fmt.Fprintf(w, "addresses as wallets and explorers write them: node %s, wallet %s\n", r.Node.Friendly(true, r.test), r.Chain.Operator.Friendly(false, r.test))
	}
	for _, a := range r.Attention {
		fmt.Fprintf(w, "attention %s\n", a)
	}
}

func printChain(w io.Writer, c *host.ChainStatus) {
	anchored := "nothing anchored"
	if c.AnchorSize > 0 {
		anchored = fmt.Sprintf("%d anchored at %s", c.AnchorSize, c.AnchorTime.Format(time.RFC3339))
	}
	fmt.Fprintf(w, "chain     %s, epoch %d until %s, %s (block %d)\n", c.Status, c.Epoch, c.Expires.Format(time.RFC3339), anchored, c.Block)
	fmt.Fprintf(w, "price     %s\n", command.Prices(c.PromptPrice, c.CompletionPrice))
	fmt.Fprintf(w, "lag       %.0f s of %.0f s merge delay\n", c.Lag, c.MergeDelay)
	fmt.Fprintf(w, "stake     %s (at least %s), on its way out %s", command.Coins(c.Stake), command.Coins(c.MinStake), command.Coins(c.Unbonding))
	if c.UnbondingAt != nil {
		fmt.Fprintf(w, " from %s", c.UnbondingAt.Format(time.RFC3339))
	}
	fmt.Fprintf(w, "\ncredits   %s to withdraw, owed to all %s\nbalance   %s, of which %s are the reserve; ", command.Coins(c.Credits), command.Coins(c.Owed), command.Coins(c.Balance), command.Coins(c.Reserve))
	if c.Spare < 0 {
		fmt.Fprintf(w, "short of %s\n", command.Coins(uint64(-c.Spare)))
	} else {
		fmt.Fprintf(w, "%s for anchors\n", command.Coins(uint64(c.Spare)))
	}
	fmt.Fprintf(w, "wallet    %s\nchallenges %d open\n", command.Coins(c.Wallet), len(c.Challenges))
	if p := c.Platform; p != nil {
		slot := "none"
		if p.Until != nil {
			slot = "until " + p.Until.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "slot      %s; %d of %d held on platform %v\n", slot, p.Held, p.Limit, p.Address)
	}
}
