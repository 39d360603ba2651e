package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/chain"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

var inspectCommand = &command.Command{
	Name: "inspect", Args: "FILE", Short: "print what a file says, without believing it",
	Long: "Knows bundles, evidence, receipts (X.receipt; its secrets are not printed), proofs,\n" +
		"records of nodes and heads of logs.",
	Example: "cocoon inspect demo/bundle.cbor",
	Setup: func(fs *flag.FlagSet) func(context.Context, *command.Env) error {
		return func(_ context.Context, env *command.Env) error {
			if err := args(env, 1, "one file"); err != nil {
				return err
			}
			data, err := command.ReadFile(env.Args[0], receipt.MaxProof)
			if err != nil {
				return err
			}
			kind, v := describe(data)
			if v == nil {
				return attestation.BadInput("%s is neither a bundle, evidence, a receipt, a proof, a record of a node nor a log head", env.Args[0])
			}
			if env.JSON {
				return env.PrintJSON(map[string]any{"trusted": false, "type": kind, "content": v})
			}
			fmt.Fprintf(env.Stdout, "NOT VERIFIED: this is what %s says about itself\n", article[kind])
			return env.PrintJSON(v)
		}
	},
}

// article names the kinds of [describe] in a sentence.
var article = map[string]string{
	"proof": "a proof", "receipt": "a receipt", "bundle": "a bundle", "record": "a record of a node", "log head": "a head of a log",
	"tdx evidence": "a TDX quote", "sgx evidence": "an SGX quote", "snp evidence": "an SNP report",
	"nvidia evidence": "a report of a GPU or switch", "tpm evidence": "a quote of a TPM", "nras evidence": "a set of tokens of NVIDIA's remote attestation service",
}

// describe returns what kind of file it is, and what it says. The kind is empty
// when it is none that is known.
func describe(data []byte) (kind string, v any) {
	if p, err := receipt.ParseProof(data); err == nil {
		return "proof", describeProof(p)
	}
	if f, err := receipt.ParseFile(data); err == nil {
		return "receipt", describeReceipt(f.Receipt)
	}
	if r, err := receipt.Parse(data); err == nil {
		return "receipt", describeReceipt(r)
	}
	if b, err := attestation.ParseBundle(data); err == nil {
		return "bundle", describeBundle(b)
	}
	if way, err := client.RecordBlocks(data); err == nil {
		last := way[len(way)-1]
		return "record", map[string]any{"bytes": len(data), "block": last.Seqno, "root_hash": hexOf(last.RootHash)}
	}
	if h, err := client.ParseLogHead(data); err == nil {
		return "log head", map[string]any{"node": h.Node, "epoch": h.Epoch, "size": h.Size, "root": hexOf(h.Root)}
	}
	if k := attestation.DetectKind(data); k != "" {
		return k + " evidence", map[string]any{"bytes": len(data), "kind": k}
	}
	return "", nil
}

func describeReceipt(r *receipt.Receipt) map[string]any {
	h, b := &r.Head, &r.Body
	return map[string]any{
		"node": h.Node, "epoch": h.Epoch, "index": h.Index, "time": time.Unix(int64(h.Time), 0).UTC(),
		"block": h.BlockSeqno, "holder": hexOf(h.Holder), "claims": hexOf(b.ClaimsDigest),
		"request_commitment": hexOf(b.RequestCommitment), "response_commitment": hexOf(b.ResponseCommitment),
		"model": hexOf(b.ModelDigest), "engine": b.Engine, "finish": b.Finish,
		"sampling":      map[string]any{"temperature": b.Sampling.Temperature, "top_p": b.Sampling.TopP, "seed": b.Sampling.Seed, "max_tokens": b.Sampling.MaxTokens},
		"prompt_tokens": b.PromptTokens, "completion_tokens": b.CompletionTokens, "price_nano": b.Price,
	}
}

func describeProof(p *receipt.Proof) map[string]any {
	v := map[string]any{
		"receipt":   describeReceipt(p.Receipt),
		"inclusion": map[string]any{"index": p.Inclusion.Index, "size": p.Inclusion.Size, "hashes": len(p.Inclusion.Hashes)},
		"checkpoint": map[string]any{
			"epoch": p.Checkpoint.Epoch, "size": p.Checkpoint.Size, "root": hexOf(p.Checkpoint.Root),
		},
		"account_proof_bytes": len(p.AccountProof), "registry_proof_bytes": len(p.RegistryProof),
		"endorsements": len(p.Endorsements), "opened": p.Opening != nil,
	}
	if blocks, err := chain.ProofBlocks(p.AccountProof); err == nil {
		var ids []string
		for _, b := range blocks {
			ids = append(ids, b.String())
		}
		v["blocks"] = ids
	}
	if b, err := attestation.ParseBundle(p.Bundle); err == nil {
		v["bundle"] = describeBundle(b)
	}
	return v
}

func describeBundle(b *attestation.Bundle) map[string]any {
	v := map[string]any{"claims_digest": hexOf(b.Digest())}
	var ev []map[string]any
	for _, e := range b.Evidence {
		ev = append(ev, map[string]any{"kind": e.Kind, "bytes": len(e.Data)})
	}
	v["evidence"] = ev
	c, err := b.Claims()
	if err != nil {
		return v
	}
	var models []map[string]any
	for _, m := range c.Body.Models {
		models = append(models, map[string]any{"name": m.Name, "digest": hexOf(m.Digest)})
	}
	v["claims"] = map[string]any{
		"chain": c.ChainID, "node": c.Node, "epoch": c.Epoch, "block": c.BlockSeqno,
		"receipt_key": hexOf(c.ReceiptKey), "log_key": hexOf(c.LogKey), "identity_key": hexOf(c.IdentityKey),
		"configuration": hexOf(c.Body.Configuration), "models": models, "engine": c.Body.Engine, "software": c.Body.Software,
		"created": c.Body.Created, "key_configs": len(c.Body.KeyConfigs), "self_test_passed": c.Body.SelfTest.Passed,
	}
	return v
}

func hexOf(b [32]byte) string { return fmt.Sprintf("%x", b) }
