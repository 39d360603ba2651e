package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var registerCommand = &command.Command{
	Name: "register", Args: "URL|FILE", Short: "register an enclave's bundle as the node's next epoch",
	Long: "Takes the bundle from a relay, a file, or a request for certificates. The contract itself verifies\n" +
		"a TDX quote. Other evidence needs a certificate of the registry's verifiers: --certificate names its\n" +
		"file, several times where each verifier gave one. `up` does this by itself; use it when the enclave\n" +
		"runs elsewhere.",
	Example: "cocoon-node register http://127.0.0.1:9000" + flagsExample,
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var f operatorFlags
		f.register(fs)
		var certificates []string
		fs.Func("certificate", "`file` with a certificate of verifiers; may be given several times", func(s string) error {
			certificates = append(certificates, s)
			return nil
		})
		return func(ctx context.Context, env *command.Env) error { return register(ctx, env, &f, certificates) }
	},
}

func register(ctx context.Context, env *command.Env, f *operatorFlags, certificates []string) error {
	if len(env.Args) != 1 {
		return attestation.BadInput("register takes one argument (URL|FILE); --help explains")
	}
	if err := f.check(env); err != nil {
		return err
	}
	files, err := readCertificates(certificates)
	if err != nil {
		return err
	}
	newest := func(ctx context.Context) (*attestation.Bundle, error) { return bundleOf(ctx, env.Args[0]) }
	if _, err := newest(ctx); err != nil {
		return err
	}
	do := func(ctx context.Context, o *host.Operator) error { return o.Register(ctx, newest, files...) }
	return f.run(ctx, env, do, func(o *host.Operator) error { return printRecord(ctx, env, o) })
}

// bundleOf reads the newest bundle of a relay, or that of a file.
func bundleOf(ctx context.Context, from string) (*attestation.Bundle, error) {
	var data []byte
	var err error
	if strings.HasPrefix(from, "http://") || strings.HasPrefix(from, "https://") {
		data, err = get(ctx, from, "/.well-known/cocoon/bundle", attestation.MaxBundleSize)
	} else {
		data, err = command.ReadFile(from, certificate.MaxRequestSize)
	}
	if err != nil {
		return nil, err
	}
	if command.KindOf(data) == command.RequestFile {
		r, err := certificate.ParseRequest(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		data = r.Bundle
	}
	b, err := attestation.ParseBundle(data)
	if err != nil {
		return nil, command.NotA(command.BundleFile, from, data, "a relay serves it at /.well-known/cocoon/bundle, and a request for certificates has one in it", err)
	}
	return b, nil
}

// maxCertificates is how many files of certificates a command reads.
const maxCertificates = 64

func readCertificates(paths []string) (files []*certificate.File, err error) {
	if len(paths) > maxCertificates {
		return nil, attestation.BadInput("%d certificates, at most %d", len(paths), maxCertificates)
	}
	for _, p := range paths {
		data, err := command.ReadFile(p, certificate.MaxFileSize)
		if err != nil {
			return nil, err
		}
		f, err := certificate.Parse(data)
		if err != nil {
			return nil, command.NotA(command.CertificateFile, p, data, "verifiers make it of a request (`cocoon-node certificate request`)", err)
		}
		if err := f.Verify(); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		files = append(files, f)
	}
	return files, nil
}
