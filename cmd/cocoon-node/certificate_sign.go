package main

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/chain/tonfile"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
	"github.com/cocoon-go/cocoon/internal/endorse"
)

var certificateSignCommand = &command.Command{
	Name: "certificate sign", Args: "REQUEST", Short: "certify an enclave's evidence as a verifier of the registry",
	Long: "Appraises the bundle of the request by your own policy, which names measurements and models itself\n" +
		"and sets unsafe_unregistered, and by endorsements that you trust. Then it looks at the chain, and signs\n" +
		"what can't be in conflict with anything that --memory says was signed before. One verifier has one\n" +
		"memory, on one machine: a copy or a backup of it can cost the stake.",
	Example: "cocoon-node certificate sign node.request --key verifier.key --memory memory --policy verifier.toml --endorsements endorsements --out a.certificate --ton-config global.json --registry registry.txt",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		var f certificateSignFlags
		f.ton.Register(fs, "TON global config `file`")
		fs.StringVar(&f.registry, "registry", "", "`address` of the registry, or a file that holds it")
		fs.StringVar(&f.key, "key", "", "`file` with the verifier's key: 64 hex digits or 24 words")
		fs.StringVar(&f.memory, "memory", "", "`directory` that remembers what this verifier signed; made when it is missing")
		fs.StringVar(&f.policy, "policy", "", "policy `file` of the verifier")
		fs.StringVar(&f.endorsements, "endorsements", "", "`path` of endorsements that the verifier trusts")
		fs.StringVar(&f.out, "out", "", "new `file` for the certificate")
		return func(ctx context.Context, env *command.Env) error { return certificateSign(ctx, env, &f) }
	},
}

type certificateSignFlags struct {
	ton                                              tonfile.Flags
	registry, key, memory, policy, endorsements, out string
}

// check looks for what is missing, and for a file in the way.
func (f *certificateSignFlags) check(env *command.Env) error {
	if err := env.Need(
		"--key", f.key, "--memory", f.memory, "--policy", f.policy,
		"--endorsements", f.endorsements, "--out", f.out,
		"--ton-config", f.ton.Config+f.ton.Network, "--registry", f.registry,
	); err != nil {
		return err
	}
	if !strings.HasSuffix(f.out, host.CertificateSuffix) {
		return attestation.BadInput("--out: want a name that ends in %s", host.CertificateSuffix)
	}
	if _, err := os.Lstat(f.out); err == nil {
		return command.Exists(f.out)
	}
	return nil
}

func certificateSign(ctx context.Context, env *command.Env, f *certificateSignFlags) error {
	if len(env.Args) != 1 {
		return attestation.BadInput("certificate sign takes 1 argument (REQUEST); --help explains")
	}
	if err := f.check(env); err != nil {
		return err
	}
	data, err := command.ReadFile(env.Args[0], certificate.MaxRequestSize)
	if err != nil {
		return err
	}
	req, err := certificate.ParseRequest(data)
	if err != nil {
		return fmt.Errorf("%s: %w", env.Args[0], err)
	}
	verified, err := f.appraise(env, req)
	if err != nil {
		return err
	}
	file, err := f.sign(ctx, env, verified, req)
	if err != nil {
		return err
	}
	return f.write(env, file)
}

// appraise judges the evidence by the verifier's own policy.
func (f *certificateSignFlags) appraise(env *command.Env, req *certificate.Request) (*attestation.Verified, error) {
	text, err := command.ReadFile(f.policy, 1<<20)
	if err != nil {
		return nil, err
	}
	policy, err := attestation.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.policy, err)
	}
	v, err := attestation.NewVerifier(policy)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.policy, err)
	}
	files, err := endorse.Load(f.endorsements)
	if err != nil {
		return nil, err
	}
	trusted := attestation.NewEndorsements()
	for _, e := range files {
		if err := trusted.AddFile(e.Name, e.Data); err != nil {
			return nil, err
		}
	}
	b, err := attestation.ParseBundle(req.Bundle)
	if err != nil {
		return nil, err
	}
	out, err := v.Verify(attestation.Input{Bundle: b, Endorsements: trusted, At: time.Now()})
	if err != nil {
		return nil, fmt.Errorf("the evidence: %w", err)
	}
	if out.Simulated() {
		env.Logf("SIMULATED: the evidence comes from a simulated platform; it protects nothing")
	}
	return out, nil
}

// sign compares the claims with the chain and signs.
func (f *certificateSignFlags) sign(ctx context.Context, env *command.Env, v *attestation.Verified, req *certificate.Request) (*certificate.File, error) {
	key, err := walletKey(env, f.key)
	if err != nil {
		return nil, err
	}
	c, root, err := openRegistry(ctx, env, f.ton, f.registry)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	s := certificate.Signer{Key: key, Registry: root, Chain: c, Memory: lateMemory(f.memory)}
	return s.Sign(ctx, v, req)
}

// lateMemory is the memory of a directory that is made when there is something to
// remember.
type lateMemory string

func (m lateMemory) Update(ctx context.Context, about certificate.About, decide func(*contracts.Certificate) (*contracts.Certificate, error)) error {
	dir, err := certificate.OpenDirMemory(string(m))
	if err != nil {
		return err
	}
	return dir.Update(ctx, about, decide)
}

// write stores the certificate. When it fails the same command may be repeated:
// the same is signed again.
func (f *certificateSignFlags) write(env *command.Env, file *certificate.File) error {
	data, err := file.Encode()
	if err != nil {
		return err
	}
	if err := command.CreateFile(f.out, data, 0o644); err != nil {
		return err
	}
	c := &file.Certificate
	if env.JSON {
		return env.PrintJSON(map[string]any{"file": f.out, "node": c.Node, "epoch": c.Epoch, "claims": hex.EncodeToString(c.ClaimsDigest[:]), "expiry": unix(c.Expiry), "set": c.Set})
	}
	_, err = fmt.Fprintf(env.Stdout, "certificate  %s\nnode         %v\nepoch        %d\nclaims       %x\nexpiry       %s\nset          %d\n",
		f.out, c.Node, c.Epoch, c.ClaimsDigest, unix(c.Expiry), c.Set)
	return err
}
