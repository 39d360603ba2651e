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
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/chain/registry"
	"github.com/cocoon-go/cocoon/enclave"
	"github.com/cocoon-go/cocoon/internal/command"
)

func main() { app().Main() }

func app() *command.App {
	return &command.App{
		Name:  "cocoon-enclave",
		Short: "the runtime inside the confidential VM",
		Commands: []*command.Command{{
			Name: "run", Short: "boot and serve until standard input ends",
			Long: "The host is not trusted. Everything that decides what the enclave does is in the\n" +
				"measured configuration; the other flags only say where things are. The first line on\n" +
				"standard output says where it listens. Configuration and files are read and checked before\n" +
				"anything else: where they are wrong it is \"refused\" and why, and another start is no use.",
			Example: "cocoon-enclave run --config enclave.toml --ton-config ton-global.json --data /data --device tdx",
			Setup:   setup,
		}, gpusCommand},
		Footer: "An operator starts it with: cocoon-node up",
	}
}

type flags struct {
	config, ton, data, listen, device, simulated, endorsements string
}

func setup(fs *flag.FlagSet) func(context.Context, *command.Env) error {
	var f flags
	fs.StringVar(&f.config, "config", "", "measured configuration `file` (docs/spec/enclave-config.md)")
	fs.StringVar(&f.ton, "ton-config", "", "TON global config `file`; its liteservers are used, its trusted block is not")
	fs.StringVar(&f.data, "data", "", "`directory` for the log")
	fs.StringVar(&f.listen, "listen", "127.0.0.1:0", "`address` to listen on")
	fs.StringVar(&f.device, "device", "", "confidential `hardware`: tdx or snp")
	fs.StringVar(&f.endorsements, "endorsements", "", "`path` of RIM documents and OCSP responses, by which the GPUs of the configuration are judged")
	fs.StringVar(&f.simulated, "simulated", "", "`directory` of a simulated platform instead of hardware: protects nothing")
	return func(ctx context.Context, env *command.Env) error { return run(ctx, env, f) }
}

// check looks for what is missing or contradicts itself.
func (f *flags) check(env *command.Env) error {
	if err := env.Need("--config", f.config, "--ton-config", f.ton, "--data", f.data); err != nil {
		return err
	}
	switch {
	case f.device == "" && f.simulated == "":
		return attestation.BadInput("name the hardware with --device, or a simulated platform with --simulated")
	case f.device != "" && f.simulated != "":
		return attestation.BadInput("--device and --simulated exclude each other")
	}
	return nil
}

func run(ctx context.Context, env *command.Env, f flags) error {
	if err := f.check(env); err != nil {
		return sayRefused(env, err)
	}
	if f.simulated != "" {
		env.Logf("SIMULATED: this runs on a simulated platform and protects nothing")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // the host's end, however it comes, closes our standard input
		_, _ = io.Copy(io.Discard, env.Stdin)
		cancel()
	}()
	log := slog.New(slog.NewTextHandler(env.Stderr, nil)).With("program", "cocoon-enclave")

	p, err := open(f)
	if err != nil {
		return sayRefused(env, err)
	}
	defer p.close()
	client, err := chain.Dial(ctx, p.ton)
	if err != nil {
		return err
	}
	defer client.Close()
	e, err := enclave.Boot(ctx, enclave.Options{
		Config: p.config, Device: p.device, GPUs: p.gpus, GPUEndorsements: p.documents, TPM: p.tpm, Chain: registry.Reader{Reader: client}, Engine: p.engine,
		DataDir: f.data, Software: "cocoon-enclave/" + command.Version(), Now: time.Now, Log: log,
	})
	if err != nil {
		return err
	}
	return serve(ctx, env, f, e)
}

// serve listens and watches the chain until ctx ends or the epoch is over.
func serve(ctx context.Context, env *command.Env, f flags, e *enclave.Enclave) error {
	ln, err := net.Listen("tcp", f.listen)
	if err != nil {
		return err
	}
	srv := e.Server()
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	if err := sayReady(env, f, ln.Addr()); err != nil {
		srv.Close()
		<-failed
		return err
	}
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

// sayRefused prints the first line instead of sayReady where the same start would
// fail the same way again, so that the host does not repeat it. It returns err.
func sayRefused(env *command.Env, err error) error {
	var bad *attestation.InputError
	if env.JSON || !errors.As(err, &bad) || attestation.ExitCode(err) != 1 {
		return err // as JSON it is said anyway
	}
	_, werr := fmt.Fprintf(env.Stdout, "refused %q\n", err)
	return errors.Join(err, werr)
}

// sayReady prints the first line, which the host waits for.
func sayReady(env *command.Env, f flags, addr net.Addr) error {
	if env.JSON {
		return env.PrintJSON(map[string]any{"listening": addr.String(), "simulated": f.simulated != ""})
	}
	_, err := fmt.Fprintf(env.Stdout, "listening on %s\n", addr)
	return err
}
