package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

// settings are the three things that every command which talks to the network
// needs to be told: what to accept, where the chain is, and whose
// registry. They default to files in the user's configuration directory.
type settings struct {
	policy, registry, endorsements string
	ton                            tonfile.Flags
}

func (s *settings) register(fs *flag.FlagSet) {
	fs.StringVar(&s.policy, "policy", "", "policy `file` (default: policy.toml in the configuration directory)")
	s.ton.Register(fs, "TON global config `file` with a trusted block (default: ton-global.json there)")
	fs.StringVar(&s.registry, "registry", "", "`address` of the registry, or a file that holds it (default: registry.txt there)")
}

// registerEndorsements is for the commands that verify a node.
func (s *settings) registerEndorsements(fs *flag.FlagSet) {
	fs.StringVar(&s.endorsements, "endorsements", "", "`directory` or file with endorsements to use beside a node's")
}

func configDir() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", attestation.BadInput("no configuration directory: %w; name the files with flags", err)
	}
	return filepath.Join(dir, "cocoon"), nil
}

// file returns a setting's file: the flag's value or the default.
func file(value, name, flagName, hint string) (string, error) {
	if value != "" {
		return value, nil
	}
	dir, err := configDir()
	if err != nil {
		return "", err
	}
	p := filepath.Join(dir, name)
	if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) {
		return "", attestation.BadInput("no %s was given, and there is no %s: %s", flagName, p, hint)
	}
	return p, nil
}

func (s *settings) loadPolicy() (*attestation.Policy, error) {
	p, err := file(s.policy, "policy.toml", "--policy", "`cocoon policy init` writes one")
	if err != nil {
		return nil, err
	}
	data, err := command.ReadFile(p, attestation.MaxPolicySize)
	if err != nil {
		return nil, err
	}
	policy, err := attestation.ParsePolicy(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	return policy, nil
}

// network returns what selects the TON network: the flags, or the default file.
func (s *settings) network() (tonfile.Flags, error) {
	if s.ton.Given() {
		return s.ton, nil
	}
	p, err := file("", "ton-global.json", "--ton-config", "get the network's global config, and put it there or name it")
	return tonfile.Flags{Config: p}, err
}

// loadTON reads the network's config. It sends nothing.
func (s *settings) loadTON() (*chain.GlobalConfig, error) {
	f, err := s.network()
	if err != nil {
		return nil, err
	}
	return f.Load()
}

// dial connects to the network.
func (s *settings) dial(ctx context.Context, env *command.Env, opts ...chain.Option) (*chain.Client, error) {
	f, err := s.network()
	if err != nil {
		return nil, err
	}
	return f.Dial(ctx, func(text string) { env.Logf("warning: %s", text) }, opts...)
}

func (s *settings) loadRegistry() (attestation.Address, error) {
	p, err := file(s.registry, "registry.txt", "--registry", "put the registry's address there or name it")
	if err != nil {
		return attestation.Address{}, err
	}
	return command.ReadAddress(p)
}

func (s *settings) loadEndorsements() ([]client.EndorsementFile, error) {
	if s.endorsements == "" {
		return nil, nil
	}
	files, err := endorse.Load(s.endorsements)
	if err != nil {
		return nil, err
	}
	out := make([]client.EndorsementFile, len(files))
	for i, f := range files {
		out[i] = client.EndorsementFile(f)
	}
	return out, nil
}

// simulated says whether a policy accepts simulated platforms: every output
// under it says SIMULATED.
func simulated(p *attestation.Policy) bool { return len(p.SimulatedRoots()) > 0 }

// session is a connected client; close ends it.
type session struct {
	*client.Client
	chain   *chain.Client
	policy  *attestation.Policy
	root    attestation.Address
	trusted chain.BlockID
}

func (s *session) close() { _ = s.chain.Close() }

// connect makes a client from the settings. edit may change its configuration.
func (s *settings) connect(ctx context.Context, env *command.Env, edit func(*client.Config)) (*session, error) {
	policy, err := s.loadPolicy()
	if err != nil {
		return nil, err
	}
	ton, err := s.loadTON()
	if err != nil {
		return nil, err
	}
	root, err := s.loadRegistry()
	if err != nil {
		return nil, err
	}
	extra, err := s.loadEndorsements()
	if err != nil {
		return nil, err
	}
	c, err := s.dial(ctx, env)
	if err != nil {
		return nil, err
	}
	cfg := client.Config{Policy: policy, Chain: c, Registry: root, Endorsements: extra,
		Log: slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if edit != nil {
		edit(&cfg)
	}
	sdk, err := client.New(cfg)
	if err != nil {
		c.Close()
		return nil, err
	}
	return &session{sdk, c, policy, root, ton.Trusted()}, nil
}

const simulatedNotice = "SIMULATED: the evidence comes from a simulated platform; it proves the protocol and protects nothing"

// warnSimulated says so wherever a simulated root is in use.
func warnSimulated(w io.Writer, simulated bool) {
	if simulated {
		fmt.Fprintln(w, simulatedNotice)
	}
}

// args demands a number of arguments.
func args(env *command.Env, n int, what string) error {
	if len(env.Args) != n {
		return attestation.BadInput("want %s, got %d arguments; --help explains", what, len(env.Args))
	}
	return nil
}
