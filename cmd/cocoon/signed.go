package main

import (
	"fmt"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/client"
	"github.com/cocoon-go/cocoon/internal/command"
)

// signed is a file with something that a node's enclave signed.
type signed struct {
	path    string
	receipt *receipt.Receipt // nil: none
	head    *client.LogHead  // nil: none
}

// readSigned reads a receipt, a proof, which holds a receipt and a log head, or the
// file of a log head.
func readSigned(path string) (*signed, error) {
	data, err := command.ReadFile(path, receipt.MaxProof)
	if err != nil {
		return nil, err
	}
	out := &signed{path: path}
	switch kind := command.KindOf(data); kind {
	case command.ProofFile:
		var p *receipt.Proof
		if p, err = receipt.ParseProof(data); err == nil {
			out.receipt, out.head = p.Receipt, client.HeadOf(p)
		}
	case command.ReceiptFile:
		var f *receipt.File
		if f, err = receipt.ParseFile(data); err == nil {
			out.receipt = f.Receipt
		}
	case "":
		if out.head, err = client.ParseLogHead(data); err != nil {
			return nil, fmt.Errorf("%s is neither a receipt, a proof nor a log head: %w", path, err)
		}
	default:
		return nil, attestation.BadInput("%s is %v: want a receipt, a proof or a log head", path, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

func readAllSigned(paths []string) ([]*signed, error) {
	out := make([]*signed, len(paths))
	for i, path := range paths {
		var err error
		if out[i], err = readSigned(path); err != nil {
			return nil, err
		}
	}
	return out, nil
}
