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
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var statusCommand = &command.Command{
	Name: "status", Short: "say how the node of a directory is doing",
	Long: "Asks the enclave on its loopback port and, with --ton-config, reads the node's record\n" +
		"from the chain. An enclave that does not answer is exit code 3.",
	Example: "cocoon-node status --dir /var/lib/cocoon --ton-config global.json",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		dir := fs.String("dir", "", "the node's `directory`")
		var ton tonfile.Flags
		ton.Register(fs, "TON global config `file`, to compare with the chain")
		return func(ctx context.Context, env *command.Env) error {
			if len(env.Args) > 0 {
				return attestation.BadInput("status takes no arguments; --help explains")
			}
			if *dir == "" {
				return attestation.BadInput("status needs --dir; --help explains")
			}
			return status(ctx, env, *dir, ton)
		}
	},
}

// statusReport is what status prints as JSON.
type statusReport struct {
	host.Running
	Enclave *host.EnclaveState `json:"enclave_state,omitempty"`
	Chain   *chainStatus       `json:"chain,omitempty"`
	Error   *command.Failure   `json:"error,omitempty"` // why something of it is missing
}

type chainStatus struct {
	Status     string    `json:"status"`
	Epoch      uint32    `json:"epoch"`
	Expires    time.Time `json:"expires"`
	AnchorSize uint64    `json:"anchor_size"`
	AnchorTime time.Time `json:"anchor_time"`
	Stake      uint64    `json:"stake_nano"`
	Block      uint32    `json:"block"`
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
	return &command.ErrReported{Err: problem}
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
	r := &statusReport{}
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
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return attestation.Unknown("the enclave does not answer: %w", err)
	}
	defer resp.Body.Close()
	var s host.EnclaveState
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&s); err != nil {
		return attestation.Unknown("the enclave's state can't be read: %w", err)
	}
	r.Enclave = &s
	return nil
}

func readChain(ctx context.Context, env *command.Env, r *statusReport, ton tonfile.Flags) error {
	client, err := dial(ctx, env, ton)
	if err != nil {
		return err
	}
	defer client.Close()
	n, err := registry.Reader{Reader: client}.Node(ctx, r.Node)
	if err != nil {
		return err
	}
	e, _ := n.Epoch(n.Current)
	r.Chain = &chainStatus{n.Status, n.Current, e.Expires, n.Anchor.Size, n.Anchor.Time, n.Stake, n.At.Seqno}
	return nil
}

func printStatus(w io.Writer, r *statusReport) {
	if r.Simulated {
		fmt.Fprintln(w, simulatedNotice)
	}
	fmt.Fprintf(w, "node      %v\nrelay     %s\nepoch     %d\n", r.Node, r.Relay, r.Epoch)
	if s := r.Enclave; s != nil {
		fmt.Fprintf(w, "enclave   %s, %d receipts in the log, %d anchored\n", s.State, s.Size, s.Anchored)
		if s.Refusing != "" {
			fmt.Fprintf(w, "refusing  %s\n", s.Refusing)
		}
	} else {
		fmt.Fprintf(w, "enclave   does not answer\n")
	}
	if c := r.Chain; c != nil {
		fmt.Fprintf(w, "chain     %s, epoch %d until %s, %d anchored at %s (block %d)\n", c.Status, c.Epoch, c.Expires.Format(time.RFC3339), c.AnchorSize, c.AnchorTime.Format(time.RFC3339), c.Block)
	}
}
