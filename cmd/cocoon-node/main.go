// Command cocoon-node is the operator's program: it runs an enclave, relays its
// port, registers it on TON and anchors its log. Start with docs/operator.md.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

func main() {
	(&command.App{
		Name:  "cocoon-node",
		Short: "run a node of the Cocoon network",
		Commands: []*command.Command{
			{Name: "up", Short: "run an enclave, register it, and anchor its log until interrupted",
				Long: "The enclave is a process of its own. --simulated runs it on a simulated platform,\n" +
					"which protects nothing and is accepted only by policies that name its root.",
				Example: "cocoon-node up --dir /var/lib/cocoon --ton-config global.json --registry 0:... --wallet wallet.key --device tdx",
				Setup:   setupUp},
			{Name: "status", Short: "say how the node of a directory is doing",
				Example: "cocoon-node status --dir /var/lib/cocoon --ton-config global.json", Setup: setupStatus},
			{Name: "wallet new", Args: "FILE", Short: "make a wallet key (mode 0600) and print its address",
				Example: "cocoon-node wallet new wallet.key --ton-config global.json", Setup: setupWallet},
		},
	}).Main()
}

func setupUp(fs *flag.FlagSet) func(context.Context, *command.Env) error {
	var o host.Options
	var reg, wallet, endorsements, engine string
	fs.StringVar(&o.Dir, "dir", "", "the node's own `directory`")
	fs.StringVar(&o.TON, "ton-config", "", "TON global config `file`")
	fs.StringVar(&reg, "registry", "", "`address` of the registry, or a file that holds it")
	fs.StringVar(&wallet, "wallet", "", "`file` with the operator's wallet key: 24 words or 64 hex digits")
	fs.StringVar(&o.Simulated, "simulated", "", "`directory` of a simulated platform instead of hardware")
	fs.StringVar(&o.Device, "device", "", "confidential hardware: `tdx or snp`")
	fs.StringVar(&endorsements, "endorsements", "", "`directory` of endorsements to serve to clients")
	fs.StringVar(&engine, "engine", "", "`file` with [upstream] and [limits] of the enclave's configuration (default: the embedded engine)")
	fs.StringVar(&o.Listen, "listen", "127.0.0.1:0", "`address` of the relay")
	fs.StringVar(&o.Public, "public-url", "", "`URL` of the relay for clients (default: http:// and the address)")
	fs.StringVar(&o.Program, "enclave", "", "the cocoon-enclave `program` (default: beside this one)")
	fs.DurationVar(&o.AnchorEvery, "anchor-every", 10*time.Minute, "`time` between anchors")
	fs.Func("index", "number of this node among the operator's (default 0)", func(s string) error {
		_, err := fmt.Sscanf(s, "%d", &o.Index)
		return err
	})
	return func(ctx context.Context, env *command.Env) (err error) {
		if len(env.Args) > 0 {
			return attestation.BadInput("up takes no arguments")
		}
		for flag, v := range map[string]string{"--dir": o.Dir, "--ton-config": o.TON, "--registry": reg, "--wallet": wallet} {
			if v == "" {
				return attestation.BadInput("%s is needed; cocoon-node help up explains", flag)
			}
		}
		if (o.Simulated == "") == (o.Device == "") {
			return attestation.BadInput("name the hardware with --device, or a simulated platform with --simulated")
		}
		if o.Registry, err = registryAddress(reg); err != nil {
			return err
		}
		if o.Wallet, err = walletKey(env, wallet); err != nil {
			return err
		}
		if endorsements != "" {
			if o.Endorsements, err = endorse.Load(endorsements); err != nil {
				return err
			}
		}
		if engine != "" {
			data, err := os.ReadFile(engine)
			if err != nil {
				return attestation.BadInput("engine: %w", err)
			}
			if o.Engine, err = host.ParseEngine(data); err != nil {
				return err
			}
		}
		if o.Program == "" {
			if o.Program, err = sibling("cocoon-enclave"); err != nil {
				return err
			}
		}
		o.Log = slog.New(slog.NewTextHandler(env.Stderr, nil)).With("program", "cocoon-node")
		o.Ready = func(r host.Running) {
			if env.JSON {
				_ = env.PrintJSON(r)
				return
			}
			if o.Simulated != "" {
				fmt.Fprintln(env.Stdout, "SIMULATED: this node protects nothing")
			}
			fmt.Fprintf(env.Stdout, "node %v serves epoch %d at %s\n", r.Node, r.Epoch, r.Relay)
		}
		return host.Up(ctx, o)
	}
}

// registryAddress reads an address, or a file that holds one.
func registryAddress(s string) (attestation.Address, error) {
	if a, err := attestation.ParseAddress(s); err == nil {
		return a, nil
	}
	data, err := os.ReadFile(s)
	if err != nil {
		return attestation.Address{}, attestation.BadInput("registry %q is neither an address (0:HEX) nor a file", s)
	}
	return attestation.ParseAddress(strings.TrimSpace(string(data)))
}

// walletKey reads a wallet key and warns when others could read it too.
func walletKey(env *command.Env, path string) (ed25519.PrivateKey, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, attestation.BadInput("wallet: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		env.Logf("warning: %s can be read by others; chmod 600 it", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, attestation.BadInput("wallet: %w", err)
	}
	return chain.ParseWalletKey(string(data))
}

// sibling returns the program of this name beside the running one.
func sibling(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	p := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(p); err != nil {
		return "", attestation.BadInput("%s is not beside %s; name it with a flag", name, filepath.Base(self))
	}
	return p, nil
}

func setupStatus(fs *flag.FlagSet) func(context.Context, *command.Env) error {
	dir := fs.String("dir", "", "the node's `directory`")
	ton := fs.String("ton-config", "", "TON global config `file`, to compare with the chain")
	return func(ctx context.Context, env *command.Env) error {
		if *dir == "" || len(env.Args) > 0 {
			return attestation.BadInput("--dir is needed")
		}
		return status(ctx, env, *dir, *ton)
	}
}

type statusReport struct {
	host.Running
	Enclave *host.EnclaveState `json:"enclave_state,omitempty"`
	Chain   *chainStatus       `json:"chain,omitempty"`
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

func status(ctx context.Context, env *command.Env, dir, ton string) error {
	data, err := os.ReadFile(filepath.Join(dir, host.RunFile))
	if errors.Is(err, fs.ErrNotExist) {
		return attestation.Unknown("no node has served from %s yet", dir)
	} else if err != nil {
		return err
	}
	var r statusReport
	if err := json.Unmarshal(data, &r.Running); err != nil {
		return attestation.BadInput("%s: %w", host.RunFile, err)
	}
	stateErr := enclaveState(ctx, &r)
	if ton != "" {
		if err := readChain(ctx, &r, ton); err != nil {
			return err
		}
	}
	if env.JSON {
		if err := env.PrintJSON(r); err != nil {
			return err
		}
	} else {
		printStatus(env.Stdout, &r)
	}
	return stateErr
}

func enclaveState(ctx context.Context, r *statusReport) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Running.Enclave+"/.well-known/cocoon/state", nil)
	if err != nil {
		return err
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

func readChain(ctx context.Context, r *statusReport, ton string) error {
	client, err := dial(ctx, ton)
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

func dial(ctx context.Context, path string) (*chain.Client, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, attestation.BadInput("TON global config: %w", err)
	}
	cfg, err := chain.ParseGlobalConfig(data)
	if err != nil {
		return nil, err
	}
	return chain.Dial(ctx, cfg)
}

func printStatus(w io.Writer, r *statusReport) {
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

func setupWallet(fs *flag.FlagSet) func(context.Context, *command.Env) error {
	ton := fs.String("ton-config", "", "TON global config `file`: the address depends on the network")
	return func(ctx context.Context, env *command.Env) error {
		if len(env.Args) != 1 || *ton == "" {
			return attestation.BadInput("one file and --ton-config are needed")
		}
		client, err := dial(ctx, *ton)
		if err != nil {
			return err
		}
		defer client.Close()
		id, err := client.ChainID(ctx)
		if err != nil {
			return err
		}
		seed := make([]byte, ed25519.SeedSize)
		if _, err := rand.Read(seed); err != nil {
			return err
		}
		w, err := chain.NewWallet(ed25519.NewKeyFromSeed(seed), id)
		if err != nil {
			return err
		}
		if err := atomicfile.Create(env.Args[0], []byte(hex.EncodeToString(seed)+"\n"), 0o600); err != nil {
			if errors.Is(err, os.ErrExist) {
				return attestation.BadInput("%s exists; a wallet key is never overwritten", env.Args[0])
			}
			return err
		}
		if env.JSON {
			return env.PrintJSON(map[string]string{"address": w.Address().String(), "file": env.Args[0]})
		}
		fmt.Fprintln(env.Stdout, w.Address())
		return nil
	}
}
