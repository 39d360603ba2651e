package main

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/chain/certificate"
	"github.com/cocoon-go/cocoon/chain/contracts"
	"github.com/cocoon-go/cocoon/host"
	"github.com/cocoon-go/cocoon/internal/command"
)

var (
	certificateRequestCommand = &command.Command{
		Name: "certificate request", Args: "URL|FILE", Short: "write what verifiers need to certify an enclave's bundle",
		Long: "Takes the bundle from a relay or a file. The wallet signs the request, so that nobody else can have\n" +
			"the verifiers certify another boot of this node. Give the file to the registry's verifiers.",
		Example: "cocoon-node certificate request http://127.0.0.1:9000 --out node.request --wallet wallet.key",
		Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
			wallet := fs.String("wallet", "", "`file` with the operator's wallet key: 24 words or 64 hex digits")
			out := fs.String("out", "", "new `file` for the request")
			valid := fs.Duration("valid", host.CertificateValid, "`time` for which the certificate, and so the registration, is good")
			return func(ctx context.Context, env *command.Env) error {
				return certificateRequest(ctx, env, *wallet, *out, *valid)
			}
		},
	}
	certificateShowCommand = &command.Command{
		Name: "certificate show", Args: "FILE...", Short: "show certificates of verifiers, taken together",
		Long:    "Signatures are checked. Whether the registry counts who signed is not: `register` does that.",
		Example: "cocoon-node certificate show a.certificate b.certificate",
		Setup: func(*flag.FlagSet) func(context.Context, *command.Env) error {
			return func(_ context.Context, env *command.Env) error { return certificateShow(env) }
		},
	}
)

func certificateRequest(ctx context.Context, env *command.Env, wallet, out string, valid time.Duration) error {
	if len(env.Args) != 1 || wallet == "" || out == "" {
		return attestation.BadInput("certificate request needs a bundle, --wallet and --out; --help explains")
	}
	if !strings.HasSuffix(out, host.RequestSuffix) {
		return attestation.BadInput("--out: want a name that ends in %s", host.RequestSuffix)
	}
	expiry := time.Now().Add(valid).Unix()
	if valid <= 0 || expiry > 1<<32-1 {
		return attestation.BadInput("--valid: want a time such as 144h")
	}
	key, err := walletKey(env, wallet)
	if err != nil {
		return err
	}
	b, err := bundleOf(ctx, env.Args[0])
	if err != nil {
		return err
	}
	r, err := certificate.NewRequest(b, uint32(expiry), key)
	if err != nil {
		return err
	}
	data, err := r.Encode()
	if err != nil {
		return err
	}
	if err := command.CreateFile(out, data, 0o644); err != nil {
		return err
	}
	d := b.Digest()
	if env.JSON {
		return env.PrintJSON(map[string]any{"file": out, "claims": hex.EncodeToString(d[:]), "expiry": unix(r.Expiry)})
	}
	_, err = fmt.Fprintf(env.Stdout, "request    %s\nclaims     %x\nexpiry     %s\n", out, d, unix(r.Expiry))
	return err
}

// kinds of evidence that verifiers vouch for.
var kinds = map[uint8]string{contracts.KindSNP: "AMD SEV-SNP", contracts.KindTDXQuorum: "Intel TDX"}

func certificateShow(env *command.Env) error {
	if len(env.Args) == 0 {
		return attestation.BadInput("certificate show needs a file; --help explains")
	}
	files, err := readCertificates(env.Args)
	if err != nil {
		return err
	}
	f, err := certificate.Merge(files...)
	if err != nil {
		return err
	}
	c := &f.Certificate
	var keys []string
	for k := range maps.Keys(f.Signatures) {
		keys = append(keys, hex.EncodeToString(k[:]))
	}
	slices.Sort(keys)
	if env.JSON {
		return env.PrintJSON(map[string]any{
			"chain": c.ChainID, "node": c.Node, "epoch": c.Epoch, "evidence": kinds[c.Kind], "platform": hex.EncodeToString(c.PlatformID[:]),
			"measurement": hex.EncodeToString(c.Measurement[:]), "claims": hex.EncodeToString(c.ClaimsDigest[:]), "block": c.BlockSeqno,
			"expiry": unix(c.Expiry), "set": c.Set, "signers": keys,
		})
	}
	fmt.Fprintf(env.Stdout, "chain        %d\nnode         %v\nepoch        %d\nevidence     %s\nplatform     %x\nmeasurement  %x\nclaims       %x\nblock        %d\nexpiry       %s\nset          %d\n",
		c.ChainID, c.Node, c.Epoch, kinds[c.Kind], c.PlatformID, c.Measurement, c.ClaimsDigest, c.BlockSeqno, unix(c.Expiry), c.Set)
	for _, k := range keys {
		fmt.Fprintf(env.Stdout, "signed by    %s\n", k)
	}
	return nil
}
