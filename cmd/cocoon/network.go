package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/internal/atomicfile"
	"github.com/cocoon-go/cocoon/internal/command"
)

const oldTrustUsage = "go on from a trusted block older than 30 days: who holds two thirds of the keys of that time's validators can then show any chain"

var networkShowCommand = &command.Command{
	Name: "network show", Short: "say which TON network is used, and from which block on it is trusted",
	Long:    "Proves the newest block from the trusted block of the global config.",
	Example: "cocoon network show --network mainnet",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.ton.Register(fs, "TON global config `file` (default: ton-global.json in the configuration directory)")
		return func(ctx context.Context, env *command.Env) error {
			r, _, client, err := s.openNetwork(ctx, env)
			if err != nil {
				return err
			}
			client.Close()
			return r.print(env)
		}
	},
}

var networkRenewCommand = &command.Command{
	Name: "network renew", Short: "put the newest key block into the global config as its trusted block",
	Long: "A trusted block older than 30 days is refused. This proves the newest key block from the one\n" +
		"that the file has, and writes the file with it. Run it now and then, from a timer for example.",
	Example: "cocoon network renew --network mainnet",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var s settings
		s.ton.Register(fs, "TON global config `file` to write (default: ton-global.json in the configuration directory)")
		old := fs.Bool("unsafe-old-trust", false, oldTrustUsage)
		return func(ctx context.Context, env *command.Env) error {
			return s.renewNetwork(ctx, env, *old)
		}
	},
}

// networkReport is what the network commands print as JSON.
type networkReport struct {
	File    string    `json:"file"`
	Network string    `json:"network"`
	ChainID int32     `json:"chain_id"`
	Version uint32    `json:"version"`
	Trusted blockLine `json:"trusted"`
	Newest  blockLine `json:"newest"`
}

type blockLine struct {
	Seqno uint32    `json:"seqno"`
	Root  string    `json:"root_hash"`
	Time  time.Time `json:"time"`
}

func lineOf(b chain.Block) blockLine {
	return blockLine{b.Seqno, fmt.Sprintf("%x", b.RootHash), b.Time.UTC()}
}

func (r *networkReport) print(env *command.Env) error {
	if env.JSON {
		return env.PrintJSON(r)
	}
	fmt.Fprintf(env.Stdout, "file     %s\nnetwork  %s, chain id %d, version %d\n", r.File, r.Network, r.ChainID, r.Version)
	left := chain.MaxTrustAge - time.Since(r.Trusted.Time)
	fmt.Fprintf(env.Stdout, "trusted  block %d of %s, for %d more days\n", r.Trusted.Seqno, r.Trusted.Time.Format(time.RFC3339), int(left.Hours()/24))
	fmt.Fprintf(env.Stdout, "newest   block %d of %s\n", r.Newest.Seqno, r.Newest.Time.Format(time.RFC3339))
	return nil
}

// openNetwork connects, proves the head, and describes both ends of the proof.
func (s *settings) openNetwork(ctx context.Context, env *command.Env, opts ...chain.Option) (*networkReport, *chain.GlobalConfig, *chain.Client, error) {
	f, err := s.network()
	if err != nil {
		return nil, nil, nil, err
	}
	r := &networkReport{}
	if r.File, err = f.Path(); err != nil {
		return nil, nil, nil, err
	}
	cfg, err := f.Load()
	if err != nil {
		return nil, nil, nil, err
	}
	c, err := s.dial(ctx, env, opts...)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := describeNetwork(ctx, c, cfg, r); err != nil {
		c.Close()
		return nil, nil, nil, err
	}
	return r, cfg, c, nil
}

func describeNetwork(ctx context.Context, c *chain.Client, cfg *chain.GlobalConfig, r *networkReport) error {
	head, err := c.Head(ctx)
	if err != nil {
		return err
	}
	trusted, err := c.Block(ctx, cfg.Trusted().Seqno)
	if err != nil {
		return err
	}
	if trusted.ID() != cfg.Trusted() {
		return attestation.ChainDisagrees("block %d is not the trusted block of the file", trusted.Seqno)
	}
	if r.ChainID, err = c.ChainID(ctx); err != nil {
		return err
	}
	if r.Version, _, err = c.NetworkVersion(ctx); err != nil {
		return err
	}
	r.Network, r.Trusted, r.Newest = string(chain.NetworkOf(r.ChainID)), lineOf(trusted), lineOf(head)
	return nil
}

func (s *settings) renewNetwork(ctx context.Context, env *command.Env, old bool) error {
	var opts []chain.Option
	if old {
		env.Logf("warning: --unsafe-old-trust: the new trusted block is worth no more than the old one")
		opts = append(opts, chain.WithOldTrustUnsafe())
	}
	r, cfg, c, err := s.openNetwork(ctx, env, opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	key := c.KeyBlock()
	b, err := c.Block(ctx, key.Seqno)
	if err != nil {
		return err
	}
	if key != cfg.Trusted() {
		data, err := cfg.Renew(key)
		if err != nil {
			return err
		}
		info, err := os.Stat(r.File)
		if err != nil {
			return attestation.BadInput("%w", err)
		}
		if err := atomicfile.Write(r.File, data, info.Mode().Perm()); err != nil {
			return attestation.BadInput("%w", err)
		}
	}
	r.Trusted = lineOf(b)
	return r.print(env)
}
