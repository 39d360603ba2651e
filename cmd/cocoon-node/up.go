package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

var upCommand = &command.Command{
	Name: "up", Short: "run an enclave, register it, and anchor its log until interrupted",
	Long: "The enclave is a process of its own. --simulated runs it on a simulated platform,\n" +
		"which protects nothing and is accepted only by policies that name its root. With --json\n" +
		"an object is printed each time that an enclave begins to serve.\n\n" +
		"Challenges of the node's log are answered from the beginning, also when the registration is\n" +
		"refused or over, or the wallet can't pay one: while something is at stake `up` stays for that, and\n" +
		"tries again when the registry's policy or the stake is another, or coins came. A node that was\n" +
		"unregistered, or of which the chain's history does not tell, is not registered again, unless stake\n" +
		"was added since, or --again is given.",
	Example: "cocoon-node up --dir /var/lib/cocoon --ton-config global.json --registry 0:... --wallet wallet.key --device tdx",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var f upFlags
		f.register(fs)
		return func(ctx context.Context, env *command.Env) error { return up(ctx, env, f) }
	},
}

// upFlags are options of the host, and files from which others are read.
type upFlags struct {
	host.Options
	ton                                    tonfile.Flags
	registry, wallet, endorsements, engine string
}

func (f *upFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.Dir, "dir", "", "the node's own `directory`")
	f.ton.Register(fs, "TON global config `file`")
	fs.StringVar(&f.registry, "registry", "", "`address` of the registry, or a file that holds it")
	fs.StringVar(&f.wallet, "wallet", "", "`file` with the operator's wallet key: 24 words or 64 hex digits")
	fs.StringVar(&f.Simulated, "simulated", "", "`directory` of a simulated platform instead of hardware: Intel's, or AMD's with --certificates")
	fs.StringVar(&f.Device, "device", "", "confidential `hardware`: tdx or snp")
	fs.StringVar(&f.Certificates, "certificates", "", "`directory` through which the registry's verifiers certify the enclave: needed for SEV-SNP")
	fs.DurationVar(&f.CertifiedFor, "certified-for", host.CertificateValid, "`time` for which a certificate is wanted, and so the registration good")
	fs.StringVar(&f.endorsements, "endorsements", "", "`directory` of endorsements to serve to clients, and for the enclave to judge its GPUs by")
	fs.StringVar(&f.engine, "engine", "", "`file` with [upstream], [limits], [gpu] and [tpm] of the enclave's configuration (default: the embedded engine, no GPUs)")
	fs.StringVar(&f.Listen, "listen", "127.0.0.1:0", "`address` of the relay")
	fs.StringVar(&f.Public, "public-url", "", "`URL` of the relay for clients (default: what the chain has, else http:// and the address)")
	registerPrices(fs, &f.PromptPrice, &f.CompletionPrice)
	fs.StringVar(&f.Program, "enclave", "", "the cocoon-enclave `program` (default: beside this one)")
	fs.BoolVar(&f.Again, "again", false, "register a node that was unregistered")
	fs.Func("anchor-every", "`time` between anchors (default: half of the registry's merge delay)", func(s string) error {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return errors.New("want a duration such as 5m")
		}
		f.AnchorEvery = d
		return nil
	})
	fs.Func("index", "`number` of this node among the operator's (default 0)", func(s string) error {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return errors.New("want a whole number from 0")
		}
		f.Index = uint32(n)
		return nil
	})
}

func up(ctx context.Context, env *command.Env, f upFlags) error {
	if err := f.check(env); err != nil {
		return err
	}
	if err := f.load(env); err != nil {
		return err
	}
	f.Log = slog.New(slog.NewTextHandler(env.Stderr, nil)).With("program", "cocoon-node")
	f.Ready = func(r host.Running) { sayReady(env, r) }
	return host.Up(ctx, f.Options)
}

// check looks for what is missing or contradicts itself.
func (f *upFlags) check(env *command.Env) error {
	if err := needOperator(env, f.Dir, f.ton, f.registry, f.wallet); err != nil {
		return err
	}
	if err := (host.Profile{Endpoint: f.Public}).Check(); err != nil {
		return fmt.Errorf("--public-url: %w", err)
	}
	switch {
	case f.Simulated == "" && f.Device == "":
		return attestation.BadInput("name the hardware with --device, or a simulated platform with --simulated")
	case f.Simulated != "" && f.Device != "":
		return attestation.BadInput("--device and --simulated exclude each other")
	case f.Device != "" && f.Device != "tdx" && f.Device != "snp":
		return attestation.BadInput("--device %q: tdx and snp are known", f.Device)
	case f.CertifiedFor <= 0 || f.CertifiedFor > 30*24*time.Hour:
		return attestation.BadInput("--certified-for %s: want a time such as 144h, up to 720h", f.CertifiedFor)
	case f.Device == "snp" && f.Certificates == "":
		return noContract()
	}
	return nil
}

// load reads the files, so that what is wrong with them is said before
// anything starts.
func (f *upFlags) load(env *command.Env) (err error) {
	if _, err := f.ton.Load(); err != nil {
		return err
	}
	if f.TON, err = f.ton.Path(); err != nil {
		return err
	}
	if f.Registry, err = command.ReadAddress(f.registry); err != nil {
		return err
	}
	if f.Wallet, err = walletKey(env, f.wallet); err != nil {
		return err
	}
	if f.Simulated != "" {
		if err := f.checkSimulated(); err != nil {
			return err
		}
	}
	if f.Certificates != "" {
		if info, err := os.Stat(f.Certificates); err != nil || !info.IsDir() {
			return attestation.BadInput("--certificates %s: want a directory", f.Certificates)
		}
	}
	if f.endorsements != "" {
		f.RenewEndorsements = func() ([]endorse.File, error) { return endorse.Load(f.endorsements) }
		if f.Endorsements, err = f.RenewEndorsements(); err != nil {
			return err
		}
	}
	if f.engine != "" {
		data, err := command.ReadFile(f.engine, 1<<20)
		if err != nil {
			return err
		}
		if f.Engine, err = host.ParseEngine(data); err != nil {
			return fmt.Errorf("%s: %w", f.engine, err)
		}
	}
	if f.Program == "" {
		f.Program, err = sibling("cocoon-enclave")
	} else if _, serr := os.Stat(f.Program); serr != nil {
		err = attestation.BadInput("--enclave: %w", serr)
	}
	return err
}

// checkSimulated looks for the platform in the directory of --simulated.
func (f *upFlags) checkSimulated() error {
	entries, err := os.ReadDir(f.Simulated)
	if err != nil {
		return attestation.BadInput("--simulated: %w: `cocoon demo` makes one, demo/sim-platform", err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	name, err := sim.PlatformFile(names...)
	switch {
	case err != nil:
		return fmt.Errorf("--simulated %s: %w: `cocoon demo` makes one, demo/sim-platform", f.Simulated, err)
	case name == sim.AMDMachineFile && f.Certificates == "":
		return noContract()
	}
	return nil
}

func noContract() error {
	return attestation.BadInput("no contract verifies evidence of SEV-SNP: name the directory where the registry's verifiers put certificates with --certificates")
}

func sayReady(env *command.Env, r host.Running) {
	if env.JSON {
		_ = env.PrintJSON(r)
		return
	}
	if r.Simulated {
		fmt.Fprintln(env.Stdout, simulatedNotice)
	}
	fmt.Fprintf(env.Stdout, "node %v serves epoch %d at %s\n", r.Node, r.Epoch, r.Relay)
}

const simulatedNotice = "SIMULATED: the enclave runs on a simulated platform; this node protects nothing"

// walletKey reads a wallet key and warns when others could read it too.
func walletKey(env *command.Env, path string) (ed25519.PrivateKey, error) {
	data, err := command.ReadFile(path, 1<<12)
	if err != nil {
		return nil, err
	}
	if fi, err := os.Stat(path); err == nil && fi.Mode().Perm()&0o077 != 0 {
		env.Logf("warning: others can read %s: chmod 600 it", path)
	}
	key, err := chain.ParseWalletKey(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// sibling returns the program of this name beside the running one.
func sibling(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	p := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(p); err != nil {
		return "", attestation.BadInput("%s is not beside %s: name it with --enclave", name, filepath.Base(self))
	}
	return p, nil
}
