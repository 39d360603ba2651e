package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
)

// official lets the official C++ lite-client read the chain that ton-lite-client
// has used, when it is on PATH. It checks every proof by itself, reads more cells
// than other clients do, and prints what it makes of a whole block by block.tlb.
func official(ctx context.Context, w *world, out io.Writer) error {
	program, err := exec.LookPath("lite-client")
	if err != nil {
		fmt.Fprintln(out, "contracts: SKIPPED: the official C++ lite-client is not on PATH; nobody asked it")
		return nil
	}
	head := w.Head().ID
	id := func(seqno uint32, root, file []byte) string {
		return fmt.Sprintf("(-1,8000000000000000,%d):%X:%X", seqno, root, file)
	}
	first := w.trusted
	commands := []struct {
		command string
		want    []string
	}{
		{"last", []string{fmt.Sprintf("(-1,8000000000000000,%d)", head.SeqNo)}},
		{"getaccount " + w.wallet.String(), []string{"account state is"}},
		{"getaccount " + w.nobody.String(), []string{"account state is empty"}},
		{"runmethod " + w.wallet.String() + " seqno", []string{"result:  [ 3 ]", "remote result (not to be trusted):  [ 3 ]"}},
		{"getconfig 19", []string{"ConfigParam(19)"}},
		{"allshards", []string{"shard #1"}},
		{"blkproofchain " + id(first.Seqno, first.RootHash[:], first.FileHash[:]) + " " + id(head.SeqNo, head.RootHash, head.FileHash), []string{"valid complete proof chain"}},
		{"blkproofchain " + id(head.SeqNo, head.RootHash, head.FileHash) + " " + id(first.Seqno, first.RootHash[:], first.FileHash[:]), []string{"valid complete proof chain"}},
		{"dumpblock " + id(head.SeqNo, head.RootHash, head.FileHash), []string{"block_info", "block_extra"}},
	}
	for _, c := range commands {
		var text bytes.Buffer
		cmd := exec.CommandContext(ctx, program, "--global-config", filepath.Join(w.dir, "global.json"), "--verbosity", "1", "--timeout", "20", "--cmd", c.command)
		cmd.Stdout, cmd.Stderr = &text, &text
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("lite-client: %s: %w: %s", c.command, err, text.Bytes())
		}
		for _, want := range c.want {
			if !strings.Contains(text.String(), want) {
				return fmt.Errorf("lite-client: %s: no %q in what it says: %s", c.command, want, text.Bytes())
			}
		}
	}
	fmt.Fprintf(out, "contracts: the official C++ lite-client accepted %d answers\n", len(commands))
	return nil
}
