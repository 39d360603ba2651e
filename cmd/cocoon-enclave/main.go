// Command cocoon-enclave is the runtime inside the confidential VM. The host's
// cocoon-node starts it; docs/operator.md says how.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/sim"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/enclave/device"
	"github.com/cocoon-go/cocoon/enclave/device/simdevice"
	"github.com/cocoon-go/cocoon/enclave/engine"
	"github.com/cocoon-go/cocoon/enclave/engine/tinylm"
	"github.com/cocoon-go/cocoon/internal/command"
)

func main() {
	app := &command.App{
		Name:  "cocoon-enclave",
		Short: "the runtime inside the confidential VM",
		Commands: []*command.Command{{
			Name: "run", Short: "boot and serve until standard input ends",
			Long: "The host is not trusted. Everything that decides what the enclave does is in the\n" +
				"measured configuration; the other flags only say where things are.",
			Example: "cocoon-enclave run --config enclave.toml --ton-config ton-global.json --data /data --device tdx",
			Setup:   setup,
		}},
	}
	app.Main()
}

type flags struct {
	config, ton, data, listen, device, simulated string
}

func setup(fs *flag.FlagSet) func(context.Context, *command.Env) error {
	var f flags
	fs.StringVar(&f.config, "config", "", "measured configuration `file` (docs/spec/enclave-config.md)")
	fs.StringVar(&f.ton, "ton-config", "", "TON global config `file`; its liteservers are used, its trusted block is not")
	fs.StringVar(&f.data, "data", "", "`directory` for the log")
	fs.StringVar(&f.listen, "listen", "127.0.0.1:0", "`address` to listen on")
	fs.StringVar(&f.device, "device", "", "confidential hardware: `tdx or snp`")
	fs.StringVar(&f.simulated, "simulated", "", "`directory` of a simulated platform instead of hardware: protects nothing")
	return func(ctx context.Context, env *command.Env) error { return run(ctx, env, f) }
}

func run(ctx context.Context, env *command.Env, f flags) error {
	if len(env.Args) > 0 || f.config == "" || f.ton == "" || f.data == "" || (f.device == "") == (f.simulated == "") {
		return attestation.BadInput("needed are --config, --ton-config, --data, and one of --device and --simulated")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // the host's end, however it comes, closes our standard input
		_, _ = io.Copy(io.Discard, env.Stdin)
		cancel()
	}()
	log := slog.New(slog.NewTextHandler(env.Stderr, nil)).With("program", "cocoon-enclave")

	cfg, err := readConfig(f.config)
	if err != nil {
		return err
	}
	client, err := dial(ctx, f.ton, cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	dev, err := openDevice(f)
	if err != nil {
		return err
	}
	eng, err := openEngine(cfg)
	if err != nil {
		return err
	}
	defer eng.Close()
	e, err := enclave.Boot(ctx, enclave.Options{
		Config: cfg, Device: dev, Chain: registry.Reader{Reader: client}, Engine: eng,
		DataDir: f.data, Software: "cocoon-enclave/" + command.Version(), Now: time.Now, Log: log,
	})
	if err != nil {
		return err
	}
	return serve(ctx, env, f.listen, e)
}

// serve listens and watches the chain until ctx ends or the epoch is over.
func serve(ctx context.Context, env *command.Env, listen string, e *enclave.Enclave) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	srv := e.Server()
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	fmt.Fprintf(env.Stdout, "listening on %s\n", ln.Addr())
	err = e.Run(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if srv.Shutdown(stop) != nil {
		srv.Close()
	}
	if serr := <-failed; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

func readConfig(path string) (*enclave.Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, attestation.BadInput("configuration: %w", err)
	}
	return enclave.ParseConfig(data)
}

// dial uses the liteservers of the host's file, and the trusted block of the
// measured configuration: the host can't choose what proofs start from.
func dial(ctx context.Context, path string, cfg *enclave.Config) (*chain.Client, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, attestation.BadInput("TON global config: %w", err)
	}
	global, err := chain.ParseGlobalConfig(data)
	if err != nil {
		return nil, err
	}
	if data, err = global.Renew(cfg.Trusted); err != nil {
		return nil, err
	}
	if global, err = chain.ParseGlobalConfig(data); err != nil {
		return nil, err
	}
	return chain.Dial(ctx, global)
}

func openDevice(f flags) (device.Device, error) {
	if f.simulated == "" {
		return device.Open(f.device)
	}
	data, err := os.ReadFile(filepath.Join(f.simulated, sim.IntelPlatformFile))
	if err != nil {
		return nil, attestation.BadInput("simulated platform: %w", err)
	}
	platform, err := sim.ParseIntel(data)
	if err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return simdevice.New(platform, program)
}

func openEngine(cfg *enclave.Config) (engine.Engine, error) {
	if cfg.Engine == "embedded" {
		return tinylm.New(tinylm.Options{Running: min(cfg.Limits.Concurrent, 4)})
	}
	c := engine.UpstreamConfig{URL: cfg.Upstream.URL, Profile: engine.Profile(cfg.Upstream.Profile)}
	var names []string
	for _, m := range cfg.Upstream.Models {
		c.Models = append(c.Models, engine.Model{Name: m.Name, Digest: m.Digest})
		names = append(names, m.Name)
	}
	c.Probes = engine.DefaultProbes(names...)
	return engine.NewUpstream(c)
}
